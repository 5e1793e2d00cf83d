"""Work in batches that shrink when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")

log = logging.getLogger(__name__)

NO_MEMORY = "out of memory on this prompt alone: take a smaller model or shorter chunks"
"""What to say of an item that does not fit even alone."""


def halving(
    batch: list[int], work: Callable[[list[int]], list[T]], limit: int, shrink: Callable[[int], None]
) -> Iterator[tuple[int, T | None]]:
    """What `work` makes of each item of a batch; when memory runs out, of its halves.

    `limit` is the size that the batch was made for, in tokens; `shrink` is told the half of one that failed, to make
    later batches by. An item that alone is too much gets None.
    """
    made = _within_memory(lambda: work(batch))
    if made is not None:
        yield from zip(batch, made, strict=True)
    elif len(batch) == 1:
        yield batch[0], None
    else:
        smaller = max(1, limit // 2)
        shrink(smaller)
        log.warning("out of memory at %d prompts; going on with batches of half the size", len(batch))
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            yield from halving(half, work, smaller, shrink)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that GPU or main memory is used up."""
    said = ("not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in said)


def _within_memory(work: Callable[[], list[T]]) -> list[T] | None:
    """What `work` makes, or None when memory ran out.

    The error is let go of before anything else is tried, because its traceback holds the tensors of the failed batch.
    """
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    return None
