"""Intervals: against published tables, against simulations, and infinite where nothing is known."""

import math

import numpy as np
import pytest

from lmcbook.pages.analysis.intervals import (
    UNKNOWN,
    Interval,
    correlation_interval,
    difference_interval,
    mean_interval,
    ratio_interval,
)


def covered(draw, truth: float, repetitions: int = 2000) -> float:
    """How often the interval of what ``draw`` makes holds the truth."""
    random = np.random.default_rng(0)
    held = [draw(random) for _ in range(repetitions)]
    return float(np.mean([low <= truth <= high for low, high in held]))


def test_the_interval_of_a_mean_is_students():
    # t of two degrees of freedom at 0.975 is 4.303 in every table
    low, high = mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.303 / math.sqrt(3), 2 + 4.303 / math.sqrt(3)), abs=1e-3)
    assert mean_interval([1.0]) == mean_interval([]) == UNKNOWN
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5)


def test_more_pairs_make_it_narrower():
    widths = [high - low for low, high in (mean_interval([-1.0, 0.0, 1.0] * times) for times in (1, 2, 4))]
    assert widths[0] > 2 * widths[1] > 2 * widths[2]


def test_a_difference_is_between_two_samples():
    first, second = [3.0, 4.0, 5.0], [1.0, 1.1]
    low, high = difference_interval(first, second)
    assert (low + high) / 2 == pytest.approx(4 - 1.05)
    from scipy.stats import ttest_ind

    expected = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert difference_interval(first, [1.0]) == UNKNOWN


def test_a_ratio_without_noise_in_the_denominator_is_a_mean():
    numerator = [1.0, 2.0, 3.0]
    exact = ratio_interval(numerator, [4.0, 4.0, 4.0], paired=True)
    assert exact == pytest.approx(tuple(end / 4 for end in mean_interval(numerator)))


def test_a_ratio_of_what_may_be_zero_is_not_known():
    assert ratio_interval([1.0, 1.1], [-1.0, 1.1], paired=False) == UNKNOWN
    assert ratio_interval([1.0], [1.0, 1.1], paired=False) == UNKNOWN
    assert ratio_interval([1.0, 2.0], [0.0, 0.0], paired=True) == UNKNOWN


def test_values_that_go_together_make_a_narrow_ratio():
    whole = [4.0, 5.0, 6.0]
    half = [2.01, 2.49, 3.0]
    together = ratio_interval(half, whole, paired=True)
    apart = ratio_interval(half, whole, paired=False)
    assert 0.45 < together.low < 0.5 < together.high < 0.55
    assert apart.low < together.low and together.high < apart.high


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says(paired):
    def draw(random):
        return ratio_interval(list(random.normal(1, 0.3, 3)), list(random.normal(4, 0.4, 3)), paired=paired)

    assert 0.935 < covered(draw, 0.25) < 0.99


def test_the_interval_of_a_correlation_is_fishers():
    mean, (low, high) = correlation_interval([0.9], [12])
    half = 1.959964 * math.sqrt(1.06 / 9)
    assert mean == pytest.approx(0.9)
    assert (low, high) == pytest.approx((math.tanh(math.atanh(0.9) - half), math.tanh(math.atanh(0.9) + half)))


def test_groups_that_agree_narrow_the_interval_of_a_correlation_and_groups_that_do_not_widen_it():
    _, alone = correlation_interval([0.7], [12])
    mean, agreeing = correlation_interval([0.7, 0.7], [12, 12])
    assert mean == pytest.approx(0.7) and alone.low < agreeing.low < agreeing.high < alone.high
    _, opposed = correlation_interval([0.9, -0.2], [12, 12])
    assert opposed.low < -0.5 and opposed.high > 0.9


def test_an_interval_is_mirrored_by_a_negative_factor():
    assert Interval(1.0, 2.0).scaled(-100) == (-200.0, -100.0)
