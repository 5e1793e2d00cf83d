"""Shares of many small groups, each drawn towards what all groups together say.

A document with five facts is right on all of them or on half of them by chance alone. Its best estimate lies between
its own share and that of all documents, the nearer to the latter the fewer facts it has and the less documents differ.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, betaln, expit, logit

from kb.evaluate.stats import ALPHA, Floats, Integers, Interval, summed

_STEPS = 24
"""Grid points of each parameter of the prior."""


def shrunken(shares: Floats, groups: Integers, count: int, probes_per_fact: float) -> list[Interval | None]:
    """The share of each of `count` groups with its 95% interval, from fact shares (facts,), NaN left out.

    A group's share comes from Beta(mu M, (1 - mu) M), and of its n_g facts, worth e n_g independent trials
    (`worth`), y_g come out right; so its posterior is Beta(mu M + y_g, (1 - mu) M + e n_g - y_g). Empirical Bayes would
    plug in the mu and M of the highest marginal likelihood, prod B(mu M + y_g, (1 - mu) M + e n_g - y_g) /
    B(mu M, (1 - mu) M); with few groups that often calls them all alike, with intervals too short. So the posterior is
    averaged over a grid of both by that likelihood, mu within four standard errors of the mean over all and M uniform
    in the weight M / (M + e n) that the prior gets in a group of mean size; the interval is that of the Beta
    distribution with the mean and variance of the average. In simulation (`benchmarks/intervals.py`) they cover .92 to
    .95 of the documents' true shares where documents differ, and nearly all where they do not. None for a group without
    facts.
    Sources: beta-binomial: Griffiths, Biometrics 29 (1973); the grid: Gelman and others, Bayesian Data Analysis, 3rd
    edition, section 5.3; uniform shrinkage: Daniels, Canadian Journal of Statistics 27 (1999).
    """
    known = ~np.isnan(shares)
    values, groups = shares[known], groups[known]
    if not len(values):
        return [None] * count
    each = worth(values, groups, count, probes_per_fact)
    facts = np.bincount(groups, minlength=count).astype(np.float64)
    trials, right = each * facts, each * summed(values[:, None], groups, count)[:, 0]
    mean, variance = _averaged(right, trials)
    strength = mean * (1.0 - mean) / variance - 1.0
    low, high = (betaincinv(mean * strength, (1.0 - mean) * strength, at) for at in (ALPHA / 2, 1 - ALPHA / 2))
    found = zip(facts.tolist(), mean.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(*interval) if number else None for number, *interval in found]


def worth(values: Floats, groups: Integers, count: int, most: float) -> float:
    """How many independent trials one fact is worth: 1 where all wordings fall together, up to `most`.

    Mean of p (1 - p) over groups, by the variance of fact shares within groups. 1 where no group has two facts.
    """
    facts = np.bincount(groups, minlength=count).astype(np.float64)
    sums, squares = summed(np.column_stack([values, values**2]), groups, count).T
    several = facts > 1
    if not several.any():
        return 1.0
    n, means = facts[several], sums[several] / facts[several]
    within = (squares[several] - n * means**2).sum() / (n - 1.0).sum()
    between = (n * means * (1.0 - means)).sum() / n.sum() + within * len(n) / n.sum()
    return float(np.clip(between / within, 1.0, most)) if within > 0.0 else 1.0


def _averaged(right: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """Posterior mean and variance of each group, averaged over the prior's grid."""
    mu, strength = _grid(right, trials)
    a, b = (mu * strength)[:, None], ((1.0 - mu) * strength)[:, None]
    y, n = right[None, :], trials[None, :]
    evidence = (betaln(a + y, b + n - y) - betaln(a, b)).sum(axis=1)
    share = np.exp(evidence - evidence.max())
    share /= share.sum()
    means = (a + y) / (a + b + n)
    mean = share @ means
    within = share @ (means * (1.0 - means) / (a + b + n + 1.0))
    return mean, within + share @ (means - mean) ** 2


def _grid(right: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """The mu and M of every point of the grid, each (points,)."""
    used = trials > 0
    total, groups = trials.sum(), max(2, used.sum())
    mean = (right.sum() + 0.5) / (total + 1.0)
    own = (right[used] + 0.5) / (trials[used] + 1.0)
    error = np.sqrt(max(mean * (1.0 - mean) / total, own.var(ddof=1) / groups if used.sum() > 1 else 0.0))
    steps = np.linspace(-4.0, 4.0, _STEPS) * min(1.0, error / (mean * (1.0 - mean)))
    mus = expit(logit(mean) + steps)
    weights = (np.arange(_STEPS) + 0.5) / _STEPS
    strengths = total / used.sum() * weights / (1.0 - weights)
    mu, strength = (axis.ravel() for axis in np.meshgrid(mus, strengths))
    return mu, strength
