"""The held-out probes in parts: by language, answer type, what the base knew before, and document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from kb.evaluate import stats
from kb.evaluate.pvalues import benjamini_hochberg, unlike_the_rest
from kb.evaluate.results import Slice
from kb.evaluate.shrinkage import shrunken
from kb.evaluate.stats import Floats, Integers, Interval
from kb.evaluate.tables import Table
from kb.records import Probe

T = TypeVar("T")


def slices(held: Table, documents: Mapping[str, str], known: Mapping[str, str]) -> tuple[Slice, ...]:
    """Intervals of every language, answer type, level of knownness and document; one value alone says nothing new."""
    keys: dict[str, Callable[[Probe], str]] = {
        "language": lambda probe: probe.language,
        "answer_type": lambda probe: probe.answer_type,
        "known": lambda probe: known.get(probe.fact_id, ""),
        "document": lambda probe: documents.get(probe.fact_id, ""),
    }
    found: list[Slice] = []
    for dimension, key in keys.items():
        names = [key(probe) for probe in held.probes]
        if len(set(names)) > 1:
            found += _dimension(held, dimension, names)
    return tuple(found)


def _dimension(held: Table, dimension: str, names: Sequence[str]) -> list[Slice]:
    """The slices of one dimension, the largest first; `names` is that of each probe.

    A fact with wordings in several slices counts in each with its wordings there.
    """
    sizes = Counter(names)
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    numbers = {name: at for at, name in enumerate(ordered)}
    group = np.array([numbers[name] for name in names], dtype=np.int64)
    parts, cluster = np.unique(held.cluster * len(ordered) + group, return_inverse=True)
    shares, groups = stats.fact_means(held.marks(), cluster, len(parts)), parts % len(ordered)
    asked = stats.summed(held.verdicts >= 0, group, len(ordered))
    facts = np.bincount(groups, minlength=len(ordered))
    p = _against_others(shares, groups, len(ordered))
    adjusted = benjamini_hochberg(p)
    drawn = _shrunken(shares, groups, asked) if dimension == "document" else {}
    found = []
    for name, at in numbers.items():
        correct = stats.share_intervals(shares[groups == at], asked[at])
        found.append(
            Slice(
                dimension, name, int(facts[at]), sizes[name], _by_arm(held, correct),
                {held.arms[arm]: one for arm, column in drawn.items() if (one := column[at])},
                _by_arm(held, _or_none(p[at])), _by_arm(held, _or_none(adjusted[at])),
            )
        )  # fmt: skip
    return found


def _against_others(shares: Floats, groups: Integers, count: int) -> Floats:
    """(groups, arms): p that a group has as many facts known on most wordings as chance would deal it."""
    there = ~np.isnan(shares)
    return unlike_the_rest(stats.summed(shares > 0.5, groups, count), stats.summed(there, groups, count))


def _shrunken(shares: Floats, groups: Integers, asked: Floats) -> dict[int, list[Interval | None]]:
    """Column of each arm to the shrunken shares of all groups."""
    facts = np.maximum(1, (~np.isnan(shares)).sum(axis=0))
    most = asked.sum(axis=0) / facts
    return {at: shrunken(column, groups, len(asked), most[at]) for at, column in enumerate(shares.T)}


def _by_arm(held: Table, values: Sequence[T]) -> dict[str, T]:
    return dict(zip(held.arms, values, strict=True))


def _or_none(row: Floats) -> list[float | None]:
    return [None if p != p else p for p in row.tolist()]
