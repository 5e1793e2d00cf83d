"""Do the intervals and p values of `kb.evaluate.stats` keep their promises? Simulated evaluations with known truth.

    python benchmarks/intervals.py [--datasets 2000] [--seed 0] [--out FILE]

A fact's success rate is logit-normal; two arms share part of a fact's difficulty (SD 1.5 of 2.0 on the logit scale) and
every wording adds its own (SD 0.7). Five probes per fact. The table gives, per quantity, arm level and number of facts,
the share of nominal 95% intervals that cover the truth (should be .93 to .97), and what the cluster bootstrap with
expanded percentiles, with plain percentiles, BCa and the naive interval over probes would have given; then how often
the sign-flip test calls a difference where there is none (should be .035 to .065) and how often it finds one of the
size that `detectable` prints (about .80).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from kb.evaluate import stats
from kb.workspace import write_text

Floats = NDArray[np.float64]

PROBES = 5
FACT_SD, SHARED_SD, PROBE_SD = 2.0, 1.5, 0.7
FACTS = (30, 100, 300)
LEVELS = (0.05, 0.5, 0.8, 0.95)
BLOCK = 250
"""Data sets whose bootstraps share their resamples; every block has its own."""


class Row(NamedTuple):
    """One line of the table; rates are shares of data sets, NaN where a method does not apply."""

    quantity: str
    level: float
    facts: int
    kb: float
    bootstrap: float
    percentile: float
    bca: float
    naive: float


def logit_mean(level: float, sd: float) -> float:
    """The mean of the logit-normal with this expected rate, by bisection on a Gauss-Hermite sum."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    low, high = -15.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = (weights * expit(middle + sd * nodes)).sum() / weights.sum()
        low, high = (middle, high) if mean < level else (low, middle)
    return low


def expit(logit: Floats) -> Floats:
    """Logit to rate."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def all_right_truth(level: float) -> float:
    """The expected share of facts with all probes right at this expected rate."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    centre = logit_mean(level, float(np.hypot(FACT_SD, PROBE_SD)))
    rates = expit(centre + FACT_SD * nodes[:, None] + PROBE_SD * nodes[None, :]) @ weights
    return float(weights @ rates**PROBES)


def draw(levels: tuple[float, float], facts: int, datasets: int, random: np.random.Generator) -> list[Floats]:
    """Fact shares of two arms with these expected rates: two tables (facts, data sets)."""
    shared = SHARED_SD * random.standard_normal((facts, datasets))
    tables = []
    for level in levels:
        own = np.sqrt(FACT_SD**2 - SHARED_SD**2) * random.standard_normal((facts, datasets))
        wording = PROBE_SD * random.standard_normal((PROBES, facts, datasets))
        rates = expit(logit_mean(level, float(np.hypot(FACT_SD, PROBE_SD))) + shared + own + wording)
        tables.append((random.random(rates.shape) < rates).mean(axis=0))
    return tables


def covered(table: Floats, truth: float, difference: bool, seed: int) -> Floats:
    """Share of columns whose interval covers the truth: kb, expanded percentile, plain percentile, BCa."""
    bootstrap = stats.bootstrap_intervals(table, -1.0 if difference else 0.0, seed)
    kb = bootstrap if difference else stats.share_intervals(table, len(table) * PROBES)
    replicates = np.sort(stats.resampled_means(table, seed=seed), axis=0)
    bounds = [
        bounds_of(kb),
        bounds_of(bootstrap),
        np.quantile(replicates, [0.025, 0.975], axis=0),
        bca(table, replicates),
    ]
    return np.array([((low <= truth) & (truth <= high)).mean() for low, high in bounds])


def bounds_of(intervals: list[stats.Interval | None]) -> Floats:
    """Lower and upper bounds as two rows."""
    return np.array([(interval.low, interval.high) for interval in intervals if interval]).T


def naive(table: Floats, truth: float) -> float:
    """Coverage of the normal interval that takes every probe for an independent trial."""
    means = table.mean(axis=0)
    return float((np.abs(means - truth) <= 1.96 * np.sqrt(means * (1 - means) / (len(table) * PROBES))).mean())


def bca(table: Floats, ordered: Floats) -> Floats:
    """BCa bounds of column means from sorted replicates (Efron and Tibshirani 1993, chapter 14)."""
    means, count = table.mean(axis=0), len(ordered)
    centred = table - means
    square = (centred**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = np.nan_to_num((centred**3).sum(axis=0) / (6 * square**1.5))
    below = ((ordered < means).mean(axis=0) + (ordered <= means).mean(axis=0)) / 2
    bias = distributions.norm.ppf(np.clip(below, 1 / count, 1 - 1 / count))
    bounds = []
    for z in (-1.959964, 1.959964):
        level = distributions.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        at = np.clip((level * count).astype(int), 0, count - 1)
        bounds.append(np.take_along_axis(ordered, at[None, :], axis=0)[0])
    return np.array(bounds)


def ratio_covered(first: Floats, second: Floats, truth: float, seed: int) -> float:
    """Share of data sets whose ratio interval covers the truth, of those where it is not refused."""
    found = [
        stats.ratio_interval(a, b, seed=seed + at) for at, (a, b) in enumerate(zip(first.T, second.T, strict=True))
    ]
    low, high = bounds_of(found)
    return float(((low <= truth) & (truth <= high)).mean())


def coverage(datasets: int, seed: int, facts: tuple[int, ...] = FACTS, levels: tuple[float, ...] = LEVELS) -> list[Row]:
    """The coverage half: an arm at a level; its difference and ratio to an arm at 0.7, its gain over one at 0.05."""
    return [row for level in levels for count in facts for row in coverage_at(level, count, datasets, seed)]


def coverage_at(level: float, facts: int, datasets: int, seed: int) -> list[Row]:
    """The lines of one level and number of facts."""
    random = np.random.default_rng([seed, facts, int(level * 100)])
    blank = np.full(4, np.nan)
    found: dict[str, list[Floats]] = {name: [] for name in ("mean", "all right", "difference", "gain", "ratio")}
    for block in range(0, datasets, BLOCK):
        arm, other = draw((level, 0.7), facts, min(BLOCK, datasets - block), random)
        found["mean"].append(np.append(covered(arm, level, False, block), naive(arm, level)))
        found["all right"].append(
            np.append(covered(stats.all_right(arm), all_right_truth(level), False, block), np.nan)
        )
        found["difference"].append(np.append(covered(arm - other, level - 0.7, True, block), np.nan))
        found["ratio"].append(np.append(ratio_covered(arm[:, ::5], other[:, ::5], level / 0.7, block), blank))
        tuned, base = draw((level, 0.05), facts, len(arm.T), random)
        found["gain"].append(np.append(covered(tuned - base, level - 0.05, True, block), np.nan))
    return [Row(name, level, facts, *np.mean(blocks, axis=0)) for name, blocks in found.items()]


class Alarm(NamedTuple):
    """How often the tests say "different": where there is nothing (like and unlike arms), and at the printed MDE."""

    level: float
    facts: int
    like: float
    unlike: float
    unclustered: float
    power: float


def alarms(datasets: int, seed: int, facts: tuple[int, ...] = FACTS, levels: tuple[float, ...] = LEVELS) -> list[Alarm]:
    """False alarms and power. "unlike": the second arm knows each fact entirely or not at all, at the same mean."""
    rows = []
    for level in levels:
        for count in facts:
            random = np.random.default_rng([seed, count, int(level * 100), 1])
            arm, other = draw((level, level), count, datasets, random)
            like = stats.sign_flip(arm - other, seed=seed) < stats.ALPHA
            blunt = (random.random(arm.shape) < level).astype(np.float64)
            unlike = stats.sign_flip(arm - blunt, seed=seed) < stats.ALPHA
            pooled = (arm + other).mean(axis=0) / 2
            error = np.sqrt(np.maximum(2 * pooled * (1 - pooled) / (count * PROBES), 1e-12))
            naive = np.abs((arm - other).mean(axis=0)) / error > 1.96
            rows.append(
                Alarm(level, count, like.mean(), unlike.mean(), naive.mean(), power(level, count, datasets, random))
            )
    return rows


def power(level: float, facts: int, datasets: int, random: np.random.Generator) -> float:
    """Share of data sets that show a true difference, from `level` towards 0.5, as large as `detectable` says."""
    towards = -1.0 if level > 0.5 else 1.0
    size = 0.1
    for _ in range(3):  # the spread depends on the difference: settle on the size whose own median MDE it is
        arm, other = draw((level, level + towards * min(size, 0.45)), facts, 400, random)
        size = float(np.median([stats.detectable(column) for column in (arm - other).T]))
    arm, other = draw((level, level + towards * min(size, 0.45)), facts, datasets, random)
    return float((stats.sign_flip(arm - other) < stats.ALPHA).mean())


def page(datasets: int, seed: int) -> str:
    """Both halves as Markdown."""
    lines = [
        "# Do the intervals and p values keep their promises?",
        "",
        f"Made by `python benchmarks/intervals.py --datasets {datasets} --seed {seed}`; see there for the simulation.",
        "",
        f"Coverage of nominal 95% intervals: {datasets} data sets a line (ratio: a fifth), {PROBES} probes a fact.",
        "kb uses Wilson with the effective number of probes for shares and the expanded percentile for the rest.",
        "",
        "| quantity | level | facts | kb | bootstrap, expanded percentile | percentile | BCa | naive over probes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in coverage(datasets, seed):
        lines.append(f"| {row.quantity} | {row.level:.2f} | {row.facts} | {rates(row[3:])} |")
    lines += [
        "",
        "How often a test at 5% says that two arms differ: where they do not (two like arms; one that knows each fact",
        "entirely or not at all; a test that takes probes for independent), and at the size that kb calls detectable.",
        "",
        "| level | facts | sign flip | unlike arms | naive | power |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for alarm in alarms(datasets, seed):
        lines.append(f"| {alarm.level:.2f} | {alarm.facts} | {rates(alarm[2:])} |")
    return "\n".join(lines) + "\n"


def rates(values: tuple[float, ...]) -> str:
    """Cells of shares; empty where a method does not apply."""
    return " | ".join("" if np.isnan(value) else f"{value:.3f}" for value in values)


def main() -> None:
    """Print both halves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=2000, help="simulated evaluations per line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    text = page(given.datasets, given.seed)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
