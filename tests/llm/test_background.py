"""The event loop behind an ordinary iterator."""

import asyncio
import threading

import pytest

from kb.llm.background import in_background


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "kb-requests"]


def test_yields_what_the_work_puts():
    """Results come in the order they were put, and no thread is left."""

    async def work(put):
        for number in range(10):
            await put(number)

    assert list(in_background(work, most=2)) == list(range(10))
    assert threads() == []


def test_raises_what_the_work_raises_after_its_results():
    """What landed before the error is yielded first."""

    async def work(put):
        await put("好")
        raise ValueError("no more")

    taken = in_background(work, most=2)
    assert next(taken) == "好"
    with pytest.raises(ValueError, match="no more"):
        next(taken)
    assert threads() == []


def test_ending_early_cancels_the_work():
    """Closing the iterator cancels a work that would never end, and its thread is gone."""
    cancelled = threading.Event()

    async def work(put):
        await put(1)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    taken = in_background(work, most=2)
    assert next(taken) == 1
    assert len(threads()) == 1
    taken.close()
    assert cancelled.is_set()
    assert threads() == []


def test_an_interrupt_of_the_consumer_ends_the_work():
    """An exception in the loop that takes the results ends the thread as well."""

    async def work(put):
        await put(1)
        await asyncio.sleep(3600)

    def consume():
        for _ in in_background(work, most=2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert threads() == []


def test_work_waits_for_a_slow_consumer():
    """No more than `most` results lie waiting while nobody takes them."""
    put_so_far = []

    async def work(put):
        for number in range(100):
            await put(number)
            put_so_far.append(number)

    taken = in_background(work, most=3)
    next(taken)
    threading.Event().wait(0.05)
    assert len(put_so_far) <= 5
    taken.close()
