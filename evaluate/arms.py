"""The arms: the same probes, the same prompts and decoding; what differs is the adapter and the passages."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kb.evaluate.following import FOLLOWING, TOKENS
from kb.evaluate.probes import APART, RINGS
from kb.llm import Item, Request, user
from kb.llm.closed import closed_prompt
from kb.prompt import Prompts
from kb.records import Chunk, Fact, Probe
from kb.retrieval.hybrid import Retriever, passage_text, passages_text
from kb.store import Store
from kb.text.canonical import canonical
from kb.text.characters import plain
from kb.text.numerals import numbers

ANSWER_TOKENS = 96
DISTRACTORS = 20
"""Passages among which the wrong one is looked for: the likest to the question that does not tell the answer."""


@dataclass(frozen=True)
class Arm:
    """One way to answer a probe."""

    name: str
    model: str
    """base, tuned, sft (the tuned model as its first stage left it), control (tuned on other documents), or `run:NAME`
    and `model:NAME` of what is compared besides.
    """
    passages: str
    """none, retrieved, oracle (the passage that the fact came from) or wrong (a like one that does not tell it)."""
    wordings: int = 0
    """Most held-out wordings of a fact that it is asked; 0: all. Of a control one says enough."""

    @property
    def reads(self) -> bool:
        """Whether it is shown passages."""
        return self.passages != "none"


ARMS = {
    arm.name: arm
    for arm in (
        Arm("base", "base", "none"),
        Arm("rag", "base", "retrieved"),
        Arm("sft", "sft", "none"),
        Arm("tuned", "tuned", "none"),
        Arm("tuned_rag", "tuned", "retrieved"),
        Arm("oracle", "base", "oracle"),
        Arm("tuned_oracle", "tuned", "oracle", wordings=1),
        Arm("wrong", "base", "wrong", wordings=1),
        Arm("tuned_wrong", "tuned", "wrong", wordings=1),
        Arm("control", "control", "none"),
    )
}
"""Those of every evaluation, where there is a model for them; `others` makes more."""


def others(name: str, reads: bool) -> list[Arm]:
    """The arms of a run or model that is compared besides (`run:NAME`, `model:NAME`): closed-book, and with retrieved
    passages where the evaluation has such arms.
    """
    return [Arm(name, name, "none"), *([Arm(f"{name}+rag", name, "retrieved")] if reads else [])]


KINDS = {
    "none": frozenset({"held_out", "trained", "near_miss", "unanswerable", *RINGS, FOLLOWING, *APART}),
    "retrieved": frozenset({"held_out", "near_miss", "unanswerable", *APART}),
    "oracle": frozenset({"held_out"}),
    "wrong": frozenset({"held_out"}),
}
"""Which probes an arm is asked, by its passages; a reading ring brings its own and is for the closed-book arms."""
SHARPENED = frozenset({"held_out", "near_miss", "unanswerable"})
"""What SFT alone and the control are asked. What tuning cost is asked of the model that is used."""


def kinds(arm: Arm) -> frozenset[str]:
    """The kinds of probe an arm is asked; instructions, whose answers are long, are for base and tuned alone."""
    if arm.model in ("sft", "control"):
        return KINDS[arm.passages] & SHARPENED
    return KINDS[arm.passages] if arm.model in ("base", "tuned") else KINDS[arm.passages] - {FOLLOWING}


@dataclass(frozen=True)
class Asked:
    """A probe as one arm is asked it."""

    probe: Probe
    item: Item
    chunks: tuple[str, ...]
    """Ids of the passages shown."""


@dataclass(frozen=True)
class Asker:
    """Makes requests of probes; retrieval is done once for all arms that need it."""

    prompts: Prompts
    opened: Callable[[], Retriever]
    store: Store
    _shown: dict[tuple[str, str], list[Chunk]] = field(default_factory=dict, repr=False, compare=False)
    """Passages by kind of passages and probe id, as far as some arm has needed them."""

    @functools.cached_property
    def retriever(self) -> Retriever:
        """Opened by the first arm that reads: the libraries behind an embedder take seconds to import."""
        return self.opened()

    def ask(self, arm: Arm, probes: Sequence[Probe]) -> list[Asked]:
        """The probes this arm answers, as requests; without those for which there is no wrong passage."""
        asked = kinds(arm)
        chosen = _first(arm.wordings, [probe for probe in probes if probe.kind in asked])
        chunks = self._chunks(arm, chosen)
        return [
            Asked(
                probe, Item(f"{arm.name}:{probe.id}", self._request(probe, shown)), tuple(chunk.id for chunk in shown)
            )
            for probe, shown in zip(chosen, chunks, strict=True)
            if shown or arm.passages != "wrong"
        ]

    def _chunks(self, arm: Arm, probes: Sequence[Probe]) -> list[list[Chunk]]:
        if not arm.reads:
            return [[] for _ in probes]
        missing = [probe for probe in probes if (arm.passages, probe.id) not in self._shown]
        if missing:
            found = self._passages(arm.passages, missing)
            self._shown.update(((arm.passages, probe.id), shown) for probe, shown in zip(missing, found, strict=True))
        return [self._shown[arm.passages, probe.id] for probe in probes]

    def _passages(self, kind: str, probes: Sequence[Probe]) -> list[list[Chunk]]:
        """The passages of this kind for each probe."""
        questions = [probe.question for probe in probes]
        if kind == "retrieved":
            return [[hit.chunk for hit in hits] for hits in self.retriever.search(questions)]
        facts = {fact.id: fact for fact in self.store.all(Fact)}
        if kind == "oracle":
            return [self._source(facts[probe.fact_id]) for probe in probes]
        found = self.retriever.search(questions, DISTRACTORS)
        return [
            _misleading([hit.chunk for hit in hits], probe, facts[probe.fact_id])
            for probe, hits in zip(probes, found, strict=True)
        ]

    def _source(self, fact: Fact) -> list[Chunk]:
        """The passage of a fact; its whole chunk where that is in no search any more, as a copy that came later is."""
        return self.retriever.source(fact) or self.store.all(Chunk, "id = ?", fact.chunk_id)

    def _request(self, probe: Probe, chunks: Sequence[Chunk]) -> Request:
        if probe.kind == FOLLOWING:
            return Request(user(probe.question), TOKENS)
        passages = probe.passages or passages_text(chunks)
        if not passages:
            about_documents = probe.kind not in RINGS
            chat = closed_prompt(self.prompts, probe.question, probe.language, tagged=about_documents)
            return Request(chat, ANSWER_TOKENS)
        prompt = self.prompts.get("kb", "rag", probe.language)
        return Request(user(prompt.fill(question=probe.question, passages=passages), prompt.system), ANSWER_TOKENS)


def _first(wordings: int, probes: Sequence[Probe]) -> list[Probe]:
    """The first wordings of each fact; all for 0."""
    counts: Counter[str] = Counter()
    chosen = []
    for probe in probes:
        counts[probe.fact_id] += 1
        if not wordings or counts[probe.fact_id] <= wordings:
            chosen.append(probe)
    return chosen


def _misleading(chunks: Sequence[Chunk], probe: Probe, fact: Fact) -> list[Chunk]:
    """The first of these passages that comes from elsewhere and tells no answer to the probe; none where all do."""
    for chunk in chunks:
        text = passage_text(chunk)
        if chunk.root != fact.chunk_id and not any(_tells(text, gold) for gold in (probe.gold, *probe.aliases)):
            return [chunk]
    return []


def _tells(text: str, gold: str) -> bool:
    """Whether a passage may tell an answer: it has its words, or every number of it in whatever form."""
    values = {number.value for number in numbers(plain(gold))}
    return canonical(gold) in canonical(text) or (
        bool(values) and values <= {number.value for number in numbers(plain(text))}
    )
