"""Statistics of an evaluation: the fact is the cluster, and two arms are always compared on the same facts.

All wordings of one fact stand or fall together, so they are not independent trials: with 8 wordings, intervals that
ignore this cover the truth 65% of the time instead of 95%. Every function here therefore works on a table of fact
means: one row per fact (cluster), one column per arm or difference, each value the share of the fact's probes that
came out right, NaN where the fact has none. Each fact weighs the same, however many probes it has.

Two kinds of interval, chosen by simulation (`benchmarks/intervals.py` prints the comparison):
- One arm's share: Wilson's score interval on the effective number of probes. Near 0 and 1, where untuned and well tuned
  models live, it covers .93 at 30 facts where the cluster bootstrap covers .90, elsewhere .94 to .96, as that does;
  and it has a width when every fact is right.
- Differences and ratios of two arms: the cluster bootstrap with expanded percentiles, both arms in the same resample.
  Differences cover .935 to .96 and ratios .92 to .96, about as BCa or better, without a jackknife. The exception is one
  arm near 0 and the other near 1 at 30 facts: .91, as BCa, where nobody doubts the difference.
Everything is numpy on whole tables, and the same seed gives the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ALPHA = 0.05
"""Two-sided: intervals are 95%, and a p value below this is called a difference."""
POWER = 0.80
"""The chance with which `detectable` wants a difference found."""
REPLICATES = 10_000
"""Bootstrap resamples: moves a bound by about 3% of the standard error from seed to seed."""
FLIPS = 20_000
"""Random sign patterns where there are too many for all of them."""
EXACT_FACTS = 14
"""Up to so many facts that differ, all 2^n sign patterns are tried: 16,384 of them."""
LEAST_RATIO_BASE = 0.3
"""A ratio over an arm below this is refused: small denominators turn noise into large ratios."""
_CELLS = 2_000_000
"""Resampled rows held at once: bounds the memory to tens of megabytes at any number of facts."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval, in the unit of the estimate: shares are 0 to 1, differences -1 to 1."""

    value: float
    low: float
    high: float

    def excludes(self, point: float) -> bool:
        """Whether `point` lies outside the interval."""
        return not self.low <= point <= self.high


def fact_means(values: Floats, clusters: Integers, facts: int) -> Floats:
    """Mean of the probes of each fact.

    `values` is (probes,) or (probes, columns), NaN where a probe has no verdict; `clusters[i]` is the row, 0 to
    `facts` - 1, that probe i counts for. Returns (facts,) or (facts, columns), NaN where a fact has no verdict.
    m_f = (1 / k_f) * sum of x_fj over the k_f probes of fact f.
    """
    columns = values[:, None] if values.ndim == 1 else values
    sums = np.zeros((facts, columns.shape[1]))
    counts = np.zeros_like(sums)
    known = ~np.isnan(columns)
    np.add.at(sums, clusters, np.where(known, columns, 0.0))
    np.add.at(counts, clusters, known)
    with np.errstate(invalid="ignore"):
        means: Floats = sums / counts
    return means.reshape((facts, *values.shape[1:]))


def resampled_means(table: Floats, replicates: int = REPLICATES, seed: int = 0) -> Floats:
    """Means of every column over `replicates` resamples of the rows: the cluster bootstrap.

    Facts are drawn with replacement, whole: x*_b = sum w_bf m_f / sum w_bf with w_b ~ Multinomial(F; 1/F, ..., 1/F).
    All columns see the same draws, so the replicates of two arms are paired. `table` is (facts, columns); NaN cells
    count neither above nor below the line. Returns (replicates, columns); NaN where a draw hit no fact of a column.
    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), sections 2.4 and 3.8; Field and Welsh,
    Bootstrapping clustered data, JRSS B 69 (2007).
    """
    facts = len(table)
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    whole = bool(known.all())
    means = np.empty((replicates, table.shape[1]))
    random = np.random.default_rng(seed)
    for start, stop in _batches(replicates, facts):
        draws = random.integers(0, facts, (stop - start, facts))
        draws += np.arange(stop - start)[:, None] * facts
        weights = np.bincount(draws.ravel(), minlength=(stop - start) * facts).reshape(-1, facts).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means[start:stop] = (weights @ filled) / (facts if whole else weights @ known)
    return means


def share_intervals(table: Floats, probes: Integers | int) -> list[Interval | None]:
    """Mean over facts of every column of shares (facts, columns), with its interval; None for an empty column.

    With m the mean and v = s^2 / F its variance over facts, the effective number of independent probes is
    n = m (1 - m) / v, kept between the facts and the `probes` of the column; t = t_{0.975, F - 1}. Then Wilson:
    (m + t^2/2n) / (1 + t^2/n) +- t / (1 + t^2/n) * sqrt(m (1 - m) / n + t^2 / 4n^2).
    Sources: Wilson, JASA 22 (1927); effective n and t: Korn and Graubard, Survey Methodology 24 (1998), 193-201; their
    union: Franco and others, Journal of Survey Statistics and Methodology 7 (2019), 334-364.

    All facts right: n is the facts, so 30 of 30 give [.878, 1]. One fact: nearly [0, 1].
    """
    totals = np.broadcast_to(np.asarray(probes), table.shape[1:])
    return [_wilson(column[~np.isnan(column)], int(total)) for column, total in zip(table.T, totals, strict=True)]


def bootstrap_intervals(
    table: Floats, lowest: float = 0.0, seed: int = 0, replicates: int = REPLICATES
) -> list[Interval | None]:
    """Mean over facts of every column of (facts, columns), with its cluster bootstrap interval; None if empty.

    The interval is Hesterberg's expanded percentile: the a' and 1 - a' quantiles of the replicates with
    a' = Phi(-sqrt(n / (n - 1)) * t_{0.975, n - 1}), n the facts of the column. It is the plain percentile interval
    widened so that on symmetric data it matches Student's t. Source: Hesterberg, What Teachers Should Know About the
    Bootstrap, The American Statistician 69 (2015), arXiv 1411.5279.

    Where all facts of a column are equal (or there is one), no resample can differ; the interval then is what `unseen`
    facts between `lowest` (-1 for differences) and 1 could do: at 30 differences of 0, [-.116, .116].
    """
    if not table.size:
        return [None] * table.shape[1]
    means = resampled_means(table, replicates, seed)
    return [_percentiles(column, means[:, at], lowest) for at, column in enumerate(table.T)]


def unseen(facts: int) -> float:
    """The largest share of facts that could be otherwise although all `facts` seen are alike: 1 - 0.025^(1 / n).

    The two-sided 95% bound of Clopper and Pearson (Biometrika 26, 1934) for 0 of n, a cousin of "the rule of three".
    It is the answer to the zero-width interval that a bootstrap gives when two arms agree on every fact.
    """
    return float(1.0 - (ALPHA / 2) ** (1.0 / facts))


def difference_interval(first: Floats, second: Floats, seed: int = 0, replicates: int = REPLICATES) -> Interval | None:
    """Mean paired difference over facts, first minus second, with its cluster bootstrap interval.

    d = (1 / F) * sum (m1_f - m2_f) over the facts that both arms have; the facts are resampled as pairs. None where
    there are none. Source: Miller, Adding Error Bars to Evals, arXiv 2411.00640, section on paired differences.
    """
    return bootstrap_intervals((first - second)[:, None], -1.0, seed, replicates)[0]


def ratio_interval(first: Floats, second: Floats, seed: int = 0, replicates: int = REPLICATES) -> Interval | None:
    """Ratio of two arms' means over the facts both have, first / second, both resampled together.

    R = mean(m1) / mean(m2), interval from the quantiles of R*_b, expanded as in `bootstrap_intervals`. None, refused,
    where the second arm's mean is below 0.3, where fewer than two facts are shared, or where a resample has no right
    answer below the line. If no resample differs (both arms alike on all facts), the bounds are those that `unseen`
    facts give the two means, divided.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    pair = np.column_stack([first[both], second[both]])
    if len(pair) < 2 or pair[:, 1].mean() < LEAST_RATIO_BASE:
        return None
    above, below = resampled_means(pair, replicates, seed).T
    if below.min() <= 0.0:
        return None
    ratios = above / below
    value = float(pair[:, 0].mean() / pair[:, 1].mean())
    if np.ptp(pair, axis=0).max() == 0.0:
        hidden = unseen(len(pair))
        least, most = pair[0] * (1.0 - hidden), pair[0] + hidden * (1.0 - pair[0])
        return Interval(value, float(least[0] / most[1]), float(most[0] / least[1]))
    low, high = np.quantile(ratios, _levels(len(pair)))
    return Interval(value, float(low), float(high))


def all_right(shares: Floats) -> Floats:
    """1 where every probe of a fact came out right, 0 where one did not, NaN where there is none: same shape.

    The mean of it is the all-wordings-right rate: the share of facts that hold under any wording asked.
    """
    return np.where(np.isnan(shares), np.nan, (shares >= 1.0).astype(np.float64))


def sign_flip(differences: Floats, seed: int = 0) -> Floats:
    """Two-sided p value that the mean paired difference of each column is zero: (facts, columns) -> (columns,).

    Under the null a fact's difference could as well have come with the other sign: S = |sum s_f d_f|, s_f = +1 or -1.
    With up to 14 facts that differ all patterns are tried, p = #{S >= S_observed} / 2^n, exact; else 20,000 random ones
    (seeded), p = (1 + #{S >= S_observed}) / (1 + 20,000), never zero. NaN rows are left out; where no fact differs,
    p = 1. Sources: Fisher, The Design of Experiments (1935), section 21; Phipson and Smyth, Permutation P-values should
    never be zero, SAGMB 9 (2010).
    """
    filled = np.where(np.isnan(differences), 0.0, differences)
    p = np.empty(filled.shape[1])
    many = np.count_nonzero(filled, axis=0) > EXACT_FACTS
    p[many] = _sampled_flips(filled[:, many], seed)
    for at in np.flatnonzero(~many):
        column = filled[filled[:, at] != 0.0, at]
        patterns = (np.arange(2 ** len(column))[:, None] >> np.arange(len(column))) & 1
        sums = (1 - 2 * patterns) @ column
        p[at] = np.mean(np.abs(sums) >= abs(column.sum()) - 1e-9)
    return p


def detectable(differences: Floats) -> float:
    """The smallest true mean difference that this many facts would show 80% of the time at alpha 0.05, two-sided.

    MDE = (t_{0.975, F - 1} + t_{0.80, F - 1}) * s_d / sqrt(F), with s_d the standard deviation of the paired fact
    differences seen here. NaNs are left out. Where all differences are equal, or there is one, the spread is unknown
    and the bound of `unseen` is given; NaN without facts. Source: Bloom, Minimum Detectable Effects, Evaluation
    Review 19 (1995); Miller, arXiv 2411.00640, section on power.
    """
    known = differences[~np.isnan(differences)]
    if not len(known):
        return float("nan")
    if np.ptp(known) == 0.0:
        return unseen(len(known))
    freedom = len(known) - 1
    reach = stdtrit(freedom, 1 - ALPHA / 2) + stdtrit(freedom, POWER)
    return float(min(1.0, reach * known.std(ddof=1) / np.sqrt(len(known))))


def _wilson(known: Floats, probes: int) -> Interval | None:
    facts = len(known)
    if not facts:
        return None
    mean = float(known.mean())
    variance = float(known.var(ddof=1)) / facts if facts > 1 else 0.0
    number = float(facts)
    if 0.0 < mean < 1.0 and facts > 1:
        number = float(np.clip(mean * (1 - mean) / max(variance, 1e-12), facts, max(facts, probes)))
    t = float(stdtrit(max(1, facts - 1), 1 - ALPHA / 2))
    centre = mean + t * t / (2 * number)
    reach = t * np.sqrt(mean * (1 - mean) / number + t * t / (4 * number * number))
    width = 1 + t * t / number
    return Interval(mean, max(0.0, float(centre - reach) / width), min(1.0, float(centre + reach) / width))


def _percentiles(column: Floats, replicates: Floats, lowest: float) -> Interval | None:
    known = column[~np.isnan(column)]
    if not len(known):
        return None
    value = float(known.mean())
    if np.ptp(known) == 0.0:
        hidden = unseen(len(known))
        return Interval(value, value - hidden * (value - lowest), value + hidden * (1.0 - value))
    low, high = np.nanquantile(replicates, _levels(len(known)))
    return Interval(value, float(low), float(high))


def _levels(facts: int) -> tuple[float, float]:
    """The quantiles of the expanded percentile interval."""
    wide = np.sqrt(facts / (facts - 1)) * stdtrit(facts - 1, 1 - ALPHA / 2)
    tail = float(ndtr(-wide))
    return tail, 1.0 - tail


def _sampled_flips(columns: Floats, seed: int) -> Floats:
    observed = np.abs(columns.sum(axis=0)) - 1e-9
    extreme = np.zeros(columns.shape[1])
    random = np.random.default_rng(seed)
    for start, stop in _batches(FLIPS, len(columns)):
        signs = random.integers(0, 2, (stop - start, len(columns)), dtype=np.int8).astype(np.float64) * 2.0 - 1.0
        extreme += (np.abs(signs @ columns) >= observed).sum(axis=0)
    return np.asarray((1.0 + extreme) / (1.0 + FLIPS))


def _batches(total: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CELLS // max(1, width))
    for start in range(0, total, step):
        yield start, min(total, start + step)
