"""How many requests a server gets at once, and how long to wait before the next try."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

BACKOFF = 1.0
"""Seconds: the most that the first wait between two tries takes; each further one may take twice as long."""
BACKOFF_MOST = 60.0
"""Seconds: no wait between two tries is longer, unless the server asks for it."""


class Limit:
    """An adaptive limit of requests in flight: additive growth while answers come, half on overload (AIMD).

    It starts at `most`, which is never exceeded, and after an overload a full round of answers adds one. Requests that
    were under way when the limit was halved say nothing about the new one, so one burst of refusals halves once. One
    request may always be in flight. One event loop.
    """

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.size = float(self.most)
        self.flying = 0
        self._halved_at = -math.inf
        self._closed_until = -math.inf
        self._room = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for a place and for the end of any pause, hold the place, and yield the time of the start."""
        async with self._room:
            await self._room.wait_for(lambda: self.flying < int(self.size))
            self.flying += 1
        try:
            while (pause := self._closed_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            yield time.monotonic()
        finally:
            self.flying -= 1
            async with self._room:
                self._room.notify_all()

    def answered(self) -> None:
        """A request was answered: room for more."""
        self.size = min(self.most, self.size + 1 / self.size)

    def overloaded(self, started: float, pause: float = 0.0) -> None:
        """A request begun at `started` was too much; let none begin for `pause` seconds."""
        moment = time.monotonic()
        self._closed_until = max(self._closed_until, moment + pause)
        if started > self._halved_at:
            self.size = max(1.0, self.size / 2)
            self._halved_at = moment


def backoff(tries: int) -> float:
    """Seconds to wait after `tries` failed tries (1 or more): exponential with full jitter, so that clients spread."""
    return random.uniform(0, min(BACKOFF_MOST, BACKOFF * 2 ** (tries - 1)))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds the server asks to wait, by `retry-after-ms` or `Retry-After` (seconds or a date); 0 if it does not."""
    if text := headers.get("retry-after-ms"):
        return _seconds(text) / 1000
    text = headers.get("retry-after") or ""
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return _seconds(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
