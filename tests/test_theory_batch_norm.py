"""What the chapter on many networks, biases and batch norm says in passing, and bounds on pairs that were trained."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from lmcbook import theory
from lmcbook.theory import Network, NormalisedNetwork, Pair
from tests.helpers.overlapping import drawn, stream

SIZES: dict[str, Any] = {"num_layers": 4, "input_size": 8, "units": 6, "num_classes": 4}
INPUTS = drawn(40, 8)


def midpoint(networks, **options) -> list[torch.Tensor]:
    return theory.run_normalised(theory.merged_normalised(networks, (0.5, 0.5)), INPUTS, **options)


def test_a_bias_of_the_classifier_needs_the_square_of_the_coefficient():
    networks = theory.disjoint_normalised_networks(2, **SIZES, generator=stream())
    biases = drawn(2, 4, seed=1)
    logits = [theory.run_normalised(each, INPUTS)[-1] + bias for each, bias in zip(networks, biases, strict=True)]
    for share in (0.5, 0.3):
        merged = theory.run_normalised(theory.merged_normalised(networks, (share, 1 - share)), INPUTS)[-1]
        law = share**2 * logits[0] + (1 - share) ** 2 * logits[1]
        squared = merged + share**2 * biases[0] + (1 - share) ** 2 * biases[1]
        plain = merged + share * biases[0] + (1 - share) * biases[1]
        assert torch.allclose(squared, law, atol=1e-11)
        excess = share * (1 - share) * (biases[0] + biases[1])
        assert torch.allclose(plain - law, excess.expand_as(law), atol=1e-11) and excess.abs().max() > 0.1


def test_epsilon_counts_sixteenfold_behind_the_first_layer_and_fourfold_in_it():
    networks = theory.disjoint_normalised_networks(2, **SIZES | {"num_layers": 3}, generator=stream())
    epsilon = 1e-2
    # 2 W with 16 ε is W with 4 ε: so the first layer has its own factor, and all others 16
    parents = [replace(each, weights=(2 * each.weights[0], *each.weights[1:])) for each in networks]
    a, b = (theory.run_normalised(each, INPUTS, epsilon=16 * epsilon)[-1] for each in parents)
    merged = midpoint(networks, epsilon=epsilon)[-1]
    assert torch.allclose(merged, (a + b) / 4, atol=1e-12)
    assert (merged - midpoint(networks)[-1]).norm() > 1e-3 * merged.norm()


def test_without_batch_norm_a_skip_fits_no_power():
    networks = theory.disjoint_networks(2, **SIZES, generator=stream())

    def second(network: Network) -> torch.Tensor:
        first = torch.relu(INPUTS @ network.weights[0].T)
        return torch.relu(first @ network.weights[1].T + first)

    both = second(networks[0]) + second(networks[1])
    merged = second(theory.merged(networks, (0.5, 0.5)))
    factor = (merged * both).sum() / (both * both).sum()
    assert (merged - factor * both).norm() > 0.1 * merged.norm(), "not even with the best factor"
    # with batch norm the stream has one power
    normalised = theory.disjoint_normalised_networks(2, **SIZES, skip=True, generator=stream())
    parents = [theory.run_normalised(each, INPUTS)[1] for each in normalised]
    assert torch.allclose(midpoint(normalised)[1], (parents[0] + parents[1]) / 2, atol=1e-12)


def test_blocks_of_two_layers_keep_the_power_whoever_owns_the_units_inside():
    sizes = SIZES | {"num_layers": 5}
    networks = theory.disjoint_normalised_networks(2, **sizes, generator=stream())
    order = torch.randperm(2 * SIZES["units"], generator=stream(1))

    def reordered(network: NormalisedNetwork) -> NormalisedNetwork:
        """With the units inside the block, those of layer 2, in another order."""
        weights, scales, shifts = (list(each) for each in (network.weights, network.scales, network.shifts))
        weights[1], weights[2] = weights[1][order], weights[2][:, order]
        scales[1], shifts[1] = scales[1][order], shifts[1][order]
        return replace(network, weights=tuple(weights), scales=tuple(scales), shifts=tuple(shifts))

    def run(network: NormalisedNetwork, *, around: tuple[int, int] = (0, 2)) -> list[torch.Tensor]:
        outputs: list[torch.Tensor] = []
        for index, (scale, shift) in enumerate(zip(network.scales, network.shifts, strict=True)):
            linear = (outputs[-1] if outputs else INPUTS) @ network.weights[index].T
            deviation = linear.std(0, correction=0)
            normalised = (linear - linear.mean(0)) / deviation.where(deviation > 1e-12, 1.0)
            added = outputs[around[0]] if index == around[1] else 0.0
            outputs.append(torch.relu(scale * normalised + shift + added))
        return [*outputs, outputs[-1] @ network.weights[-1].T]

    a, b = (reordered(each) for each in networks)
    for share in (0.5, 0.3):
        merged = theory.merged_normalised((a, b), (share, 1 - share))
        layers = list(zip(run(merged), run(a), run(b), strict=True))
        for of_merged, of_a, of_b in layers[:-1]:
            assert torch.allclose(of_merged, share * of_a + (1 - share) * of_b, atol=1e-11)
        of_merged, of_a, of_b = layers[-1]
        assert torch.allclose(of_merged, share**2 * of_a + (1 - share) ** 2 * of_b, atol=1e-11)
    # a skip that ends in units of other owners does not: so the check can fail
    merged = theory.merged_normalised((a, b), (0.5, 0.5))
    wrong = [run(each, around=(1, 2))[2] for each in (merged, a, b)]
    assert not torch.allclose(wrong[0], (wrong[1] + wrong[2]) / 2, atol=1e-2)


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_averaged_statistics_are_wrong_by_the_powers_of_the_exercise(share):
    networks = theory.disjoint_normalised_networks(2, **SIZES, generator=stream())
    merged = theory.merged_normalised(networks, (share, 1 - share))
    outputs = [theory.run_normalised(each, INPUTS) for each in (merged, networks[0])]
    own = slice(0, SIZES["units"])
    for layer, power, right_mean in ((0, 1, True), (1, 2, False)):
        read = [INPUTS, INPUTS] if layer == 0 else [each[layer - 1] for each in outputs]
        of_merged, of_a = (
            (signal @ network.weights[layer].T)[:, own]
            for signal, network in zip(read, (merged, networks[0]), strict=True)
        )
        averaged = share * of_a.var(0)
        assert torch.allclose((of_merged.var(0) / averaged).sqrt(), torch.full((6,), share ** (power - 0.5)).double())
        means = of_merged.mean(0), share * of_a.mean(0)
        assert torch.allclose(*means) == right_mean
        assert torch.allclose(of_merged.mean(0), share**power * of_a.mean(0))


def test_both_conditions_of_both_theorems_leave_nothing():
    a, b, wanted = drawn(5, 30, seed=1), drawn(5, 30, seed=2), drawn(5, 7, seed=3)
    inverse = torch.linalg.pinv(torch.cat([a, b]))
    weight_a = (inverse @ torch.cat([wanted, 0 * wanted])).T
    weight_b = (inverse @ torch.cat([0 * wanted, -wanted])).T
    # orthogonal and commuting in one layer: the pre-activations are each other's negatives
    assert (a @ weight_b.T).abs().max() < 1e-12 > (b @ weight_a.T).abs().max()
    assert ((a - b) @ (weight_a - weight_b).T).abs().max() < 1e-12
    own = a @ weight_a.T, b @ weight_b.T
    assert torch.allclose(own[0], -own[1]) and own[0].abs().max() > 1
    # and weak additivity lacks all that there is
    assert torch.allclose(theory.deficit(*own, 0.5, 0.5), own[0].abs() / 2)


@pytest.mark.slow
def test_bounds_on_a_trained_pair_hold_and_say_nothing(trained_pair, digits):
    networks = [Network(weights=tuple(weight.double() for weight in each.state.values())) for each in trained_pair]
    images = digits.calibration.images.flatten(1).double()
    rise = theory.bounded_rise(Pair(*networks), 0.5, images, digits.calibration.labels)
    bounds = rise.to_second_order, rise.from_error, rise.from_conditions
    assert 0 < rise.measured < rise.useless_above < min(bounds), "every bound holds and is vacuous"
    assert rise.from_error <= rise.from_conditions


def test_bounds_on_a_pair_that_meets_the_conditions_are_zero():
    pair = theory.disjoint_pair(**SIZES, generator=stream())
    labels = torch.randint(4, (40,), generator=stream())
    labels[:20] = theory.run(pair.a, INPUTS)[-1].output[:20].argmax(1)
    rise = theory.bounded_rise(pair, 0.5, INPUTS, labels)
    assert rise.measured == pytest.approx(0, abs=1e-9)
    assert max(rise.from_conditions, rise.from_error, rise.to_second_order) < 1e-9 < rise.useless_above
