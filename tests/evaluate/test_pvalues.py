"""p values against hand-computed cases and scipy, and their adjustment where many are read."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from kb.evaluate.pvalues import FLIPS, benjamini_hochberg, holm, sign_flip, unlike_the_rest

NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_sign_flip_by_hand() -> None:
    """Five facts up by the same amount: 2 of 32 patterns tie, so p = 1 / 32, with zeros and holes too; nothing differs,
    p = 1.
    """
    assert sign_flip(column(0.2, 0.2, 0.2, 0.2, 0.2)).tolist() == [1 / 32]
    assert sign_flip(column(0.2, 0.2, 0.0, 0.2, NAN, 0.2, 0.2)).tolist() == [1 / 32]
    assert sign_flip(column(0.0, 0.0)).tolist() == [1.0]


def test_sign_flip_is_scipys_exact_test_with_ties_halved() -> None:
    """On 10 facts, scipy's exact paired permutation test less half of the patterns that tie gives the same p."""
    differences = np.array([0.4, -0.2, 0.6, 0.2, 0.8, -0.4, 0.2, 0.6, 0.4, -0.2])
    exact = scipy_stats.permutation_test(
        (differences, np.zeros(10)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    ties = np.isclose(np.abs(exact.null_distribution), abs(exact.statistic)).mean()
    assert sign_flip(differences[:, None])[0] == pytest.approx(exact.pvalue - ties / 2)


def test_facts_of_one_document_change_sign_together() -> None:
    """On nine documents of unequal size, holes among their facts, it is scipy's exact test of the documents' sums, ties
    halved; facts that are each a document have the p that they have without.
    """
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 4, 3, 2, 9])
    differences = np.where(random.random(33) < 0.1, NAN, random.integers(-2, 6, 33) / 5)
    sums = np.array([np.nansum(differences[groups == one]) for one in range(9)])
    exact = scipy_stats.permutation_test(
        (sums, np.zeros(9)), lambda x, y, axis: np.sum(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    ties = np.isclose(np.abs(exact.null_distribution), abs(exact.statistic)).mean()
    assert sign_flip(differences[:, None], groups=groups)[0] == pytest.approx(exact.pvalue - ties / 2)
    table = random.normal(0.1, 0.4, (33, 2))
    assert sign_flip(table, groups=np.arange(33)).tolist() == sign_flip(table).tolist()
    assert sign_flip(np.zeros((33, 1)), groups=groups).tolist() == [1.0]


def test_documents_whose_facts_make_up_for_one_another_do_not_differ() -> None:
    """.2 + .4 - .6 is zero, whatever floating-point numbers say."""
    assert sign_flip(column(*[0.2, 0.4, -0.6] * 12), groups=np.repeat(np.arange(12), 3)).tolist() == [1.0]


def test_sampled_sign_flips_approach_the_exact_p() -> None:
    """With more facts than are enumerated the sampled p is near the t test's, is never zero, and is the seed's."""
    differences = np.random.default_rng(8).normal(0.08, 0.3, (60, 1))
    p = sign_flip(differences, seed=1)[0]
    assert p == pytest.approx(scipy_stats.ttest_1samp(differences[:, 0], 0).pvalue, abs=0.01)
    assert p == sign_flip(differences, seed=1)[0]
    assert sign_flip(np.ones((60, 1)))[0] == 0.5 / (1 + FLIPS)
    assert sign_flip(differences, flips=99)[0] * 200 % 1 == pytest.approx(0)


def test_columns_do_not_depend_on_one_another() -> None:
    """A column has the same p alone as among others."""
    table = np.random.default_rng(9).normal(0.1, 0.4, (50, 3))
    assert sign_flip(table)[2] == sign_flip(table[:, 2:])[0]


@pytest.mark.slow
def test_many_facts_are_flipped_in_batches() -> None:
    """Patterns drawn in batches are all counted: p of no difference on 3,000 facts is uniform, not zero."""
    differences = np.resize([0.5, -0.5], (3000, 1))
    assert sign_flip(differences, flips=1501)[0] > 0.9


def test_holm_by_hand() -> None:
    """The p values .01, .04, .03, .005: times 3, 1, 2, 4, and never below a smaller one's."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.7, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([0.02])).tolist() == [0.02]
    assert holm(np.array([])).tolist() == []


def test_benjamini_hochberg_by_hand() -> None:
    """The p values .01, .02, .03, .2: times 4 / rank, and never above a larger one's; NaN is no part of it."""
    p = np.array([[0.01, 0.2], [0.03, NAN], [0.02, NAN]])
    adjusted = benjamini_hochberg(p)
    assert adjusted[:, 0].tolist() == pytest.approx([0.04, 0.04, 0.04])
    assert adjusted[0, 1] == 0.2 and np.isnan(adjusted[1:, 1]).all()
    assert np.isnan(benjamini_hochberg(np.array([NAN]))).all()


def test_a_group_against_the_rest_is_fishers_test_with_half_a_tie() -> None:
    """8 of 8 known where of the other 12 only 3 are: by hand twice half the chance of C(12, 3) / C(20, 11)."""
    p = unlike_the_rest(np.array([[8.0], [3.0]]), np.array([[8.0], [12.0]]))[:, 0]
    one_tail = scipy_stats.fisher_exact([[8, 0], [3, 9]], alternative="greater").pvalue
    assert p.tolist() == pytest.approx([one_tail, one_tail])
    assert one_tail == pytest.approx(220 / 167960)


def test_an_empty_group_and_one_that_is_everything_have_no_p() -> None:
    """There is nothing to set them against."""
    p = unlike_the_rest(np.array([[2.0], [0.0]]), np.array([[5.0], [0.0]]))
    assert np.isnan(p).all()
