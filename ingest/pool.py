"""Files are read in processes of their own: on a hostile or damaged file a parser hangs, crashes or eats all memory.

A process that has read too long or died is replaced, its file is reported, and the others are read all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import TimeoutError as Expired
from dataclasses import dataclass, replace

import pebble

from kb.ingest.read import Content, Failure, ReadConfig, Reading, read

RECYCLED = 50
"""Contents after which a process is replaced: what a parser leaks goes with it."""
PAGE_SECONDS = 60
"""By which each scanned page lengthens the time that a file may take."""
FILE_MB = 64
"""Parsers write nothing; a library's temporary file may be so large."""


@dataclass(frozen=True)
class Limits:
    """What reading one content may take."""

    seconds: int
    """By the clock, and of the processor."""
    memory_mb: int
    """Of address space, for the whole process."""


def read_all(contents: Iterable[Content], config: ReadConfig, limits: Limits, jobs: int) -> Generator[Reading]:
    """What each content gave, in the order they come, read by so many processes at once.

    Twice as many contents as processes are under way or waiting to be taken, so memory stays flat.
    """
    waiting: deque[tuple[Content, pebble.ProcessFuture[Reading]]] = deque()
    plain = replace(config, ocr=False)
    with _pool(limits, jobs) as pool:

        def first() -> Reading:
            content, future = waiting.popleft()
            reading = _outcome(content, future, limits)
            return _scanned(pool, content, config, limits, reading) if config.ocr and reading.unread_pages else reading

        for content in contents:
            waiting.append((content, pool.schedule(_read_limited, [content, plain, limits], timeout=limits.seconds)))
            if len(waiting) == 1:
                # This process needs it in the end, and has nothing to do while the others start.
                importlib.import_module("datasketch")
            if len(waiting) > 2 * jobs:
                yield first()
        while waiting:
            yield first()


def _scanned(
    pool: pebble.ProcessPool, content: Content, config: ReadConfig, limits: Limits, reading: Reading
) -> Reading:
    """A content again with OCR, which takes its time for each page; as it was read before where that fails."""
    longer = replace(limits, seconds=limits.seconds + PAGE_SECONDS * reading.unread_pages)
    future = pool.schedule(_read_limited, [content, config, longer], timeout=longer.seconds)
    again = _outcome(content, future, longer)
    return again if again.parsed or not reading.parsed else reading


@contextlib.contextmanager
def _pool(limits: Limits, jobs: int) -> Iterator[pebble.ProcessPool]:
    """The processes, gone at the end whatever they are doing.

    They are forks of a server that has the parsers loaded: a fork of this process could inherit a lock that one of its
    threads holds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kb.ingest.forked"])
    pool = pebble.ProcessPool(jobs, RECYCLED, _confine, [limits], context)
    try:
        yield pool
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _confine(limits: Limits) -> None:
    """Bound what this process may use, once and for all, and let it end with the command that it works for."""
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_mb << 20),
        (resource.RLIMIT_FSIZE, FILE_MB << 20),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        # Not every system knows every limit; the time limit holds everywhere.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _end_with(parent: int) -> None:
    """End this process when its parent, the server of processes, is gone: it goes with the command, killed or not."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _read_limited(content: Content, config: ReadConfig, limits: Limits) -> Reading:
    """`read` with a bound on processor time: a process that hangs where no thread of its own can run ends by it."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + limits.seconds + 1, hard))
    try:
        return read(content, config)
    except MemoryError:
        message = f"takes more than {limits.memory_mb} MB to read. Split it, or give it more: [ingest] memory_mb."
        return _failed(content, "TOO_LARGE", message)


def _outcome(content: Content, future: pebble.ProcessFuture[Reading], limits: Limits) -> Reading:
    """The result of a content, or the failure that the end of its process means."""
    late = f"took more than {limits.seconds} s to read. Split it, or give it more: [ingest] seconds in kb.toml."
    try:
        return future.result()
    except Expired:
        return _failed(content, "TIMEOUT", late)
    except pebble.ProcessExpired as error:
        code = error.exitcode or 0
        if code == -signal.SIGXCPU:
            return _failed(content, "TIMEOUT", late)
        return _failed(content, "CRASH", f"crashed its parser (exit code {code}). Save it anew in its program.")


def _failed(content: Content, status: str, message: str) -> Reading:
    """The same failure for a content's files of every suffix."""
    return Reading(failures=tuple(Failure(place, status, f"{place}: {message}") for place in content.places))
