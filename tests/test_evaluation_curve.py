"""The interpolation curve: against the slow reference, exact ensembles, and whatever the order of the questions."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
from lmcbook.data import Split
from lmcbook.errors import InputError
from lmcbook.evaluation import (
    InterpolationCurve,
    accuracy,
    barriers,
    coefficients_grid,
    interpolation_curve,
    lewc_exponent,
    loss,
    predict_logits,
)
from lmcbook.merging import merge
from lmcbook.models import LayeredModel, build_model
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig
from tests.helpers.evaluation_pairs import GRID, Pair, random_pair


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_ensembles_are_those_of_the_endpoints_logits(pair):
    curve = pair.curve()
    ends = {}
    for coefficient in (0.0, 1.0):
        merged = merge(pair.model, pair.state_a, pair.state_b, coefficient, pair.train_images)
        ends[coefficient] = [
            predict_logits(pair.model, merged, split.images) for split in (pair.calibration, pair.test)
        ]
    for index, coefficient in enumerate(GRID):
        exponent = 2 if pair is random_pair("resnet20") else 3
        powers = coefficient**exponent, (1 - coefficient) ** exponent
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
            found = getattr(curve, name)
            assert same([getattr(found, metric)[index] for metric in metrics], expected, rel=1e-4)
    assert curve.ensemble.loss[0] == curve.loss[0] and curve.lewc_ensemble.loss[-1] == curve.loss[-1]
    assert curve.lewc_exponent == exponent


@pytest.mark.slow
def test_the_order_of_the_coefficients_does_not_matter(pair):
    curve = pair.curve()
    shuffled = pair.curve(coefficients=[0.5, 1, 0.25, 0, 0.75])
    order = [GRID.index(coefficient) for coefficient in shuffled.coefficients]
    other = shuffled.to_dict()
    for name, values in curve.to_dict().items():
        if isinstance(values, list):
            assert [values[index] for index in order] == other[name], name
        else:
            assert values == other[name]
    assert barriers(shuffled) == barriers(curve)


@pytest.mark.slow
def test_swapping_the_networks_mirrors_the_curve(pair):
    curve = pair.curve().to_dict()
    mirrored = replace(pair, state_a=pair.state_b, state_b=pair.state_a).curve().to_dict()
    for name in ("loss", "accuracy", "inverse_temperature", "ensemble_calibrated_loss", "lewc_ensemble_loss"):
        assert same(curve[name], mirrored[name][::-1], rel=1e-4), name


@pytest.mark.slow
def test_the_order_of_the_test_examples_does_not_matter(pair):
    rows = torch.randperm(90, generator=random_stream(0, "rows"))
    shuffled = Split(images=pair.test.images[rows], labels=pair.test.labels[rows])
    curve, other = pair.curve().to_dict(), pair.curve(test=shuffled).to_dict()
    for name in ("loss", "accuracy", "calibrated_loss", "ensemble_loss"):
        assert same(curve[name], other[name], rel=1e-5), name


@pytest.mark.slow
def test_only_the_calibration_split_decides_the_inverse_temperature(pair):
    other_test = Split(images=pair.test.images[:30], labels=pair.test.labels[:30])
    curve, other = pair.curve().to_dict(), pair.curve(test=other_test).to_dict()
    for name in ("inverse_temperature", "ensemble_inverse_temperature", "lewc_ensemble_inverse_temperature"):
        assert curve[name] == other[name]
    assert curve["calibrated_loss"] != other["calibrated_loss"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_curve_as_plain_values_has_every_column(pair):
    curve = pair.curve()
    content = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    of_each = ("loss", "accuracy", "inverse_temperature", "calibration_flag", "calibrated_loss")
    errors = ("expected_calibration_error", "calibrated_expected_calibration_error")
    columns = [f"{of}{name}" for of in ("", "ensemble_", "lewc_ensemble_") for name in of_each]
    assert content.keys() == {"coefficients", "lewc_exponent", "trained_statistics", *columns, *errors}
    assert content["loss"] == list(curve.loss)
    assert content["lewc_ensemble_loss"] == list(curve.lewc_ensemble.loss)
    assert content["trained_statistics"]["accuracy"] == list(curve.trained_statistics["accuracy"])


@pytest.mark.slow
def test_the_states_are_left_alone(resnet_pair):
    before = [
        {name: tensor.clone() for name, tensor in state.items()} for state in (resnet_pair.state_a, resnet_pair.state_b)
    ]
    resnet_pair.curve()
    for state, copy in zip((resnet_pair.state_a, resnet_pair.state_b), before, strict=True):
        assert all(tensor.equal(copy[name]) for name, tensor in state.items())


def flat_layers(*, normalised: bool) -> nn.Sequential:
    """A network that is no chain of named layers and does not tell its depth, which is 3."""
    after = [nn.BatchNorm1d(12) if normalised else nn.Identity() for _ in range(2)]
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, 12, bias=False), after[0], nn.ReLU()),
        *(nn.Linear(12, 12, bias=False), after[1], nn.ReLU(), nn.Linear(12, 10, bias=False)),
    )


def curve_of(models, pair, **options) -> InterpolationCurve:
    model, other = models
    return interpolation_curve(
        model,
        model.state_dict(),
        other.state_dict(),
        coefficients=GRID,
        calibration=pair.calibration,
        test=pair.test,
        batch_norm_images=pair.train_images,
        **options,
    )


def test_a_network_that_does_not_tell_its_depth_has_a_curve_without_lewc(mlp_pair):
    models = [nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(2)]
    unknown = curve_of(models, mlp_pair)
    assert unknown.lewc_exponent is None and unknown.lewc_ensemble is None
    assert not {name for name in unknown.to_dict() if name.startswith("lewc_ensemble")}
    assert "predicted_inverse_temperature_midpoint" not in barriers(unknown)
    known = curve_of(models, mlp_pair, num_layers=1)
    assert replace(known, lewc_exponent=None, lewc_ensemble=None) == unknown
    # a linear network is its own ensemble
    assert known.lewc_ensemble is not None
    for ensemble in (known.ensemble, known.lewc_ensemble):
        assert same(known.loss, ensemble.loss, rel=1e-5)


@pytest.mark.parametrize("num_layers", [None, 3])
def test_what_lewc_predicts_asks_the_network_whether_it_has_batch_norm(mlp_pair, num_layers):
    """An MLP with batch norm has the exponent 2, whatever its depth and whoever tells it; at ½ that is twice β*."""
    curve = curve_of([flat_layers(normalised=True) for _ in range(2)], mlp_pair, num_layers=num_layers)
    assert curve.lewc_exponent == 2
    found = barriers(curve)["predicted_inverse_temperature_midpoint"]
    assert found == pytest.approx(2 * curve.ensemble.inverse_temperature[2])
    plain = curve_of([flat_layers(normalised=False) for _ in range(2)], mlp_pair, num_layers=3)
    found = barriers(plain)["predicted_inverse_temperature_midpoint"]
    assert found == pytest.approx(4 * plain.ensemble.inverse_temperature[2])


def test_the_built_in_networks_are_predicted_by_what_they_have(mlp_pair, resnet_pair):
    assert lewc_exponent(mlp_pair.model) == 3
    assert lewc_exponent(resnet_pair.model) == lewc_exponent(resnet_pair.model, num_layers=20) == 2
    assert lewc_exponent(mlp_pair.model, num_layers=7) == 7
    without = vgg_without_batch_norm()
    assert lewc_exponent(without) == without.num_layers == 9
    assert lewc_exponent(nn.Linear(2, 2)) is None
    assert lewc_exponent(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False))) == 2
    with pytest.raises(InputError, match="num_layers is 0"):
        lewc_exponent(nn.Linear(2, 2), num_layers=0)


def vgg_without_batch_norm() -> LayeredModel:
    config = TrainingConfig(
        dataset="digits", architecture="vgg11", width_multiplier=0.125, epochs=1, batch_size=10, learning_rate=0.1
    )
    model = build_model(config, input_shape=(1, 32, 32), num_classes=10)
    for name in model.layer_names:
        model.layer(name).normalisation = None
    return model


@pytest.mark.parametrize("coefficients", [[0, 0.5], [0.5, 1], [0, 0.5, 0.5, 1], []])
def test_coefficients_that_make_no_curve_are_refused(mlp_pair, coefficients):
    with pytest.raises(InputError, match="it must hold 0 and 1, where the two networks are, and no number twice"):
        mlp_pair.curve(coefficients=coefficients)


@pytest.mark.slow
def test_examples_may_come_as_pairs_or_batch_by_batch(pair):
    def batches(split):
        return DataLoader(TensorDataset(split.images, split.labels), batch_size=7)

    calibration, test = pair.calibration, pair.test
    as_pairs = pair.curve(calibration=(calibration.images, calibration.labels), test=(test.images, test.labels))
    in_batches = pair.curve(
        calibration=batches(calibration), test=batches(test), batch_norm_images=list(pair.train_images.split(11))
    )
    assert pair.curve() == as_pairs == in_batches
    with pytest.raises(InputError, match=r"calibration is a Tensor of shape .*; it may be"):
        pair.curve(calibration=calibration.images)
    with pytest.raises(InputError, match="batch_norm_images is 3; it may be a tensor"):
        pair.curve(batch_norm_images=3)


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
    assert found["predicted_inverse_temperature_midpoint"] == pytest.approx(4 * curve.ensemble.inverse_temperature[4])
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
        predicted = curve.lewc_ensemble.inverse_temperature[index] / shrinkage
        assert curve.inverse_temperature[index] == pytest.approx(predicted, rel=1e-8)
    assert curve.calibration_flag == ("",) * 5
    assert curve.accuracy == curve.lewc_ensemble.accuracy
    assert same(curve.calibrated_loss, curve.lewc_ensemble.calibrated_loss, rel=1e-8)
    found = barriers(curve)
    assert found["inverse_temperature_midpoint"] == pytest.approx(
        found["predicted_inverse_temperature_midpoint"], rel=1e-8
    )
