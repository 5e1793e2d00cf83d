"""What the documents gave: how many of their chunks a fact came from, and why none came from the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kb.qa_gen.asking import Workbench
from kb.qa_gen.made import QASet
from kb.records import Chunk

SHOWN = 5
"""Documents that the terminal names; the JSON has all."""
SILENT = "the model finds nothing to ask about"
DROPPED = "all dropped"


@dataclass(frozen=True)
class DocumentYield:
    """What became of a document."""

    id: str
    path: str
    chunks: int
    """Chunks asked about; copies of other documents' chunks are not among them."""
    giving: int
    """Those that a fact of the set stands in."""
    silent: int
    """Those in which the model says there is nothing to ask about."""
    facts: int
    questions: int
    """Wordings for training and for probes, questions that want details, and those that the document leaves open."""

    @property
    def share(self) -> float:
        """Of the chunks that say something those that gave a fact, 0 to 1; 1 when none says anything."""
        return share(self.chunks, self.giving, self.silent)

    def line(self) -> str:
        """For the terminal."""
        return (
            f"  {self.giving} of {self.chunks - self.silent} chunks, {self.facts} facts, {self.questions} questions:"
            f" {self.path}"
        )


def share(chunks: int, giving: int, silent: int) -> float:
    """Of chunks that say something those that gave a fact, 0 to 1; 1 when none says anything."""
    return giving / (chunks - silent) if chunks > silent else 1.0


def document_yields(
    bench: Workbench, chunks: Sequence[Chunk], made: QASet, giving: Collection[str]
) -> list[DocumentYield]:
    """What became of each document that these chunks are of, in their order; a fact stands in the `giving` ones."""
    rows = bench.store.sql("SELECT id, path FROM documents WHERE retired = 0")
    paths: dict[str, str] = {row["id"]: row["path"] for row in rows}
    facts = Counter(fact.chunk_id for fact in made.facts)
    questions = Counter(question.chunk_id for question in made.questions)
    of_document: dict[str, list[str]] = defaultdict(list)
    for chunk in chunks:
        of_document[chunk.document_id].append(chunk.id)
    return [
        DocumentYield(
            id, paths[id], len(own), sum(chunk in giving for chunk in own),
            sum(chunk in bench.silent and chunk not in giving for chunk in own), sum(facts[chunk] for chunk in own),
            sum(questions[chunk] for chunk in own),
        )
        for id, own in of_document.items()
    ]  # fmt: skip


def worst(documents: Iterable[DocumentYield]) -> list[DocumentYield]:
    """The documents of which most chunks gave no fact, the worst first."""
    lacking = [one for one in documents if one.share < 1]
    return sorted(lacking, key=lambda one: (one.share, -one.chunks, one.path))[:SHOWN]


def why_none(bench: Workbench, without: Collection[str]) -> Counter[str]:
    """Why these chunks gave no fact: each once, by what failed, or by the most frequent reason that drafts went for."""
    failed = {one.chunk: f"{one.step}: {one.reason}" for one in bench.failing}
    dropped: dict[str, Counter[str]] = defaultdict(Counter)
    for reject in bench.rejects:
        dropped[bench.homes.get(reject.item, reject.item)][f"{reject.step}: {reject.reason}"] += 1
    reasons: Counter[str] = Counter()
    for chunk in without:
        if chunk in bench.silent:
            reasons[SILENT] += 1
        elif chunk in failed:
            reasons[failed[chunk]] += 1
        else:
            reasons[dropped[chunk].most_common(1)[0][0] if dropped[chunk] else DROPPED] += 1
    return reasons
