"""Evaluation: metrics, predictions, ensembles and barriers against what can be computed by hand."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from lmcbook.errors import InputError
from lmcbook.evaluation import (
    accuracy,
    accuracy_barrier,
    coefficients_grid,
    ensemble_logits,
    lewc_ensemble_weight,
    loss,
    loss_barrier,
    midpoint_accuracy_barrier,
    midpoint_loss_barrier,
    predict_logits,
    predict_logits_along,
    prediction,
)
from lmcbook.merging import interpolate, merge
from lmcbook.models import LayeredModel
from lmcbook.randomness import random_stream
from tests.helpers.evaluation_pairs import GRID, random_pair

# --- loss and accuracy


def test_loss_and_accuracy_by_hand():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)], [math.log(7), 0.0], [0.0, 0.0]])
    labels = torch.tensor([1, 0, 0, 1])
    expected = -(math.log(3 / 4) + math.log(1 / 4) + math.log(7 / 8) + math.log(1 / 2)) / 4
    assert loss(logits, labels) == pytest.approx(expected, rel=1e-6)
    assert accuracy(logits, labels) == 0.5, "of equal logits the first class is predicted"
    assert loss(logits, labels, inverse_temperature=2) == pytest.approx(loss(2 * logits, labels))


def test_loss_keeps_its_digits_for_huge_logits():
    logits = torch.tensor([[1e6, 0.0], [1e6, 0.0]])
    assert loss(logits, torch.tensor([0, 1])) == 5e5


@pytest.mark.parametrize("metric", [loss, accuracy])
def test_metrics_refuse_what_is_not_finite(metric):
    with pytest.raises(InputError, match="infinite or not a number for 1 of 2 examples"):
        metric(torch.tensor([[0.0, math.nan], [0.0, 0.0]]), torch.tensor([0, 1]))


def test_the_order_of_examples_does_not_matter(mlp_pair):
    logits, labels = predict_logits(mlp_pair.model, mlp_pair.state_a, mlp_pair.test.images), mlp_pair.test.labels
    rows = torch.randperm(len(labels), generator=random_stream(0, "rows"))
    assert accuracy(logits[rows], labels[rows]) == accuracy(logits, labels)
    assert loss(logits[rows], labels[rows]) == pytest.approx(loss(logits, labels), rel=1e-13)


# --- prediction


@pytest.mark.parametrize("batch_size", [1, 7, 90, 1000])
def test_logits_are_the_models_own_in_any_batches(mlp_pair, batch_size):
    mlp_pair.model.load_state_dict(mlp_pair.state_b)
    expected = mlp_pair.model.eval()(mlp_pair.test.images).detach()
    mlp_pair.model.load_state_dict(mlp_pair.state_a)
    logits = predict_logits(mlp_pair.model, mlp_pair.state_b, mlp_pair.test.images, batch_size=batch_size)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
    assert not logits.requires_grad and not logits.is_inference()


def test_prediction_leaves_the_model_as_it_was(resnet_pair):
    model = resnet_pair.model
    model.train()
    next(model.children()).eval()
    modes = [module.training for module in model.modules()]
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict_logits(model, resnet_pair.state_b, resnet_pair.test.images)
    list(
        predict_logits_along(
            model,
            resnet_pair.state_a,
            resnet_pair.state_b,
            GRID,
            resnet_pair.test.images,
            batch_norm_images=resnet_pair.train_images,
        )
    )
    assert [module.training for module in model.modules()] == modes
    assert all(tensor.equal(weights[name]) for name, tensor in model.state_dict().items())


def test_prediction_restores_the_mode_after_an_exception(mlp_pair):
    mlp_pair.model.train()
    with pytest.raises(RuntimeError):
        predict_logits(mlp_pair.model, mlp_pair.state_a, torch.zeros(5, 1, 3, 3))
    assert all(module.training for module in mlp_pair.model.modules())


def test_dropout_is_off_in_any_torch_network():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    images = torch.ones(4, 1, 8, 8)
    state = model.state_dict()
    assert predict_logits(model, state, images).equal(predict_logits(model, state, images))


def test_what_cannot_be_predicted_is_refused(mlp_pair):
    model, state = mlp_pair.model, mlp_pair.state_a
    with pytest.raises(InputError, match="images holds no example"):
        predict_logits(model, state, mlp_pair.test.images[:0])
    with pytest.raises(InputError, match="batch_size is 0"):
        predict_logits(model, state, mlp_pair.test.images, batch_size=0)
    with pytest.raises(InputError, match="state does not fit model: it holds extra"):
        predict_logits(model, state | {"extra": torch.zeros(1)}, mlp_pair.test.images)
    with pytest.raises(
        InputError,
        match=r"model returned shape \(4, 2, 2\) for images .*; it must return logits of shape \(examples, c",
    ):
        predict_logits(nn.Identity(), {}, torch.zeros(4, 2, 2))
    with pytest.raises(InputError, match="coefficients is 1.5"):
        predict_logits_along(model, state, mlp_pair.state_b, [0.5, 1.5], mlp_pair.test.images)


# --- prediction along the line


@pytest.mark.parametrize("bias", [False, True])
def test_the_shared_first_layer_gives_the_plain_logits(bias):
    pair = random_pair("mlp", bias=bias)
    along = dict(
        predict_logits_along(
            pair.model, pair.state_a, pair.state_b, coefficients_grid(9), pair.test.images, batch_size=40
        )
    )
    assert tuple(along) == coefficients_grid(9)
    for coefficient, logits in along.items():
        plain = predict_logits(pair.model, interpolate(pair.state_a, pair.state_b, coefficient), pair.test.images)
        assert (logits - plain).abs().max() < 1e-5 * max(1, float(plain.abs().max()))


def test_the_first_layer_is_computed_twice_for_all_coefficients(mlp_pair, monkeypatch):
    calls = []
    real = LayeredModel.first_linear_output

    def count(model, state, images):
        calls.append(len(images))
        return real(model, state, images)

    monkeypatch.setattr(LayeredModel, "first_linear_output", count)
    list(
        predict_logits_along(
            mlp_pair.model, mlp_pair.state_a, mlp_pair.state_b, coefficients_grid(9), mlp_pair.test.images
        )
    )
    assert calls.count(90) == 2 and sum(calls) == 2 * 90 + 1, "once for each network, and one image to tell the size"


def test_a_first_layer_too_large_for_memory_is_not_kept(mlp_pair, monkeypatch):
    arguments = (mlp_pair.model, mlp_pair.state_a, mlp_pair.state_b, GRID, mlp_pair.test.images)
    shared = dict(predict_logits_along(*arguments))
    monkeypatch.setattr(prediction, "MOST_BYTES_OF_FIRST_LAYER", 0)
    plain = dict(predict_logits_along(*arguments))
    for coefficient in GRID:
        torch.testing.assert_close(plain[coefficient], shared[coefficient], rtol=1e-4, atol=1e-5)
        merged = interpolate(mlp_pair.state_a, mlp_pair.state_b, coefficient)
        assert plain[coefficient].equal(predict_logits(mlp_pair.model, merged, mlp_pair.test.images))


def test_any_torch_network_can_be_walked_along():
    make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))  # noqa: E731
    model, state_a, state_b = make(), make().state_dict(), make().state_dict()
    images = torch.randn(20, 1, 8, 8, generator=random_stream(0))
    for coefficient, logits in predict_logits_along(model, state_a, state_b, GRID, images):
        assert logits.equal(predict_logits(model, interpolate(state_a, state_b, coefficient), images))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["vgg11", "resnet20"])
def test_batch_norm_is_recomputed_at_every_coefficient_the_ends_included(architecture):
    pair = random_pair(architecture)
    along = dict(
        predict_logits_along(
            pair.model, pair.state_a, pair.state_b, GRID, pair.test.images, batch_norm_images=pair.train_images
        )
    )
    for coefficient in GRID:
        merged = merge(pair.model, pair.state_a, pair.state_b, coefficient, pair.train_images)
        assert along[coefficient].equal(predict_logits(pair.model, merged, pair.test.images))
    assert not along[1].equal(predict_logits(pair.model, pair.state_a, pair.test.images))


def test_batch_norm_without_images_is_refused_before_any_work(resnet_pair):
    with pytest.raises(InputError, match="batch_norm_images is None, but the network has batch norm"):
        predict_logits_along(resnet_pair.model, resnet_pair.state_a, resnet_pair.state_b, GRID, resnet_pair.test.images)


# --- grids, ensembles


def test_the_grid_has_both_ends_and_the_midpoint():
    grid = coefficients_grid(25)
    assert len(grid) == 25 and grid[0] == 0 and grid[12] == 0.5 and grid[-1] == 1
    assert all(after - before == pytest.approx(1 / 24) for before, after in pairwise(grid))
    with pytest.raises(InputError, match="num_coefficients is 1; it must be a whole number at least 2"):
        coefficients_grid(1)


def test_ensemble_logits_weigh_model_a():
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, -2.0]])
    torch.testing.assert_close(ensemble_logits(a, b, 0.25), torch.tensor([[4.0, -1.0]]))
    assert ensemble_logits(a, b, 1).equal(a) and ensemble_logits(a, b, 0).equal(b)
    with pytest.raises(InputError, match="coefficient is 2"):
        ensemble_logits(a, b, 2)


def test_the_lewc_ensemble_weight_against_exact_fractions():
    assert lewc_ensemble_weight(0.25, 4) == pytest.approx(1 / 82), "model b has weight 0.988"
    assert lewc_ensemble_weight(0.25, 4) + lewc_ensemble_weight(0.75, 4) == pytest.approx(1)
    assert lewc_ensemble_weight(0.3, 1) == pytest.approx(0.3)
    for num_layers in (1, 20, 5000):
        assert lewc_ensemble_weight(0.5, num_layers) == 0.5
        assert lewc_ensemble_weight(0, num_layers) == 0 and lewc_ensemble_weight(1, num_layers) == 1
    assert lewc_ensemble_weight(0.9, 5000) == 1 and lewc_ensemble_weight(0.1, 5000) == 0
    with pytest.raises(InputError, match="exponent is 0"):
        lewc_ensemble_weight(0.5, 0)


# --- barriers


def test_barriers_by_hand_whatever_the_order():
    coefficients, losses = [0, 0.25, 0.5, 0.75, 1], [1.0, 3.0, 1.75, 2.5, 2.0]
    # the chord from b (λ = 0) to a (λ = 1): 1, 1.25, 1.5, 1.75, 2
    assert loss_barrier(coefficients, losses) == 1.75
    assert midpoint_loss_barrier(coefficients, losses) == 0.25
    order = [3, 0, 4, 2, 1]
    shuffled = [coefficients[index] for index in order], [losses[index] for index in order]
    assert loss_barrier(*shuffled) == 1.75 and midpoint_loss_barrier(*shuffled) == 0.25


def test_the_chord_is_steep_on_the_side_of_the_coefficient():
    assert loss_barrier([0, 0.25, 1], [0.0, 1.0, 4.0]) == 0, "λ = ¼ has three quarters of b's loss, 0"
    assert loss_barrier([0, 0.75, 1], [0.0, 3.5, 4.0]) == 0.5


def test_a_merged_network_that_is_better_has_a_negative_midpoint_and_no_barrier():
    assert midpoint_loss_barrier([0, 0.5, 1], [1.0, 0.5, 2.0]) == -1
    assert loss_barrier([0, 0.5, 1], [1.0, 0.5, 2.0]) == 0


def test_accuracy_barriers_count_what_is_lost():
    assert accuracy_barrier([0, 0.25, 0.5, 1], [0.9, 0.5, 0.8, 0.9]) == pytest.approx(0.4)
    assert midpoint_accuracy_barrier([0, 0.25, 0.5, 1], [0.9, 0.5, 0.8, 0.9]) == pytest.approx(0.1)
    assert midpoint_accuracy_barrier([0, 0.5, 1], [0.9, 0.95, 0.8]) == pytest.approx(-0.1)
    assert accuracy_barrier([0, 0.5, 1], [0.9, 0.95, 0.8]) == 0
    assert accuracy_barrier([0, 0.5, 1], [0.9, 0.95, 0.8], endpoints=(1.0, 1.0)) == pytest.approx(0.2)


def test_other_endpoints_move_the_chord():
    coefficients, losses = [0, 0.5, 1], [1.0, 2.0, 1.0]
    assert loss_barrier(coefficients, losses, endpoints=(3.0, 2.0)) == -0.5
    assert midpoint_loss_barrier(coefficients, losses, endpoints=(1.5, 0.5)) == 1
    assert loss_barrier([0, 0.25, 1], [0.0, 3.0, 0.0], endpoints=(4.0, 0.0)) == 2, "the first is model a's"


def test_barriers_need_both_ends_and_the_midpoint():
    with pytest.raises(InputError, match="coefficients does not hold 1; a barrier needs 0 and 1"):
        loss_barrier([0, 0.5], [1.0, 1.0])
    with pytest.raises(InputError, match=r"coefficients does not hold 0\.5"):
        midpoint_accuracy_barrier([0, 1], [1.0, 1.0])
    with pytest.raises(InputError, match="1 values for 2 coefficients"):
        loss_barrier([0, 1], [1.0])
