"""The penalty against low rank, computed from inner products, against singular values."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lmcbook.layerwise import rank_measures
from lmcbook.randomness import random_stream
from lmcbook.training import rank_penalty, singular_value_spread, train

SHAPES = [(6, 6), (4, 9), (9, 4), (5, 2, 3, 3)]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=random_stream(0, "weight"), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_spread_is_the_relative_variance_of_the_squared_singular_values(shape):
    weight = drawn(*shape)
    squares = torch.linalg.svdvals(weight.flatten(1)).square()
    expected = squares.var(correction=0) / squares.mean() ** 2
    assert singular_value_spread(weight).item() == pytest.approx(expected.item(), rel=1e-10)
    assert singular_value_spread(1e-3 * weight).item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("rows", [3, 7])
def test_the_spread_is_0_of_a_rotation_and_largest_at_rank_one(rows):
    rotation, _ = torch.linalg.qr(drawn(rows, rows))
    assert singular_value_spread(2.5 * rotation).item() == pytest.approx(0, abs=1e-12)
    one = torch.outer(drawn(rows), drawn(5))
    assert singular_value_spread(one).item() == pytest.approx(min(rows, 5) - 1, rel=1e-10)


def test_the_gradient_of_the_spread_is_right():
    assert torch.autograd.gradcheck(singular_value_spread, drawn(4, 6).requires_grad_())


def test_every_linear_map_is_penalised_and_nothing_else():
    convolution, normalisation, linear = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(12, 5)
    model = nn.Sequential(convolution, normalisation, nn.Flatten(), linear, nn.ReLU())
    weights = [convolution.weight, linear.weight]
    assert rank_penalty(model).item() == pytest.approx(sum(singular_value_spread(each).item() for each in weights))
    rank_penalty(model).backward()
    assert all(weight.grad is not None for weight in weights)
    assert convolution.bias is not None and convolution.bias.grad is None
    assert normalisation.weight.grad is None


def test_the_penalty_raises_the_rank_and_leaves_the_accuracy(pico, digits):
    config = replace(pico, epochs=8, seed=7)
    plain, penalised = (train(replace(config, spread_penalty=size), digits, progress=False) for size in (0.0, 0.1))
    ranks = [rank_measures(each.state["hidden2.linear.weight"]) for each in (plain, penalised)]
    for name in ("relative_stable_rank", "relative_effective_rank"):
        assert ranks[1][name] > ranks[0][name] + 0.1
    assert penalised.history["accuracy"][-1] > 0.9
    # what is recorded is the loss itself, without the penalty
    assert penalised.history["loss"][-1] < 0.5
