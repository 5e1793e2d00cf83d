"""p values of an evaluation, and what becomes of them where many are read.

With twenty true null hypotheses one p value in twenty is below .05, so of those that are read side by side the adjusted
ones count: Holm where a handful of comparisons are read, each of which may be quoted by itself; Benjamini and Hochberg
where a long list is searched for what stands out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kb.evaluate.stats import Floats, Integers, summed

FLIPS = 20_000
"""Random sign patterns where there are too many for all of them."""
EXACT_FACTS = 14
"""Up to so many facts that differ, all 2^n sign patterns are tried: 16,384 of them."""
SAME = 1e-9
"""Sums that are no further apart are equal."""
_CELLS = 2_000_000
"""Signs held at once: bounds the memory to tens of megabytes at any number of facts."""


def sign_flip(differences: Floats, seed: int = 0, flips: int = FLIPS, groups: Integers | None = None) -> Floats:
    """Two-sided mid-p value that the mean paired difference of each column is zero: (facts, columns) -> (columns,).

    Under the null a fact's difference could as well have come with the other sign: S = |sum s_f d_f|, s_f = +1 or -1,
    and p = P(S > S_observed) + P(S = S_observed) / 2. Halving the ties makes the test hold its level on average where
    few facts differ and few sums are possible, instead of staying far below it. With up to 14 facts that differ all
    patterns are tried, exactly; else `flips` random ones (seeded) and the one observed, so p is never zero. NaN rows
    are left out; where no fact differs, p = 1. With `groups`, the document of each fact numbered from 0, the facts of
    a document change sign together: it is the same test of the documents' sums. Sources: Fisher, The Design of
    Experiments (1935), section 21; mid-p: Lancaster, Significance tests in discrete distributions, JASA 56 (1961);
    never zero: Phipson and Smyth, SAGMB 9 (2010).
    """
    filled = np.where(np.isnan(differences), 0.0, differences)
    if groups is not None:
        filled = summed(filled, groups, int(groups.max(initial=-1)) + 1)
        # .2 + .4 - .6 is not quite zero, and a document that does not differ would be flipped.
        filled[abs(filled) < SAME] = 0.0
    p = np.empty(filled.shape[1])
    many = np.count_nonzero(filled, axis=0) > EXACT_FACTS
    p[many] = _sampled_flips(filled[:, many], seed, flips)
    for at in np.flatnonzero(~many):
        column = filled[filled[:, at] != 0.0, at]
        patterns = (np.arange(2 ** len(column))[:, None] >> np.arange(len(column))) & 1
        extreme = _extreme(((1 - 2 * patterns) @ column)[:, None], column[:, None])[0]
        p[at] = extreme / 2 ** len(column) if len(column) else 1.0
    return p


def holm(p: Floats) -> Floats:
    """The (m,) p values adjusted so that the chance of even one false alarm among them stays below alpha.

    In ascending order p'_i = max over j <= i of min(1, (m - j + 1) p_j). Source: Holm, A simple sequentially rejective
    multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def benjamini_hochberg(p: Floats) -> Floats:
    """The p values adjusted so that of those below alpha at most this share is expected to be false; NaN stays NaN.

    Any shape; all of it is one family. Source: Benjamini and Hochberg, Controlling the false discovery rate, JRSS B 57
    (1995), as `scipy.stats.false_discovery_control` has it.
    """
    from scipy.stats import false_discovery_control

    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted


def unlike_the_rest(hits: Floats, facts: Floats) -> Floats:
    """Two-sided mid-p value that a group of facts holds as many known ones as chance would deal it.

    `hits` and `facts` are (groups, columns): the known facts, and all, of each group; every fact is in one group. Given
    their totals, the hits of a group are hypergeometric: Fisher's exact test of the group against all others, twice the
    smaller tail with half of what was observed. NaN for a group that is empty or everything.
    Sources: Fisher, The Logic of Inductive Inference, JRSS 98 (1935); mid-p: Lancaster, JASA 56 (1961).
    """
    from scipy.stats import hypergeom

    total, known = facts.sum(axis=0), hits.sum(axis=0)
    dealt = hypergeom(total, known, facts)
    half = dealt.pmf(hits) / 2.0
    tails = np.minimum(dealt.cdf(hits) - half, dealt.sf(hits) + half)
    return np.where((facts == 0) | (facts == total), np.nan, np.minimum(1.0, 2.0 * tails))


def _extreme(sums: Floats, column: Floats) -> Floats:
    """How many of these sums (patterns, columns) are beyond those observed of (facts, columns); a tie is half a one."""
    sizes, observed = np.abs(sums), np.abs(column.sum(axis=0))
    return np.asarray(((sizes > observed + SAME).sum(axis=0) + (sizes >= observed - SAME).sum(axis=0)) / 2.0)


def _sampled_flips(columns: Floats, seed: int, flips: int) -> Floats:
    extreme = np.full(columns.shape[1], 0.5)  # the observed pattern ties with itself
    random = np.random.default_rng(seed)
    for start, stop in _batches(flips, len(columns)):
        signs = random.integers(0, 2, (stop - start, len(columns)), dtype=np.int8).astype(np.float64) * 2.0 - 1.0
        extreme += _extreme(signs @ columns, columns)
    return extreme / (1.0 + flips)


def _batches(total: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CELLS // max(1, width))
    for start in range(0, total, step):
        yield start, min(total, start + step)
