"""One progress region on stderr: bars with count, rate and time left on a terminal, plain lines elsewhere.

Nothing is shown of what is over within two seconds.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

log = logging.getLogger("kb")

SHORT = 2.0
"""Seconds before anything is shown."""
PLAIN_EVERY = 10.0
"""Seconds between plain lines where stderr is not a terminal."""

Advance = Callable[[int], None]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress(what: str, total: int, enabled: bool = True) -> Iterator[Advance]:
    """Show how far a loop is; call the yielded function with the number of items just done."""
    if not enabled or total == 0:
        yield lambda _: None
    elif sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        with _bar(what, total) as advance:
            yield advance
    else:
        yield _plain(what, total)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Advance]:
    """A bar that appears once the loop has taken `SHORT` seconds, whether or not an item is done by then."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        console=Console(stderr=True), redirect_stdout=False,
    )  # fmt: skip
    task = bar.add_task(what, total=total)
    timer = threading.Timer(SHORT, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda count: bar.advance(task, count)
    finally:
        timer.cancel()
        # It may be starting the bar at this moment.
        timer.join()
        if bar.live.is_started:
            bar.stop()


def _plain(what: str, total: int) -> Advance:
    """A line every few seconds, and one at the end of anything that took longer than `SHORT`."""
    began = said = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        moment = time.monotonic()
        last = count > 0 and done >= total and moment - began > SHORT
        if last or moment - said > PLAIN_EVERY:
            said = moment
            rate = done / max(moment - began, 1e-9)
            left = f", {(total - done) / rate:.0f} s left" if done < total and rate else ""
            log.info("%s: %d/%d, %.1f/s%s", what, done, total, rate, left)

    return advance
