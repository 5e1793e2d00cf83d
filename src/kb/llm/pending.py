"""A request on its way to a result: what may be asked, with which seed, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from kb.errors import Unparsed
from kb.llm.base import Completion, Message, Request
from kb.prompt import Prompt

T = TypeVar("T")

RETRY_TEMPERATURE = 0.7
"""A greedy answer that did not parse would come again, so later attempts are sampled."""
QUOTED = 600
"""Characters of an unreadable answer that the next request repeats: enough to see its form."""
NOT_ASKED = "not asked in this run"
"""The reason of an item that may not be asked and that the store has no answer to."""


@dataclass(frozen=True)
class Item:
    """A unit of work: an id that failures are recorded under, and the request."""

    id: str
    request: Request
    open: bool = True
    """Whether the model may be asked; if not, what is in the store is all there is."""
    other: Request | None = None
    """The same asked in another form: instead where the model does not take `request`; its answer in the store is as
    good.
    """
    again: Prompt | None = None
    """What is said to an answer that could not be read, with the reason as `$fault`. With None, or a prompt without a
    text, the request is only repeated.
    """

    def correction(self, text: str, fault: Unparsed) -> tuple[Message, ...]:
        """The turns that follow an answer that could not be read: its beginning, and what is wrong with it.

        None after an answer without a text: there is nothing to correct.
        """
        if not (self.again and self.again.text and text.strip()):
            return ()
        quoted = text if len(text) <= QUOTED else f"{text[:QUOTED]} ..."
        return Message("assistant", quoted), Message("user", self.again.fill(fault=fault.said(self.again.language)))


@dataclass(frozen=True)
class Result(Generic[T]):
    """What became of an item: a parsed value, or the reason why there is none."""

    item: Item
    value: T | None
    completion: Completion
    reason: str = ""
    correction: tuple[Message, ...] = ()
    """The turns that the next request adds to say what was wrong with this answer."""


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
    correction: tuple[Message, ...] = ()
    """The turns about the last of them."""
    result: Result[T] | None = None
    closed: bool = False
    asked: bool = False
    forms: list[Request] = field(init=False)
    """The item's request, and the other one: those that the model was not found to refuse."""

    def __post_init__(self) -> None:
        self.forms = [self.item.request, *([self.item.other] if self.item.other else [])]

    def requests(self) -> list[Request]:
        """The requests that would do now: the first is to be asked, the next where the model does not take it.

        After a bad answer they are drawn anew, with another seed; where it can be said what was wrong, with that first.
        """
        drawn = [self._drawn(form) for form in self.forms]
        if self.correction:
            drawn.insert(0, replace(drawn[0], messages=drawn[0].messages + self.correction))
        return drawn

    def _drawn(self, form: Request) -> Request:
        if not self.bad:
            return form
        return replace(form, seed=form.seed + self.bad, temperature=max(form.temperature, RETRY_TEMPERATURE))

    def refuse(self) -> bool:
        """Go on to the next of the requests; whether there is one."""
        if self.correction:
            self.correction = ()
        elif len(self.forms) > 1:
            del self.forms[0]
        else:
            return False
        return True

    def settle(self, result: Result[T], attempt: bool = True) -> None:
        """Take a result in; a bad one may be an attempt of this run or an old one."""
        self.result = result
        self.closed = not result.reason
        self.left -= attempt and not self.closed
        if not self.closed and result.completion.finish != "error":
            self.bad += 1
            self.correction = result.correction

    def give_up(self) -> None:
        """Leave it at the last result."""
        self.closed = True
        self.result = self.result or Result(self.item, None, Completion("", "error", NOT_ASKED), NOT_ASKED)
