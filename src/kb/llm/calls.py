"""Asking a model through the store: every request and response is appended as it lands, and nothing is asked twice.

An answer that is cut off or not of the form its prompt asked for is asked again with another seed, the latter with the
answer and what is wrong with it; a request that got no answer at all is asked again as it is, so a stumbling server
changes no result. What fails to the end is recorded as failed, never dropped. An interrupted run, given again, takes
up every answer, good or bad, and goes on from there; a run after one that gave an item up asks it with seeds that were
not tried. What is asked next follows from the answers in the store alone.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from kb.errors import LLMError, Unparsed
from kb.llm.base import LLM, Completion, Request
from kb.llm.pending import Item, Pending, Result, Step
from kb.llm.stored import CUT, append_call, find_answers
from kb.progress import Advance, counts, progress
from kb.store import Store

T = TypeVar("T")

SLICE = 4096
"""Items in memory at a time, prompts and answers with them. Batches are made within a slice."""


@dataclass
class _Desk(Generic[T]):
    """What the items of one call of `ask` have in common."""

    llm: LLM
    store: Store
    stage: str
    judge: Callable[[Item, Completion], Result[T]]
    begin: Callable[[Sequence[Request], int], None] | None
    seen: int = 0
    good: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    """Reasons against answers that the model gave in this call."""

    def start(self, requests: Sequence[Request]) -> None:
        """Tell the step's `begin`, once, that these are asked now."""
        begin, self.begin = self.begin, None
        if begin:
            begin(requests, self.seen)

    def take(self, key: str, item: Item, completion: Completion) -> Result[T]:
        """Judge and store an answer."""
        result = self.judge(item, completion)
        append_call(self.store, key, self.stage, self.llm.label, item.request, completion, result.reason)
        self.good += not result.reason
        self.bad.update([result.reason] if result.reason else [])
        return result

    def said(self) -> str:
        """What the answers of this call were like; nothing while all are good."""
        return f"{self.good} good, {sum(self.bad.values())} bad: {counts(self.bad)}" if self.bad else ""


def ask(
    llm: LLM,
    store: Store,
    items: Iterable[Item],
    parse: Callable[[str], T],
    stage: str,
    attempts: int = 3,
    show: bool = True,
    cut: bool = False,
    step: Step | None = None,
) -> Iterator[Result[T]]:
    """Answer all items, those answered before from the store, and yield a result for each, in order.

    `parse` turns the answer's text into a value and raises `Unparsed` when it has the wrong form. Answers land in the
    store before this yields. Items with the same request share one answer. An answer that was cut off at the token
    limit is a failure, or with `cut` an answer like any other: a greedy one would come out the same again. Without a
    `step`, an item that fails all `attempts` is recorded under `stage` and its id, and asked with new seeds the next
    time. Raises LLMError when the model cannot be asked at all; what has landed stays.
    """
    total = step.total if step else len(items := list(items))
    given_up = set() if step else {item for item, _, _ in store.failures(stage)}
    failed: dict[str, Result[T]] = {}
    done: set[str] = set()
    desk = _Desk(llm, store, stage, functools.partial(_judge, parse=parse, cut=cut), step.begin if step else None)
    queue = iter(items)
    with progress(stage, total, show, desk.said) as advance:
        while part := list(itertools.islice(queue, SLICE)):
            results = _answer(desk, [_pending(item, attempts, step, given_up) for item in part], advance)
            if not step:
                failed |= {result.item.id: result for result in results if result.reason}
                done |= {result.item.id for result in results if not result.reason} & given_up
            yield from results
    _record(store, stage, failed.values(), done - failed.keys())


def _pending(item: Item, attempts: int, step: Step | None, given_up: set[str]) -> Pending[T]:
    """Without a step the record of failures tells what was given up: whatever is in the store is of the past then."""
    past = step.ended if step else float("inf") if item.id in given_up else 0
    return Pending(item, attempts if item.open else 0, past)


def _answer(desk: _Desk[T], part: Sequence[Pending[T]], advance: Advance) -> list[Result[T]]:
    """A result for each of a slice of the items."""
    desk.seen += len(part)
    waiting = part
    while waiting:
        for pending in _round(desk, waiting):
            advance(int(pending.closed), not pending.asked)
        waiting = [pending for pending in waiting if not pending.closed]
    return [pending.result for pending in part if pending.result]


def _round(desk: _Desk[T], waiting: Sequence[Pending[T]]) -> Iterator[Pending[T]]:
    """One answer for each: from the store if it is there, else from the model. Not yielded is what has to go another
    way first.
    """
    ways = [pending.requests() for pending in waiting]
    requests = [first for first, *_ in ways]
    keys = [[request.key(desk.llm.identity) for request in way] for way in ways]
    known = find_answers(desk.store, [key for own in keys for key in own])
    lacking: dict[str, list[int]] = {}
    for index, (pending, (key, *others)) in enumerate(zip(waiting, keys, strict=True)):
        if key not in known and not known.keys().isdisjoint(others):
            # It was refused as it stands, or asked before there was another way: the next round finds the answer.
            pending.refuse()
            continue
        if key not in known and pending.left > 0:
            lacking.setdefault(key, []).append(index)
            continue
        if key in known:
            old = known[key]
            item = replace(pending.item, request=requests[index])
            pending.settle(desk.judge(item, old.completion), attempt=old.seq > pending.past)
        else:
            pending.give_up()
        yield pending
    if lacking:
        yield from _ask_model(desk, waiting, requests, lacking)


def _ask_model(
    desk: _Desk[T], waiting: Sequence[Pending[T]], requests: Sequence[Request], lacking: dict[str, list[int]]
) -> Iterator[Pending[T]]:
    """The model's answers to the requests that the store lacks, stored as they land; `lacking` is key to indices."""
    keys = {indices[0]: key for key, indices in lacking.items()}
    desk.start([requests[index] for index in keys])
    # Batches are made of all requests that may be asked, not of those that are left.
    places = [index for index, pending in enumerate(waiting) if pending.item.open]
    skip = {place for place, index in enumerate(places) if index not in keys}
    for place, completion in desk.llm.generate([requests[index] for index in places], skip):
        key = keys.pop(places[place])
        sharing = [waiting[index] for index in lacking[key]]
        if completion.refused:
            # No call and no attempt where the model takes the request in another way.
            sharing = [pending for pending in sharing if not pending.refuse()]
        if not sharing:
            continue
        result = desk.take(key, replace(sharing[0].item, request=requests[places[place]]), completion)
        for pending in sharing:
            pending.asked = True
            pending.settle(replace(result, item=replace(result.item, id=pending.item.id)))
            yield pending
    if keys:
        raise LLMError(f"{desk.llm.label} gave no answer, not even an error, to {len(keys)} of {len(lacking)} requests")


def _judge(item: Item, completion: Completion, parse: Callable[[str], T], cut: bool) -> Result[T]:
    if completion.error or completion.finish == "error":
        return Result(item, None, completion, completion.error or "no answer")
    if completion.finish == "length" and not cut:
        return Result(item, None, completion, CUT)
    try:
        return Result(item, parse(completion.text), completion)
    except Unparsed as error:
        return Result(item, None, completion, str(error), item.correction(completion.text, error))


def _record(store: Store, stage: str, failed: Iterable[Result[T]], done: Iterable[str]) -> None:
    """Record what failed, and clear what had failed before and is done now."""
    with store.transaction():
        for result in failed:
            store.fail(stage, result.item.id, result.reason, result.completion.text[:500])
        for id in done:
            store.unfail(stage, id)
