"""What a run of `kb generate-qa` says at its end: what it made of the documents, dropped and could not do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kb.llm.tuned import placebo_documents
from kb.qa_gen.asking import STAGE, Workbench
from kb.qa_gen.made import QASet
from kb.qa_gen.remedies import uncured_lines
from kb.qa_gen.yields import SHOWN, DocumentYield, document_yields, share, why_none, worst
from kb.records import Chunk
from kb.store import histogram


@dataclass(frozen=True)
class GenerateReport:
    """What a run made, dropped and could not do."""

    chunks: int
    chunks_without_facts: int
    facts: int
    training_questions: int
    probes: int
    negatives: int
    pairs: int
    preferences: int
    rewrites: int
    """Texts that tell a chunk in other words."""
    detailed: int
    """Questions, among those for training, whose answers keep a chunk's details."""
    rejected: dict[str, int]
    """Reason to count."""
    notes: dict[str, int]
    """What was mended rather than dropped."""
    failed: dict[str, int]
    """Reason to count of the units of work that failed; a rerun asks them again."""
    calls: int
    """Requests sent to the model in this run."""
    left_out: int = 0
    """Chunks beyond `limit`: nothing of theirs is in the set that was made."""
    share: float = 1.0
    """Of the chunks that say something those that gave a fact."""
    min_yield: float = 0.0
    without: dict[str, int] = field(default_factory=dict)
    """Why the others gave none: reason to count of chunks."""
    documents: list[DocumentYield] = field(default_factory=list)
    reversed: int = 0
    """Of the questions, trained and held out, those that give a fact's answer and ask what it belongs to."""
    cross_lingual: int = 0
    """Of the probes those that are asked in the other language than their document's."""
    text_only: int = 0
    """Facts that texts in other words teach alone."""
    never_taught: int = 0
    """Facts of the placebo documents."""
    placebo: list[str] = field(default_factory=list)
    """Paths of the documents that are probed and never trained."""
    uncured: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of the failures that this run was for those that no row cures: finding to ids of facts."""

    @property
    def complete(self) -> bool:
        """Whether nothing failed and enough chunks gave a fact."""
        return not self.failed and self.share >= self.min_yield

    def lines(self) -> list[str]:
        """What was made, for the terminal."""
        beyond = f"; {self.left_out} chunks left out by the limit" if self.left_out else ""
        kinds = ((self.reversed, "reversed"), (self.cross_lingual, "in the other language"))
        turned = "".join(f"; {count} of all are {kind}" for count, kind in kinds if count)
        return [
            f"{self.facts} facts from {self.chunks} chunks ({self.chunks_without_facts} without a usable fact){beyond}",
            f"{self.training_questions} training questions, {self.probes} held-out probes,"
            f" {self.negatives} questions the documents do not answer{turned}",
            f"{self.pairs} QA pairs, {self.detailed} of them with a detailed answer; {self.rewrites} texts in other"
            f" words, {self.preferences} preference pairs; {self.calls} model calls in this run",
            *self._control_lines(),
            *self._yield_lines(),
            *uncured_lines(self.uncured),
        ]

    def _control_lines(self) -> list[str]:
        lines = []
        if self.text_only:
            lines.append(
                f"text only: {self.text_only} facts stand in texts in other words and in no trained question;"
                " for questions about all: [generate] text_only_share = 0"
            )
        if self.placebo:
            count = len(self.placebo)
            named = ", ".join(self.placebo[:SHOWN]) + (", ..." if count > SHOWN else "")
            lines.append(
                f"placebo: {count} document{'s are' if count > 1 else ' is'} probed and never trained, {named}"
                f" ({self.never_taught} facts); for a model that is to know them as well: [generate] placebo_share = 0"
            )
        return lines

    def _yield_lines(self) -> list[str]:
        poorest = worst(self.documents)
        lines = ["least was found in:", *(document.line() for document in poorest)] if poorest else []
        if self.share < self.min_yield:
            lines.append(
                f"too few chunks gave a fact: {self.share:.3f} of them, [generate] min_yield is {self.min_yield}"
            )
            lines += [f"  {count:>6}  {reason}" for reason, count in self.without.items()]
        return lines


def report(bench: Workbench, chunks: Sequence[Chunk], made: QASet, calls: int, left_out: int) -> GenerateReport:
    """What became of these chunks, with so many `calls`; `left_out` more are beyond the limit."""
    giving = {fact.chunk_id for fact in made.facts} | {source.chunk_id for source in made.sources}
    chunks = [chunk for chunk in chunks if chunk.id in giving or chunk.id not in bench.unasked]
    without = [chunk.id for chunk in chunks if chunk.id not in giving]
    splits = Counter("negative" if q.open else q.split for q in made.questions)
    kinds = Counter(question.kind for question in made.questions)
    rows = bench.store.sql("SELECT step, reason, detail FROM rejects WHERE stage = ?", STAGE)
    return GenerateReport(
        chunks=len(chunks),
        chunks_without_facts=len(without),
        facts=len(made.facts),
        training_questions=splits["train"],
        probes=splits["probe"],
        negatives=splits["negative"],
        pairs=len(made.pairs),
        preferences=len(made.preferences),
        rewrites=len(made.rewrites),
        detailed=kinds["detailed"],
        rejected=histogram([(row["step"], f"{row['step']}: {row['reason']}", row["detail"]) for row in rows]),
        notes=dict(bench.notes),
        failed=histogram([(one.item, f"{one.step}: {one.reason}", one.detail) for one in bench.failed()]),
        calls=calls,
        left_out=left_out,
        share=share(len(chunks), len(chunks) - len(without), len(bench.silent.intersection(without))),
        min_yield=bench.config.min_yield,
        without=dict(why_none(bench, without).most_common()),
        documents=document_yields(bench, chunks, made, giving),
        reversed=kinds["reversed"],
        cross_lingual=kinds["cross_lingual"],
        text_only=sum(fact.taught == "text" for fact in made.facts),
        never_taught=sum(fact.taught == "never" for fact in made.facts),
        placebo=list(placebo_documents(bench.store).values()),
    )
