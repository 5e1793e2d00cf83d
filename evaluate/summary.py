"""Probes and scores to a report: every figure is computed here, once, from the two lists.

Facts are clusters and weigh the same; arms are compared on the probes both answered, with the facts resampled
together. What is printed, written and drawn (`report.py`, `html.py`) only reads the `Report`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from kb.evaluate import stats
from kb.evaluate.attribution import attributions
from kb.evaluate.beside import General, Hybrid, Ring
from kb.evaluate.diagnosis import counted, diagnosed
from kb.evaluate.figures import arm_summaries, intervals
from kb.evaluate.following import FOLLOWING
from kb.evaluate.overlap import overlaps
from kb.evaluate.probes import APART
from kb.evaluate.pvalues import FLIPS, holm, sign_flip
from kb.evaluate.ratios import gain_retention, retention
from kb.evaluate.results import (
    KNOWN_BY,
    VERDICTS,
    Apart,
    ArmSummary,
    Check,
    Comparison,
    FactRow,
    Report,
    RuleCount,
    Slice,
    Venn,
)
from kb.evaluate.slices import slices
from kb.evaluate.stats import Floats, Integers, Interval
from kb.evaluate.tables import Table, document_groups, tabulate
from kb.evaluate.untaught import kept, untaught
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
RINGS = ("known", "reading", "never", "near_miss", "unanswerable", FOLLOWING)
"""Kinds of probe that show what tuning cost: base against tuned, neither with retrieved passages."""


def summarise(
    probes: Sequence[Probe],
    scores: Sequence[Score],
    *,
    name: str = "",
    created: str = "",
    seed: int = 0,
    resamples: int = FLIPS,
    statements: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
    known: Mapping[str, str] | None = None,
    provenance: Mapping[str, str] | None = None,
    checks: Iterable[Check] = (),
    training_set: Mapping[str, Any] | None = None,
    watched: int = 0,
    hybrid: Hybrid | None = None,
    general: General | None = None,
) -> Report:
    """The report of one evaluation: the same seed gives the same report, in whatever order the lists come.

    `statements`, `documents` and `known` map fact ids to what the fact says, the title of its document and how well the
    base knew it; `training_set` is what `kb qa-report` found; `watched` facts chose
    the adapter, which left their held-out probes out. Arms without an answer to a held-out probe have no summary.
    Raises ValueError when scores do not fit the probes (see `tabulate`).
    """
    table = tabulate(probes, scores)
    held = table.of_kind("held_out")
    flips = _Flips(seed, resamples)
    groups = document_groups(held.facts, documents or {})
    gain, headroom = gain_retention(held, known or {})
    shares = held.shares()
    languages = Counter(probe.language for probe in held.probes)
    rings, apart = _rings(table, flips), _apart(table, flips)
    rows = diagnosed(_facts(held, shares, statements or {}, documents or {}), table, scores)
    report = Report(
        name=name,
        created=created,
        seed=seed,
        facts=len(held.facts),
        probes=len(held.probes),
        languages={language: count / len(held.probes) for language, count in sorted(languages.items())},
        arms=arm_summaries(table, held, groups),
        comparisons=_comparisons(held, flips, groups),
        retention=retention(held, "rag"),
        retention_oracle=retention(held, "oracle"),
        gain_retention=gain,
        headroom=headroom,
        rings=rings,
        venn=_venn(rows),
        fact_rows=rows,
        findings=counted(rows),
        slices=slices(held, documents or {}, known or {}),
        audit=_audit(scores),
        overlaps=overlaps(probes, scores),
        provenance=dict(provenance or {}),
        checks=tuple(checks),
        apart=apart,
        untaught=untaught(table, apart, rings, flips.p),
        kept=kept(table),
        training_set=dict(training_set or {}),
        watched=watched,
        unfollowed=_unfollowed(table),
        attributions=attributions(probes, scores),
        hybrid=hybrid,
        general=general,
    )
    return judged(report)


@dataclass(frozen=True)
class _Flips:
    """Seed and number of the random sign patterns, the same for every p value of a report."""

    seed: int
    number: int

    def p(self, table: Floats, groups: Integers | None = None) -> Floats:
        """The p value of every column of paired fact differences, over facts or over `groups` of them."""
        return sign_flip(table, self.seed, self.number, groups)


def _comparisons(held: Table, flips: _Flips, groups: Integers | None) -> tuple[Comparison, ...]:
    known = set(chain.from_iterable(PAIRS))
    rival = "tuned" if "tuned" in held.arms else "base"
    pairs = [*PAIRS, *((arm, rival) for arm in held.arms if arm not in known)]
    return _compared(held, pairs, flips, groups)


def _compared(
    some: Table, pairs: Sequence[tuple[str, str]], flips: _Flips, groups: Integers | None = None
) -> tuple[Comparison, ...]:
    """The pairs of which both arms were asked some of these probes, their p values adjusted for one another."""
    columns = {pair: some.differences(*pair) for pair in pairs if set(pair) <= set(some.arms)}
    pairs = [pair for pair, column in columns.items() if not np.isnan(column).all()]
    if not pairs:
        return ()
    table = np.column_stack([columns[pair] for pair in pairs])
    facts = (~np.isnan(table)).sum(axis=0).tolist()
    p = flips.p(table)
    adjusted, differences = holm(p), stats.difference_intervals(table)
    found = [
        Comparison(
            arm, against, facts[at], difference, float(p[at]), float(adjusted[at]), stats.detectable(table[:, at])
        )
        for at, ((arm, against), difference) in enumerate(zip(pairs, differences, strict=True))
        if difference is not None
    ]  # fmt: skip
    return tuple(found if groups is None else _over_documents(found, table, flips, groups))


def _over_documents(
    found: Sequence[Comparison], table: Floats, flips: _Flips, groups: Integers
) -> Iterator[Comparison]:
    """The comparisons, one for each column, with what documents as clusters say of them."""
    p = flips.p(table, groups)
    for one, wide, raw, adjusted in zip(
        found, stats.difference_intervals(table, groups), p.tolist(), holm(p).tolist(), strict=True
    ):
        yield replace(one, by_document=wide, p_by_document=raw, p_by_document_adjusted=adjusted)


def _rings(table: Table, flips: _Flips) -> tuple[Ring, ...]:
    found = []
    for name in RINGS:
        if name == FOLLOWING and _unfollowed(table):
            continue
        ring = table.of_kind(name)
        for change in _compared(ring, [("tuned", "base")], flips):
            shares = dict(zip(ring.arms, intervals(ring), strict=True))
            base, tuned = shares["base"], shares["tuned"]
            if base and tuned:
                found.append(
                    Ring(
                        name, len(ring.probes), base, tuned, change.difference, change.p, change.p_adjusted,
                        change.detectable,
                    )
                )  # fmt: skip
    adjusted = holm(np.array([ring.p for ring in found])).tolist()
    return tuple(replace(ring, p_adjusted=p) for ring, p in zip(found, adjusted, strict=True))


def _unfollowed(table: Table) -> int:
    """How many instructions base and tuned were asked, where neither followed a single one; else 0."""
    part = table.of_kind(FOLLOWING)
    return 0 if (part.marks() == 1.0).any() else len(part.probes)


def _apart(table: Table, flips: _Flips) -> tuple[Apart, ...]:
    found = []
    for kind in APART:
        part = table.of_kind(kind)
        correct = {arm: interval for arm, interval in zip(part.arms, intervals(part), strict=True) if interval}
        if correct:
            gain = next(iter(_compared(part, [("tuned", "base")], flips)), None)
            found.append(Apart(kind, len(part.facts), len(part.probes), correct, gain))
    adjusted = iter(holm(np.array([one.gain.p for one in found if one.gain])).tolist())
    return tuple(replace(one, gain=replace(one.gain, p_adjusted=next(adjusted))) if one.gain else one for one in found)


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


def _audit(scores: Sequence[Score]) -> tuple[RuleCount, ...]:
    counts: dict[str, Counter[str]] = {}
    for score in scores:
        counts.setdefault(score.rule, Counter())[score.verdict] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    return tuple(RuleCount(rule, *(count[verdict] for verdict in VERDICTS)) for rule, count in ordered)
