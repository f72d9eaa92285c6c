"""The study of calibration: its numbers are those of the curve, of the fit and of the theory."""

from dataclasses import replace

import pytest
import torch

from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.evaluation import (
    calibration_study,
    ensemble_logits,
    lewc_ensemble_weight,
    loss,
    predict_logits,
    predicted_inverse_temperature,
)
from lmcbook.evaluation.calibrating import DRAWS
from lmcbook.lab.measurements import measure_calibration
from lmcbook.merging import merge
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from tests.helpers.evaluation_pairs import GRID, random_pair
from tests.helpers.sessions import session_of


def study(pair, **changes):
    arguments = {"coefficients": GRID, "generator": random_stream(0, "study")}
    return calibration_study(pair.line(), **{**arguments, **changes})


@pytest.fixture(params=["mlp", "resnet20"])
def pair(request):
    return random_pair(request.param)


@pytest.mark.slow
def test_fitted_temperatures_and_losses_are_those_of_the_curve(pair):
    along, curve = study(pair)["along"], pair.curve()
    assert along["fitted"]["inverse_temperature"] == pytest.approx(curve.inverse_temperature, rel=1e-5)
    assert along["fitted"]["loss"] == pytest.approx(curve.calibrated_loss, rel=1e-5)
    assert along["raw"]["loss"] == pytest.approx(curve.loss, rel=1e-5)
    middle = GRID.index(0.5)
    assert along["midpoint"]["inverse_temperature"] == pytest.approx([curve.inverse_temperature[middle]] * 5, rel=1e-5)
    assert along["midpoint"]["loss"][middle] == along["fitted"]["loss"][middle]


@pytest.fixture
def trained(pico_pair, trained_pair, digits):
    """A model, its two states and the data: labels mean something here, so that every fit has a minimum."""
    model = build_model(pico_pair.training, input_shape=digits.input_shape, num_classes=10)
    return model, trained_pair[0].state, trained_pair[1].state, digits


@pytest.mark.slow
def test_the_single_temperature_is_the_best_of_all_coefficients_together(pico_pair, trained):
    model, state_a, state_b, digits = trained
    pair = replace(pico_pair, measurement="calibration")
    found = measure_calibration(pair, session_of(pair, state_a, state_b, digits))
    [beta] = set(found["along"]["single"]["inverse_temperature"])
    merged = [merge(model, state_a, state_b, coefficient) for coefficient in found["coefficients"]]
    everywhere = [predict_logits(model, state, digits.calibration.images) for state in merged]

    def total_loss(scale: float) -> float:
        return sum(loss(logits, digits.calibration.labels, inverse_temperature=scale) for logits in everywhere)

    assert total_loss(beta) < min(total_loss(1.01 * beta), total_loss(beta / 1.01))


@pytest.mark.slow
def test_predicted_temperatures_never_see_the_merged_network(pair):
    found = study(pair)
    exponent = found["exponent"]
    images, labels = pair.calibration.images, pair.calibration.labels
    logits_a, logits_b = (
        predict_logits(pair.model, merge(pair.model, pair.state_a, pair.state_b, at, pair.train_images), images)
        for at in (1.0, 0.0)
    )
    for coefficient, predicted in zip(GRID, found["along"]["predicted"]["inverse_temperature"], strict=True):
        weight = lewc_ensemble_weight(coefficient, exponent)
        fitted = fit_inverse_temperature(ensemble_logits(logits_a, logits_b, weight), labels).inverse_temperature
        assert predicted == pytest.approx(predicted_inverse_temperature(fitted, coefficient, exponent), rel=1e-5)


@pytest.mark.slow
def test_the_exponent_is_the_depth_or_two_with_batch_norm():
    assert study(random_pair("mlp"))["exponent"] == 3
    assert study(random_pair("mlp"), num_layers=7)["exponent"] == 7
    assert study(random_pair("resnet20"))["exponent"] == 2


@pytest.mark.slow
def test_reliability_is_that_of_the_test_images(pair):
    found = study(pair)["reliability"]
    assert list(found) == ["a", "b", "merged", "ensemble"]
    merged = merge(pair.model, pair.state_a, pair.state_b, 0.5, pair.train_images)
    logits = predict_logits(pair.model, merged, pair.test.images)
    for state, scale in (("raw", 1.0), ("calibrated", found["merged"]["calibrated"]["inverse_temperature"])):
        exact = expected_calibration_error(logits, pair.test.labels, inverse_temperature=scale)
        assert found["merged"][state]["expected_calibration_error"] == pytest.approx(exact, abs=1e-4)
        assert sum(found["merged"][state]["counts"]) == len(pair.test.labels)
    assert found["ensemble"]["raw"]["inverse_temperature"] == 1.0


def test_samples_grow_up_to_all_examples(pair):
    found = study(pair)
    sizes = [entry["examples"] for entry in found["few"]]
    assert sizes == [10, 20, 40], "of forty examples"
    *samples, everything = found["few"]
    assert all(len(entry["loss"]) == DRAWS and 0 <= entry["smoothed"] <= DRAWS for entry in samples)
    assert len(set(samples[0]["inverse_temperature"])) > 1, "the samples are the same"
    middle = GRID.index(0.5)
    assert everything["inverse_temperature"] == [found["along"]["fitted"]["inverse_temperature"][middle]]
    assert everything["loss"] == [found["along"]["fitted"]["loss"][middle]]


@pytest.mark.slow
def test_the_same_generator_draws_the_same_samples(pair):
    assert study(pair) == study(pair)
    other = study(pair, generator=random_stream(1, "study"))
    assert other["few"][0] != study(pair)["few"][0] and other["along"] == study(pair)["along"]


@pytest.mark.slow
def test_samples_without_an_error_are_counted(pico_pair, trained):
    model, state, _, digits = trained
    pair = replace(pico_pair, measurement="calibration")
    found = measure_calibration(pair, session_of(pair, state, state, digits))
    few = {entry["examples"]: entry for entry in found["few"]}
    assert list(few) == [10, 20, 50, 100, 200, 300]
    logits = predict_logits(model, state, digits.calibration.images)
    accuracy = float((logits.argmax(1) == digits.calibration.labels).float().mean())
    # ten of a network that is right so often are all right about so often
    assert few[10]["smoothed"] / DRAWS == pytest.approx(accuracy**10, abs=0.35)
    assert few[300]["smoothed"] == 0
    assert torch.tensor(few[200]["loss"]).std() < torch.tensor(few[10]["loss"]).std()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefficients": (0.0, 1.0)}, r"coefficients is \(0.0, 1.0\); it must hold 0, 0.5 and 1"),
        ({"num_layers": 0}, "num_layers is 0"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        study(random_pair("mlp"), **changes)


def test_of_a_network_of_unknown_depth_nothing_is_predicted():
    pair = random_pair("mlp")
    states = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).state_dict() for _ in range(2)]
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    found = study(replace(pair, model=model, state_a=states[0], state_b=states[1]))
    assert found["exponent"] is None and list(found["along"]) == ["raw", "fitted", "single", "midpoint"]
