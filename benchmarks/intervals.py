"""Do the intervals and p values of `kb.evaluate` keep their promises? Simulated evaluations with known truth.

    python benchmarks/intervals.py [--datasets 10000] [--seed 0] [--out FILE]

`simulated.py` says how the evaluations are made. Per quantity, arm level and number of facts: the share of nominal 95%
intervals that cover the truth (should be .93 to .97), and what Student's t over facts, the cluster bootstrap with
expanded percentiles, BCa and the naive interval over probes would have given. Then the same for facts that share a
document; how often the sign-flip test, over documents and over facts, calls a difference where there is none (should be
.035 to .065), how often it finds one of the size that `detectable` prints (about .80); and what becomes of p values
that are read together.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from intervals_page import page
from numpy.typing import NDArray
from simulated import (
    BLOCK,
    PROBES,
    agreement,
    blocks,
    bounds_of,
    by_document,
    covers,
    document_rates,
    draw,
    expanded,
    expected,
    methods,
    naive,
    resampled_means,
    student,
    two_stage,
)

from kb.evaluate import stats
from kb.evaluate.caveats import FEW_HITS
from kb.evaluate.pvalues import benjamini_hochberg, holm, sign_flip, unlike_the_rest
from kb.evaluate.shrinkage import shrunken
from kb.evaluate.stats import Floats
from kb.workspace import write_text

Flags = NDArray[np.bool_]

FACTS = (30, 100, 300)
LEVELS = (0.05, 0.5, 0.8, 0.95)
OTHER, BASE = 0.7, 0.05
"""Levels of the arms that an arm is compared with."""
FLIPS = 4000
LAYOUTS = {
    "10 of 5": [5] * 10, "10 of 10": [10] * 10, "30 of 10": [10] * 30, "20 of 2, 4 of 16": [2] * 20 + [16] * 4,
}  # fmt: skip
"""Facts in each document."""
DOCUMENT_SDS = (0.0, 1.0, 2.0)


class Row(NamedTuple):
    """One line of coverage; NaN where a method does not apply."""

    quantity: str
    level: float
    facts: int
    kb: float
    student: float
    bootstrap: float
    bca: float
    naive: float


def coverage(datasets: int, seed: int, facts: Sequence[int] = FACTS, levels: Sequence[float] = LEVELS) -> list[Row]:
    """An arm at each level; its difference and ratio to an arm at 0.7, its gain over a base at 0.05, and the gain that
    it keeps of that arm's.
    """
    return [row for level in levels for count in facts for row in coverage_at(level, count, datasets, seed)]


def coverage_at(level: float, facts: int, datasets: int, seed: int) -> list[Row]:
    """The lines of one level and number of facts."""
    random = np.random.default_rng([seed, facts, int(level * 100)])
    all_right = expected(level, lambda rates: rates**PROBES)
    agreeing = expected(level, lambda rates: rates**2 + (1 - rates) ** 2)
    found: dict[str, list[list[float]]] = {}
    for size, resampled in blocks(datasets):
        (arm, other, base), _ = draw((level, OTHER, BASE), facts, size, random)
        asked = facts * PROBES
        right, pairs = stats.all_right(arm), agreement(arm)
        shares = {
            "mean": (arm, stats.share_intervals(arm, asked), level),
            "all right": (right, stats.share_intervals(right, facts), all_right),
            "same verdict": (pairs, stats.share_intervals(pairs, asked), agreeing),
            "difference": (arm - other, stats.difference_intervals(arm - other), level - OTHER),
            "gain": (arm - base, stats.difference_intervals(arm - base), level - BASE),
        }
        lines = {name: methods(*given, random, resampled) for name, given in shares.items()}
        lines["mean"].append(covers(naive(arm), level))
        kept = [stats.gain_interval(*gains) for gains in zip((arm - base).T, (other - base).T, strict=True)]
        ratios = [stats.ratio_interval(*both, asked) for both in zip(arm.T, other.T, strict=True)]
        lines["ratio"] = [covers(bounds_of(ratios), level / OTHER)]
        lines["gain kept"] = [covers(bounds_of(kept), (level - BASE) / (OTHER - BASE))]
        for name, rates in lines.items():
            found.setdefault(name, []).append([*rates, *[np.nan] * (5 - len(rates))])
    return [Row(name, level, facts, *means(np.array(rows))) for name, rows in found.items()]


def means(rows: Floats) -> list[float]:
    """Column means over what is there; NaN where nothing is."""
    return [float(column[~np.isnan(column)].mean()) if not np.isnan(column).all() else np.nan for column in rows.T]


class Grouped(NamedTuple):
    """Where facts share documents: coverage of the share right, of a difference, and of the documents' own shares; and
    false alarms.
    """

    layout: str
    sd: float
    share: float
    share_by_fact: float
    difference: float
    difference_by_fact: float
    bootstrap: float
    two_stage: float
    wider: float
    """Data sets whose difference is warned of, its interval being 1.5 times as wide over documents as over facts."""
    shrunken: float
    alarm: float
    """Two like arms whose p over documents is below 5%."""
    alarm_unlike: float
    """The same of an arm and one that documents make no difference to, at the same mean."""
    alarm_by_fact: float
    """Like arms by the p over facts."""


def grouped(datasets: int, seed: int, layouts: Sequence[str] = tuple(LAYOUTS)) -> list[Grouped]:
    """An arm at 0.8 and its difference to one at 0.7, for each layout and spread of the documents."""
    return [grouped_at(name, sd, datasets, seed) for name in layouts for sd in DOCUMENT_SDS]


def grouped_at(layout: str, sd: float, datasets: int, seed: int) -> Grouped:
    """The line of one layout and spread."""
    sizes = LAYOUTS[layout]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    random = np.random.default_rng([seed, len(groups), len(sizes), int(sd * 10)])
    rows = []
    for size, resampled in blocks(datasets):
        (arm, other), (added, _) = draw((0.8, OTHER), len(groups), size, random, groups, sd)
        differences, asked, truth = arm - other, len(groups) * PROBES, 0.8 - OTHER
        wide = bounds_of(stats.difference_intervals(differences, groups))
        narrow = bounds_of(stats.difference_intervals(differences))
        row = [
            covers(bounds_of(stats.share_intervals(arm, asked, groups)), 0.8),
            covers(bounds_of(stats.share_intervals(arm, asked)), 0.8),
            covers(wide, truth), covers(narrow, truth), np.nan, np.nan,
            float((np.diff(wide, axis=0) > 1.5 * np.diff(narrow, axis=0)).mean()), np.nan,
        ]  # fmt: skip
        if resampled:
            sums, numbers = by_document(differences, groups)
            row[4] = covers(expanded(resampled_means(sums, random, numbers), len(sizes)), truth)
            row[5] = covers(expanded(two_stage(differences, groups, random), len(sizes)), truth)
            row[7] = shrunken_covers(arm, groups, added, sd)
        rows.append(row)
    return Grouped(layout, sd, *means(np.array(rows)), *grouped_alarms(groups, sd, datasets, seed))


def grouped_alarms(groups: stats.Integers, sd: float, datasets: int, seed: int) -> list[float]:
    """False alarms of the sign-flip test: over documents between like and between unlike arms, and over facts."""
    random = np.random.default_rng([seed, len(groups), int(groups.max()), int(sd * 10), 1])
    rows = []
    for size, _ in blocks(datasets):
        (arm, like), _ = draw((OTHER, OTHER), len(groups), size, random, groups, sd)
        (unlike,), _ = draw((OTHER,), len(groups), size, random, groups)
        p = [sign_flip(arm - other, flips=FLIPS, groups=groups) for other in (like, unlike)]
        rows.append([(one < stats.ALPHA).mean() for one in (*p, sign_flip(arm - like, flips=FLIPS))])
    return np.mean(rows, axis=0).tolist()


def shrunken_covers(arm: Floats, groups: stats.Integers, added: Floats, sd: float) -> float:
    """Share of documents, over data sets, whose shrunken interval holds the document's expected rate."""
    truths = document_rates(0.8, added, sd)
    hits = []
    for column, truth in zip(arm.T, truths.T, strict=True):
        hits.append(covers(bounds_of(shrunken(column, groups, len(added), PROBES)), truth))
    return float(np.mean(hits))


class Alarm(NamedTuple):
    """How often "different" is said: where there is nothing (like and unlike arms), and at the printed MDE."""

    level: float
    facts: int
    like: float
    unlike: float
    unwarned: float
    """Unlike arms called different where the report does not say that p is rough."""
    student: float
    """Unlike arms by Student's t over facts."""
    unclustered: float
    power: float


def alarms(datasets: int, seed: int, facts: Sequence[int] = FACTS, levels: Sequence[float] = LEVELS) -> list[Alarm]:
    """False alarms and power. "unlike": the second arm knows each fact entirely or not at all, at the same mean."""
    return [alarms_at(level, count, datasets, seed) for level in levels for count in facts]


def alarms_at(level: float, facts: int, datasets: int, seed: int) -> Alarm:
    """The line of one level and number of facts."""
    random = np.random.default_rng([seed, facts, int(level * 100), 1])
    rows = []
    for size, _ in blocks(datasets):
        (arm, other), _ = draw((level, level), facts, size, random)
        blunt = (random.random(arm.shape) < level).astype(np.float64)
        unlike = called(arm - blunt)
        pooled = (arm + other).mean(axis=0) / 2
        error = np.sqrt(np.maximum(2 * pooled * (1 - pooled) / (facts * PROBES), 1e-12))
        bounds = student(arm - blunt)
        rows.append(
            [
                called(arm - other).mean(), unlike.mean(), (unlike & ~rough(arm, blunt)).mean(),
                ((bounds[0] > 0) | (bounds[1] < 0)).mean(), (np.abs((arm - other).mean(axis=0)) / error > 1.96).mean(),
            ]
        )  # fmt: skip
    return Alarm(level, facts, *np.mean(rows, axis=0).tolist(), power(level, facts, datasets, random))


def called(differences: Floats) -> Flags:
    """Whether kb calls each column different: interval and test must agree."""
    low, high = bounds_of(stats.difference_intervals(differences))
    return (sign_flip(differences, flips=FLIPS) < stats.ALPHA) & ((low > 0) | (high < 0))


def rough(arm: Floats, other: Floats) -> Flags:
    """Whether the report says that the p value of these arms is rough."""
    right = np.maximum(arm.sum(axis=0), other.sum(axis=0))
    missing = np.maximum((1 - arm).sum(axis=0), (1 - other).sum(axis=0))
    return np.asarray((right < FEW_HITS) | (missing < FEW_HITS))


def power(level: float, facts: int, datasets: int, random: np.random.Generator) -> float:
    """Share of data sets that show a true difference, from `level` towards 0.5, as large as `detectable` says."""
    towards = -1.0 if level > 0.5 else 1.0
    size = 0.1
    for _ in range(3):  # the spread depends on the difference: settle on the size whose own median MDE it is
        (arm, other), _ = draw((level, level + towards * min(size, 0.45)), facts, 400, random)
        size = float(np.median([stats.detectable(column) for column in (arm - other).T]))
    (arm, other), _ = draw((level, level + towards * min(size, 0.45)), facts, min(datasets, 4 * BLOCK), random)
    return float(called(arm - other).mean())


class Family(NamedTuple):
    """Share of data sets with any false alarm among p values that are read together, raw and adjusted."""

    name: str
    raw: float
    adjusted: float


def families(datasets: int, seed: int) -> list[Family]:
    """Four like arms, compared in pairs; and one arm on 20 like documents of 10 facts."""
    random = np.random.default_rng([seed, 2])
    groups, found = np.repeat(np.arange(20), 10), []
    for size, _ in blocks(datasets):
        arms, _ = draw((OTHER,) * 4, 100, size, random)
        p = np.array([sign_flip(one - other, flips=FLIPS) for one, other in itertools.combinations(arms, 2)])
        (arm,), _ = draw((OTHER,), len(groups), size, random)
        hits, facts = stats.summed(arm > 0.5, groups, 20), stats.summed(np.ones_like(arm), groups, 20)
        rest = unlike_the_rest(hits, facts)
        adjusted = np.apply_along_axis(holm, 0, p), np.apply_along_axis(benjamini_hochberg, 0, rest)
        found.append([(one.min(axis=0) < stats.ALPHA).mean() for one in (p, adjusted[0], rest, adjusted[1])])
    holms, documents = np.mean(found, axis=0).reshape(2, 2).tolist()
    return [
        Family("six pairs of four like arms, Holm", *holms),
        Family("20 like documents, Benjamini-Hochberg", *documents),
    ]


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=10_000, help="simulated evaluations per line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    count, seed = given.datasets, given.seed
    found = coverage(count, seed), grouped(count, seed), alarms(count, seed), families(count, seed)
    text = page(*found, f"python benchmarks/intervals.py --datasets {count} --seed {seed}", count)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
