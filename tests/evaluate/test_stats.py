"""The statistics against hand-computed cases, scipy, and simulations with known truth."""

import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from kb.evaluate import stats
from kb.evaluate.stats import Interval

ROOT = Path(__file__).parents[2]
NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_fact_means_average_the_probes_of_each_fact() -> None:
    """Two facts with two and three probes give their own shares; a missing verdict is left out."""
    values = np.array([1.0, 0.0, 1.0, 1.0, NAN])
    assert stats.fact_means(values, np.array([0, 0, 1, 1, 1]), 2).tolist() == [0.5, 1.0]


def test_fact_means_of_several_columns_and_of_a_fact_without_a_verdict() -> None:
    """Columns are independent, and a fact without a verdict in one is NaN there."""
    values = np.array([[1.0, NAN], [0.0, NAN], [1.0, 1.0]])
    means = stats.fact_means(values, np.array([0, 0, 1]), 2)
    assert means[:, 0].tolist() == [0.5, 1.0]
    assert np.isnan(means[0, 1]) and means[1, 1] == 1.0


def test_wilson_interval_by_hand() -> None:
    """Three of four single-probe facts right: n = 4, t = 3.182446, (2.0160 -+ 1.4414) / 3.5320."""
    found = stats.share_intervals(column(1, 1, 1, 0), 4)[0]
    assert found == Interval(0.75, pytest.approx(0.1627, abs=1e-4), pytest.approx(0.9789, abs=1e-4))


def test_wilson_approaches_scipys_for_many_single_probe_facts() -> None:
    """With one probe a fact the effective number is the number, and t is nearly normal: scipy's Wilson interval."""
    shares = column(*([1.0] * 700 + [0.0] * 300))
    found = stats.share_intervals(shares, 1000)[0]
    expected = scipy_stats.binomtest(700, 1000).proportion_ci(method="wilson")
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=2e-4), pytest.approx(expected.high, abs=2e-4))


def test_probes_of_one_fact_are_not_independent() -> None:
    """Facts that are right on all or on none of 8 wordings give the interval of 50 facts, not of 400 probes."""
    blocks = stats.share_intervals(column(*([1.0] * 25 + [0.0] * 25)), 400)[0]
    single = stats.share_intervals(column(*([1.0] * 25 + [0.0] * 25)), 50)[0]
    assert blocks == single


def test_the_interval_has_a_width_when_every_fact_is_right() -> None:
    """30 of 30 facts right: [.878, 1], where a bootstrap says [1, 1]."""
    found = stats.share_intervals(column(*[1.0] * 30), 150)[0]
    assert found is not None
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.8776, abs=1e-4)


def test_one_fact_says_next_to_nothing_and_no_fact_nothing() -> None:
    """One fact gives nearly [0, 1]; a column without a value gives None; so do tables without rows."""
    one = stats.share_intervals(column(1.0), 5)[0]
    assert one is not None and one.low < 0.05 and one.high == 1.0
    assert stats.share_intervals(column(NAN, NAN), 0) == [None]
    assert stats.bootstrap_intervals(column(NAN, NAN)) == [None]
    assert stats.bootstrap_intervals(np.empty((0, 2))) == [None, None]


def test_resampled_means_have_the_mean_and_the_standard_error_of_the_facts() -> None:
    """The replicates of a mean scatter around it with s / sqrt(F), and are paired across columns."""
    table = np.random.default_rng(1).random((60, 1)) @ np.ones((1, 2))
    means = stats.resampled_means(table, 20_000, seed=3)
    assert np.array_equal(means[:, 0], means[:, 1])
    assert means[:, 0].mean() == pytest.approx(table[:, 0].mean(), abs=1e-3)
    assert means[:, 0].std() == pytest.approx(table[:, 0].std() / 60**0.5, rel=0.03)


def test_the_bootstrap_agrees_with_scipys_at_the_same_level() -> None:
    """Scipy's percentile bootstrap at the expanded level gives the same bounds, within Monte Carlo error."""
    differences = np.random.default_rng(2).normal(0.1, 0.3, 40).clip(-1, 1)
    found = stats.bootstrap_intervals(differences[:, None], -1.0)[0]
    t = scipy_stats.t.ppf(0.975, 39) * (40 / 39) ** 0.5
    expected = scipy_stats.bootstrap(
        (differences,), np.mean, confidence_level=1 - 2 * scipy_stats.norm.cdf(-t), method="percentile",
        n_resamples=20_000, rng=5,
    ).confidence_interval  # fmt: skip
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=6e-3), pytest.approx(expected.high, abs=6e-3))


@pytest.mark.slow
def test_the_bootstrap_leaves_holes_out() -> None:
    """A column with holes has the mean of what is there, and about the interval that it would have alone."""
    values = np.random.default_rng(4).random(200)
    table = np.column_stack([np.where(np.arange(200) < 100, values, NAN), values])
    holed, alone = stats.bootstrap_intervals(table)[0], stats.bootstrap_intervals(values[:100, None])[0]
    assert holed is not None and alone is not None
    assert holed.value == pytest.approx(values[:100].mean())
    assert (holed.low, holed.high) == (pytest.approx(alone.low, abs=0.01), pytest.approx(alone.high, abs=0.01))


def test_arms_that_agree_on_every_fact_are_not_proved_equal() -> None:
    """30 differences of zero: [-.116, .116], what unseen facts could hide, and never [0, 0]."""
    found = stats.difference_interval(np.full(30, 0.8), np.full(30, 0.8))
    assert found == Interval(0.0, pytest.approx(-0.1157, abs=1e-4), pytest.approx(0.1157, abs=1e-4))


def test_paired_differences_use_only_facts_of_both() -> None:
    """The mean difference is over the facts both arms have."""
    found = stats.difference_interval(np.array([1.0, 1.0, 0.5, NAN]), np.array([0.5, 0.0, 0.5, 1.0]))
    assert found is not None and found.value == 0.5
    assert -1.0 <= found.low <= 0.5 <= found.high <= 1.0
    assert stats.difference_interval(np.array([NAN]), np.array([1.0])) is None


def test_pairing_makes_the_interval_shorter() -> None:
    """Two arms that share their hard facts differ far more surely than two that do not."""
    skill = np.random.default_rng(6).random(100) * 0.8
    paired = stats.difference_interval(skill + 0.1, skill)
    apart = stats.difference_interval(skill + 0.1, np.random.default_rng(7).permutation(skill))
    assert paired is not None and apart is not None
    assert paired.high - paired.low < 0.2 * (apart.high - apart.low)


def test_the_ratio_is_refused_over_a_small_denominator() -> None:
    """R over an arm below .3, over one fact, or with a resample of zeros alone is None."""
    assert stats.ratio_interval(np.full(40, 0.6), np.full(40, 0.29)) is None
    assert stats.ratio_interval(np.array([1.0]), np.array([1.0])) is None
    assert stats.ratio_interval(np.array([1.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0])) is None


def test_the_ratio_of_two_arms_by_hand() -> None:
    """Means .6 and .8: R = .75; a proportional arm has a ratio without spread."""
    shares = np.tile([0.6, 1.0], 50)
    found = stats.ratio_interval(0.75 * shares, shares)
    assert found is not None
    assert (found.value, found.low, found.high) == (pytest.approx(0.75),) * 3
    alike = stats.ratio_interval(np.ones(30), np.ones(30))
    assert alike is not None and alike.value == 1.0 and alike.low < 0.9 and alike.high > 1.1


def test_all_right_wants_every_wording() -> None:
    """Only a fact with all wordings right counts; a fact without probes stays unknown."""
    assert stats.all_right(np.array([1.0, 0.8, 0.0])).tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(stats.all_right(np.array([NAN]))).all()


def test_sign_flip_by_hand() -> None:
    """Five facts up by the same amount: 2 of 32 sign patterns are as extreme, p = .0625, with zeros and holes too."""
    assert stats.sign_flip(column(0.2, 0.2, 0.2, 0.2, 0.2)).tolist() == [0.0625]
    assert stats.sign_flip(column(0.2, 0.2, 0.0, 0.2, NAN, 0.2, 0.2)).tolist() == [0.0625]
    assert stats.sign_flip(column(0.0, 0.0)).tolist() == [1.0]


def test_sign_flip_is_scipys_exact_test() -> None:
    """On 10 facts, scipy's exact paired permutation test gives the same p."""
    differences = np.array([0.4, -0.2, 0.6, 0.2, 0.8, -0.4, 0.2, 0.6, 0.4, -0.2])
    expected = scipy_stats.permutation_test(
        (differences, np.zeros(10)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    ).pvalue  # fmt: skip
    assert stats.sign_flip(differences[:, None])[0] == pytest.approx(expected)


def test_sampled_sign_flips_approach_the_exact_p() -> None:
    """With more facts than are enumerated the sampled p is near the t test's, is never zero, and is the seed's."""
    differences = np.random.default_rng(8).normal(0.08, 0.3, (60, 1))
    p = stats.sign_flip(differences, seed=1)[0]
    assert p == pytest.approx(scipy_stats.ttest_1samp(differences[:, 0], 0).pvalue, abs=0.01)
    assert p == stats.sign_flip(differences, seed=1)[0]
    assert stats.sign_flip(np.ones((60, 1)))[0] == pytest.approx(1 / (1 + stats.FLIPS))


def test_detectable_by_hand() -> None:
    """s_d = .3 over 100 facts: (1.984217 + .845267) * .03 = .0849."""
    differences = np.array([0.3, -0.3] * 50) * (99 / 100) ** 0.5
    assert stats.detectable(differences) == pytest.approx(0.08488, abs=1e-4)
    assert stats.detectable(np.append(differences, NAN)) == pytest.approx(0.08488, abs=1e-4)


def test_detectable_without_a_spread_is_what_could_hide() -> None:
    """All differences equal: the bound on unseen facts; no facts: NaN; and never more than 1."""
    assert stats.detectable(np.zeros(30)) == pytest.approx(0.1157, abs=1e-4)
    assert np.isnan(stats.detectable(np.array([NAN])))
    assert stats.detectable(np.array([1.0, -1.0])) == 1.0


def test_the_order_of_columns_and_the_seed() -> None:
    """The same seed gives the same interval, alone or among other columns; another seed moves it a little."""
    table = np.random.default_rng(9).random((50, 3))
    together, alone = stats.bootstrap_intervals(table)[2], stats.bootstrap_intervals(table[:, 2:])[0]
    other = stats.bootstrap_intervals(table, seed=1)[2]
    assert together is not None and alone is not None and other is not None
    assert (together.low, together.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert other.low != together.low and other.low == pytest.approx(together.low, abs=0.01)


@pytest.mark.slow
def test_memory_is_bounded_by_batches() -> None:
    """Replicates drawn in batches are the replicates: their number is right and none is left unset."""
    means = stats.resampled_means(np.ones((3000, 1)), 1501)
    assert means.shape == (1501, 1)
    assert (means == 1.0).all()


@pytest.mark.slow
def test_nominal_intervals_cover_and_the_test_holds_its_level() -> None:
    """On simulated evaluations, intervals cover .92 to .98 and sign flips alarm falsely in .03 to .07 of them."""
    simulation = runpy.run_path(str(ROOT / "benchmarks" / "intervals.py"))
    for row in simulation["coverage"](750, 0, facts=(30, 100), levels=(0.8,)):
        assert 0.915 <= row.kb <= 0.985, row
        assert not row.naive > 0.85, row
    for row in simulation["alarms"](1000, 0, facts=(100,), levels=(0.5, 0.8)):
        assert 0.03 <= row.like <= 0.07, row
        assert 0.03 <= row.unlike <= 0.07, row
        assert row.unclustered > 0.08, row
        assert 0.7 <= row.power <= 0.9, row


@pytest.mark.slow
def test_a_thousand_facts_are_quick() -> None:
    """1,000 facts, 7 arms and their 21 pairs take under five seconds, whatever the number of probes."""
    table = np.random.default_rng(0).integers(0, 9, (1000, 7)) / 8
    pairs = np.column_stack([table[:, a] - table[:, b] for a in range(7) for b in range(a)])
    began = time.monotonic()
    stats.bootstrap_intervals(pairs, -1.0)
    stats.sign_flip(pairs)
    stats.share_intervals(table, 8000)
    assert time.monotonic() - began < 5
