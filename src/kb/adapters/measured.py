"""What the workspace's evaluations say of an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kb.evals import REPORT, read_evaluation
from kb.runs import Run, evaluations
from kb.store import Store
from kb.workspace import Workspace


@dataclass(frozen=True)
class Evaluation:
    """The figures of an evaluation that a reader of adapters wants; the rest is in its report."""

    name: str
    created: str
    facts: int
    held_out: Mapping[str, float]
    """Arm to the share of held-out wordings answered right, over facts."""

    def line(self) -> str:
        """For the terminal."""
        arms = ", ".join(f"{arm} {share:.1%}" for arm, share in self.held_out.items())
        return f"{self.name}  {self.created[:16]}  {self.facts} facts  {arms}"


def measured(workspace: Workspace, run: Run) -> list[Evaluation]:
    """The evaluations of this very adapter, oldest first.

    Left out are those of another adapter that had the name before, and those whose report was deleted: the next
    `kb eval` writes it again from stored answers.
    """
    found = []
    for name in evaluations(workspace.store, run.name):
        read = read_evaluation(workspace.eval(name) / REPORT, run)
        if read:
            held_out = {arm: share.value for arm, share in read.arms.items()}
            found.append(Evaluation(name, read.created, read.facts, held_out))
    return found


def answered(store: Store, evaluation: str, arm: str = "tuned") -> dict[str, bool]:
    """Fact to whether the arm knows it: right on the majority of its held-out wordings, as the report counts it."""
    rows = store.sql(
        "SELECT p.fact_id, AVG(s.verdict = 'correct') AS share FROM probes p JOIN scores s ON s.eval = p.eval"
        " AND s.probe_id = p.id WHERE p.eval = ? AND s.arm = ? AND p.kind = 'held_out' GROUP BY p.fact_id",
        evaluation, arm,
    )  # fmt: skip
    return {row["fact_id"]: row["share"] > 0.5 for row in rows}


def asked(store: Store, evaluation: str) -> frozenset[tuple[str, str]]:
    """What an evaluation asks: ids of its probes, with what counts as right."""
    rows = store.sql("SELECT id, gold FROM probes WHERE eval = ?", evaluation)
    return frozenset((row["id"], row["gold"]) for row in rows)
