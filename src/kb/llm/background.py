"""Asynchronous work behind an ordinary iterator: an event loop in a thread of its own, ended with the iteration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

Put = Callable[[T], Awaitable[None]]
"""Hands a result to the iterator, waiting while the one who iterates is behind."""


@dataclass(frozen=True)
class _End:
    """The work is over, with the exception that ended it, if one did."""

    error: BaseException | None = None


def in_background(work: Callable[[Put[T]], Coroutine[Any, Any, None]], most: int) -> Iterator[T]:
    """Yield what `work` puts, as it lands, and raise what it raises after that.

    At most about `most` results wait untaken. When the iteration is ended early, by `close`, an exception or Ctrl-C,
    the work is cancelled, and its thread is gone before this returns.
    """
    landed: SimpleQueue[Any] = SimpleQueue()
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def put(item: T) -> None:
        while landed.qsize() >= most:
            await asyncio.sleep(0.01)
        landed.put(item)

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None  # A coroutine that runs is in a task.
        begun.set_result((asyncio.get_running_loop(), task))
        await work(put)

    def run() -> None:
        end = _End()
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # Raised again where the results are taken.
            end = _End(error)
        if not begun.done():
            begun.set_exception(end.error or RuntimeError("the event loop ended before it began"))
        landed.put(end)

    thread = Thread(target=run, name="kb-requests", daemon=True)
    thread.start()
    loop, task = begun.result()
    try:
        while not isinstance(item := landed.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        with suppress(RuntimeError):  # The loop is closed: the work is over.
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
