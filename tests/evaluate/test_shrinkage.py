"""Shares of small groups, drawn towards what all groups say."""

import numpy as np
import pytest
from scipy import integrate, special

from kb.evaluate.shrinkage import shrunken, worth

NAN = float("nan")


def test_what_one_fact_is_worth_by_hand() -> None:
    """Groups (1, 0), (1, 0): p (1 - p) is .25 + .25, the variance .5, so one fact is one trial; equal facts are worth
    as many as they have probes.
    """
    assert worth(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0, 0, 1, 1]), 2, 5) == 1.0
    assert worth(np.array([0.4, 0.6, 0.4, 0.6]), np.array([0, 0, 1, 1]), 2, 50) == pytest.approx(0.26 / 0.02)
    assert worth(np.array([0.4, 0.6, 0.4, 0.6]), np.array([0, 0, 1, 1]), 2, 5) == 5.0
    assert worth(np.array([0.4, 0.6]), np.array([0, 1]), 2, 5) == 1.0


def test_small_groups_are_drawn_further_than_large_ones() -> None:
    """2 of 2 and 40 of 40 among groups near .5: both are drawn towards .5, the small one much further."""
    sizes, rights = [2, 40, *[20] * 10], [2, 40, *[8, 9, 10, 11, 12] * 2]
    groups = np.repeat(np.arange(12), sizes)
    shares = np.concatenate([np.arange(size) < right for size, right in zip(sizes, rights, strict=True)]).astype(float)
    small, large, *others = shrunken(shares, groups, 12, 1.0)
    assert small is not None and large is not None
    assert 0.5 < small.value < 0.85 < large.value < 1.0
    assert small.width > 2 * large.width
    assert all(one is not None and 0.38 < one.value < 0.65 and one.low < one.value < one.high for one in others)


def test_groups_that_do_not_differ_become_nearly_one() -> None:
    """Twelve groups of ten with binomial scatter around .5 are all called about .5, each surer than by itself."""
    groups, right = np.repeat(np.arange(12), 10), [4, 5, 6, 5, 4, 6, 5, 5, 6, 4, 5, 5]
    shares = np.concatenate([np.arange(10) < number for number in right]).astype(float)
    for one in shrunken(shares, groups, 12, 1.0):
        assert one is not None and abs(one.value - 0.5) < 0.03 and one.width < 0.3


def test_a_group_without_facts_has_no_share() -> None:
    """Holes are left out; a group of holes alone is None, and so is everything where nothing was asked."""
    found = shrunken(np.array([1.0, 0.0, NAN]), np.array([0, 1, 2]), 3, 1.0)
    assert found[0] is not None and found[1] is not None and found[2] is None
    assert shrunken(np.array([NAN]), np.array([0]), 2, 1.0) == [None, None]


def test_groups_that_are_all_right_stay_below_one() -> None:
    """No group is called certain: the interval has a width and ends at 1."""
    for one in shrunken(np.ones(50), np.repeat(np.arange(10), 5), 10, 5.0):
        assert one is not None and 0.9 < one.value < 1.0 and one.low > 0.8 and one.high <= 1.0


def test_the_mean_is_that_of_the_posterior_by_integration() -> None:
    """Three groups of 4 with 1, 2 and 3 right: the mean of the first is what scipy integrates over mu and M."""
    shares, groups = np.concatenate([np.arange(4) < k for k in (1, 2, 3)]).astype(float), np.repeat(np.arange(3), 4)
    y, n = np.array([1.0, 2.0, 3.0]), 4.0

    def weighed(logit: float, weight: float, mean: bool) -> float:
        mu, strength = special.expit(logit), n * weight / (1 - weight)
        a, b = mu * strength, (1 - mu) * strength
        likelihood = np.exp((special.betaln(a + y, b + n - y) - special.betaln(a, b)).sum())
        return float(likelihood * ((a + 1) / (a + b + n) if mean else 1.0))

    reach = 4 * max(0.25 / 12, np.var((y + 0.5) / 5, ddof=1) / 3) ** 0.5 / 0.25
    total, first = (
        integrate.dblquad(weighed, 0.001, 0.999, -reach, reach, args=(mean,), epsrel=1e-4)[0] for mean in (False, True)
    )
    found = shrunken(shares, groups, 3, 1.0)[0]
    assert found is not None
    assert found.value == pytest.approx(first / total, abs=2e-3)
