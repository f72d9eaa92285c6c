"""Inverse temperature and calibration error: known answers, a slow reference, and what cannot be fitted."""

import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from lmcbook.calibration import (
    UNIFORM_SPREAD,
    check_logits,
    expected_calibration_error,
    fit_inverse_temperature,
    reliability,
)
from lmcbook.errors import InputError
from lmcbook.randomness import random_stream


def random_logits(examples: int = 2000, classes: int = 10, *, spread: float = 2.0, seed: int = 0):
    return spread * torch.randn(examples, classes, generator=random_stream(seed, "logits"))


def drawn_labels(logits, *, seed: int = 0):
    """Labels of which softmax(logits) is the truth."""
    return torch.multinomial(logits.softmax(dim=1), 1, generator=random_stream(seed, "labels"))[:, 0]


def slow_loss(logits, labels, beta: float) -> float:
    return float(torch.nn.functional.cross_entropy(beta * logits.double(), labels))


# --- the fit


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_labels_drawn_from_the_softmax_give_one(classes):
    logits = random_logits(20_000, classes)
    fit = fit_inverse_temperature(logits, drawn_labels(logits))
    assert fit.inverse_temperature == pytest.approx(1, abs=0.03)
    assert fit.flag == ""


@pytest.mark.parametrize("factor", [1 / 8, 8, 1e-6, 1e6, 1e-30, 1e30])
def test_the_fit_undoes_any_scale(factor):
    logits = random_logits().double()
    labels = drawn_labels(logits)
    plain, scaled = fit_inverse_temperature(logits, labels), fit_inverse_temperature(logits * factor, labels)
    assert scaled.inverse_temperature * factor == pytest.approx(plain.inverse_temperature, rel=1e-10)
    assert scaled.loss == pytest.approx(plain.loss, rel=1e-10)


def test_adding_a_number_to_all_logits_of_an_example_changes_nothing():
    logits = random_logits().double()
    labels = drawn_labels(logits)
    moved = logits + 50 * torch.randn(len(logits), 1, generator=random_stream(0, "shift"), dtype=torch.float64)
    expected = fit_inverse_temperature(logits, labels).inverse_temperature
    assert fit_inverse_temperature(moved, labels).inverse_temperature == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.5])
def test_the_fit_is_the_minimum_that_a_slow_search_finds(seed, noise):
    """Few examples, and labels that the logits know much, some or little of."""
    logits = random_logits(60, 5, seed=seed)
    labels = drawn_labels(logits * 3, seed=seed)
    redrawn = torch.rand(60, generator=random_stream(seed, "noise")) < noise
    labels[redrawn] = torch.randint(5, (int(redrawn.sum()),), generator=random_stream(seed, "noise labels"))
    fit = fit_inverse_temperature(logits, labels)
    slow = minimize_scalar(
        lambda log_beta: slow_loss(logits, labels, math.exp(log_beta)),
        bounds=(-15, 15),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert fit.flag == ""
    # a search by values alone cannot place a minimum better than to the root of the precision
    assert math.log(fit.inverse_temperature) == pytest.approx(slow.x, abs=1e-6)
    assert fit.loss == pytest.approx(slow.fun, abs=1e-12)
    assert fit.loss == pytest.approx(slow_loss(logits, labels, fit.inverse_temperature), abs=1e-12)


def test_one_wrong_example_among_many_still_has_a_finite_optimum():
    logits = random_logits(5000)
    labels = logits.argmax(dim=1)
    hardest = int((logits.max(dim=1).values - logits.median(dim=1).values).argmin())
    labels[hardest] = (labels[hardest] + 1) % 10
    fit = fit_inverse_temperature(logits, labels)
    assert fit.flag == ""
    step = 1e-4 * fit.inverse_temperature
    around = [slow_loss(logits, labels, fit.inverse_temperature + move) for move in (-step, 0, step)]
    assert around[1] < min(around[0], around[2])


def test_a_wrong_example_by_the_smallest_margin_is_found():
    logits = torch.tensor([[1.0, 1.0 + 1e-7], [3.0, 0.0], [0.0, 2.0]])
    labels = torch.tensor([0, 0, 1])
    assert logits[0, 0] < logits[0, 1]
    fit = fit_inverse_temperature(logits, labels)
    assert fit.flag == "" and 1 < fit.inverse_temperature < 100
    around = [slow_loss(logits, labels, fit.inverse_temperature * factor) for factor in (0.9, 1, 1.1)]
    assert around[1] < min(around[0], around[2])


def test_all_right_fits_platts_smoothed_targets():
    logits = random_logits(300, 4)
    labels = logits.argmax(dim=1)
    fit = fit_inverse_temperature(logits, labels)
    assert fit.flag == "smoothed_targets"
    counts = torch.bincount(labels, minlength=4).double()
    own = counts[labels][:, None]
    targets = torch.where(torch.arange(4) == labels[:, None], own + 1, 1.0) / (own + 4)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(300, dtype=torch.float64))

    def smoothed_loss(log_beta: float) -> float:
        return float(-(targets * (math.exp(log_beta) * logits.double()).log_softmax(dim=1)).sum(dim=1).mean())

    slow = minimize_scalar(smoothed_loss, bounds=(-15, 15), method="bounded", options={"xatol": 1e-10})
    assert math.log(fit.inverse_temperature) == pytest.approx(slow.x, abs=1e-6)
    assert fit.loss == pytest.approx(slow_loss(logits, labels, fit.inverse_temperature)), (
        "the loss is of the true labels"
    )


def test_smoothed_targets_of_two_classes_are_platts_own():
    """Two examples a class: 3/4 and 1/4, so that a margin m of every example wants βm = log 3."""
    logits = torch.tensor([[5.0, 0.0], [5.0, 0.0], [0.0, 5.0], [0.0, 5.0]])
    fit = fit_inverse_temperature(logits, torch.tensor([0, 0, 1, 1]))
    assert fit.inverse_temperature == pytest.approx(math.log(3) / 5, rel=1e-12)
    assert fit.loss == pytest.approx(-math.log(3 / 4), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_worse_than_chance_is_flagged_with_a_beta_that_makes_softmax_uniform(scale):
    logits = random_logits() * scale
    fit = fit_inverse_temperature(logits, logits.argmin(dim=1))
    assert fit.flag == "worse_than_chance"
    largest = float((logits.max(dim=1).values - logits.min(dim=1).values).max())
    assert fit.inverse_temperature * largest == pytest.approx(UNIFORM_SPREAD)
    assert fit.loss == pytest.approx(math.log(10), abs=1e-5)


def test_logits_that_know_nothing_are_worse_than_chance():
    fit = fit_inverse_temperature(torch.full((4, 3), 7.0), torch.tensor([0, 1, 2, 0]))
    assert (fit.flag, fit.inverse_temperature) == ("worse_than_chance", 1.0)
    assert fit.loss == pytest.approx(math.log(3))


def test_the_order_of_examples_and_classes_does_not_matter():
    logits = random_logits(500)
    labels = drawn_labels(logits)
    expected = fit_inverse_temperature(logits, labels)
    rows, columns = (torch.randperm(count, generator=random_stream(0, count)) for count in logits.shape)
    shuffled = fit_inverse_temperature(logits[rows][:, columns], torch.argsort(columns)[labels[rows]])
    assert shuffled.inverse_temperature == pytest.approx(expected.inverse_temperature, rel=1e-12)


def test_the_inputs_are_left_alone():
    logits = random_logits(50)
    labels = drawn_labels(logits)
    before = logits.clone()
    fit_inverse_temperature(logits, labels)
    expected_calibration_error(logits, labels, inverse_temperature=3)
    assert logits.equal(before)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    logits = random_logits(50)
    logits[3, 2] = logits[3, 4] = bad
    with pytest.raises(
        InputError, match="infinite or not a number for 1 of 50 examples; they must be finite: .* diverged"
    ):
        fit_inverse_temperature(logits, torch.zeros(50, dtype=torch.long))


def test_labels_that_are_no_class_are_refused():
    with pytest.raises(InputError, match="labels go from 0 to 3; with 3 classes they must lie in 0…2"):
        check_logits(torch.zeros(4, 3), torch.arange(4))
    with pytest.raises(InputError, match="at least one"):
        check_logits(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))


# --- reliability and calibration error


def binary(confidences, right):
    """Two-class logits with the given confidences, and labels that make each prediction right or not."""
    margins = torch.tensor([math.log(each / (1 - each)) for each in confidences], dtype=torch.float64)
    logits = torch.stack([margins, torch.zeros_like(margins)], dim=1)
    return logits, torch.tensor([0 if each else 1 for each in right])


def test_the_error_of_a_small_example_by_hand():
    logits, labels = binary([0.95, 0.95, 0.85, 0.55], [True, False, True, True])
    diagram = reliability(logits, labels, bins=10)
    assert diagram.counts == (0, 0, 0, 0, 0, 1, 0, 0, 1, 2)
    assert diagram.confidence[9] == pytest.approx(0.95) and diagram.accuracy[9] == 0.5
    assert diagram.confidence[0] is None and diagram.accuracy[0] is None
    assert diagram.edges[0] == 0 and diagram.edges[-1] == 1 and len(diagram.edges) == 11
    expected = (2 * 0.45 + 0.15 + 0.45) / 4
    assert diagram.expected_calibration_error == pytest.approx(expected)
    assert expected_calibration_error(logits, labels, bins=10) == pytest.approx(expected)


def test_a_bin_holds_its_upper_edge_and_certainty_lies_in_the_last():
    logits, labels = binary([0.75, 0.5], [True, True])
    assert reliability(logits, labels, bins=4).counts == (0, 1, 1, 0)
    certain = torch.tensor([[1000.0, 0.0]])
    assert reliability(certain, torch.tensor([0]), bins=4).counts == (0, 0, 0, 1)
    assert expected_calibration_error(certain, torch.tensor([1])) == 1


def test_true_probabilities_have_no_error_and_the_fit_removes_overconfidence():
    logits = random_logits(50_000)
    labels = drawn_labels(logits)
    assert expected_calibration_error(logits, labels) < 0.01
    confident = expected_calibration_error(8 * logits, labels)
    assert confident > 0.1
    beta = fit_inverse_temperature(8 * logits, labels).inverse_temperature
    assert expected_calibration_error(8 * logits, labels, inverse_temperature=beta) < 0.01


def test_bins_sum_to_the_whole_and_one_bin_is_the_gap_of_the_means():
    logits = random_logits(700)
    labels = drawn_labels(logits)
    assert sum(reliability(logits, labels).counts) == 700
    confidence = float(logits.double().softmax(dim=1).max(dim=1).values.mean())
    right = float((logits.argmax(dim=1) == labels).double().mean())
    assert expected_calibration_error(logits, labels, bins=1) == pytest.approx(abs(confidence - right))


def test_settings_that_make_no_diagram_are_refused():
    logits, labels = binary([0.9], [True])
    with pytest.raises(InputError, match="bins is 0; it must be a whole number at least 1"):
        reliability(logits, labels, bins=0)
    with pytest.raises(InputError, match="inverse_temperature is -1; it must be a number above 0"):
        expected_calibration_error(logits, labels, inverse_temperature=-1)
