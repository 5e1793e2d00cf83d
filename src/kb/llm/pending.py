"""A request on its way to a result: what may be asked, with which seed, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from kb.llm.base import Completion, Request

T = TypeVar("T")

RETRY_TEMPERATURE = 0.7
"""A greedy answer that did not parse would come again, so later attempts are sampled."""
NOT_ASKED = "not asked in this run"
"""The reason of an item that may not be asked and that the store has no answer to."""


@dataclass(frozen=True)
class Item:
    """A unit of work: an id that failures are recorded under, and the request."""

    id: str
    request: Request
    open: bool = True
    """Whether the model may be asked; if not, what is in the store is all there is."""


@dataclass(frozen=True)
class Result(Generic[T]):
    """What became of an item: a parsed value, or the reason why there is none."""

    item: Item
    value: T | None
    completion: Completion
    reason: str = ""


@dataclass(frozen=True)
class Step:
    """What a run of several steps says of the one that it asks now; it keeps account of failures itself."""

    total: int
    """Items of the step: they may be made one by one, as they are asked."""
    ended: int
    """The number of the last call of the runs that came to their end. Bad answers up to there are of items that were
    given up, and do not count as attempts; later ones are of an interrupted run, which this one goes on with.
    """
    begin: Callable[[Sequence[Request], int], None]
    """Called once, before the model is asked: the first requests that the store has no answer to, and the number of
    items looked at so far, those of the requests among them.
    """


@dataclass
class Pending(Generic[T]):
    """An item on its way to a result."""

    item: Item
    left: int
    """Attempts before it is given up."""
    past: float
    """The last call that is no attempt of this run."""
    bad: int = 0
    """Answers of the wrong form so far, of this run and of earlier ones: decides the seed of the next request."""
    result: Result[T] | None = None
    closed: bool = False
    asked: bool = False

    def request(self) -> Request:
        """The request as it stands: the item's own, or the same with another seed, sampled."""
        given = self.item.request
        if not self.bad:
            return given
        return replace(given, seed=given.seed + self.bad, temperature=max(given.temperature, RETRY_TEMPERATURE))

    def settle(self, result: Result[T], attempt: bool = True) -> None:
        """Take a result in; a bad one may be an attempt of this run or an old one."""
        self.result = result
        self.closed = not result.reason
        if result.reason:
            self.left -= attempt
            self.bad += result.completion.finish != "error"

    def give_up(self) -> None:
        """Leave it at the last result."""
        self.closed = True
        self.result = self.result or Result(self.item, None, Completion("", "error", NOT_ASKED), NOT_ASKED)
