"""What the chapters on theory say in remarks and exercises, as numbers that could come out otherwise."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcbook import theory
from lmcbook.calibration import fit_inverse_temperature
from lmcbook.theory import Network, Pair
from tests.helpers.overlapping import drawn, stream

SIZES: dict[str, Any] = {"num_layers": 4, "input_size": 8, "units": 6, "num_classes": 4}
INPUTS = drawn(40, 8)


def test_an_echo_breaks_both_conditions():
    [network, *_] = theory.disjoint_networks(2, **SIZES, generator=stream())
    echo = Network(weights=(-network.weights[0], *network.weights[1:]))
    conditions = theory.condition_errors(Pair(network, echo), INPUTS)
    assert conditions["additivity"][0].item() == pytest.approx(1)
    assert conditions["orthogonality"][1].item() == pytest.approx(1)
    assert theory.run(theory.merged((network, echo), (0.5, 0.5)), INPUTS)[-1].output.abs().max() == 0


def test_away_from_the_midpoint_it_is_easier_for_networks_of_equal_size_only():
    midpoint = theory.gaussian_cosine()
    assert all(theory.gaussian_cosine(coefficient=each) > midpoint for each in (0.2, 0.4, 0.8))
    assert theory.gaussian_cosine(4.0, 1.0, coefficient=0.2) == pytest.approx(midpoint)
    assert theory.gaussian_cosine(4.0, 1.0, coefficient=0.5) == pytest.approx(0.981, abs=5e-4)


def test_contradiction_lowers_the_cosine_but_not_monotonically():
    cosines = [theory.gaussian_cosine(4.0, 1.0, each / 100) for each in range(-100, 101)]
    assert max(cosines[:100]) < cosines[100] < min(cosines[101:])
    least = cosines.index(min(cosines))
    assert -80 < least - 100 < -70 and cosines[least] < cosines[0] - 0.003
    assert cosines[least] == pytest.approx(0.9615, abs=5e-5)
    equal = [theory.gaussian_cosine(1.0, 1.0, each / 100) for each in range(-99, 101)]
    assert equal == sorted(equal)


def test_logits_of_networks_that_share_units():
    networks = theory.disjoint_networks(2, **SIZES, generator=stream(), shared_units=3)
    a, b, merged = (theory.run(each, INPUTS)[-1] for each in (*networks, theory.merged(networks, (0.3, 0.7))))
    last = [network.weights[-1] for network in networks]
    shared = torch.where(last[0] == last[1], last[0], 0.0)
    assert shared.abs().sum() > 0
    common = a.input @ shared.T
    assert torch.allclose(common, b.input @ shared.T, atol=1e-12)
    expected = common + 0.3**4 * (a.output - common) + 0.7**4 * (b.output - common)
    assert torch.allclose(merged.output, expected, atol=1e-12)


@pytest.mark.parametrize("coefficient", [0.25, 0.5])
def test_the_excess_of_biases_merged_like_weights_is_exact_in_the_first_layer_that_has_them(coefficient):
    pair = theory.disjoint_pair(**SIZES, generator=stream(), bias=True)
    silent = [
        Network(weights=each.weights, biases=(torch.zeros_like(each.biases[0]), *each.biases[1:]))
        for each in pair
        if each.biases is not None
    ]
    a, b, merged = (
        theory.run(each, INPUTS)[1].pre_activation
        for each in (*silent, theory.merged(silent, (coefficient, 1 - coefficient)))
    )
    excess = merged - coefficient**2 * a - (1 - coefficient) ** 2 * b
    assert silent[0].biases is not None and silent[1].biases is not None
    expected = (coefficient - coefficient**2) * (silent[0].biases[1] + silent[1].biases[1])
    assert torch.allclose(excess, expected.expand_as(excess), atol=1e-12) and expected.abs().max() > 0.1


def test_the_inverse_temperature_of_k_networks():
    for count in (2, 3, 5):
        networks = theory.disjoint_networks(count, **SIZES, generator=stream())
        mean = torch.stack([theory.run(each, INPUTS)[-1].output for each in networks]).mean(0)
        labels = torch.multinomial(mean.softmax(1), 1, generator=stream())[:, 0]
        merged = theory.run(theory.merged(networks, [1 / count] * count), INPUTS)[-1].output
        fitted = [fit_inverse_temperature(logits, labels).inverse_temperature for logits in (merged, mean)]
        assert fitted[0] / fitted[1] == pytest.approx(count**3, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(size=st.floats(0, 3), inverse_temperature=st.floats(0.1, 4), seed=st.integers(0, 999))
def test_both_bounds_on_the_loss_hold_for_any_error(size, inverse_temperature, seed):
    logits, error = drawn(50, 4, seed=seed), size * drawn(50, 4, seed=seed + 1)
    labels = torch.multinomial(logits.softmax(1), 1, generator=stream(seed))[:, 0]
    before, after = (F.cross_entropy(inverse_temperature * each, labels).item() for each in (logits, logits + error))
    bounds = theory.loss_bounds(logits, error, labels, inverse_temperature)
    assert after - before <= bounds.lipschitz + 1e-12 and after - before <= bounds.second_order + 1e-12
    # and the calibrated loss of the noisy logits is no larger than that
    if inverse_temperature > 0:
        least = fit_inverse_temperature(logits + error, labels).loss
        assert least <= before + bounds.second_order + 1e-9


def test_of_noise_the_second_order_says_more():
    logits, error = 2 * drawn(4000, 10), 0.1 * drawn(4000, 10, seed=1)
    labels = torch.multinomial(logits.softmax(1), 1, generator=stream())[:, 0]
    bounds = theory.loss_bounds(logits, error, labels, 1.0)
    rise = F.cross_entropy(logits + error, labels) - F.cross_entropy(logits, labels)
    assert abs(rise.item()) < bounds.second_order + 1e-12 < bounds.lipschitz / 10


def test_an_ensemble_is_never_worse_than_its_members_mean():
    a, b = 3 * drawn(500, 4), 3 * drawn(500, 4, seed=1)
    labels = torch.multinomial(a.softmax(1), 1, generator=stream())[:, 0]
    for share in (0.1, 0.5, 0.9):
        members = share * F.cross_entropy(a, labels) + (1 - share) * F.cross_entropy(b, labels)
        assert F.cross_entropy(share * a + (1 - share) * b, labels) < members - 0.01


def test_batch_norm_needs_silent_units_not_to_vary():
    a, b = theory.disjoint_normalised_networks(2, **SIZES, generator=stream())
    assert theory.normalised_errors((a, b), (0.5, 0.5), INPUTS).max() < 1e-11
    # b's own scale and shift keep unit 0 silent in b, but its weights are as they were drawn
    weights = [weight.clone() for weight in b.weights]
    weights[0][: SIZES["units"]] = drawn(SIZES["units"], 8, seed=3)
    undecayed = replace(b, weights=tuple(weights))
    outputs = [theory.run_normalised(each, INPUTS)[-1] for each in (b, undecayed)]
    assert torch.equal(*outputs), "b itself does not notice"
    assert theory.normalised_errors((a, undecayed), (0.5, 0.5), INPUTS).min() > 0.05


def test_how_wrong_lewc_is_where_batch_norm_is_recomputed():
    for errors in theory.batch_norm_errors(INPUTS, **SIZES, generator=stream()).values():
        expected = [1 - 2.0 ** (1 - depth) for depth in range(1, 4)] + [1 - 2.0 ** (2 - 4)]
        assert errors["LEWC"].tolist() == pytest.approx(expected, abs=1e-9)


def test_the_exponent_levels_off_the_earlier_the_more_units_are_shared():
    sizes: dict[str, Any] = {"num_layers": 8, "input_size": 8, "num_classes": 4}
    shares = [theory.shared_decay(units, 96, INPUTS, **sizes, generator=stream()) for units in (24, 48, 72)]
    last = [each[-2].item() for each in shares]
    assert 3 > last[0] > last[1] > last[2] > 1
    # half of them, of equal weight: the merged layer is c, and 2c + o_a + o_b is √6 times as long
    assert shares[1][2:-1].mean().item() == pytest.approx(math.log2(6) / 2, abs=0.2)


def test_nothing_shared_is_lewc():
    sizes: dict[str, Any] = {"num_layers": 6, "input_size": 8, "num_classes": 4}
    exponents = theory.shared_decay(0, 24, INPUTS, **sizes, generator=stream())
    assert exponents.tolist() == pytest.approx(range(1, 7))
