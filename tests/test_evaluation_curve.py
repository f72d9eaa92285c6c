"""The interpolation curve: against the slow reference, exact ensembles, and whatever the order of the questions."""

import json
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
from lmcbook.data import Split
from lmcbook.errors import InputError
from lmcbook.evaluation import (
    InterpolationCurve,
    accuracy,
    barriers,
    coefficients_grid,
    interpolation_curve,
    loss,
    predict_logits,
)
from lmcbook.merging import merge
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig
from tests.helpers.evaluation_pairs import GRID, Pair, random_pair


@pytest.fixture
def mlp_pair() -> Pair:
    return random_pair("mlp")


@pytest.fixture
def resnet_pair() -> Pair:
    return random_pair("resnet20")


@pytest.fixture
def digits_pair(pico_pair, trained_pair, digits) -> Pair:
    model = build_model(pico_pair.training, input_shape=digits.input_shape, num_classes=10)
    states = [trained.state for trained in trained_pair]
    return Pair(model, states[0], states[1], digits.calibration, digits.test, digits.train.images)


@pytest.fixture(params=["mlp", "resnet20"])
def pair(request) -> Pair:
    return random_pair(request.param)


def same(one, other, *, rel: float = 1e-12) -> bool:
    return all(
        a == b if isinstance(a, str) else a == pytest.approx(b, rel=rel) for a, b in zip(one, other, strict=True)
    )


def test_the_curve_is_what_each_merged_network_gives_directly(pair):
    """The slow reference: merge, predict, fit and measure one λ after the other."""
    curve = pair.curve()
    assert curve.coefficients == GRID
    for index, coefficient in enumerate(GRID):
        merged = merge(pair.model, pair.state_a, pair.state_b, coefficient, pair.train_images)
        calibration = predict_logits(pair.model, merged, pair.calibration.images)
        test, labels = predict_logits(pair.model, merged, pair.test.images), pair.test.labels
        fit = fit_inverse_temperature(calibration, pair.calibration.labels)
        beta = fit.inverse_temperature
        expected = {
            "loss": loss(test, labels),
            "accuracy": accuracy(test, labels),
            "inverse_temperature": beta,
            "calibrated_loss": loss(beta * test, labels),
            "expected_calibration_error": expected_calibration_error(test, labels),
            "calibrated_expected_calibration_error": expected_calibration_error(beta * test, labels),
        }
        found = {name: getattr(curve, name)[index] for name in expected}
        assert found == pytest.approx(expected, rel=1e-4)
        assert curve.calibration_flag[index] == fit.flag


def test_the_ensembles_are_those_of_the_endpoints_logits(pair):
    curve = pair.curve()
    ends = {}
    for coefficient in (0.0, 1.0):
        merged = merge(pair.model, pair.state_a, pair.state_b, coefficient, pair.train_images)
        ends[coefficient] = [
            predict_logits(pair.model, merged, split.images) for split in (pair.calibration, pair.test)
        ]
    for index, coefficient in enumerate(GRID):
        powers = coefficient**curve.num_layers, (1 - coefficient) ** curve.num_layers
        for name, weight in {"ensemble": coefficient, "lewc_ensemble": powers[0] / sum(powers)}.items():
            calibration, test = (weight * a + (1 - weight) * b for a, b in zip(ends[1], ends[0], strict=True))
            beta = fit_inverse_temperature(calibration, pair.calibration.labels).inverse_temperature
            expected = (
                loss(test, pair.test.labels),
                accuracy(test, pair.test.labels),
                beta,
                loss(test, pair.test.labels, inverse_temperature=beta),
            )
            metrics = ("loss", "accuracy", "inverse_temperature", "calibrated_loss")
            assert same([getattr(curve, f"{name}_{metric}")[index] for metric in metrics], expected, rel=1e-4)
    assert curve.ensemble_loss[0] == curve.loss[0] and curve.lewc_ensemble_loss[-1] == curve.loss[-1]
    assert curve.num_layers == pair.model.num_layers


def test_the_order_of_the_coefficients_does_not_matter(pair):
    curve = pair.curve()
    shuffled = pair.curve(coefficients=[0.5, 1, 0.25, 0, 0.75])
    order = [GRID.index(coefficient) for coefficient in shuffled.coefficients]
    for field in fields(InterpolationCurve):
        value, other = getattr(curve, field.name), getattr(shuffled, field.name)
        if isinstance(value, tuple):
            assert tuple(value[index] for index in order) == other, field.name
        else:
            assert value == other
    assert barriers(shuffled) == barriers(curve)


def test_swapping_the_networks_mirrors_the_curve(pair):
    curve = pair.curve()
    mirrored = replace(pair, state_a=pair.state_b, state_b=pair.state_a).curve()
    for name in ("loss", "accuracy", "inverse_temperature", "ensemble_calibrated_loss", "lewc_ensemble_loss"):
        assert same(getattr(curve, name), getattr(mirrored, name)[::-1], rel=1e-4), name


def test_the_order_of_the_test_examples_does_not_matter(pair):
    rows = torch.randperm(90, generator=random_stream(0, "rows"))
    shuffled = Split(images=pair.test.images[rows], labels=pair.test.labels[rows])
    curve, other = pair.curve(), pair.curve(test=shuffled)
    for name in ("loss", "accuracy", "calibrated_loss", "ensemble_loss"):
        assert same(getattr(curve, name), getattr(other, name), rel=1e-5), name


def test_only_the_calibration_split_decides_the_inverse_temperature(pair):
    other_test = Split(images=pair.test.images[:30], labels=pair.test.labels[:30])
    curve, other = pair.curve(), pair.curve(test=other_test)
    for name in ("inverse_temperature", "ensemble_inverse_temperature", "lewc_ensemble_inverse_temperature"):
        assert getattr(curve, name) == getattr(other, name)
    assert curve.calibrated_loss != other.calibrated_loss


def test_the_endpoints_own_statistics_are_reported_beside(resnet_pair, mlp_pair):
    curve = resnet_pair.curve()
    expected = [
        predict_logits(resnet_pair.model, state, resnet_pair.test.images)
        for state in (resnet_pair.state_a, resnet_pair.state_b)
    ]
    assert curve.trained_statistics["loss"] == tuple(loss(logits, resnet_pair.test.labels) for logits in expected)
    assert curve.trained_statistics["accuracy"] == tuple(
        accuracy(logits, resnet_pair.test.labels) for logits in expected
    )
    assert curve.trained_statistics["loss"] != (curve.loss[-1], curve.loss[0])
    plain = mlp_pair.curve(batch_norm_images=None)
    assert plain.trained_statistics == {
        "loss": (plain.loss[-1], plain.loss[0]),
        "accuracy": (plain.accuracy[-1], plain.accuracy[0]),
    }


def test_a_curve_survives_json(pair):
    curve = pair.curve()
    text = json.dumps(curve.to_dict(), allow_nan=False)
    assert InterpolationCurve.from_dict(json.loads(text)) == curve
    with pytest.raises(InputError, match=r"lacks \['loss'\]"):
        InterpolationCurve.from_dict({name: value for name, value in curve.to_dict().items() if name != "loss"})


def test_the_states_are_left_alone(resnet_pair):
    before = [
        {name: tensor.clone() for name, tensor in state.items()} for state in (resnet_pair.state_a, resnet_pair.state_b)
    ]
    resnet_pair.curve()
    for state, copy in zip((resnet_pair.state_a, resnet_pair.state_b), before, strict=True):
        assert all(tensor.equal(copy[name]) for name, tensor in state.items())


def test_a_network_that_does_not_tell_its_depth_is_given_it(mlp_pair):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    arguments = {"coefficients": GRID, "calibration": mlp_pair.calibration, "test": mlp_pair.test}
    state_a, state_b = model.state_dict(), nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict()
    with pytest.raises(
        InputError, match="num_layers is None and the model has no attribute of that name; give its number"
    ):
        interpolation_curve(model, state_a, state_b, **arguments)
    curve = interpolation_curve(model, state_a, state_b, **arguments, num_layers=1)
    # a linear network is its own ensemble
    assert same(curve.loss, curve.ensemble_loss, rel=1e-5) and same(curve.loss, curve.lewc_ensemble_loss, rel=1e-5)


@pytest.mark.parametrize("coefficients", [[0, 0.5], [0.5, 1], [0, 0.5, 0.5, 1], []])
def test_coefficients_that_make_no_curve_are_refused(mlp_pair, coefficients):
    with pytest.raises(InputError, match="it must hold 0 and 1, where the two networks are, and no number twice"):
        mlp_pair.curve(coefficients=coefficients)


def test_a_coefficient_outside_of_the_line_is_refused(mlp_pair):
    with pytest.raises(InputError, match=r"coefficients is 1\.25; it must be a number at least 0 and at most 1"):
        mlp_pair.curve(coefficients=[0, 1, 1.25])


# --- barriers of real networks


def test_barriers_of_a_trained_pair_are_those_of_its_columns(digits_pair):
    curve = digits_pair.curve(coefficients=coefficients_grid(9))
    found = barriers(curve)
    ends = {
        name: (getattr(curve, name)[-1] + getattr(curve, name)[0]) / 2
        for name in ("loss", "accuracy", "calibrated_loss")
    }
    assert found["midpoint_loss_barrier"] == pytest.approx(curve.loss[4] - ends["loss"])
    assert found["midpoint_accuracy_barrier"] == pytest.approx(ends["accuracy"] - curve.accuracy[4])
    calibrated = curve.calibrated_loss[4]
    assert found["midpoint_calibrated_loss_barrier"] == pytest.approx(calibrated - ends["calibrated_loss"])
    assert found["midpoint_calibrated_loss_barrier_against_raw_endpoints"] == pytest.approx(calibrated - ends["loss"])
    assert found["inverse_temperature_midpoint"] == curve.inverse_temperature[4]
    assert found["predicted_inverse_temperature_midpoint"] == pytest.approx(4 * curve.ensemble_inverse_temperature[4])
    for name, columns in {
        "loss_barrier": (curve.loss, curve.loss),
        "calibrated_loss_barrier": (curve.calibrated_loss, curve.calibrated_loss),
        "calibrated_loss_barrier_against_raw_endpoints": (curve.calibrated_loss, curve.loss),
    }.items():
        along, chord = columns
        excess = [
            value - (step * chord[-1] + (1 - step) * chord[0])
            for step, value in zip(curve.coefficients, along, strict=True)
        ]
        assert found[name] == pytest.approx(max(excess))
    assert found["accuracy_barrier"] >= found["midpoint_accuracy_barrier"] > 0.05, "sixteen units are too few to merge"
    assert curve.accuracy[0] > 0.85 and curve.accuracy[-1] > 0.85
    assert found["midpoint_calibrated_loss_barrier"] < found["midpoint_loss_barrier"]


def test_two_networks_on_disjoint_units_are_an_ensemble_whose_temperature_is_predicted(digits_pair):
    """LEWC holds exactly for bias-free networks that use disjoint halves of the hidden units (float64)."""
    width, num_layers = 10, 3
    config = TrainingConfig(
        dataset="digits",
        architecture="mlp",
        hidden_width=2 * width,
        num_layers=num_layers,
        epochs=1,
        batch_size=10,
        learning_rate=0.1,
    )
    model = build_model(config, input_shape=(1, 8, 8), num_classes=10).double()
    halves = slice(0, width), slice(width, None)
    states = []
    for seed, half in enumerate(halves):
        generator = random_stream(seed, "disjoint")
        state = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
        for name, tensor in state.items():
            rows = slice(None) if name.startswith("classifier") else half
            columns = slice(None) if name.startswith("hidden1") else half
            tensor[rows, columns] = torch.randn(tensor[rows, columns].shape, generator=generator, dtype=torch.float64)
        states.append(state)

    calibration = digits_pair.calibration.images.double()
    pair = replace(digits_pair, model=model, state_a=states[0], state_b=states[1])
    # each of the two knows a third of the labels, so that β is finite and not 0
    labels = pair.calibration.labels.clone()
    for start, state in enumerate(states):
        labels[start::3] = predict_logits(model, state, calibration[start::3]).argmax(dim=1)
    curve = pair.curve(
        calibration=SimpleNamespace(images=calibration, labels=labels),
        test=SimpleNamespace(images=pair.test.images.double(), labels=pair.test.labels),
    )
    for index, coefficient in enumerate(curve.coefficients):
        shrinkage = coefficient**num_layers + (1 - coefficient) ** num_layers
        predicted = curve.lewc_ensemble_inverse_temperature[index] / shrinkage
        assert curve.inverse_temperature[index] == pytest.approx(predicted, rel=1e-8)
    assert curve.calibration_flag == ("",) * 5
    assert curve.accuracy == curve.lewc_ensemble_accuracy
    assert same(curve.calibrated_loss, curve.lewc_ensemble_calibrated_loss, rel=1e-8)
    found = barriers(curve)
    assert found["inverse_temperature_midpoint"] == pytest.approx(
        found["predicted_inverse_temperature_midpoint"], rel=1e-8
    )
