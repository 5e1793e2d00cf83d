"""`kb eval diff A B`: what one evaluation knows that another does not, fact by fact, with a paired test for each arm.

Only probes that both were asked are compared, and only where the same answer was right: a fact that another set of
questions asks otherwise is not taken for one that was learned or lost. Answers are read from the store; no model runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kb.errors import UsageError
from kb.evals import REPORT
from kb.evaluate import stats
from kb.evaluate.pvalues import holm, sign_flip
from kb.evaluate.stats import Interval
from kb.evaluate.tables import Table, tabulate
from kb.evaluate.wording import KINDS
from kb.records import Fact, Probe, Score
from kb.store import Store
from kb.workspace import Workspace

FIRST, SECOND = "first", "second"


@dataclass(frozen=True)
class Changed:
    """A fact, or a question without one, on which two evaluations differ."""

    id: str
    statement: str


@dataclass(frozen=True)
class ArmDiff:
    """One arm on the probes of one kind that both evaluations asked it."""

    kind: str
    arm: str
    facts: int
    probes: int
    first: float
    second: float
    """Shares right, each fact weighing the same."""
    difference: Interval
    """Second minus first, paired by fact."""
    p: float
    """Sign-flip test over facts, two-sided, by itself."""
    p_adjusted: float
    """The same after Holm, for all lines that are read together."""
    detectable: float
    """The smallest true difference that these facts would show 80% of the time."""
    gained: tuple[Changed, ...]
    """Facts known in the second alone: right on more than half of the probes."""
    lost: tuple[Changed, ...]
    """Facts known in the first alone."""
    flipped: tuple[Changed, ...]
    """Other facts with a probe that was right in one and not in the other."""

    @property
    def sign(self) -> int:
        """1 or -1 where interval and adjusted p both say that the evaluations differ, else 0."""
        return stats.told_apart(self.difference, self.p_adjusted)


@dataclass(frozen=True)
class Diff:
    """Two evaluations side by side."""

    names: tuple[str, str]
    facts: int
    probes: int
    """Asked by both, with the same right answer."""
    other_gold: int
    """Asked by both, and another answer is right: left out."""
    only: tuple[int, int]
    """Probes of one alone: left out."""
    differs: Mapping[str, tuple[str, str]]
    """What the reports say they were made from, where they differ; empty where one was deleted."""
    arms: tuple[ArmDiff, ...]


def diff(workspace: Workspace, first: str, second: str) -> Diff:
    """Compare two stored evaluations. Raises UsageError for one that does not exist, or without a common probe."""
    store = workspace.store
    theirs = [{probe.id: probe for probe in _probes(store, name)} for name in (first, second)]
    shared = [probe for id, probe in theirs[0].items() if id in theirs[1]]
    both = [probe for probe in shared if _same(probe, theirs[1][probe.id])]
    if not both:
        raise UsageError(f"{first} and {second} asked no probe that has the same right answer in both")
    asked = {probe.id for probe in both}
    ours, others = (
        [one for one in store.all(Score, "eval = ?", name) if one.probe_id in asked] for name in (first, second)
    )
    statements = {fact.id: fact.statement for fact in store.all(Fact, live=False)}
    return Diff(
        (first, second), len({probe.fact_id or probe.id for probe in both}), len(both), len(shared) - len(both),
        (len(theirs[0]) - len(shared), len(theirs[1]) - len(shared)), _differs(workspace, first, second),
        _adjusted(tuple(_arms(both, ours, others, statements))),
    )  # fmt: skip


def _probes(store: Store, name: str) -> list[Probe]:
    found = store.all(Probe, "eval = ?", name)
    if not found:
        names = [row["eval"] for row in store.sql("SELECT eval FROM probes GROUP BY eval ORDER BY MIN(rowid)")]
        raise UsageError(f"there is no evaluation called {name}; there is: {', '.join(names) or 'none'}")
    return found


def _same(probe: Probe, other: Probe) -> bool:
    """Whether the same is asked and the same is right."""
    return replace(probe, fact_id="") == replace(other, fact_id="")


def _differs(workspace: Workspace, first: str, second: str) -> dict[str, tuple[str, str]]:
    files = [workspace.eval(name) / REPORT for name in (first, second)]
    if not all(file.exists() for file in files):
        return {}
    one, other = (json.loads(file.read_text(encoding="utf-8"))["provenance"] for file in files)
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key, ""), other.get(key, "")) for key in keys if one.get(key) != other.get(key)}


def _arms(
    probes: Sequence[Probe], first: Sequence[Score], second: Sequence[Score], statements: Mapping[str, str]
) -> Iterable[ArmDiff]:
    """Kinds in the order of the report, and of each the arms that both evaluations asked."""
    texts = {probe.fact_id or probe.id: probe.question for probe in probes} | dict(statements)
    common = {one.arm for one in first} & {one.arm for one in second}
    for arm in dict.fromkeys(one.arm for one in first if one.arm in common):
        pair = [
            replace(one, arm=name)
            for name, scores in ((FIRST, first), (SECOND, second))
            for one in scores
            if one.arm == arm
        ]
        table = tabulate(probes, pair)
        for kind in KINDS:
            part = _answered(table.of_kind(kind))
            if part.probes:
                yield _arm(kind, arm, part, texts)


def _adjusted(arms: tuple[ArmDiff, ...]) -> tuple[ArmDiff, ...]:
    """The lines with the p values that they have when all are read."""
    found = holm(np.array([one.p for one in arms])).tolist()
    return tuple(replace(one, p_adjusted=p) for one, p in zip(arms, found, strict=True))


def _answered(table: Table) -> Table:
    """The probes that both answered."""
    return table.rows([row for row, verdicts in enumerate(table.verdicts) if (verdicts >= 0).all()])


def _arm(kind: str, arm: str, table: Table, texts: Mapping[str, str]) -> ArmDiff:
    shares, differences = table.shares(), table.differences(SECOND, FIRST)[:, None]
    known, marks = shares > 0.5, table.marks()
    moved = stats.fact_means(abs(marks[:, 1] - marks[:, 0]), table.cluster, len(table.facts)) > 0
    interval = stats.difference_intervals(differences)[0]
    if interval is None:
        raise ValueError(f"{arm}, {kind}: a table of no facts")
    groups = {"gained": known[:, 1] & ~known[:, 0], "lost": known[:, 0] & ~known[:, 1]}
    groups["flipped"] = moved & ~groups["gained"] & ~groups["lost"]
    lists = {
        name: tuple(
            Changed(fact, texts.get(fact, "")) for fact, chosen in zip(table.facts, group, strict=True) if chosen
        )
        for name, group in groups.items()
    }
    first, second = shares.mean(axis=0).tolist()
    p, least = float(sign_flip(differences)[0]), stats.detectable(differences[:, 0])
    return ArmDiff(kind, arm, len(table.facts), len(table.probes), first, second, interval, p, p, least, **lists)
