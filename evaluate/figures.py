"""What each arm knew of the held-out wordings, as figures with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kb.evaluate import stats
from kb.evaluate.results import VERDICTS, ArmSummary
from kb.evaluate.stats import Floats, Integers, Interval
from kb.evaluate.tables import Table


def arm_summaries(table: Table, held: Table, groups: Integers | None) -> tuple[ArmSummary, ...]:
    """A summary of every arm that was asked something of `held`, the held-out part of `table`.

    `groups` is the document of each fact of `held`, None where there are too few documents to take them for clusters.
    """
    if not held.probes:
        return ()
    asked, shares = held.counts(), held.shares()
    facts = (~np.isnan(shares)).sum(axis=0)
    trained = table.of_kind("trained")
    known = trained.aligned(held.facts)
    alike = {"same_verdict": held.agreement(answers=False), "same_answer": held.agreement(answers=True)}
    columns: dict[str, list[Interval | None]] = {
        "correct": stats.share_intervals(shares, asked),
        "all_right": stats.share_intervals(stats.all_right(shares), facts),
        "worst_wrong": stats.share_intervals(_any(held.shares("wrong")), facts),
        "by_document": _by_document(shares, asked, groups),
        "trained": stats.share_intervals(known, trained.counts()),
        "gap": stats.difference_intervals(known - shares),
        "near_miss": intervals(table.of_kind("near_miss")),
        "unanswerable": intervals(table.of_kind("unanswerable")),
    }
    columns |= {name: stats.share_intervals(pairs, asked) for name, pairs in alike.items()}
    rates = {verdict: _means(held.shares(verdict)).tolist() for verdict in VERDICTS[1:]}
    rates["tokens"], rates["seconds"] = (_means(held.cost[:, :, at]).tolist() for at in (0, 1))
    arms = []
    for at, arm in enumerate(table.arms):
        if asked[at]:
            figures: dict[str, Any] = {name: column[at] for name, column in (*columns.items(), *rates.items())}
            arms.append(ArmSummary(arm, int(asked[at]), int(facts[at]), **figures))
    return tuple(arms)


def _by_document(shares: Floats, asked: Integers, groups: Integers | None) -> list[Interval | None]:
    return [None] * len(asked) if groups is None else stats.share_intervals(shares, asked, groups)


def intervals(table: Table, verdict: str = "correct") -> list[Interval | None]:
    """The share of every arm's answers to some probes that have this verdict."""
    if not table.probes:
        return [None] * len(table.arms)
    return stats.share_intervals(table.shares(verdict), table.counts())


def _any(shares: Floats) -> Floats:
    """1 where a share is above zero, 0 where it is zero, NaN where there is none."""
    return np.where(np.isnan(shares), np.nan, (shares > 0.0).astype(np.float64))


def _means(columns: Floats) -> Floats:
    """Column means without NaN; 0 for a column of NaN alone."""
    known = ~np.isnan(columns)
    return np.asarray(np.where(known, columns, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def share_of(facts: Mapping[str, str], values: Mapping[str, float]) -> Interval | None:
    """Mean over facts of the probes that have a value; None where none has. `facts` maps probe ids to fact ids."""
    if not values:
        return None
    return stats.share_intervals(by_fact(facts, values)[:, None], len(values))[0]


def by_fact(facts: Mapping[str, str], values: Mapping[str, float]) -> Floats:
    """(facts,): mean of the values of each fact that has some; a probe without a fact is one of its own."""
    names = sorted({facts[id] or id for id in values})
    at = {name: row for row, name in enumerate(names)}
    clusters = np.array([at[facts[id] or id] for id in values], dtype=np.int64)
    return stats.fact_means(np.array(list(values.values())), clusters, len(names))
