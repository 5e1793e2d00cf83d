"""How a fact is taught: by questions, by prose alone, or never. The last two are the controls of every evaluation.

A tuned model is right on some of what it was never told: it has learned what answers look like. Documents that are
probed and never trained, the placebo, say how often. Facts that stand in the trained texts and are asked about in no
trained row say whether prose teaches what it says.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kb.qa_gen.asking import Workbench
from kb.qa_gen.filters import states
from kb.records import Fact, FactSource, Question, Rewrite, make_id
from kb.store import SECTIONS


def lot(*parts: str) -> float:
    """A number in [0, 1) that depends on these alone: what is chosen by it stays so, whatever comes or goes."""
    return int(make_id("", *parts)[1:9], 16) / 16**8


def withhold(bench: Workbench, facts: Sequence[Fact]) -> list[Fact]:
    """The facts, with those that placebo documents alone state as never taught.

    What another document states too is taught from there: that place becomes its evidence, and the one it had a further
    source of it. Where the other document is a copy, which has no facts of its own, the evidence stays.
    """
    stored = [] if bench.selection.whole else bench.store.all(Fact)
    kept = [fact for fact in stored if fact.chunk_id in bench.unasked]
    places = _places(bench, facts, kept)
    placebo = places.placebo([*facts, *kept], bench.config.placebo_share)
    if stored:
        # A run that may not ask everything leaves the other documents as they are taught: their rows cannot be made.
        closed = [fact for fact in stored if not bench.selection.covers(fact.chunk_id)]
        never = {places.homes[fact.chunk_id] for fact in closed if fact.taught == "never"}
        placebo = (placebo - {places.homes[fact.chunk_id] for fact in closed}) | never
    return [_withheld(bench, fact, places, placebo) for fact in facts]


def _withheld(bench: Workbench, fact: Fact, places: _Places, placebo: set[str]) -> Fact:
    if places.stating(fact) <= placebo:
        return replace(fact, taught="never")
    if places.homes[fact.chunk_id] not in placebo:
        return fact
    place = next((one for one in places.sources[fact.id] if places.homes[one.chunk_id] not in placebo), None)
    if place is None:
        return fact
    bench.sources.append(FactSource("", fact.id, fact.chunk_id, fact.evidence, fact.start, fact.end))
    return replace(fact, chunk_id=place.chunk_id, evidence=place.evidence, start=place.start, end=place.end)


@dataclass(frozen=True)
class _Places:
    """Which documents state a fact."""

    homes: Mapping[str, str]
    """The document of each chunk."""
    ranks: Mapping[str, str]
    """Of each document a hash of what all its versions have in common."""
    sources: Mapping[str, Sequence[FactSource]]
    """Further places of each fact."""
    copies: Mapping[str, Sequence[str]]
    """Of a chunk the documents with another one that only says the same."""

    def stating(self, fact: Fact) -> set[str]:
        """Every document that states a fact."""
        chunks = [fact.chunk_id, *(source.chunk_id for source in self.sources[fact.id])]
        return {document for chunk in chunks for document in (self.homes[chunk], *self.copies[chunk])}

    def placebo(self, facts: Sequence[Fact], share: float) -> set[str]:
        """The documents that are not trained: a share of those that give facts, rounded down.

        Those of the lowest ranks are taken that state something which no other document does. So a further document
        that says something of its own changes at most one of the others: it takes its place, or makes room for it.
        """
        giving = {self.homes[fact.chunk_id] for fact in facts}
        alone = {self.homes[fact.chunk_id] for fact in facts if len(self.stating(fact)) == 1}
        count = math.floor(share * len(giving) + 1e-9)
        return set(sorted(alone, key=lambda document: self.ranks[document])[:count])


def _places(bench: Workbench, facts: Sequence[Fact], kept: Sequence[Fact]) -> _Places:
    store = bench.store
    rows = store.sql(
        "SELECT c.id, c.document_id, d.lineage FROM chunks c JOIN documents d ON d.id = c.document_id"
        f" WHERE {SECTIONS} AND d.retired = 0"
    )
    homes = {row["id"]: row["document_id"] for row in rows}
    ranks = {row["document_id"]: make_id("", "placebo", row["lineage"] or row["document_id"]) for row in rows}
    sources: dict[str, list[FactSource]] = defaultdict(list)
    stored = store.all(FactSource) if kept else []
    for source in (*bench.sources_of(facts), *stored):
        if source.chunk_id in homes:
            sources[source.fact_id].append(source)
    copies: dict[str, list[str]] = defaultdict(list)
    for row in store.sql("SELECT chunk_id, kept FROM copies"):
        if row["chunk_id"] in homes:
            copies[row["kept"]].append(homes[row["chunk_id"]])
    return _Places(homes, ranks, sources, copies)


def moved(wordings: Mapping[str, Sequence[Question]], facts: Iterable[Fact]) -> dict[str, list[Question]]:
    """The wordings of these facts, each at the chunk that the fact's evidence stands in."""
    return {fact.id: [replace(one, chunk_id=fact.chunk_id) for one in wordings[fact.id]] for fact in facts}


def withheld_chunks(facts: Iterable[Fact]) -> set[str]:
    """Chunks of which nothing may be trained: a fact that is never taught stands in them."""
    return {fact.chunk_id for fact in facts if fact.taught == "never"}


def leave_to_prose(facts: Sequence[Fact], rewrites: Iterable[Rewrite], share: float) -> list[Fact]:
    """The facts, with a share of those that a text in other words states as taught by such texts alone."""
    told: dict[str, list[str]] = defaultdict(list)
    for rewrite in rewrites:
        told[rewrite.chunk_id].append(rewrite.text)

    def chosen(fact: Fact) -> bool:
        drawn = fact.taught == "questions" and lot("text only", fact.id) < share
        return drawn and any(states(text, fact) for text in told[fact.chunk_id])

    return [replace(fact, taught="text") if chosen(fact) else fact for fact in facts]
