"""Asking a model through the store: every request and response is appended as it lands, and nothing is asked twice.

An answer that is cut off or not of the form its prompt asked for is asked again with another seed; a request that got
no answer at all is asked again as it is, so a stumbling server changes no result. What fails to the end is recorded as
failed, never dropped, and a rerun asks it again; an interrupted run, resumed, takes up every answer, good or bad.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

from kb.errors import LLMError, Unparsed
from kb.llm.base import LLM, Completion, Request
from kb.progress import progress
from kb.store import Store, now

T = TypeVar("T")

RETRY_TEMPERATURE = 0.7
"""A greedy answer that did not parse would come again, so later attempts are sampled."""


@dataclass(frozen=True)
class Item:
    """A unit of work: an id that failures are recorded under, and the request."""

    id: str
    request: Request


@dataclass(frozen=True)
class Result(Generic[T]):
    """What became of an item: a parsed value, or the reason why there is none."""

    item: Item
    value: T | None
    completion: Completion
    reason: str = ""


@dataclass
class _Pending(Generic[T]):
    """An item on its way to a result."""

    item: Item
    left: int
    """Attempts before it is given up."""
    failed_before: bool
    """Whether an earlier run gave it up: then only a good answer in the store counts, and bad ones are asked again."""
    bad: int = 0
    """Answers of the wrong form so far: decides the seed of the next request."""
    result: Result[T] | None = None

    def request(self) -> Request:
        """The request as it stands: the item's own, or the same with another seed, sampled."""
        given = self.item.request
        if not self.bad:
            return given
        return replace(given, seed=given.seed + self.bad, temperature=max(given.temperature, RETRY_TEMPERATURE))

    def settle(self, result: Result[T]) -> None:
        """Take a result in."""
        self.result = result
        if result.reason:
            self.left -= 1
            self.bad += result.completion.finish != "error"

    @property
    def open(self) -> bool:
        """Whether to ask again."""
        return self.left > 0 and (self.result is None or bool(self.result.reason))


def ask(
    llm: LLM,
    store: Store,
    items: Sequence[Item],
    parse: Callable[[str], T],
    stage: str,
    attempts: int = 3,
    show: bool = True,
    cut: bool = False,
) -> Iterator[Result[T]]:
    """Answer all items, those answered before from the store, and yield a result for each, in order.

    `parse` turns the answer's text into a value and raises `Unparsed` when it has the wrong form. Answers land in the
    store before this yields; an item that fails all `attempts` is recorded under `stage` and its id. Items with the
    same request share one answer. An answer that was cut off at the token limit is a failure, or with `cut` an answer
    like any other: a greedy one would come out the same again. Raises LLMError when the model cannot be asked at all;
    what has landed stays.
    """
    given_up = {item for item, _, _ in store.failures(stage)}
    everything: list[_Pending[T]] = [_Pending(item, attempts, item.id in given_up) for item in items]
    with progress(stage, len(items), show) as advance:
        waiting = everything
        judge = functools.partial(_judge, parse=parse, cut=cut)
        while waiting:
            for pending in _round(llm, store, waiting, judge, stage):
                advance(0 if pending.open else 1)
            waiting = [pending for pending in waiting if pending.open]
    results = [pending.result for pending in everything if pending.result]
    _record_failures(store, stage, given_up, results)
    yield from results


def _round(
    llm: LLM, store: Store, waiting: Sequence[_Pending[T]], judge: Callable[[Item, Completion], Result[T]], stage: str
) -> Iterator[_Pending[T]]:
    """One answer for each: from the store if it is there, else from the model, stored as it lands."""
    requests = [pending.request() for pending in waiting]
    keys = [request.key(llm.identity) for request in requests]
    known = _stored(store, keys)
    sharing: dict[str, list[_Pending[T]]] = {}
    skip = set()
    for index, (pending, request, key) in enumerate(zip(waiting, requests, keys, strict=True)):
        old = judge(Item(pending.item.id, request), known[key]) if key in known else None
        if old and not (old.reason and pending.failed_before):
            skip.add(index)
            pending.settle(old)
            yield pending
        else:
            skip |= {index} if key in sharing else set()
            sharing.setdefault(key, []).append(pending)
    if not sharing:
        return
    for index, completion in llm.generate(requests, skip):
        result = judge(Item(waiting[index].item.id, requests[index]), completion)
        _append(store, keys[index], stage, llm.label, result)
        for pending in sharing.pop(keys[index]):
            pending.settle(replace(result, item=Item(pending.item.id, requests[index])))
            yield pending
    if sharing:
        raise LLMError(f"{llm.label} gave no answer, not even an error, to {len(sharing)} of {len(requests)} requests")


def _judge(item: Item, completion: Completion, parse: Callable[[str], T], cut: bool) -> Result[T]:
    if completion.error:
        return Result(item, None, completion, completion.error)
    if completion.finish == "length" and not cut:
        return Result(item, None, completion, "answer cut off at the token limit")
    try:
        return Result(item, parse(completion.text), completion)
    except Unparsed as error:
        return Result(item, None, completion, str(error))


def _record_failures(store: Store, stage: str, given_up: set[str], results: Sequence[Result[T]]) -> None:
    """Record what failed, and clear what had failed before and is done now."""
    failed = {result.item.id: result for result in results if result.reason}
    done = {result.item.id for result in results} - failed.keys()
    with store.transaction():
        for result in failed.values():
            store.fail(stage, result.item.id, result.reason, result.completion.text[:500])
        for id in given_up & done:
            store.unfail(stage, id)


def _stored(store: Store, keys: Sequence[str]) -> dict[str, Completion]:
    """What the model last said to these requests, good or bad."""
    found = {}
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        query = f"SELECT * FROM llm_calls WHERE finish != 'error' AND key IN ({marks}) ORDER BY seq"
        for row in store.sql(query, *part):
            found[row["key"]] = Completion(
                row["response"], row["finish"], "", row["prompt_tokens"], row["completion_tokens"], row["seconds"]
            )
    return found


def _append(store: Store, key: str, stage: str, label: str, result: Result[T]) -> None:
    """One row a call; a reason against the answer stands in its `error`.

    A good answer to a key takes the place of one that was good for an earlier version's parser: see the unique index.
    """
    done = result.completion
    request = json.dumps(asdict(result.item.request), ensure_ascii=False)
    with store.transaction():
        if not result.reason:
            store.sql("UPDATE llm_calls SET error = 'of an outdated form' WHERE key = ? AND error = ''", key)
        store.sql(
            "INSERT INTO llm_calls (key, stage, model, request, response, finish, error, prompt_tokens,"
            " completion_tokens, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            key, stage, label, request, done.text, done.finish, result.reason, done.prompt_tokens,
            done.completion_tokens, done.seconds, now(),
        )  # fmt: skip
