"""What every step needs to ask the model: the model, the store, the prompts and the settings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kb.errors import ConfigError
from kb.llm import LLM, Item, Request, Result, ask, user
from kb.prompt import Prompt, Prompts
from kb.records import Fact, FactSource, make_id
from kb.retrieval.hybrid import Retriever
from kb.store import Store

T = TypeVar("T")

STAGE = "generate"


@dataclass(frozen=True)
class GenerateConfig:
    """The `[generate]` section of kb.toml. Raises ConfigError when a value cannot mean anything."""

    wordings: int = 6
    """Question wordings asked for, for training and again for probes."""
    min_wordings: int = 5
    """A fact with fewer usable wordings on either side is dropped, with the reason."""
    near_miss_share: float = 0.4
    """Share of the facts that get a near-miss question: half of them trained as refusals, half held out as probes."""
    unanswerable: int = 2
    """Questions asked for that a chunk does not answer, per chunk."""
    full_answers: int = 2
    """Training wordings per fact that are also answered in a full sentence."""
    max_tokens: int = 1024
    """Token limit of one answer of the facts step, doubled for chunks that are long; the other steps need less."""
    attempts: int = 3
    """Tries for an answer that is cut off or has the wrong form."""
    limit: int = 0
    """Make the set of the first so many chunks only; 0: all."""

    def __post_init__(self) -> None:
        for key, least in LEAST.items():
            if not getattr(self, key) >= least:
                raise ConfigError(f"[generate] {key}: expected {least} or more, got {getattr(self, key)}")
        if not 0 <= self.near_miss_share <= 1:
            raise ConfigError(f"[generate] near_miss_share: expected a share from 0 to 1, got {self.near_miss_share}")
        if self.wordings < self.min_wordings:
            raise ConfigError(
                f"[generate] wordings: with {self.wordings} wordings asked for, no fact can have the"
                f" {self.min_wordings} that min_wordings wants"
            )


LEAST = {
    "wordings": 1, "min_wordings": 1, "unanswerable": 0, "full_answers": 0, "max_tokens": 1, "attempts": 1, "limit": 0,
}  # fmt: skip


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
    notes: Counter[str] = field(default_factory=Counter)
    """Counts that the report shows beside drops and failures: what was mended rather than dropped."""
    rejects: list[Reject] = field(default_factory=list)
    """What was dropped so far; written with the results, so that a killed run leaves those of the last one."""
    sources: list[FactSource] = field(default_factory=list)
    """Further places that state facts of this run, each still with the id of the double that it was told by."""
    doubles: dict[str, str] = field(default_factory=dict)
    """Facts that say what another one says: its id."""
    asked: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Items asked so far with their chunks, by stage name: a failure of any other item is of an earlier set and
    forgotten.
    """

    def prompt(self, name: str, language: str, shared: bool = False) -> Prompt:
        """A prompt of this stage, or one that stages share."""
        return self.prompts.get("kb" if shared else "kb.qa_gen", name, language)

    def refusal(self, language: str) -> str:
        """The sentence that says one does not know."""
        return self.prompt("refusal", language, shared=True).text

    def request(self, prompt: Prompt, max_tokens: int, **fields: str) -> Request:
        """A greedy request made of a filled prompt."""
        return Request(user(prompt.fill(**fields), prompt.system), max_tokens)

    def ask(
        self, step: str, items: Sequence[Item], chunks: Sequence[str], parse: Callable[[str], T]
    ) -> Iterator[Result[T]]:
        """Ask all items of a step, each about the chunk with this id; failures are recorded under `generate: STEP`."""
        stage = f"{STAGE}: {step}"
        self.asked[stage].update({item.id: chunk for item, chunk in zip(items, chunks, strict=True)})
        return ask(self.llm, self.store, items, parse, stage, self.config.attempts)

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
        kept = {fact.id for fact in facts}
        found: dict[str, FactSource] = {}
        for source in self.sources:
            fact = source.fact_id
            while fact in self.doubles:
                fact = self.doubles[fact]
            id = make_id("src", fact, source.chunk_id, source.start, source.end)
            if fact in kept:
                found[id] = replace(source, id=id, fact_id=fact)
        return list(found.values())

    def note(self, what: str) -> None:
        """Count something worth saying that lost nothing."""
        self.notes[what] += 1

    def settle(self) -> None:
        """Write this run's rejects in place of the last one's, and forget failures of what is not asked any more."""
        store = self.store
        with store.transaction():
            store.sql("DELETE FROM rejects WHERE stage = ?", STAGE)
            for reject in self.rejects:
                store.reject(STAGE, reject.step, reject.item, reject.reason, reject.detail)
            for row in store.sql("SELECT stage, item FROM failures WHERE stage LIKE ?", f"{STAGE}: %"):
                if row["item"] not in self.asked.get(row["stage"], ()):
                    store.unfail(row["stage"], row["item"])

    def failed(self) -> list[Failed]:
        """What this run asked for and did not get, in the order of its steps."""
        return [
            Failed(stage.removeprefix(f"{STAGE}: "), item, chunks[item], reason, detail)
            for stage, chunks in self.asked.items()
            for item, reason, detail in self.store.failures(stage)
            if item in chunks
        ]
