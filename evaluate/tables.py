"""Probes and scores as one table of verdicts: rows are probes, columns are arms, facts are the clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kb.evaluate.results import VERDICTS
from kb.evaluate.stats import Floats, Integers, fact_means
from kb.records import Probe, Score
from kb.text.canonical import canonical

ARM_ORDER = ("base", "rag", "sft", "tuned", "tuned_rag", "hybrid", "oracle", "tuned_oracle", "wrong", "tuned_wrong")
"""How arms are listed; any others follow, by name."""
MISSING = -1
ENOUGH_DOCUMENTS = 10
"""Below so many, documents are not taken for clusters: their variance would be a guess."""


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
    answers: Integers
    """(probes, arms): a number for what was said (`_said`), -1 where the arm was not asked."""
    cost: Floats
    """(probes, arms, 2): tokens and seconds, NaN where the arm was not asked."""

    def rows(self, at: Sequence[int]) -> Table:
        """These rows, in their order, with only their facts."""
        chosen = tuple(self.probes[row] for row in at)
        facts, cluster = _clusters(chosen)
        at = list(at)
        return Table(self.arms, chosen, facts, cluster, self.verdicts[at], self.answers[at], self.cost[at])

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

    def differences(self, arm: str, against: str, verdict: str = "correct") -> Floats:
        """(facts,): mean over the probes that both arms answered of one arm's verdicts of this kind minus the other's;
        NaN where there are none.
        """
        marks = self.marks(verdict)
        paired = marks[:, self.arms.index(arm)] - marks[:, self.arms.index(against)]
        return fact_means(paired, self.cluster, len(self.facts))

    def agreement(self, answers: bool) -> Floats:
        """(facts, arms): share of the pairs of a fact's wordings that got the same verdict, or said the same.

        NaN where the arm answered fewer than two wordings. An arm can be of one mind and wrong: it says the same wrong
        thing, and only the share right tells. Source: the consistency of ParaRel, Elazar and others, TACL 9 (2021).
        """
        codes = self.answers if answers else self.verdicts
        columns = [_agreement(column, self.cluster, len(self.facts)) for column in codes.T]
        return np.array(columns, dtype=np.float64).reshape(len(columns), len(self.facts)).T

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
    answers = np.full_like(verdicts, MISSING)
    cost = np.full((len(ordered), len(arms), 2), np.nan)
    said: dict[object, int] = {}
    for score in scores:
        row, column = rows.get(score.probe_id), columns[score.arm]
        if row is None:
            raise ValueError(f"a score of arm {score.arm} is for probe {score.probe_id}, which is not among the probes")
        if score.verdict not in codes:
            raise ValueError(f"probe {score.probe_id}, arm {score.arm}: {score.verdict!r} is no verdict of {VERDICTS}")
        if verdicts[row, column] != MISSING:
            raise ValueError(f"probe {score.probe_id} has two scores of arm {score.arm}")
        verdicts[row, column] = codes[score.verdict]
        answers[row, column] = said.setdefault(_said(score), len(said))
        cost[row, column] = score.tokens, score.seconds
    facts, cluster = _clusters(ordered)
    return Table(arms, ordered, facts, cluster, verdicts, answers, cost)


def _said(score: Score) -> object:
    """What an answer says of its fact: right answers say the same however they are put, and so do refusals; a wrong one
    says its canonical form; an unparsed one says nothing, so what no other one says.
    """
    if score.verdict == "unparsed":
        return (score.probe_id, score.arm)
    return canonical(score.answer) if score.verdict == "wrong" else (score.verdict,)


def _agreement(codes: Integers, cluster: Integers, facts: int) -> Floats:
    """The sum over c of n_c (n_c - 1) / (k (k - 1)) of each fact, with n_c of its k codes being c; -1 is no code."""
    known = codes != MISSING
    width = int(codes.max(initial=0)) + 1
    kinds, counts = np.unique(cluster[known] * width + codes[known], return_counts=True)
    alike = np.bincount(kinds // width, counts * (counts - 1.0), facts)
    asked = np.bincount(cluster[known], minlength=facts).astype(np.float64)
    pairs = asked * (asked - 1.0)
    return np.where(pairs > 0, alike / np.maximum(pairs, 1.0), np.nan)


def document_groups(facts: Sequence[str], documents: Mapping[str, str]) -> Integers | None:
    """(facts,): the number of each fact's document; a fact without one stands alone. None for too few documents."""
    if len({documents[fact] for fact in facts if fact in documents}) < ENOUGH_DOCUMENTS:
        return None
    names: dict[tuple[str, ...], int] = {}
    keys = [(documents[fact],) if fact in documents else ("", fact) for fact in facts]
    return np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.int64)


def _clusters(probes: Sequence[Probe]) -> tuple[tuple[str, ...], Integers]:
    names = [probe.fact_id or probe.id for probe in probes]
    facts = sorted(set(names))
    at = {fact: row for row, fact in enumerate(facts)}
    return tuple(facts), np.array([at[name] for name in names], dtype=np.int64)
