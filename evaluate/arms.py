"""The arms: the same probes, the same prompts and decoding; what differs is the adapter and the passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb.evaluate.probes import APART, RINGS
from kb.llm import Item, Request, user
from kb.llm.closed import closed_prompt
from kb.prompt import Prompts
from kb.records import Chunk, Fact, Probe
from kb.retrieval.hybrid import Retriever, passages_text
from kb.store import Store

ANSWER_TOKENS = 96


@dataclass(frozen=True)
class Arm:
    """One way to answer a probe."""

    name: str
    model: str
    """base, tuned, or sft: the tuned model as its first stage left it."""
    passages: str
    """none, retrieved, or oracle (the chunk the fact came from)."""


ARMS = {
    arm.name: arm
    for arm in (
        Arm("base", "base", "none"),
        Arm("rag", "base", "retrieved"),
        Arm("sft", "sft", "none"),
        Arm("tuned", "tuned", "none"),
        Arm("tuned_rag", "tuned", "retrieved"),
        Arm("oracle", "base", "oracle"),
    )
}

KINDS = {
    "none": frozenset({"held_out", "trained", "near_miss", "unanswerable", *RINGS, *APART}),
    "retrieved": frozenset({"held_out", "near_miss", "unanswerable", *APART}),
    "oracle": frozenset({"held_out"}),
}
"""Which probes an arm is asked, by its passages; a reading ring brings its own and is for the closed-book arms."""
SHARPENED = frozenset({"held_out", "near_miss", "unanswerable"})
"""What SFT alone is asked: what a later stage may have changed. What tuning cost is asked of the model that is used."""


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
    retriever: Retriever
    store: Store

    def ask(self, arm: Arm, probes: Sequence[Probe]) -> list[Asked]:
        """The probes this arm answers, as requests."""
        kinds = KINDS[arm.passages] & SHARPENED if arm.model == "sft" else KINDS[arm.passages]
        chosen = [probe for probe in probes if probe.kind in kinds]
        chunks = self._chunks(arm, chosen)
        return [
            Asked(
                probe, Item(f"{arm.name}:{probe.id}", self._request(probe, shown)), tuple(chunk.id for chunk in shown)
            )
            for probe, shown in zip(chosen, chunks, strict=True)
        ]

    def _chunks(self, arm: Arm, probes: Sequence[Probe]) -> list[list[Chunk]]:
        if arm.passages == "retrieved":
            found = self.retriever.search([probe.question for probe in probes])
            return [[hit.chunk for hit in hits] for hits in found]
        if arm.passages == "oracle":
            facts = {fact.id: fact for fact in self.store.all(Fact)}
            return [self._source(facts[probe.fact_id]) for probe in probes]
        return [[] for _ in probes]

    def _source(self, fact: Fact) -> list[Chunk]:
        """The passage of a fact; its whole chunk where that is in no search any more, as a copy that came later is."""
        return self.retriever.source(fact) or self.store.all(Chunk, "id = ?", fact.chunk_id)

    def _request(self, probe: Probe, chunks: Sequence[Chunk]) -> Request:
        passages = probe.passages or passages_text(chunks)
        if not passages:
            about_documents = probe.kind not in RINGS
            chat = closed_prompt(self.prompts, probe.question, probe.language, tagged=about_documents)
            return Request(chat, ANSWER_TOKENS)
        prompt = self.prompts.get("kb", "rag", probe.language)
        return Request(user(prompt.fill(question=probe.question, passages=passages), prompt.system), ANSWER_TOKENS)
