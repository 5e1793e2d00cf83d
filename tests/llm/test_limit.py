"""The adaptive limit and the waits between tries."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from kb.llm import limit
from kb.llm.limit import Limit, backoff, retry_after


def test_starts_with_the_most_and_never_has_more():
    """A fresh limit is the most allowed, and answers do not raise it."""
    it = Limit(6)
    assert it.size == 6
    it.answered()
    assert it.size == 6


def test_overload_halves_once_for_all_requests_of_one_burst():
    """Refusals of requests that began before the halving do not halve again; one that began after it does."""
    it = Limit(64)
    it.size = 32.0
    began = time.monotonic()
    for _ in range(10):
        it.overloaded(began)
    assert it.size == 16
    it.overloaded(time.monotonic())
    assert it.size == 8


def test_grows_additively_after_an_overload():
    """After the first halving a full round of answers adds about one."""
    it = Limit(64)
    it.size = 8.0
    it.overloaded(time.monotonic())
    for _ in range(4):
        it.answered()
    assert 4.8 < it.size < 5.0


def test_one_request_may_always_be_in_flight():
    """Neither many overloads nor a setting of zero stop the work."""
    it = Limit(0)
    for _ in range(5):
        it.overloaded(time.monotonic())
    assert it.most == 1
    assert it.size == 1


def test_slots_hold_back_what_is_over_the_limit():
    """With a limit of three, ten tasks are never more than three at a time, and all get through."""

    async def run():
        it = Limit(3)
        most = done = 0

        async def work():
            nonlocal most, done
            async with it.slot():
                most = max(most, it.flying)
                await asyncio.sleep(0.001)
                done += 1

        await asyncio.gather(*(work() for _ in range(10)))
        return most, done, it.flying

    assert asyncio.run(run()) == (3, 10, 0)


def test_a_pause_holds_back_everyone():
    """After a refusal with a pause no request begins before it is over, also one that was not refused itself."""

    async def run():
        it = Limit(4)
        began = time.monotonic()
        it.overloaded(began, pause=0.05)
        async with it.slot() as started:
            return started - began

    assert 0.05 <= asyncio.run(run()) < 0.5


def test_backoff_doubles_its_upper_end(monkeypatch):
    """The wait is drawn between nothing and an end that doubles with each try and stops growing."""
    monkeypatch.setattr(limit.random, "uniform", lambda low, high: (low, high))
    assert [backoff(tries) for tries in (1, 2, 3, 10)] == [(0, 1.0), (0, 2.0), (0, 4.0), (0, 60.0)]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_in_seconds(headers, seconds):
    """Seconds, milliseconds and past dates are read; nonsense means that the server did not say."""
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date():
    """A date is the time until then."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < retry_after({"retry-after": date}) <= 30
