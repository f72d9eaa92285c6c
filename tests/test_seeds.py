"""Trainings of a pair that share their start or the order of their examples."""

import math
from dataclasses import replace

import pytest
import torch

from lmcbook.lab.config import PairConfig
from lmcbook.training import order_seed_at, train


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
