"""Probes and scores as one table of verdicts: rows are probes, columns are arms, facts are the clusters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kb.evaluate.results import VERDICTS
from kb.evaluate.stats import Floats, Integers, fact_means
from kb.records import Probe, Score

ARM_ORDER = ("base", "rag", "sft", "tuned", "tuned_rag", "hybrid", "oracle", "tuned_oracle", "wrong", "tuned_wrong")
"""How arms are listed; any others follow, by name."""
MISSING = -1


@dataclass(frozen=True)
class Table:
    """Verdicts of some probes. Facts and probes are in the order of their ids, so the input's order never matters."""

    arms: tuple[str, ...]
    probes: tuple[Probe, ...]
    facts: tuple[str, ...]
    cluster: Integers
    """(probes,): index into `facts`."""
    verdicts: Integers
    """(probes, arms): index into VERDICTS, -1 where the arm was not asked."""
    cost: Floats
    """(probes, arms, 2): tokens and seconds, NaN where the arm was not asked."""

    def rows(self, at: Sequence[int]) -> Table:
        """These rows, in their order, with only their facts."""
        chosen = tuple(self.probes[row] for row in at)
        facts, cluster = _clusters(chosen)
        return Table(self.arms, chosen, facts, cluster, self.verdicts[list(at)], self.cost[list(at)])

    def of_kind(self, kind: str) -> Table:
        """The probes of one kind."""
        return self.rows([row for row, probe in enumerate(self.probes) if probe.kind == kind])

    def marks(self, verdict: str = "correct") -> Floats:
        """(probes, arms): 1 where the verdict is this one, 0 where it is another, NaN where the arm was not asked."""
        hits = (self.verdicts == VERDICTS.index(verdict)).astype(np.float64)
        return np.where(self.verdicts == MISSING, np.nan, hits)

    def shares(self, verdict: str = "correct") -> Floats:
        """(facts, arms): share of the fact's answers with this verdict, NaN where the arm has none."""
        return fact_means(self.marks(verdict), self.cluster, len(self.facts))

    def counts(self) -> Integers:
        """(arms,): probes that each arm was asked."""
        return np.asarray((self.verdicts != MISSING).sum(axis=0))

    def differences(self, arm: str, against: str) -> Floats:
        """(facts,): mean over the probes that both arms answered of right minus right; NaN where there are none."""
        marks = self.marks()
        paired = marks[:, self.arms.index(arm)] - marks[:, self.arms.index(against)]
        return fact_means(paired, self.cluster, len(self.facts))

    def aligned(self, facts: Sequence[str]) -> Floats:
        """(len(facts), arms): `shares` in the order of these facts, NaN for facts that this table lacks."""
        at = {fact: row for row, fact in enumerate(self.facts)}
        shares = np.vstack([self.shares(), np.full((1, len(self.arms)), np.nan)])
        return np.asarray(shares[[at.get(fact, -1) for fact in facts]])


def in_order(arms: Iterable[str]) -> tuple[str, ...]:
    """Arms as they are listed."""
    found = set(arms)
    return tuple(arm for arm in ARM_ORDER if arm in found) + tuple(sorted(found.difference(ARM_ORDER)))


def tabulate(probes: Sequence[Probe], scores: Sequence[Score]) -> Table:
    """The table of all probes and scores.

    Probes without a fact id are clusters of their own. Raises ValueError for a score of an unknown probe, an unknown
    verdict, or two scores of one probe and arm: each would bend every figure silently.
    """
    found = {score.arm for score in scores}
    arms = in_order(found)
    ordered = tuple(sorted(probes, key=lambda probe: probe.id))
    rows = {probe.id: at for at, probe in enumerate(ordered)}
    columns = {arm: at for at, arm in enumerate(arms)}
    codes = {verdict: at for at, verdict in enumerate(VERDICTS)}
    verdicts = np.full((len(ordered), len(arms)), MISSING, dtype=np.int64)
    cost = np.full((len(ordered), len(arms), 2), np.nan)
    for score in scores:
        row, column = rows.get(score.probe_id), columns[score.arm]
        if row is None:
            raise ValueError(f"a score of arm {score.arm} is for probe {score.probe_id}, which is not among the probes")
        if score.verdict not in codes:
            raise ValueError(f"probe {score.probe_id}, arm {score.arm}: {score.verdict!r} is no verdict of {VERDICTS}")
        if verdicts[row, column] != MISSING:
            raise ValueError(f"probe {score.probe_id} has two scores of arm {score.arm}")
        verdicts[row, column] = codes[score.verdict]
        cost[row, column] = score.tokens, score.seconds
    facts, cluster = _clusters(ordered)
    return Table(arms, ordered, facts, cluster, verdicts, cost)


def _clusters(probes: Sequence[Probe]) -> tuple[tuple[str, ...], Integers]:
    names = [probe.fact_id or probe.id for probe in probes]
    facts = sorted(set(names))
    at = {fact: row for row, fact in enumerate(facts)}
    return tuple(facts), np.array([at[name] for name in names], dtype=np.int64)
