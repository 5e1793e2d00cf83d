"""Probes and scores to a report: every figure is computed here, once, from the two lists.

Facts are clusters and weigh the same; arms are compared on the probes both answered, with the facts resampled
together. What is printed, written and drawn (`report.py`, `html.py`) only reads the `Report`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from kb.evaluate import stats
from kb.evaluate.diagnosis import counted, diagnosed
from kb.evaluate.overlap import overlaps
from kb.evaluate.probes import APART
from kb.evaluate.results import (
    KNOWN_BY,
    VERDICTS,
    Apart,
    ArmSummary,
    Check,
    Comparison,
    FactRow,
    General,
    Hybrid,
    Report,
    Ring,
    RuleCount,
    Slice,
    Venn,
)
from kb.evaluate.stats import Floats, Interval
from kb.evaluate.tables import Table, tabulate
from kb.evaluate.verdict import judged
from kb.records import Probe, Score

__all__ = [
    "Apart", "ArmSummary", "Check", "Comparison", "FactRow", "Interval", "Report", "Ring", "Slice", "Venn", "summarise",
]  # fmt: skip

PAIRS = (
    ("tuned", "rag"),
    ("tuned_rag", "rag"),
    ("tuned_rag", "tuned"),
    ("tuned", "sft"),
    ("tuned", "base"),
    ("rag", "base"),
    ("hybrid", "rag"),
    ("hybrid", "tuned_rag"),
    ("oracle", "rag"),
    ("tuned_oracle", "oracle"),
    ("wrong", "base"),
    ("tuned_wrong", "tuned"),
)
"""Which arms are compared, in the order shown; another arm is compared with the tuned model, without one with the base.
"""
RINGS = ("known", "reading", "never", "near_miss", "unanswerable")
"""Kinds of probe that show what tuning cost: base against tuned, neither with retrieved passages."""


def summarise(
    probes: Sequence[Probe],
    scores: Sequence[Score],
    *,
    name: str = "",
    created: str = "",
    seed: int = 0,
    resamples: int = stats.REPLICATES,
    statements: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
    known: Mapping[str, str] | None = None,
    provenance: Mapping[str, str] | None = None,
    checks: Iterable[tuple[str, bool, str]] = (),
    training_set: Mapping[str, Any] | None = None,
    watched: int = 0,
    hybrid: Hybrid | None = None,
    general: General | None = None,
) -> Report:
    """The report of one evaluation: the same seed gives the same report, in whatever order the lists come.

    `statements`, `documents` and `known` map fact ids to what the fact says, the title of its document and how well the
    base knew it; `checks` are (name, holds, detail); `training_set` is what `kb qa-report` found; `watched` facts chose
    the adapter, which left their held-out probes out. Arms without an answer to a held-out probe have no summary.
    Raises ValueError when scores do not fit the probes (see `tabulate`).
    """
    table = tabulate(probes, scores)
    held = table.of_kind("held_out")
    draws = _Draws(seed, resamples)
    shares = held.shares()
    languages = Counter(probe.language for probe in held.probes)
    rows = diagnosed(_facts(held, shares, statements or {}, documents or {}), table, scores)
    report = Report(
        name=name,
        created=created,
        seed=seed,
        facts=len(held.facts),
        probes=len(held.probes),
        languages={language: count / len(held.probes) for language, count in sorted(languages.items())},
        arms=_arms(table, held, shares, draws),
        comparisons=_comparisons(held, draws),
        retention=_retention(held, shares, draws),
        rings=_rings(table, draws),
        venn=_venn(rows),
        fact_rows=rows,
        findings=counted(rows),
        slices=_slices(held, documents or {}, known or {}),
        audit=_audit(scores),
        overlaps=overlaps(probes, scores),
        provenance=dict(provenance or {}),
        checks=tuple(Check(*check) for check in checks),
        apart=_apart(table, draws),
        training_set=dict(training_set or {}),
        watched=watched,
        hybrid=hybrid,
        general=general,
    )
    return judged(report)


@dataclass(frozen=True)
class _Draws:
    """Seed and number of resamples, the same for every interval of a report."""

    seed: int
    resamples: int

    def differences(self, table: Floats) -> list[Interval | None]:
        """Bootstrap intervals of columns of paired fact differences."""
        return stats.bootstrap_intervals(table, -1.0, self.seed, self.resamples)


def _arms(table: Table, held: Table, shares: Floats, draws: _Draws) -> tuple[ArmSummary, ...]:
    if not held.probes:
        return ()
    asked, facts = held.counts(), (~np.isnan(shares)).sum(axis=0)
    trained = table.of_kind("trained")
    known = trained.aligned(held.facts)
    columns = {
        "correct": stats.share_intervals(shares, asked),
        "all_right": stats.share_intervals(stats.all_right(shares), facts),
        "trained": stats.share_intervals(known, trained.counts()),
        "gap": draws.differences(known - shares),
        "near_miss": _intervals(table.of_kind("near_miss")),
        "unanswerable": _intervals(table.of_kind("unanswerable")),
    }
    rates = {verdict: _means(held.shares(verdict)).tolist() for verdict in VERDICTS[1:]}
    rates["tokens"], rates["seconds"] = (_means(held.cost[:, :, at]).tolist() for at in (0, 1))
    arms = []
    for at, arm in enumerate(table.arms):
        if asked[at]:
            figures = {name: column[at] for name, column in (columns | rates).items()}
            arms.append(ArmSummary(arm, int(asked[at]), int(facts[at]), **figures))
    return tuple(arms)


def _comparisons(held: Table, draws: _Draws) -> tuple[Comparison, ...]:
    known = set(chain.from_iterable(PAIRS))
    rival = "tuned" if "tuned" in held.arms else "base"
    pairs = [*PAIRS, *((arm, rival) for arm in held.arms if arm not in known)]
    return _compared(held, pairs, draws)


def _compared(some: Table, pairs: Sequence[tuple[str, str]], draws: _Draws) -> tuple[Comparison, ...]:
    """The pairs of which both arms were asked some of these probes."""
    pairs = [pair for pair in pairs if set(pair) <= set(some.arms)]
    if not pairs or not some.probes:
        return ()
    table = np.column_stack([some.differences(*pair) for pair in pairs])
    p = stats.sign_flip(table, draws.seed)
    found = []
    for at, (pair, interval) in enumerate(zip(pairs, draws.differences(table), strict=True)):
        if interval is not None:
            facts = int((~np.isnan(table[:, at])).sum())
            found.append(Comparison(*pair, facts, interval, float(p[at]), stats.detectable(table[:, at])))
    return tuple(found)


def _retention(held: Table, shares: Floats, draws: _Draws) -> Interval | None:
    if not {"tuned", "rag"} <= set(held.arms):
        return None
    tuned, rag = (shares[:, held.arms.index(arm)] for arm in ("tuned", "rag"))
    return stats.ratio_interval(tuned, rag, draws.seed, draws.resamples)


def _rings(table: Table, draws: _Draws) -> tuple[Ring, ...]:
    if not {"base", "tuned"} <= set(table.arms):
        return ()
    found = []
    for name in RINGS:
        ring = table.of_kind(name)
        if not ring.probes:
            continue
        intervals = dict(zip(ring.arms, _intervals(ring), strict=True))
        differences = ring.differences("tuned", "base")
        base, tuned, change = intervals["base"], intervals["tuned"], draws.differences(differences[:, None])[0]
        if base and tuned and change:
            p = float(stats.sign_flip(differences[:, None], draws.seed)[0])
            found.append(Ring(name, len(ring.probes), base, tuned, change, p, stats.detectable(differences)))
    return tuple(found)


def _apart(table: Table, draws: _Draws) -> tuple[Apart, ...]:
    found = []
    for kind in APART:
        part = table.of_kind(kind)
        if part.probes:
            shares = dict(zip(part.arms, _intervals(part), strict=True))
            correct = {arm: interval for arm, interval in shares.items() if interval}
            gain = next(iter(_compared(part, [("tuned", "base")], draws)), None)
            found.append(Apart(kind, len(part.facts), len(part.probes), correct, gain))
    return tuple(found)


def _venn(rows: Iterable[FactRow]) -> Venn | None:
    counts = Counter(row.known_by for row in rows if row.known_by)
    return Venn(*(counts[name] for name in KNOWN_BY)) if counts else None


def _known_by(shares: Mapping[str, float | None]) -> str:
    """Who knows a fact, on the majority of its wordings; exactly half is not a majority."""
    rag, tuned = shares.get("rag"), shares.get("tuned")
    if rag is None or tuned is None:
        return ""
    return KNOWN_BY[2 * (rag <= 0.5) + (tuned <= 0.5)]


def _facts(
    held: Table, shares: Floats, statements: Mapping[str, str], documents: Mapping[str, str]
) -> tuple[FactRow, ...]:
    first: dict[str, Probe] = {}
    for probe, fact in zip(held.probes, held.cluster, strict=True):
        first.setdefault(held.facts[fact], probe)
    rows = []
    for fact, row in zip(held.facts, shares.tolist(), strict=True):
        probe = first[fact]
        known = {arm: None if share != share else share for arm, share in zip(held.arms, row, strict=True)}
        rows.append(
            FactRow(
                fact,
                statements.get(fact, ""),
                probe.gold,
                probe.language,
                probe.answer_type,
                documents.get(fact, ""),
                known,
                _known_by(known),
            )
        )
    return tuple(rows)


def _slices(held: Table, documents: Mapping[str, str], known: Mapping[str, str]) -> tuple[Slice, ...]:
    """Intervals of every language, answer type, level of knownness and document; one value alone says nothing new."""
    keys: dict[str, Callable[[Probe], str]] = {
        "language": lambda probe: probe.language,
        "answer_type": lambda probe: probe.answer_type,
        "known": lambda probe: known.get(probe.fact_id, ""),
        "document": lambda probe: documents.get(probe.fact_id, ""),
    }
    found = []
    for dimension, key in keys.items():
        names = [key(probe) for probe in held.probes]
        sizes = Counter(names)
        for name in sorted(sizes, key=lambda group: (-sizes[group], group)) if len(sizes) > 1 else ():
            part = held.rows([at for at, group in enumerate(names) if group == name])
            correct = dict(zip(part.arms, _intervals(part), strict=True))
            found.append(Slice(dimension, name, len(part.facts), len(part.probes), correct))
    return tuple(found)


def _audit(scores: Sequence[Score]) -> tuple[RuleCount, ...]:
    counts: dict[str, Counter[str]] = {}
    for score in scores:
        counts.setdefault(score.rule, Counter())[score.verdict] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    return tuple(RuleCount(rule, *(count[verdict] for verdict in VERDICTS)) for rule, count in ordered)


def _intervals(table: Table) -> list[Interval | None]:
    """The share right of every arm in some probes."""
    if not table.probes:
        return [None] * len(table.arms)
    return stats.share_intervals(table.shares(), table.counts())


def _means(columns: Floats) -> Floats:
    """Column means without NaN; 0 for a column of NaN alone."""
    known = ~np.isnan(columns)
    return np.asarray(np.where(known, columns, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
