"""A network averaged with shuffled copies of itself: against the same merge written out, and against trained pairs."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import lmcbook
from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, loss, predict_logits, self_merge
from lmcbook.layerwise import measure_common_mode, symmetry_of
from lmcbook.merging import add_biases, merge
from lmcbook.permutation import apply, random_permutation
from lmcbook.randomness import random_stream
from tests.helpers.evaluation_pairs import random_pair


def streams(draws: int) -> list[torch.Generator]:
    return [random_stream(7, "copies", draw) for draw in range(draws)]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mlp", "resnet20"])
def test_each_draw_is_the_merge_with_a_shuffled_copy(architecture):
    pair = random_pair(architecture)
    spec, state = symmetry_of(pair.model, pair.test.images), pair.state_a
    parts: Any = {"calibration": pair.calibration, "test": pair.test, "images": pair.train_images}
    found = self_merge(pair.model, state, **parts, draws=2, generators=streams(2))
    for draw, stream in zip(found["merged"], streams(2), strict=True):
        copy = apply(spec, random_permutation(spec, state, stream), state)
        merged = merge(pair.model, state, copy, 0.5, pair.train_images)
        logits = predict_logits(pair.model, merged, pair.test.images)
        fit = fit_inverse_temperature(
            predict_logits(pair.model, merged, pair.calibration.images), pair.calibration.labels
        )
        assert draw["accuracy"] == accuracy(logits, pair.test.labels)
        assert draw["loss"] == pytest.approx(loss(logits, pair.test.labels))
        assert draw["inverse_temperature"] == pytest.approx(fit.inverse_temperature)
        assert draw["calibrated_loss"] == pytest.approx(
            loss(logits, pair.test.labels, inverse_temperature=fit.inverse_temperature)
        )
        own, other = (predict_logits(pair.model, each, pair.test.images) for each in (state, copy))
        exponent = -torch.log2(logits.norm() / (own + other).norm())
        if architecture == "mlp":
            assert draw["layers"][-1]["decay_exponent"] == pytest.approx(float(exponent), rel=1e-4)
    mean = sum(draw["accuracy"] for draw in found["merged"]) / 2
    assert found["accuracy_barrier"] == pytest.approx(found["own"]["accuracy"] - mean)


@pytest.mark.slow
def test_reciprocal_orthogonality_of_many_copies_is_what_the_network_tells():
    pair = random_pair("mlp")
    predicted = measure_common_mode(pair.model, pair.test.images, pair.state_a)[-1]["metrics"]["predicted_from_a"]
    found = self_merge(pair.model, pair.state_a, calibration=pair.calibration, test=pair.test, draws=60)
    squares = torch.tensor([draw["layers"][-1]["reciprocal_orthogonality"] ** 2 for draw in found["merged"]])
    error = float(squares.std() / len(squares) ** 0.5)
    assert abs(float(squares.mean()) - predicted**2) < 4 * error and error < 0.1 * predicted**2


def test_a_network_without_units_to_shuffle_loses_nothing():
    pair = random_pair("mlp")
    spec = symmetry_of(pair.model, pair.test.images)
    # all units of a layer alike: any order is the same network
    state = {name: tensor.clone() for name, tensor in pair.state_a.items()}
    for name, (writes, reads) in spec.axes.items():
        for axis, group in enumerate((writes, reads)):
            if group is not None:
                state[name] = state[name].mean(axis, keepdim=True).expand_as(state[name]).clone()
    found = self_merge(pair.model, state, calibration=pair.calibration, test=pair.test)
    assert found["accuracy_barrier"] == 0
    assert [layer["decay_exponent"] for layer in found["merged"][0]["layers"]] == pytest.approx([1, 1, 1], abs=1e-5)
    assert found["merged"][0]["layers"][1]["reciprocal_orthogonality"] == pytest.approx(1, abs=1e-5)


def test_a_repair_is_that_of_merge():
    pair = random_pair("mlp")
    spec, state = symmetry_of(pair.model, pair.test.images), pair.state_a
    parts: Any = {"calibration": pair.calibration, "test": pair.test, "images": pair.train_images}
    found = self_merge(pair.model, state, **parts, draws=1, generators=streams(1), repair="lewc_mean")
    copy = apply(spec, random_permutation(spec, state, streams(1)[0]), state)
    merged = merge(pair.model, state, copy, 0.5, pair.train_images, repair="lewc_mean")
    logits = predict_logits(add_biases(pair.model), merged, pair.test.images)
    assert found["merged"][0]["loss"] == pytest.approx(loss(logits, pair.test.labels))
    assert "layers" not in found["merged"][0], "those are of the average as it is"


def test_other_streams_give_other_copies_and_none_the_same_ones():
    pair = random_pair("mlp")
    parts: Any = {"calibration": pair.calibration, "test": pair.test}
    twice = [lmcbook.self_merge(pair.model, pair.state_a, **parts) for _ in range(2)]
    assert twice[0] == twice[1] and len(twice[0]["merged"]) == 3
    losses = [draw["loss"] for draw in twice[0]["merged"]]
    assert all(first != second for first, second in itertools.combinations(losses, 2))


def test_wrong_input_is_refused():
    pair = random_pair("mlp")
    parts: Any = {"calibration": pair.calibration, "test": pair.test}
    with pytest.raises(InputError, match="draws"):
        self_merge(pair.model, pair.state_a, **parts, draws=0)
    with pytest.raises(InputError, match="generators holds 1; give one for each of 3 draws"):
        self_merge(pair.model, pair.state_a, **parts, generators=streams(1))
    with pytest.raises(InputError, match="repair"):
        self_merge(pair.model, pair.state_a, **parts, repair="all")
    with pytest.raises(InputError, match="images is None, but repair"):
        self_merge(pair.model, pair.state_a, **parts, repair="mean")
    with pytest.raises(InputError, match="calibration"):
        self_merge(pair.model, pair.state_a, calibration=SimpleNamespace(), test=pair.test)
