"""A floor that was put in is found, one that was not is not claimed, and the sentences say which."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f as f_distribution

from lmcbook.errors import InputError
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis.floor_fit import fit_floor, lack_of_fit
from lmcbook.pages.analysis.floors import decided, ensemble_fits, floor_fits, floor_table
from lmcbook.pages.analysis.told import numbers_of
from tests.helpers.drawn import drawn
from tests.helpers.floor_records import WIDTHS, floor_sweep, floored_barriers
from tests.helpers.synthetic_records import make_record, width_sweep


@pytest.mark.slow
def test_a_curve_without_noise_is_found():
    fit = fit_floor(WIDTHS, floored_barriers(0.05, noise=0.0), ceiling=0.8)
    assert fit is not None
    # the floor is chosen from a grid whose steps are 9 %
    assert fit.floor == pytest.approx(0.05, rel=0.05)
    assert fit.exponent == pytest.approx(1.5, rel=0.1) and fit.half_width == pytest.approx(2, rel=0.1)
    assert 0 < fit.low <= fit.floor <= fit.high and fit.p_value < 1e-6
    assert fit.at(np.array([1e9]))[0] == pytest.approx(fit.floor)
    assert fit.at(np.array([1e-9]))[0] == pytest.approx(0.8)
    assert fit.at(np.array([1e9]), floor=False)[0] < 1e-3


def test_a_fall_to_zero_has_no_floor():
    fit = fit_floor(WIDTHS, floored_barriers(0.0, noise=0.0), ceiling=0.8)
    assert fit is not None and fit.floor < 1e-3 and fit.low == 0
    assert fit.exponent_without == pytest.approx(1.5, rel=1e-4) and fit.half_width_without == pytest.approx(2, rel=1e-4)


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    for floor in (0.0, 0.04):
        fits = [fit_floor(WIDTHS, floored_barriers(floor, noise=0.3, seed=seed), ceiling=0.8) for seed in range(12)]
        held = sum(fit.low <= floor <= fit.high for fit in fits if fit)
        # binomial with 12 draws of 0.95: fewer than 9 have a chance of one in four hundred
        assert held >= 9
    assert sum(fit.low > 0 for fit in fits if fit) > 2, "the interval is not so wide that it says nothing"


def test_what_cannot_be_fitted_is_not():
    assert fit_floor([1, 2, 4] * 3, [0.5, 0.3, 0.2] * 3, ceiling=0.8) is None
    assert fit_floor([1, 2, 4, 8], [0.5, 0.3, 0.1, -0.01], ceiling=0.8) is None
    with pytest.raises(InputError, match="barriers has 1 entries and widths 2"):
        fit_floor([1, 2], [0.5], ceiling=0.8)
    with pytest.raises(InputError, match="ceiling is 0; it must be above 0"):
        fit_floor([1, 2], [0.5, 0.2], ceiling=0)


@pytest.mark.slow
def test_a_curve_that_misses_is_found_out():
    """Two falls, one after the other: the pairs scatter little, and no such curve runs through both."""
    exact = [0.6 if width < 4 else 0.2 if width < 16 else 0.002 for width in WIDTHS]
    random = np.random.default_rng(0)
    steps = [value * math.exp(0.05 * random.normal()) for value in exact]
    fit = fit_floor(WIDTHS, steps, ceiling=0.8)
    assert fit is not None and fit.lack_of_fit < 1e-3
    assert decided(fit, num_fits=1) == "no such curve"
    right = fit_floor(WIDTHS, floored_barriers(0.1, noise=0.05), ceiling=0.8)
    assert right is not None and right.lack_of_fit > 0.05 and decided(right, num_fits=1) == "a floor"


@pytest.mark.slow
def test_the_test_for_lack_of_fit_rejects_a_right_curve_about_as_often_as_it_says():
    fits = [fit_floor(WIDTHS, floored_barriers(0.04, noise=0.2, seed=seed), ceiling=0.8) for seed in range(20)]
    # binomial with 20 draws of 0.05: more than 4 have a chance of one in four hundred
    assert sum(fit.lack_of_fit < 0.05 for fit in fits if fit) <= 4


def test_lack_of_fit_is_the_f_test_of_textbooks():
    places, values = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0], [1.0, 1.2, 1.9, 2.1, 4.0, 4.4]
    fitted = list(np.polyval(np.polyfit(places, values, 1), places))
    # within places: 0.02 + 0.02 + 0.08 with 3 degrees; the means 1.1, 2.0, 4.2 are 1.3 / sqrt(6) off a line, one degree
    expected = f_distribution.sf((2 * 1.3**2 / 6) / (0.12 / 3), 1, 3)
    assert lack_of_fit(values, fitted, places, num_parameters=2) == pytest.approx(expected)
    assert math.isnan(lack_of_fit([1.0, 2.0, 3.0], [1.0, 2.0, 3.5], [1.0, 2.0, 3.0], num_parameters=2)), "no replicates"
    assert math.isnan(lack_of_fit(values[:4], fitted[:4], places[:4], num_parameters=2)), "nothing is left to miss"


@pytest.mark.slow
def test_the_number_of_fits_decides_as_well():
    fit = fit_floor(WIDTHS, floored_barriers(0.1, noise=0.05), ceiling=0.8)
    assert fit is not None and fit.low > 0
    weak = replace(fit, p_value=0.02)
    assert decided(weak, num_fits=1) == "a floor" and decided(weak, num_fits=6) == "cannot be decided"
    assert decided(replace(fit, low=0.0, p_value=0.4), num_fits=1) == "cannot be decided"


@pytest.mark.slow
def test_sentences_say_whether_there_is_a_floor():
    floored, counted = sentences.floor_finding(floor_sweep(0.1))
    assert floored.startswith("MLP on digits, weight decay 3e-3: accuracy barrier: a floor of ")
    table = numbers_of(floored)
    assert len(table) == 4 and set(table["network"]) == {"MLP on digits, weight decay 3e-3"}
    assert set(table["pairs, widths"]) == {"18, 6"} and (table["p, lack of fit"].astype(float) > 0.01).all()
    [low, high] = map(float, table["95 % interval of the floor"][0].split(" to "))
    assert 0 < low < float(floored.split("a floor of ")[1].split()[0]) < high
    assert "accuracy below the ensemble's: a floor of " in floored
    assert counted.startswith("4 fits were made") and counted.endswith("5 % / 4 = 0.013.")
    assert "cannot be decided" in sentences.floor_finding(floor_sweep(0.0))[0]
    none = [*floor_sweep(0.0), make_record(64, depth_of_dip=-0.01)]
    assert "1 of 1 pair at ×64 loses nothing, so none is fitted" in sentences.floor_finding(none)[0]
    assert "too few widths for a fit (2)" in sentences.floor_finding(width_sweep(widths=(1, 4), pairs=1))[0]


@pytest.mark.slow
def test_what_is_lost_against_the_ensemble_is_fitted_beside_the_barriers():
    ours, theirs = floor_fits(floor_sweep(0.1)), ensemble_fits(floor_sweep(0.1))
    assert [each.column for each in theirs] == ["accuracy_below_ensemble", "calibrated_loss_above_ensemble"]
    # an ensemble that is better than its networks by 0.005 in these records
    gap = theirs[0].pairs["accuracy_below_ensemble"] - ours[0].pairs["midpoint_accuracy_barrier"]
    assert list(gap) == pytest.approx([0.005] * 18)
    assert theirs[0].fit is not None and ours[0].fit is not None and theirs[0].fit.floor > ours[0].fit.floor


@pytest.mark.slow
def test_the_table_is_of_the_fits_that_are_drawn():
    records = floor_sweep(0.1)
    table = floor_table(floor_fits(records))
    assert list(table["barrier"]) == ["midpoint_accuracy_barrier", "midpoint_calibrated_loss_barrier"]
    assert (table["low"] <= table["floor"]).all() and (table["floor"] <= table["high"]).all()
    assert set(table["num_pairs"]) == {18} and set(table["num_widths"]) == {6}
    figure = drawn(figures.floor_against_width, records)
    lines = [line.get_linestyle() for line in figure.axes[0].lines]
    assert "-" in lines and ":" in lines and figure.axes[0].collections, "both fits and the interval are drawn"
