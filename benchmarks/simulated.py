"""Simulated evaluations with known truth, and the intervals that kb's are compared with in `intervals.py`.

A fact's success rate is logit-normal; two arms share part of a fact's difficulty (SD 1.5 of 2.0 on the logit scale) and
every wording adds its own (SD 0.7). Five probes per fact. Facts of a document may share a part too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions
from scipy.special import expit, ndtr, stdtrit

from kb.evaluate.stats import Floats, Integers, Interval, summed

PROBES = 5
FACT_SD, SHARED_SD, PROBE_SD = 2.0, 1.5, 0.7
REPLICATES = 2000
"""Bootstrap resamples."""

Bounds = NDArray[np.float64]
"""(2, data sets): lower and upper bounds."""
BLOCK = 250
"""Data sets drawn at once."""
RESAMPLED = 1000
"""Data sets that are bootstrapped too."""


def blocks(datasets: int) -> Iterator[tuple[int, bool]]:
    """Sizes of the blocks, and whether each is bootstrapped."""
    for start in range(0, datasets, BLOCK):
        yield min(BLOCK, datasets - start), start < RESAMPLED


def normal_nodes() -> tuple[Floats, Floats]:
    """Nodes and weights that integrate over a standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return nodes, weights / weights.sum()


def logit_mean(level: float, sd: float) -> float:
    """The mean of the logit-normal with this expected rate, by bisection."""
    nodes, weights = normal_nodes()
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weights @ expit(middle + sd * nodes) < level else (low, middle)
    return low


def expected(level: float, function: Callable[[Floats], Floats]) -> float:
    """The mean over facts of a function of the fact's rate over wordings, at this expected rate."""
    nodes, weights = normal_nodes()
    centre = logit_mean(level, float(np.hypot(FACT_SD, PROBE_SD)))
    rates = expit(centre + FACT_SD * nodes[:, None] + PROBE_SD * nodes[None, :]) @ weights
    return float(weights @ function(rates))


def draw(
    levels: Sequence[float], facts: int, datasets: int, random: np.random.Generator, documents: Integers | None = None,
    document_sd: float = 0.0,
) -> tuple[list[Floats], list[Floats]]:  # fmt: skip
    """Fact shares of arms with these expected rates, tables (facts, data sets); and what each arm's documents add to
    the logit, tables (documents, data sets).

    `documents` is the document of each fact; arms share three quarters of what documents add, too.
    """
    groups = np.zeros(facts, dtype=np.int64) if documents is None else documents
    sd = float(np.sqrt(FACT_SD**2 + PROBE_SD**2 + document_sd**2))
    shared = SHARED_SD * random.standard_normal((facts, datasets))
    common = 0.75 * random.standard_normal((int(groups.max()) + 1, datasets))
    tables, added = [], []
    for level in levels:
        own = np.sqrt(FACT_SD**2 - SHARED_SD**2) * random.standard_normal((facts, datasets))
        document = document_sd * (common + np.sqrt(1 - 0.75**2) * random.standard_normal(common.shape))
        wording = PROBE_SD * random.standard_normal((PROBES, facts, datasets))
        rates = expit(logit_mean(level, sd) + shared + own + document[groups] + wording)
        tables.append((random.random(rates.shape) < rates).mean(axis=0))
        added.append(document)
    return tables, added


def document_rates(level: float, added: Floats, sd: float) -> Floats:
    """The expected rate of a document that adds this to the logit."""
    nodes, weights = normal_nodes()
    within = float(np.hypot(FACT_SD, PROBE_SD))
    return expit(logit_mean(level, float(np.hypot(within, sd))) + added[..., None] + within * nodes) @ weights


def covers(bounds: Bounds, truth: float | Floats) -> float:
    """Share of the intervals that hold the truth."""
    return float(((bounds[0] <= truth + 1e-12) & (truth <= bounds[1] + 1e-12)).mean())


def bounds_of(intervals: Sequence[Interval | None]) -> Bounds:
    """Lower and upper bounds as two rows."""
    return np.array([(interval.low, interval.high) for interval in intervals if interval]).T


def agreement(shares: Floats) -> Floats:
    """Share of the pairs of a fact's probes with the same verdict, right or not, from the share right."""
    right = PROBES * shares
    wrong = PROBES - right
    return (right * (right - 1) + wrong * (wrong - 1)) / (PROBES * (PROBES - 1))


def student(table: Floats) -> Bounds:
    """Student's t over facts."""
    reach = stdtrit(len(table) - 1, 0.975) * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    return np.array([table.mean(axis=0) - reach, table.mean(axis=0) + reach])


def resampled_means(table: Floats, random: np.random.Generator, sizes: Floats | None = None) -> Floats:
    """Means of every column over resamples of the rows, whole: the cluster bootstrap, (REPLICATES, columns).

    `sizes` are the facts of each row where rows are sums over documents. Source: Davison and Hinkley, Bootstrap Methods
    and their Application (1997), sections 2.4 and 3.8; Field and Welsh, JRSS B 69 (2007).
    """
    rows = len(table)
    weights = random.multinomial(rows, np.full(rows, 1 / rows), REPLICATES).astype(np.float64)
    return (weights @ table) / (weights @ (np.ones(rows) if sizes is None else sizes))[:, None]


def expanded(replicates: Floats, clusters: int) -> Bounds:
    """Percentile bounds widened to match Student's t: Hesterberg, The American Statistician 69 (2015)."""
    tail = float(ndtr(-np.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, 0.975)))
    return np.quantile(replicates, [tail, 1 - tail], axis=0)


def two_stage(table: Floats, groups: Integers, random: np.random.Generator) -> Floats:
    """Means over resampled documents and, in each drawn one, resampled facts: (REPLICATES, columns)."""
    sizes = np.bincount(groups)
    drawn = random.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), REPLICATES)
    weights = np.empty((REPLICATES, len(table)))
    for at, size in enumerate(sizes):
        weights[:, groups == at] = random.multinomial(drawn[:, at] * size, np.full(size, 1 / size))
    return (weights @ table) / weights.sum(axis=1)[:, None]


def by_document(table: Floats, groups: Integers) -> tuple[Floats, Floats]:
    """Sums over the facts of each document, and their numbers."""
    return summed(table, groups, int(groups.max()) + 1), np.bincount(groups).astype(np.float64)


def bca(table: Floats, replicates: Floats) -> Bounds:
    """BCa bounds of column means (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 14)."""
    ordered, means, count = np.sort(replicates, axis=0), table.mean(axis=0), len(replicates)
    centred = table - means
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = np.nan_to_num((centred**3).sum(axis=0) / (6 * (centred**2).sum(axis=0) ** 1.5))
    below = ((ordered < means).mean(axis=0) + (ordered <= means).mean(axis=0)) / 2
    bias = distributions.norm.ppf(np.clip(below, 1 / count, 1 - 1 / count))
    bounds = []
    for z in (-1.959964, 1.959964):
        level = distributions.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        at = np.clip((level * count).astype(int), 0, count - 1)
        bounds.append(np.take_along_axis(ordered, at[None, :], axis=0)[0])
    return np.array(bounds)


def naive(table: Floats) -> Bounds:
    """The normal interval of a share that takes every probe for an independent trial."""
    means = table.mean(axis=0)
    reach = 1.96 * np.sqrt(means * (1 - means) / (len(table) * PROBES))
    return np.array([means - reach, means + reach])


def methods(
    table: Floats, kb: Sequence[Interval | None], truth: float, random: np.random.Generator, resampled: bool
) -> list[float]:
    """Coverage of kb, Student's t, the bootstrap with expanded percentiles, and BCa."""
    rates = [covers(bounds_of(kb), truth), covers(student(table), truth)]
    if not resampled:
        return [*rates, np.nan, np.nan]
    replicates = resampled_means(table, random)
    return [*rates, covers(expanded(replicates, len(table)), truth), covers(bca(table, replicates), truth)]
