"""Estimates and intervals of an evaluation: the fact is the cluster, and two arms are compared on the same facts.

All wordings of one fact stand or fall together, so they are not independent trials: with 8 wordings, intervals that
ignore this cover the truth 65% of the time instead of 95%. Every function here therefore works on a table of fact
means: one row per fact (cluster), one column per arm or difference, each value the share of the fact's probes that
came out right, NaN where the fact has none. Each fact weighs the same, however many probes it has. Facts of one
document may stand or fall together too: with `groups`, whole documents are the clusters.

The intervals are in closed form, chosen by simulation (`benchmarks/intervals.py` prints the comparison with the cluster
bootstrap and with Student's t over facts, which cover less where shares are near 0 or 1):
- One arm's share: Wilson's score interval on the effective number of probes.
- A difference of two arms: the same on the scale from -1 to 1.
- A ratio of either: the recovery of variances (MOVER) from the intervals of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ALPHA = 0.05
"""Two-sided: intervals are 95%, and a p value below this is called a difference."""
POWER = 0.80
"""The chance with which `detectable` wants a difference found."""
LEAST_RATIO_BASE = 0.3
"""A ratio over an arm below this is refused: small denominators turn noise into large ratios."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval, in the unit of the estimate: shares are 0 to 1, differences -1 to 1."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """From bound to bound."""
        return self.high - self.low

    def excludes(self, point: float) -> bool:
        """Whether `point` lies outside the interval."""
        return not self.low <= point <= self.high


@dataclass(frozen=True)
class Spread:
    """Column means of a table of fact means, and how far they can be trusted; every field is (columns,)."""

    mean: Floats
    """NaN for a column without a value."""
    variance: Floats
    """Of the mean; 0 with a single cluster."""
    facts: Floats
    clusters: Floats
    """Effective number of clusters: their number where all are of one size."""
    telling: Floats
    """Clusters with anything right, or those with anything not right, whichever are fewer."""


def fact_means(values: Floats, clusters: Integers, facts: int) -> Floats:
    """Mean of the probes of each fact.

    `values` is (probes,) or (probes, columns), NaN where a probe has no verdict; `clusters[i]` is the row, 0 to
    `facts` - 1, that probe i counts for. Returns (facts,) or (facts, columns), NaN where a fact has no verdict.
    m_f = (1 / k_f) * sum of x_fj over the k_f probes of fact f.
    """
    columns = values[:, None] if values.ndim == 1 else values
    known = ~np.isnan(columns)
    with np.errstate(invalid="ignore"):
        means = summed(np.where(known, columns, 0.0), clusters, facts) / summed(known, clusters, facts)
    return means.reshape((facts, *values.shape[1:]))


def summed(table: NDArray[Any], groups: Integers, count: int) -> Floats:
    """Sums of the rows of each group: (rows, columns) to (count, columns), zero where a group has no row."""
    sums = [np.bincount(groups, column, count) for column in table.T]
    return np.array(sums, dtype=np.float64).reshape(len(sums), count).T


def spread(table: Floats, groups: Integers | None = None) -> Spread:
    """Means of the columns of (facts, columns), and their variances over clusters of facts.

    `groups[f]` is the document of fact f, numbered from 0; without it each fact is a cluster. With S_g the sum and n_g
    the number of facts of cluster g and F = sum n_g: m = sum S_g / F, G = F^2 / sum n_g^2 effective clusters and
    v = G / (G - 1) * sum (S_g - m n_g)^2 / F^2, which is s^2 / F where each fact is a cluster.
    Sources: the linearised variance of a ratio estimator, Cochran, Sampling Techniques (1977), section 6.4; effective
    clusters: Carter, Schnepel and Steigerwald, Review of Economics and Statistics 99 (2017), 698-709.
    """
    known = ~np.isnan(table)
    sums, counts = np.where(known, table, 0.0), known.astype(np.float64)
    if groups is not None:
        number = int(groups.max(initial=-1)) + 1
        sums, counts = summed(sums, groups, number), summed(counts, groups, number)
    facts = counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(axis=0) / facts
        clusters = facts**2 / (counts**2).sum(axis=0)
        squares = ((sums - mean * counts) ** 2).sum(axis=0) / facts**2
        variance = np.where(clusters > 1.0, squares * clusters / (clusters - 1.0), 0.0)
    telling = np.minimum((sums > 0.0).sum(axis=0), (sums < counts).sum(axis=0))
    return Spread(mean, variance, facts, clusters, telling.astype(np.float64))


def share_intervals(
    table: Floats, probes: Integers | float = np.inf, groups: Integers | None = None
) -> list[Interval | None]:
    """Mean over facts of every column of shares (facts, columns), with its interval; None for an empty column.

    With m the mean and v its variance over G clusters (`spread`), the effective number of independent probes is
    e = m (1 - m) / v, kept between G and the `probes` of the column. Of few telling clusters h that estimate is itself
    unsure, and drawn towards its least: n = G + h / (h + 1/4) * (e - G). With t = t_{0.975, G - 1}, Wilson's interval:
    (m + t^2/2n) / (1 + t^2/n) +- t / (1 + t^2/n) * sqrt(m (1 - m) / n + t^2 / 4n^2).
    Sources: Wilson, JASA 22 (1927); effective n and t: Korn and Graubard, Survey Methodology 24 (1998), 193-201; their
    union: Franco and others, Journal of Survey Statistics and Methodology 7 (2019), 334-364; the weight
    h / (h + 1/4) is this module's, chosen by simulation.

    All facts right: n is the clusters, so 30 of 30 give [.878, 1]. One fact: nearly [0, 1].
    """
    found = spread(table, groups)
    mean, most = found.mean, np.maximum(found.facts, probes)
    with np.errstate(invalid="ignore"):
        effective = np.clip(mean * (1.0 - mean) / np.maximum(found.variance, 1e-12), found.clusters, most)
    trust = found.telling / (found.telling + 0.25)
    low, high = _wilson(mean, found.clusters + trust * (effective - found.clusters), found.clusters)
    return _listed(mean, low, high)


def difference_intervals(table: Floats, groups: Integers | None = None) -> list[Interval | None]:
    """Mean over facts of every column of paired fact differences (facts, columns), with its interval; None if empty.

    The difference d lies between -1 and 1, so u = (d + 1) / 2 is a share, whose variance is taken as proportional to
    u (1 - u): Wilson's interval of u with n = u (1 - u) / v(u), carried back. It is Student's t interval near d = 0,
    and turns aside from the bounds near -1 and 1. Sources: Wilson (1927); a variance known up to a factor:
    Wedderburn, Biometrika 61 (1974); pairs: Miller, Adding Error Bars to Evals, arXiv 2411.00640.

    Where all facts are equal (or there is one), the interval is what `unseen` clusters could do: at 30 differences of
    0, [-.116, .116].
    """
    found = spread(table, groups)
    mean, share = found.mean, (found.mean + 1.0) / 2.0
    with np.errstate(invalid="ignore"):
        effective = share * (1.0 - share) / np.maximum(found.variance / 4.0, 1e-12)
    low, high = (2.0 * bound - 1.0 for bound in _wilson(share, effective, found.clusters))
    hidden = unseen(found.clusters)
    alike = found.variance <= 1e-12
    low, high = np.where(alike, mean - hidden * (mean + 1.0), low), np.where(alike, mean + hidden * (1.0 - mean), high)
    return _listed(mean, low, high)


def mean_intervals(table: Floats, groups: Integers | None = None) -> list[Interval | None]:
    """Mean over facts of every column of values without bounds (facts, columns), such as nats; None for an empty one.

    m +- t sqrt(v) with m, v and G as in `spread` and t = t_{0.975, G - 1}: Student's interval. With one cluster it has
    no width.
    """
    found = spread(table, groups)
    reach = stdtrit(np.maximum(1.0, found.clusters - 1.0), 1 - ALPHA / 2) * np.sqrt(found.variance)
    return _listed(found.mean, found.mean - reach, found.mean + reach)


def told_apart(difference: Interval, p: float) -> int:
    """1 or -1 where interval and p value both say that there is a difference, else 0: none detected."""
    if p >= ALPHA or not difference.excludes(0.0):
        return 0
    return 1 if difference.value > 0 else -1


def unseen(clusters: Floats) -> Floats:
    """The largest share of clusters that could be otherwise although all seen are alike: 1 - 0.025^(1 / n).

    The two-sided 95% bound of Clopper and Pearson (Biometrika 26, 1934) for 0 of n, a cousin of "the rule of three".
    It is the answer to the zero-width interval of two arms that agree on every fact. NaN for no cluster.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(clusters > 0, 1.0 - (ALPHA / 2) ** (1.0 / clusters), np.nan))


def difference_interval(first: Floats, second: Floats) -> Interval | None:
    """Mean paired difference over the facts that both arms have, first minus second; None where there are none."""
    return difference_intervals((first - second)[:, None])[0]


def ratio_interval(first: Floats, second: Floats, probes: float = np.inf) -> Interval | None:
    """Ratio of the mean shares of two arms over the facts both have, first / second, each (facts,).

    `probes` are those of each arm on these facts. None, refused, where the second arm's mean is below 0.3 or where
    fewer than two facts are shared. Method: `_ratio` on the intervals of `share_intervals`.
    """
    pair = _shared(first, second)
    return _ratio(pair, share_intervals(pair, probes))


def gain_interval(first: Floats, second: Floats) -> Interval | None:
    """Ratio of two mean gains, each (facts,) of differences over a third arm: (A - C) / (B - C).

    None, refused, as in `ratio_interval`, and where the interval of the second gain holds zero.
    """
    pair = _shared(first, second)
    return _ratio(pair, difference_intervals(pair))


def all_right(shares: Floats) -> Floats:
    """1 where every probe of a fact came out right, 0 where one did not, NaN where there is none: same shape.

    The mean of it is the all-wordings-right rate: the share of facts that hold under any wording asked.
    """
    return np.where(np.isnan(shares), np.nan, (shares >= 1.0).astype(np.float64))


def detectable(differences: Floats) -> float:
    """The smallest true mean difference that this many facts would show 80% of the time at alpha 0.05, two-sided.

    MDE = (t_{0.975, F - 1} + t_{0.80, F - 1}) * s_d / sqrt(F), with s_d the standard deviation of the paired fact
    differences seen here. NaNs are left out. Where all differences are equal, or there is one, the spread is unknown
    and the bound of `unseen` is given; NaN without facts. Source: Bloom, Minimum Detectable Effects, Evaluation
    Review 19 (1995); Miller, arXiv 2411.00640, section on power.
    """
    known = differences[~np.isnan(differences)]
    if len(known) < 2 or np.ptp(known) == 0.0:
        return float(unseen(np.array(float(len(known)))))
    freedom = len(known) - 1
    reach = stdtrit(freedom, 1 - ALPHA / 2) + stdtrit(freedom, POWER)
    return float(min(1.0, reach * known.std(ddof=1) / np.sqrt(len(known))))


def _wilson(mean: Floats, number: Floats, clusters: Floats) -> tuple[Floats, Floats]:
    """Wilson's bounds of these shares on this many trials, with Student's quantile for this many clusters."""
    t = stdtrit(np.maximum(1.0, clusters - 1.0), 1 - ALPHA / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        extra = t * t / number
        reach = t * np.sqrt(np.maximum(0.0, mean * (1.0 - mean)) / number + extra / (4.0 * number))
        centre = mean + extra / 2.0
        bounds = (centre - reach) / (1.0 + extra), (centre + reach) / (1.0 + extra)
    return np.maximum(0.0, bounds[0]), np.minimum(1.0, bounds[1])


def _listed(mean: Floats, low: Floats, high: Floats) -> list[Interval | None]:
    columns = zip(mean.tolist(), low.tolist(), high.tolist(), strict=True)
    return [None if value != value else Interval(value, least, most) for value, least, most in columns]


def _shared(first: Floats, second: Floats) -> Floats:
    """The facts that both columns have: (facts, 2)."""
    pair = np.column_stack([first, second])
    return pair[~np.isnan(pair).any(axis=1)]


def _ratio(pair: Floats, intervals: list[Interval | None]) -> Interval | None:
    """R = a / b with bounds from those of a, [l, u], and of b, [m, v], and the correlation r of their facts.

    low = (p - sqrt(p^2 - l v (2a - l) (2b - v))) / (v (2b - v)) with p = ab - r (a - l) (v - b);
    high = (q + sqrt(q^2 - u m (2a - u) (2b - m))) / (m (2b - m)) with q = ab - r (u - a) (b - m).
    Source: Donner and Zou, Closed-form confidence intervals for functions of the normal mean and standard deviation,
    Statistical Methods in Medical Research 21 (2012), 347-359.
    """
    above, below = intervals
    if above is None or below is None or len(pair) < 2 or below.value < LEAST_RATIO_BASE or below.low <= 0.0:
        return None
    centred = pair - pair.mean(axis=0)
    scale = np.sqrt(np.prod((centred**2).sum(axis=0)))
    r = float(np.prod(centred, axis=1).sum() / scale) if scale > 0.0 else 0.0
    low = _ratio_bound(-1.0, above.value, above.low, below.value, below.high, r)
    high = _ratio_bound(1.0, above.value, above.high, below.value, below.low, r)
    return Interval(above.value / below.value, low, high)


def _ratio_bound(side: float, above: float, above_bound: float, below: float, below_bound: float, r: float) -> float:
    """One bound of `_ratio`, the lower one where `side` is -1.

    It is given, since a bound at 1 may differ from a share of 1 by a rounding, to either side.
    """
    product = above * below - r * abs(above - above_bound) * abs(below - below_bound)
    scale = below_bound * (2.0 * below - below_bound)
    root = max(0.0, product**2 - above_bound * (2.0 * above - above_bound) * scale)
    return float((product + side * np.sqrt(root)) / scale) if scale else float(above_bound / below)
