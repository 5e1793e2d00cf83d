"""`kb generate-qa`: chunks to facts, questions, answers, negatives, preference pairs and held-out probes.

Model calls land in the store one by one and are never repeated; what the steps make of them is written at the end of
the run in one transaction, as exactly the set that this configuration gives. An interrupted run, resumed, therefore
ends like an undisturbed one, and until then the store holds the whole result of the run before. What failed is on
record and listed in `failed.jsonl`, and the next run asks it again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from kb.errors import WorkspaceError
from kb.llm import LLM
from kb.prompt import Prompts
from kb.qa_gen.answers import check_answers
from kb.qa_gen.asking import STAGE, GenerateConfig, Workbench
from kb.qa_gen.export import export
from kb.qa_gen.facts import make_facts
from kb.qa_gen.negatives import make_negatives
from kb.qa_gen.pairs import make_pairs, make_preferences, refusal_pairs
from kb.qa_gen.questions import make_probes, make_questions
from kb.records import Chunk, Fact, FactSource, PreferencePair, QAPair, Question
from kb.retrieval.hybrid import Retriever
from kb.store import ORIGINALS, histogram
from kb.workspace import Workspace

log = logging.getLogger(__name__)


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

    def lines(self) -> list[str]:
        """What was made, for the terminal."""
        beyond = f"; {self.left_out} chunks left out by the limit" if self.left_out else ""
        return [
            f"{self.facts} facts from {self.chunks} chunks ({self.chunks_without_facts} without a usable fact){beyond}",
            f"{self.training_questions} training questions, {self.probes} held-out probes,"
            f" {self.negatives} questions the documents do not answer",
            f"{self.pairs} QA pairs, {self.preferences} preference pairs; {self.calls} model calls in this run",
        ]


def run(
    workspace: Workspace, config: GenerateConfig, llm: LLM, prompts: Prompts, retriever: Retriever
) -> GenerateReport:
    """Make everything that is missing, write the exports, and report."""
    store = workspace.store
    every = store.all(Chunk, ORIGINALS)
    chunks = every[: config.limit or None]
    if not chunks:
        raise WorkspaceError("there are no chunks to ask about. Start with: kb ingest PATH")
    calls_before = _calls(workspace)
    bench = Workbench(llm, store, prompts, retriever, config)
    facts = make_facts(bench, chunks)
    trained = make_questions(bench, facts)
    facts = [fact for fact in facts if fact.id in trained]
    facts = check_answers(bench, facts, trained)
    held_out = make_probes(bench, facts, trained)
    facts = [fact for fact in facts if fact.id in held_out]
    questions = [question for fact in facts for question in (*trained[fact.id], *held_out[fact.id])]
    asked = [question for wordings in (trained, held_out) for some in wordings.values() for question in some]
    negatives = make_negatives(bench, facts, asked, trained, chunks)
    pairs = [*make_pairs(bench, facts, trained), *refusal_pairs(bench, negatives)]
    preferences = make_preferences(bench, facts, trained, negatives)
    sources = bench.sources_of(facts)

    with store.transaction():
        bench.settle()
        for kind, records in (
            (PreferencePair, preferences), (QAPair, pairs), (Question, [*questions, *negatives]), (Fact, facts),
            (FactSource, sources),
        ):  # fmt: skip
            store.sync(kind, records)
    failed = bench.failed()
    export(store, workspace.datasets, failed)
    return GenerateReport(
        chunks=len(chunks),
        chunks_without_facts=len(chunks) - len({fact.chunk_id for fact in facts} | {source.chunk_id for source in sources}),
        facts=len(facts),
        training_questions=sum(len(trained[fact.id]) for fact in facts),
        probes=sum(len(held_out[fact.id]) for fact in facts),
        negatives=len(negatives),
        pairs=len(pairs),
        preferences=len(preferences),
        rejected=_rejected(workspace),
        notes=dict(bench.notes),
        failed=histogram([(one.item, f"{one.step}: {one.reason}", one.detail) for one in failed]),
        calls=_calls(workspace) - calls_before,
        left_out=len(every) - len(chunks),
    )


def _calls(workspace: Workspace) -> int:
    return int(workspace.store.sql("SELECT COUNT(*) FROM llm_calls WHERE stage LIKE ?", f"{STAGE}: %")[0][0])


def _rejected(workspace: Workspace) -> dict[str, int]:
    rows = workspace.store.sql("SELECT step, reason, detail FROM rejects WHERE stage = ?", STAGE)
    return histogram([(row["step"], f"{row['step']}: {row['reason']}", row["detail"]) for row in rows])
