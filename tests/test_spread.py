"""The penalty against low rank against singular values, and trainings that share their start or their order."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from lmcbook.lab.config import PairConfig
from lmcbook.layerwise import rank_measures
from lmcbook.randomness import random_stream
from lmcbook.training import order_seed_at, relative_spread, spectral_spread, train

SHAPES = [(6, 6), (4, 9), (9, 4), (5, 2, 3, 3)]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=random_stream(0, "weight"), dtype=torch.float64)


# --- the penalty -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_the_spread_is_the_relative_variance_of_the_squared_singular_values(shape):
    weight = drawn(*shape)
    squares = torch.linalg.svdvals(weight.flatten(1)).square()
    expected = squares.var(correction=0) / squares.mean() ** 2
    assert relative_spread(weight).item() == pytest.approx(expected.item(), rel=1e-10)
    assert relative_spread(1e-3 * weight).item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("rows", [3, 7])
def test_the_spread_is_0_of_a_rotation_and_largest_at_rank_one(rows):
    rotation, _ = torch.linalg.qr(drawn(rows, rows))
    assert relative_spread(2.5 * rotation).item() == pytest.approx(0, abs=1e-12)
    one = torch.outer(drawn(rows), drawn(5))
    assert relative_spread(one).item() == pytest.approx(min(rows, 5) - 1, rel=1e-10)


def test_the_gradient_of_the_spread_is_right():
    assert torch.autograd.gradcheck(relative_spread, drawn(4, 6).requires_grad_())


def test_every_linear_map_is_penalised_and_nothing_else():
    convolution, normalisation, linear = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(12, 5)
    model = nn.Sequential(convolution, normalisation, nn.Flatten(), linear, nn.ReLU())
    weights = [convolution.weight, linear.weight]
    assert spectral_spread(model).item() == pytest.approx(sum(relative_spread(each).item() for each in weights))
    spectral_spread(model).backward()
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


# --- what pairs share ------------------------------------------------------------------------------------------------


def histories(pair: PairConfig, digits) -> list[list[float]]:
    return [train(config, digits, progress=False).history["loss"] for config in (pair.training_a, pair.training_b)]


def test_a_spawned_pair_is_one_network_until_it_parts(pico, digits):
    pair = PairConfig(training=replace(pico, epochs=4), shared="start", shared_fraction=0.5)
    first, second = histories(pair, digits)
    assert first[:2] == second[:2], "to the bit"
    assert first[2] != second[2] and first[3] != second[3]


def test_a_pair_may_part_in_the_middle_of_an_epoch(pico, digits):
    pair = PairConfig(training=replace(pico, epochs=2), shared="start", shared_fraction=0.25)
    first, second = histories(pair, digits)
    assert first[0] != second[0]
    steps = 2 * (len(digits.train) // pico.batch_size)
    seeds = [order_seed_at(step, steps, pair.training_b) for step in range(steps)]
    common = round(0.25 * steps)
    assert seeds == [0] * common + [1] * (steps - common) and 0 < common < steps / 2


@pytest.mark.parametrize(("shared", "same_start"), [("start", True), ("order", False), ("nothing", False)])
def test_what_is_shared_is_shared_and_nothing_else(pico, digits, shared, same_start):
    pair = PairConfig(training=replace(pico, epochs=1, learning_rate=1e-12, weight_decay=0.0), shared=shared)
    states = [train(config, digits, progress=False).state for config in (pair.training_a, pair.training_b)]
    # a training that does not move shows its initialisation
    alike = all(torch.allclose(states[0][name], states[1][name], atol=1e-7) for name in states[0])
    assert alike == same_start
    orders = [[order_seed_at(step, 9, config) for step in range(9)] for config in (pair.training_a, pair.training_b)]
    assert (orders[0] == orders[1]) == (shared == "order")


def test_network_a_is_the_same_whatever_is_shared(pico):
    pairs = [
        PairConfig(training=pico),
        PairConfig(training=pico, shared="order"),
        *(PairConfig(training=pico, shared="start", shared_fraction=fraction) for fraction in (0.0, 0.2)),
    ]
    assert len({pair.training_a.digest for pair in pairs}) == 1
    assert len({pair.training_b.digest for pair in pairs}) == len({pair.digest for pair in pairs}) == 4
    assert math.isclose(pairs[-1].training_b.order_seed_fraction, 0.2)
