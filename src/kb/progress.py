"""One progress region on stderr: bars with count, rate and time left on a terminal, plain lines elsewhere.

Nothing is shown of what is over within two seconds.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

log = logging.getLogger("kb")

SHORT = 2.0
"""Seconds before anything is shown."""
PLAIN_EVERY = 10.0
"""Seconds between plain lines where stderr is not a terminal."""

NAMED = 3
"""Reasons that a line names; the others are counted together."""


class Advance(Protocol):
    """Tells the display of items that are done."""

    def __call__(self, count: int, free: bool = False) -> None:
        """So many more are done; `free` ones took no time, and say nothing of the rate."""


def duration(seconds: float) -> str:
    """A time as people say it: "40 s", "12 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counts(reasons: Mapping[str, int]) -> str:
    """Reasons with their counts on one line, the most frequent first."""
    ranked = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ranked[NAMED:])
    return ", ".join([*(f"{reason} {count}" for reason, count in ranked[:NAMED]), *([f"other {rest}"] if rest else [])])


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress(what: str, total: int, enabled: bool = True, notes: Callable[[], str] = lambda: "") -> Iterator[Advance]:
    """Show how far a loop is; call the yielded function with the number of items just done.

    `notes` gives more to say of the loop as it stands.
    """
    if not enabled or total == 0:
        yield lambda count, free=False: None
    elif sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        with _bar(what, total, notes) as advance:
            yield advance
    else:
        with _plain(what, total, notes) as advance:
            yield advance


@contextmanager
def _plain(what: str, total: int, notes: Callable[[], str]) -> Iterator[Advance]:
    """Lines, the first of them after `PLAIN_EVERY` seconds even if no item is done by then: a batch can take long."""
    lines = _Plain(what, total, notes)
    with _after(PLAIN_EVERY, lines.waiting):
        yield lines


@contextmanager
def _bar(what: str, total: int, notes: Callable[[], str]) -> Iterator[Advance]:
    """A bar that appears once the loop has taken `SHORT` seconds, whether or not an item is done by then."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        TextColumn("{task.fields[notes]}"), console=Console(stderr=True), redirect_stdout=False,
    )  # fmt: skip
    task = bar.add_task(what, total=total, notes="")
    try:
        with _after(SHORT, bar.start):
            yield lambda count, free=False: bar.update(task, advance=count, notes=notes())
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def _after(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Act once that time has passed, unless this is over by then; at its end, the act is over or never begins."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class _Plain:
    """A line every few seconds, and one at the end of anything that took longer than `SHORT`."""

    def __init__(self, what: str, total: int, notes: Callable[[], str]) -> None:
        self._what, self._total, self._notes = what, total, notes
        self._began = self._said = time.monotonic()
        self._done = self._free = 0

    def __call__(self, count: int, free: bool = False) -> None:
        """See `Advance`."""
        self._done += count
        self._free += count if free else 0
        moment = time.monotonic()
        last = count > 0 and self._done >= self._total and moment - self._began > SHORT
        if last or moment - self._said > PLAIN_EVERY:
            self._said = moment
            log.info("%s", self._line(moment - self._began))

    def waiting(self) -> None:
        """Say that it has begun, unless an item that is done has said so."""
        if not self._done:
            log.info("%s: 0/%d", self._what, self._total)

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._free) / max(seconds, 1e-9)
        left = self._total - self._done
        said = f", {duration(left / rate)} left" if left > 0 and rate else ""
        notes = self._notes()
        return f"{self._what}: {self._done}/{self._total}, {rate:.1f}/s{said}{f'; {notes}' if notes else ''}"
