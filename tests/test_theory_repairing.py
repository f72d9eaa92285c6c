"""The repaired network satisfies LEWC where constant cross-talk alone was in the way; the rest is bounded."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcbook import theory
from lmcbook.errors import InputError
from lmcbook.theory import Network, Pair
from tests.helpers.overlapping import INPUTS, ROUNDING, SIZES, drawn, on_the_line, outputs, overlapping, stream


@pytest.mark.parametrize("coefficient", [0.2, 0.5])
@pytest.mark.parametrize("means_from", ["parents", "merged"])
def test_a_bias_removes_constant_cross_talk_exactly(coefficient, means_from):
    pair = overlapping(theory.constant(2.0, stream(1)))
    plain = theory.error_budget(pair, coefficient, INPUTS)
    assert plain.error[0] < ROUNDING < 0.05 < plain.error[1:].min()
    budget = theory.error_budget(pair, coefficient, INPUTS, repair=means_from)
    assert budget.error.max() < ROUNDING and budget.bound.max() < ROUNDING


def test_the_errors_of_all_three_in_one_table():
    errors = theory.repair_errors(overlapping(theory.constant(2.0, stream(1))), 0.5, INPUTS)
    assert list(errors) == ["plain", "repaired, from the parents", "repaired, from the merged network"]
    plain, *repaired = errors.values()
    assert plain[1:].min() > 0.1 and max(each.max() for each in repaired) < ROUNDING
    checks = theory.repair_checks(INPUTS, **SIZES, generator=stream())
    constant, varying, commuting = ([each.max().item() for each in of.values()] for of in checks.values())
    assert constant[0] > 0.3 and max(constant[1:]) < ROUNDING
    assert all(ROUNDING < 0.02 < repaired < varying[0] / 2 for repaired in varying[1:])
    assert commuting[0] < ROUNDING < 0.1 < min(commuting[1:]), "LLFC has the right direction until it is repaired"


@pytest.mark.parametrize("means_from", ["parents", "merged"])
@pytest.mark.parametrize("varying", [0.01, 1.0])
def test_what_varies_stays_and_is_bounded(means_from, varying):
    pair = overlapping(theory.constant(2.0, stream(1), varying))
    plain, budget = (theory.error_budget(pair, 0.5, INPUTS, repair=how) for how in (None, means_from))
    assert bool((budget.error <= budget.bound * (1 + 1e-9) + 1e-9).all())
    assert budget.error[1:].min() > varying / 100 and bool((budget.error <= plain.error + 1e-12).all())
    assert budget.orthogonality[1] < plain.orthogonality[1]
    assert budget.error[1].item() < 2 * varying
    # Pythagoras: the constant part and what varies
    gone = plain.orthogonality**2 - budget.orthogonality**2
    layers = [theory.run(network, INPUTS) for network in pair]
    means = [theory.layer_cross_talk(pair, 0.5, of_a, of_b).mean(0) for of_a, of_b in zip(*layers, strict=True)]
    assert torch.allclose(gone, torch.stack([mean.square().sum() for mean in means]), atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(
    coefficient=st.floats(0, 1),
    slope=st.sampled_from([0.0, 0.1]),
    bias=st.booleans(),
    means_from=st.sampled_from(["parents", "merged"]),
    seed=st.integers(0, 999),
)
def test_the_bound_for_repaired_networks_holds_for_any_networks(coefficient, slope, bias, means_from, seed):
    networks = []
    for index in range(2):
        weights = tuple(drawn(*shape, seed=seed + index) for shape in ((7, 12), (7, 7), (3, 7)))
        biases = tuple(drawn(len(weight), seed=seed + index) for weight in weights) if bias else None
        networks.append(Network(weights=weights, biases=biases))
    budget = theory.error_budget(Pair(*networks), coefficient, INPUTS, slope, repair=means_from)
    assert bool((budget.error <= budget.bound * (1 + 1e-9) + 1e-9).all()) and budget.bias.max() == 0


def test_repair_from_the_merged_network_sets_every_mean():
    pair = overlapping(theory.constant(1.0, stream(1), 1.0))
    found = {
        how: theory.run(theory.repaired(pair, 0.3, INPUTS, means_from=how), INPUTS) for how in ("parents", "merged")
    }
    a, b = (theory.run(network, INPUTS) for network in pair)
    for depth in range(2, 5):
        of_a, of_b = a[depth - 1].pre_activation, b[depth - 1].pre_activation
        target = (0.3**depth * of_a + 0.7**depth * of_b).mean(0)
        assert torch.allclose(found["merged"][depth - 1].pre_activation.mean(0), target, atol=1e-12)
        # from the parents alone, what layer 2 hands on is not centred
        off = (found["parents"][depth - 1].pre_activation.mean(0) - target).abs().max().item()
        assert (off < 1e-12) is (depth == 2)


@pytest.mark.parametrize("means_from", ["parents", "merged"])
@pytest.mark.parametrize("coefficient", [0.0, 1.0])
def test_repair_leaves_the_ends_alone(means_from, coefficient):
    pair = overlapping(theory.constant(2.0, stream(1), 1.0))
    end = theory.repaired(pair, coefficient, INPUTS, means_from=means_from)
    assert end.biases is not None and max(bias.abs().max() for bias in end.biases) < ROUNDING
    of_end = outputs(pair.a if coefficient == 1 else pair.b)
    assert all(torch.allclose(one, other, atol=ROUNDING) for one, other in zip(outputs(end), of_end, strict=True))


def test_repair_merges_biases_as_the_law_does():
    pair = theory.disjoint_pair(num_layers=4, input_size=12, units=6, num_classes=3, generator=stream(), bias=True)
    for means_from in ("parents", "merged"):
        budget = theory.error_budget(pair, 0.3, INPUTS, repair=means_from)
        assert budget.error.max() < ROUNDING < 0.05 < theory.error_budget(pair, 0.3, INPUTS).error[1:].min()


def test_where_llfc_holds_the_repair_does_harm():
    pair = overlapping(theory.mixed([1.0] * 3, [0.0] * 3))
    linear = [(a + b) / 2 for a, b in zip(outputs(pair.a), outputs(pair.b), strict=True)]
    repaired = outputs(theory.repaired(pair, 0.5, INPUTS, means_from="merged"))
    for depth, (plain, expected, of_repaired) in enumerate(
        zip(on_the_line(pair, 0.5), linear, repaired, strict=True), start=1
    ):
        assert torch.allclose(plain, expected, atol=ROUNDING)
        assert torch.allclose(of_repaired, expected, atol=1e-2) is (depth == 1)


def test_bad_input_is_said_in_one_line():
    with pytest.raises(InputError, match="coefficient is 1.5; it must be a number at least 0 and at most 1"):
        theory.repaired(overlapping(), 1.5, INPUTS)
