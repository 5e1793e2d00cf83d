"""What every step needs to ask the model: the model, the store, the prompts and the settings."""

from __future__ import annotations

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kb.llm import LLM, Item, Request, Result, Step, ask, user
from kb.llm.schema import holds_schemas
from kb.progress import SHORT, counts, progress
from kb.prompt import Prompt, Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.estimate import Ahead, Estimate, estimate
from kb.qa_gen.meaning import Meaning
from kb.qa_gen.selection import Selection
from kb.qa_gen.structured import as_json
from kb.records import Chunk, Fact, FactSource, make_id
from kb.retrieval.hybrid import SLICE, Retriever
from kb.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

STAGE = "generate"
HELD_OUT = ("probes", "reversed probes", "cross-lingual")
"""Steps that write what is only asked in an evaluation: another model's, where there is one."""
SOON = 60.0
"""Seconds; of a run that is over sooner the estimate is said once and not again at each step."""


def room(least: int, wanted: float) -> int:
    """Token limit for an answer that may take so many: the least one, doubled as often as it needs.

    By doubling there are few different limits, and requests of one limit are answered in one batch.
    """
    while least < wanted:
        least *= 2
    return least


@dataclass(frozen=True)
class Reject:
    """Something that was made and dropped."""

    step: str
    item: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Failed:
    """A unit of work that failed and waits for the next run."""

    step: str
    item: str
    chunk: str
    """The chunk that it is about: part of what it says is missing from the set."""
    reason: str
    detail: str
    """The beginning of what the model said last."""


@dataclass(frozen=True)
class Workbench:
    """Model, store, prompts, retriever and settings of one run, and the run's account of what became of everything."""

    llm: LLM
    store: Store
    prompts: Prompts
    retriever: Retriever
    config: GenerateConfig
    prober: LLM | None = None
    """The model that writes the held-out wordings, if it is another one."""
    notes: Counter[str] = field(default_factory=Counter)
    """Counts that the report shows beside drops and failures: what was mended rather than dropped."""
    rejects: list[Reject] = field(default_factory=list)
    """What was dropped so far; written with the results, so that a killed run leaves those of the last one."""
    sources: list[FactSource] = field(default_factory=list)
    """Further places that state facts of this run, each still with the id of the double that it was told by."""
    doubles: dict[str, str] = field(default_factory=dict)
    """Facts that say what another one says: its id."""
    selection: Selection = field(default_factory=Selection)
    ended: int = 0
    """See `kb.llm.Step`."""
    failing: list[Failed] = field(default_factory=list)
    """What this run has not got."""
    mended: list[tuple[str, str]] = field(default_factory=list)
    """Stage name and item of what had failed before and has not now."""
    homes: dict[str, str] = field(default_factory=dict)
    """The chunk of every item that is about a part of one: a fact, a question."""
    silent: set[str] = field(default_factory=set)
    """Chunks of which the model says that there is nothing to ask about."""
    unasked: set[str] = field(default_factory=set)
    """Chunks that lack an answer because they may not be asked about."""
    busy: dict[str, float] = field(default_factory=dict)
    """The steps in which the model was asked something, and since when (time.monotonic)."""
    estimates: list[Estimate] = field(default_factory=list)
    schemas: dict[str, bool] = field(default_factory=dict)
    """Whether the answers of a model, by its identity, are held to JSON schemas."""
    told: list[int] = field(default_factory=list)
    """How many rejects each step has had."""

    @functools.cached_property
    def meaning(self) -> Meaning:
        """What compares wordings by their meaning: the retriever's embedder."""
        return Meaning(self.retriever.embedder, self.store)

    def prompt(self, name: str, language: str, shared: bool = False) -> Prompt:
        """A prompt of this stage, or one that stages share."""
        return self.prompts.get("kb" if shared else "kb.qa_gen", name, language)

    def refusal(self, language: str) -> str:
        """The sentence that says one does not know."""
        return self.prompt("refusal", language, shared=True).text

    def request(self, prompt: Prompt, max_tokens: int, **fields: str) -> Request:
        """A greedy request made of a filled prompt."""
        return Request(user(prompt.fill(**fields), prompt.system), max_tokens)

    def holds_schemas(self, step: str) -> bool:
        """Whether the answers of the model that a step asks are held to JSON schemas; may ask it, once."""
        llm = self.writer(step)
        if llm.identity not in self.schemas:
            self.schemas[llm.identity] = holds_schemas(llm, self.store)
        return self.schemas[llm.identity]

    def item(self, id: str, prompt: Prompt, request: Request, form: str = "", step: str = "") -> Item:
        """A request made of a prompt, as a unit of work: asked again in its language where the answer is unreadable.

        Facts and questions have a `form` (see `structured`) and are asked for in JSON where the model that the `step`
        asks is held to it; the step matters for those in HELD_OUT only.
        """
        again = self.prompt("again", prompt.language, shared=True)
        if form and self.holds_schemas(step):
            wish = self.prompt(f"json_{form}", prompt.language).text
            return Item(id, as_json(request, form, wish), other=request, again=again)
        return Item(id, request, again=again)

    def sampled(self, request: Request, temperature: float, *what: object) -> Request:
        """The request drawn at a temperature, with a seed that depends on what it is for alone."""
        return replace(request, temperature=temperature, seed=int(make_id("", *what)[1:8], 16))

    def ask(
        self, step: str, items: Iterable[Item], chunks: Sequence[str], parse: Callable[[str], T], cut: bool = False
    ) -> Iterator[Result[T]]:
        """Ask all items of a step, each about the chunk with this id; what fails is noted as of `generate: STEP`.

        The items may be made one by one: no more than a slice of them is in memory. With `cut`, an answer that was cut
        off is one like any other.
        """
        stage = f"{STAGE}: {step}"
        guarded = (
            replace(item, open=self.selection.allows(stage, item.id, chunk))
            for item, chunk in zip(items, chunks, strict=True)
        )
        about = Step(len(chunks), self.ended, functools.partial(self._begin, step, len(chunks)))
        results = ask(self.writer(step), self.store, guarded, parse, stage, self.config.attempts, cut=cut, step=about)
        for chunk, result in zip(chunks, results, strict=True):
            self._note_result(step, chunk, result)
            yield result

    def _begin(self, step: str, total: int, requests: Sequence[Request], seen: int) -> None:
        """Say what is left to ask: before the first request, and before each step of a long run or of one that turns
        out to be longer than was said: retrieval may show other passages than before, which no estimate knows.
        """
        self.busy[step] = time.monotonic()
        said = self.estimates[-1] if self.estimates else None
        if said is None or said.seconds > SOON or len(requests) > 2 * said.calls.get(step, 0.0):
            # Of chosen documents all is about to be asked by now, more often than not.
            ahead = Ahead(step, requests, seen, total if self.selection.chunks is None else seen)
            whole = self.selection.whole
            self.estimates.append(estimate(self.store, self.writer, self.config, ahead, self.ended, whole))
            log.info("from %s on: %s", step, self.estimates[-1].line())

    def writer(self, step: str) -> LLM:
        """The model that a step asks."""
        return self.prober if self.prober and step in HELD_OUT else self.llm

    def search(self, queries: Sequence[str]) -> list[list[Chunk]]:
        """The passages that are shown for each question, without the scores that they were found by."""
        found = []
        with progress("search", len(queries)) as advance:
            for start in range(0, len(queries), SLICE):
                part = queries[start : start + SLICE]
                found += [[hit.chunk for hit in hits] for hits in self.retriever.search(part)]
                advance(len(part))
        return found

    def tell(self, step: str, kept: int) -> None:
        """Say what a step that took a while has left: what it kept, and what was rejected since the last one."""
        fresh = Counter(reject.reason for reject in self.rejects[sum(self.told) :])
        self.told.append(fresh.total())
        if step in self.busy and time.monotonic() - self.busy[step] > SHORT:
            dropped = f", {fresh.total()} rejected: {counts(fresh)}" if fresh else ""
            log.info("%s: %d kept%s", step, kept, dropped)

    def _note_result(self, step: str, chunk: str, result: Result[T]) -> None:
        id, key = result.item.id, (f"{STAGE}: {step}", result.item.id)
        if id != chunk:
            self.homes[id] = chunk
        if not result.reason:
            self.mended.extend([key] if key in self.selection.failed else [])
            if step == "facts" and not result.value:
                self.silent.add(chunk)
        elif result.item.open:
            self.failing.append(Failed(step, id, chunk, result.reason, result.completion.text[:500]))
            self.store.fail(*key, result.reason, result.completion.text[:500])
        elif key in self.selection.failed:
            self.failing.append(Failed(step, id, chunk, *self.selection.failed[key]))
        else:
            self.unasked.add(chunk)

    def reject(self, step: str, item: str, reason: str, detail: str) -> None:
        """Keep what was made and dropped, with the reason."""
        self.rejects.append(Reject(step, item, reason, detail))

    def say_again(self, fact: Fact, other: Fact) -> None:
        """Note that `other` says what `fact` says; at the same place it is told in another way, and rejected."""
        self.doubles[other.id] = fact.id
        place = (other.chunk_id, other.start, other.end)
        if place == (fact.chunk_id, fact.start, fact.end):
            self.reject("facts", other.chunk_id, "said before", f"{other.statement} | {fact.statement}")
        else:
            self.sources.append(FactSource("", other.id, other.chunk_id, other.evidence, other.start, other.end))
            self.note("stated in several places, kept once with its sources")

    def sources_of(self, facts: Sequence[Fact]) -> list[FactSource]:
        """The further places that state one of these facts, itself or by what it is a double of."""
        kept = {fact.id: (fact.chunk_id, fact.start, fact.end) for fact in facts}
        found: dict[str, FactSource] = {}
        for source in self.sources:
            fact = source.fact_id
            while fact in self.doubles:
                fact = self.doubles[fact]
            place = (source.chunk_id, source.start, source.end)
            id = make_id("src", fact, *place)
            if fact in kept and place != kept[fact]:
                found[id] = replace(source, id=id, fact_id=fact)
        return list(found.values())

    def note(self, what: str) -> None:
        """Count something worth saying that lost nothing."""
        self.notes[what] += 1

    def settle(self) -> None:
        """Write rejects and failures in place of the last run's; of chunks that were not asked about they stay."""
        store, whole = self.store, self.selection.whole
        with store.transaction():
            if whole:
                store.sql("DELETE FROM rejects WHERE stage = ?", STAGE)
                store.clear_failures(STAGE)
            else:
                self._forget_covered()
            for reject in self.rejects:
                store.reject(STAGE, reject.step, reject.item, reject.reason, reject.detail)
            for key in self.mended:
                store.unfail(*key)
            for failed in self.failing:
                store.fail(f"{STAGE}: {failed.step}", failed.item, failed.reason, failed.detail)

    def _forget_covered(self) -> None:
        """Delete the rejects of chunks that were asked about."""
        for row in self.store.sql("SELECT id, item FROM rejects WHERE stage = ?", STAGE):
            if self.selection.covers(self.homes.get(row["item"], row["item"])):
                self.store.sql("DELETE FROM rejects WHERE id = ?", row["id"])

    def failed(self) -> list[Failed]:
        """What could have been asked in this run and failed, in the order of its steps."""
        return [failed for failed in self.failing if self.selection.covers(failed.chunk)]
