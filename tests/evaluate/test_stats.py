"""The statistics against hand-computed cases, scipy, and simulations with known truth."""

import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from kb.evaluate import pvalues, stats
from kb.evaluate.stats import Interval

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
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
    assert stats.difference_intervals(column(NAN, NAN)) == [None]
    assert stats.difference_intervals(np.empty((0, 2))) == [None, None]


def test_t_and_the_bootstrap_give_the_same_difference_away_from_the_bounds() -> None:
    """Near zero the interval of a difference is Student's over facts, and scipy's BCa bootstrap agrees."""
    differences = np.random.default_rng(2).normal(0.02, 0.3, 200).clip(-1, 1)
    found = stats.difference_intervals(differences[:, None])[0]
    student = scipy_stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    resampled = scipy_stats.bootstrap((differences,), np.mean, n_resamples=2000, rng=5).confidence_interval
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(student.low, abs=5e-4), pytest.approx(student.high, abs=5e-4))
    assert (found.low, found.high) == (pytest.approx(resampled.low, abs=5e-3), pytest.approx(resampled.high, abs=5e-3))


def test_a_difference_near_its_bound_by_hand() -> None:
    """Means (1, 1, 1, .6): d = .9, u = .95, v(u) = .0025, n = 19, t = 3.182446: Wilson's bounds, twice, less one."""
    found = stats.difference_intervals(column(1, 1, 1, 0.6))[0]
    assert found == Interval(0.9, pytest.approx(0.1821, abs=1e-4), pytest.approx(0.9920, abs=1e-4))


def test_intervals_leave_holes_out() -> None:
    """A column with holes has the mean and the interval that it would have alone."""
    values = np.random.default_rng(4).random(200)
    table = np.column_stack([np.where(np.arange(200) < 100, values, NAN), values])
    for method in (stats.difference_intervals, stats.share_intervals):
        holed, alone = method(table)[0], method(values[:100, None])[0]
        assert holed is not None and alone is not None
        assert (holed.value, holed.low, holed.high) == pytest.approx((alone.value, alone.low, alone.high))


def test_the_spread_over_facts_is_the_standard_error() -> None:
    """Each fact a cluster: v = s^2 / F, as scipy has it, and F clusters."""
    values = np.random.default_rng(4).random(50)
    found = stats.spread(values[:, None])
    assert found.variance[0] == pytest.approx(scipy_stats.sem(values) ** 2)
    assert (found.mean[0], found.clusters[0], found.facts[0]) == (pytest.approx(values.mean()), 50, 50)


def test_the_spread_over_documents_by_hand() -> None:
    """Documents (1, 1), (0, 0), (1): m = .6, residual sums .8, -1.2, .4; G = 25 / 9; v = G / (G - 1) * 2.24 / 25."""
    found = stats.spread(column(1, 1, 0, 0, 1), np.array([0, 0, 1, 1, 2]))
    assert (found.mean[0], found.clusters[0]) == (pytest.approx(0.6), pytest.approx(25 / 9))
    assert found.variance[0] == pytest.approx((25 / 9) / (16 / 9) * 2.24 / 25)


def test_facts_that_fall_together_by_document_are_less_certain() -> None:
    """Documents all right or all wrong have the interval of as many facts as there are documents."""
    by_document = np.repeat([1.0, 0.0] * 10, 5)[:, None]
    documents = np.repeat(np.arange(20), 5)
    assert stats.share_intervals(by_document, 500, documents) == stats.share_intervals(by_document[::5], 20)
    alone, together = stats.difference_intervals(by_document)[0], stats.difference_intervals(by_document, documents)[0]
    assert alone is not None and together is not None and together.width > 2 * alone.width


def test_few_telling_facts_do_not_shrink_the_interval() -> None:
    """One fact of 30 half right: m = 1 / 60, v = 1 / 3600, e = 59, h = 1: n = 30 + 1 / 1.25 * (59 - 30) probes."""
    found = stats.share_intervals(column(0.5, *[0.0] * 29), 150)[0]
    t = scipy_stats.t.ppf(0.975, 29)
    assert found is not None
    for bound in (found.low, found.high):  # Wilson's bounds are where the score statistic is t
        assert abs(found.value - bound) / (bound * (1 - bound) / (30 + 29 / 1.25)) ** 0.5 == pytest.approx(t)


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
    better = skill + np.tile([0.08, 0.12], 50)
    paired = stats.difference_interval(better, skill)
    apart = stats.difference_interval(better, np.random.default_rng(7).permutation(skill))
    assert paired is not None and apart is not None
    assert paired.high - paired.low < 0.2 * (apart.high - apart.low)


def test_the_ratio_is_refused_over_a_small_denominator() -> None:
    """R over an arm below .3 or over one fact is None; so is a gain over one whose interval holds zero."""
    assert stats.ratio_interval(np.full(40, 0.6), np.full(40, 0.29)) is None
    assert stats.ratio_interval(np.array([1.0]), np.array([1.0])) is None
    assert stats.ratio_interval(np.array([NAN, 1.0]), np.array([1.0, NAN])) is None
    assert stats.gain_interval(np.full(3, 0.5), np.array([1.0, 0.5, -0.5])) is None


def test_the_ratio_of_two_arms_by_hand() -> None:
    """Means .6 and .8 that rise and fall together: R = .75; alike on all facts, the ratio is 1 and not certain."""
    shares = np.tile([0.6, 1.0], 50)
    found = stats.ratio_interval(0.75 * shares, shares)
    assert found is not None and found.value == pytest.approx(0.75) and found.width < 0.03
    alike = stats.ratio_interval(np.ones(30), np.ones(30))
    assert alike is not None and alike.value == 1.0 and alike.low < 0.9 and alike.high > 1.1


def test_the_ratio_is_between_those_of_a_fieller_interval() -> None:
    """With many facts the bounds are those of Fieller's theorem, the exact interval of a ratio of normal means."""
    first, second = np.random.default_rng(3).normal([0.5, 0.6], 0.2, (800, 2)).clip(0, 1).T
    found, count = stats.ratio_interval(first, second), 800
    t, (a, b) = scipy_stats.t.ppf(0.975, count - 1), (first.mean(), second.mean())
    (va, c), (_, vb) = np.cov(first, second) / count
    roots = np.roots([b * b - t * t * vb, -2 * (a * b - t * t * c), a * a - t * t * va])
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(min(roots), abs=2e-3), pytest.approx(max(roots), abs=2e-3))


def test_a_ratio_lies_within_its_interval_where_an_arm_is_all_right() -> None:
    """Whatever the number of facts: a bound that is 1 but for a rounding is still a bound."""
    for facts in range(5, 120):
        shares = np.where(np.arange(facts) % 6 == 0, 0.2, 1.0)
        found = stats.ratio_interval(shares, np.ones(facts), 5 * facts)
        assert found is not None
        assert found.low < found.value < found.high, facts
        upside = stats.ratio_interval(np.ones(facts), shares, 5 * facts)
        assert upside is not None
        assert upside.low < upside.value < upside.high, facts


def test_a_gain_that_is_a_loss_has_a_negative_ratio() -> None:
    """Tuned below the base where RAG gains: G is negative, with an interval around it."""
    random = np.random.default_rng(5)
    found = stats.gain_interval(random.choice([-0.4, 0.0], 100), random.choice([0.5, 0.9], 100))
    assert found is not None and -0.6 < found.low < found.value < found.high < 0.0


def test_all_right_wants_every_wording() -> None:
    """Only a fact with all wordings right counts; a fact without probes stays unknown."""
    assert stats.all_right(np.array([1.0, 0.8, 0.0])).tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(stats.all_right(np.array([NAN]))).all()


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


@pytest.mark.slow
def test_nominal_intervals_cover_and_the_test_holds_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """On simulated evaluations, intervals cover .92 to .98 and sign flips alarm falsely in .03 to .07 of them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    simulation = runpy.run_path(str(BENCHMARKS / "intervals.py"))
    for row in (*simulation["coverage_at"](0.05, 30, 750, 0), *simulation["coverage_at"](0.8, 100, 750, 0)):
        if (row.quantity, row.level) != ("all right", 0.05):  # next to no fact is
            assert 0.92 <= row.kb <= 0.98, row
        assert not row.naive > 0.9, row
    for row in simulation["alarms"](750, 0, facts=(100,), levels=(0.5, 0.8)):
        assert 0.03 <= row.like <= 0.07, row
        assert 0.03 <= row.unlike <= 0.07, row
        assert row.unclustered > 0.08, row
        assert 0.7 <= row.power <= 0.9, row


@pytest.mark.slow
def test_intervals_over_documents_cover_where_those_over_facts_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten documents of ten facts that fall together: .91 to .98 over documents, below .9 over facts; and the test over
    documents alarms falsely in .03 to .08, the one over facts in more than .1.
    """
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    simulation = runpy.run_path(str(BENCHMARKS / "intervals.py"))
    row = simulation["grouped_at"]("10 of 10", 1.0, 500, 0)
    assert 0.91 <= row.share <= 0.98 and 0.91 <= row.difference <= 0.98
    assert row.share_by_fact < 0.9 and row.difference_by_fact < 0.9
    assert 0.9 <= row.shrunken <= 0.99
    assert 0.03 <= row.alarm <= 0.08 and 0.03 <= row.alarm_unlike <= 0.08
    assert row.alarm_by_fact > 0.1


@pytest.mark.slow
def test_a_thousand_facts_are_quick() -> None:
    """1,000 facts, 7 arms and their 21 pairs take under two seconds, whatever the number of probes."""
    table = np.random.default_rng(0).integers(0, 9, (1000, 7)) / 8
    pairs = np.column_stack([table[:, a] - table[:, b] for a in range(7) for b in range(a)])
    began = time.monotonic()
    stats.difference_intervals(pairs)
    pvalues.sign_flip(pairs)
    stats.share_intervals(table, 8000)
    assert time.monotonic() - began < 2


def test_a_mean_without_bounds_is_students() -> None:
    """Of single facts it is scipy's t interval, of groups that of the group means where all are of one size."""
    values = np.random.default_rng(3).normal(2.0, 5.0, 40)
    (found,) = stats.mean_intervals(values[:, None])
    expected = scipy_stats.ttest_1samp(values, 0.0).confidence_interval()
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), *expected))
    (grouped,) = stats.mean_intervals(values[:, None], np.arange(40) // 4)
    expected = scipy_stats.ttest_1samp(values.reshape(10, 4).mean(1), 0.0).confidence_interval()
    assert (grouped.low, grouped.high) == pytest.approx(tuple(expected))
    assert stats.mean_intervals(np.full((4, 1), np.nan)) == [None]
