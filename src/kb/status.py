"""What is in a workspace, what is missing, and which command comes next."""

from __future__ import annotations

from dataclasses import dataclass

from kb.llm.tuned import TAUGHT, documents_changed
from kb.records import Chunk, Document, Fact, PreferencePair, QAPair, Question
from kb.runs import Run, all_runs, evaluated_run, still_weak
from kb.store import SECTIONS, Store
from kb.workspace import Workspace

AGAIN = {"ingest": "kb ingest PATH", "generate": "kb generate-qa", "train": "kb train", "eval": "kb eval"}
"""Stage to the command that does its failed items again."""


TOLERATED = 0.05
"""Requests of `kb generate-qa` that may have failed, per chunk, before it comes first again: a model that never gets a
passage right must not hold up the rest."""


@dataclass(frozen=True)
class Status:
    """Counts of everything live, and the next step."""

    workspace: str
    documents: int
    retired: int
    """Documents whose file is gone or has a newer version; not among `documents`."""
    chunks: int
    facts: int
    text_only: int
    """Facts that are trained in texts in other words alone."""
    never_taught: int
    """Facts of placebo documents, which are probed and never trained."""
    training_questions: int
    probes: int
    """Held-out questions, those without an answer among them."""
    qa_pairs: int
    preference_pairs: int
    runs: tuple[str, ...]
    """The last is the one that eval, chat and serve use."""
    evals: tuple[str, ...]
    failures: dict[str, int]
    """Stage, "generate: facts", to units of work that failed and wait for a rerun."""
    outdated: bool
    """Whether documents came, went or changed since the last run was trained."""
    weak: int
    """Facts that the last run's model never answers right, and that no more questions were written for."""
    next_command: str

    def lines(self) -> list[str]:
        """For the terminal."""
        retired = f" ({self.retired} more retired)" if self.retired else ""
        apart = [(self.text_only, "in texts alone"), (self.never_taught, "never trained")]
        said = ", ".join(f"{count} {how}" for count, how in apart if count)
        facts = f"facts ({said})" if said else "facts"
        counts = (
            (self.documents, f"documents{retired}"), (self.chunks, "chunks"), (self.facts, facts),
            (self.training_questions, "training questions"), (self.probes, "held-out probes"),
            (self.qa_pairs, "QA pairs"), (self.preference_pairs, "preference pairs"),
        )  # fmt: skip
        lines = [f"workspace: {self.workspace}", *(f"  {count:>6}  {name}" for count, name in counts)]
        used = f" (in use: {self.runs[-1]})" if self.runs else ""
        lines += [f"runs: {', '.join(self.runs) or 'none'}{used}", f"evaluations: {', '.join(self.evals) or 'none'}"]
        if self.outdated:
            lines.append(f"documents have changed since run {self.runs[-1]} was trained")
        if self.weak:
            facts = f"{self.weak} fact{'s' if self.weak > 1 else ''}"
            lines.append(
                f"{facts} that run {self.runs[-1]} never answers right: kb generate-qa --strengthen, then kb train"
            )
        if self.failures:
            lines.append("failed, waiting for a rerun:")
            lines += [f"  {count:>6}  {stage} (again: {_again(stage)})" for stage, count in self.failures.items()]
        return [*lines, f"next: {self.next_command}"]


def _again(stage: str) -> str:
    return AGAIN.get(stage.partition(":")[0], "the same command")


def status(workspace: Workspace) -> Status:
    """Count and decide."""
    store = workspace.store
    runs = all_runs(store)
    evals = tuple(row["eval"] for row in store.sql("SELECT eval FROM scores GROUP BY eval ORDER BY MIN(rowid)"))
    failures = {
        row["stage"]: int(row["n"])
        for row in store.sql("SELECT stage, COUNT(*) AS n FROM failures GROUP BY stage ORDER BY stage")
    }
    chunks, facts, pairs = store.count(Chunk, SECTIONS), store.count(Fact), store.count(QAPair)
    outdated = bool(runs) and documents_changed(runs[-1], store)
    return Status(
        workspace=str(workspace.root),
        documents=store.count(Document),
        retired=int(store.sql("SELECT COUNT(*) FROM documents WHERE retired = 1")[0][0]),
        chunks=chunks,
        facts=facts,
        text_only=store.count(Fact, "taught = 'text'"),
        never_taught=store.count(Fact, f"NOT {TAUGHT}"),
        training_questions=store.count(Question, "split = 'train'"),
        probes=store.count(Question, "split = 'probe'"),
        qa_pairs=pairs,
        preference_pairs=store.count(PreferencePair),
        runs=tuple(run.name for run in runs),
        evals=evals,
        failures=failures,
        outdated=outdated,
        weak=_weak(store),
        next_command=_begin(chunks, pairs, {} if runs else failures) or _go_on(runs, evals, facts, outdated),
    )


def _weak(store: Store) -> int:
    """How many of today's facts more questions would help."""
    weak = still_weak(store)
    live = {fact.id for fact in store.all(Fact)} if weak else set()
    return len(live.intersection(weak.facts)) if weak else 0


def _begin(chunks: int, pairs: int, failures: dict[str, int]) -> str:
    """The next step up to the training data; empty when they are there, or as good as."""
    if not chunks:
        return "kb ingest PATH"
    failed = sum(count for stage, count in failures.items() if stage.startswith("generate"))
    return "kb generate-qa" if not pairs or failed > chunks * TOLERATED else ""


def _go_on(runs: list[Run], evals: tuple[str, ...], facts: int, outdated: bool) -> str:
    """The next step once there is something to train on.

    Of changed documents the facts are made first: they are there when their number is not that of the last run.
    """
    if not runs:
        return "kb train"
    last = runs[-1]
    if outdated:
        return "kb generate-qa" if facts == last.lineage.facts else "kb train"
    if not any(evaluated_run(name) == last.name for name in evals):
        return "kb eval --compare rag"
    return "kb chat"
