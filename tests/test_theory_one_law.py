"""One law for LEWC and LLFC, on pairs whose networks use the same units; theorem 5.3 among them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcbook import theory
from lmcbook.errors import InputError
from lmcbook.layerwise import decay_exponent
from lmcbook.theory import Network
from tests.helpers.overlapping import (
    INPUTS,
    ROUNDING,
    SIZES,
    drawn,
    on_the_line,
    outputs,
    overlapping,
    shared_activity,
    stream,
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(coefficient=st.floats(0.05, 0.95), seed=st.integers(0, 999))
def test_theorem_5_3_where_the_units_overlap(coefficient, seed):
    pair = overlapping(seed=seed)
    conditions = theory.condition_errors(pair, INPUTS)
    assert conditions["additivity"][:-1].max() < ROUNDING and conditions["orthogonality"][1:].max() < ROUNDING
    # not by separate places: about half of the units are on in both networks, and no weight is 0
    assert all(0.3 < share < 0.7 for share in shared_activity(pair))
    assert all((a.abs() > 0).all() and (b.abs() > 0).all() for a, b in zip(*(n.weights for n in pair), strict=True))
    errors = theory.connectivity_errors(pair, theory.two_networks([coefficient]), INPUTS)
    assert errors.max() < ROUNDING
    # new inputs are nobody's promise: the conditions hold for those the pair was made for
    elsewhere = theory.connectivity_errors(pair, theory.two_networks([0.5]), drawn(50, 12, seed=seed))
    assert elsewhere[0, 1:].min() > 0.05


def test_cross_talk_breaks_it_where_the_units_overlap_too():
    pair = overlapping(theory.mixed([0.1] * 3, [0.0] * 3))
    errors = theory.connectivity_errors(pair, theory.two_networks([0.5]), INPUTS)[0]
    assert errors[0] < ROUNDING
    assert errors.tolist()[1:] == pytest.approx([1 - 1.1**-power for power in (1, 2, 3)]), "relative to the layer"


# one law


@pytest.mark.parametrize("kappas", [(0, 0, 0), (1, 1, 1), (0.3, 0.8, 0.1), (-0.5, 0.2, -1.5)])
def test_one_law_at_the_midpoint(kappas):
    answers = theory.mixed([0.25 * kappa for kappa in kappas], [0.75 * kappa for kappa in kappas])
    pair = overlapping(answers)
    factors = theory.midpoint_factors(kappas)
    a, b, merged = outputs(pair.a), outputs(pair.b), on_the_line(pair, 0.5)
    for factor, of_a, of_b, of_merged in zip(factors, a, b, merged, strict=True):
        assert torch.allclose(of_merged, factor * (of_a + of_b), atol=ROUNDING)
    commutativity = theory.condition_errors(pair, INPUTS)["commutativity"][1:]
    assert commutativity.tolist() == pytest.approx([abs(1 - kappa) for kappa in kappas], abs=ROUNDING)
    if min(kappas) > -1:
        measured = [decay_exponent(*layer) for layer in zip(merged, a, b, strict=True)]
        assert measured == pytest.approx(theory.midpoint_exponents(kappas).tolist())


def test_exponents_of_the_family_between_both_laws():
    sizes = SIZES | {"generator": stream()}
    for kappa in (0.0, 0.5, 1.0):
        found = theory.mixed_exponents(kappa, INPUTS, **sizes)
        assert found.tolist() == pytest.approx(theory.midpoint_exponents([kappa] * 3).tolist())


def test_the_law_ends_where_cross_talk_turns_the_signal_around():
    pair = overlapping(theory.mixed([-1.5, 0, 0], [0, 0, 0]))
    a, b, merged = outputs(pair.a), outputs(pair.b), on_the_line(pair, 0.5)
    assert not torch.allclose(merged[1], -0.125 * (a[1] + b[1]), atol=0.01)
    with pytest.raises(InputError, match="kappa is -1.5; it must be a number above -1"):
        theory.midpoint_factors([-1.5, 0, 0])


@pytest.mark.parametrize("coefficient", [0.1, 0.5, 0.7])
def test_off_the_midpoint_both_readings_count(coefficient):
    others, owns = (0.4, 0.0, 0.2), (0.1, 0.3, 0.0)
    pair = overlapping(theory.mixed(others, owns))
    factors = theory.line_factors(coefficient, others, owns)
    for (of_a, of_b), a, b, merged in zip(
        factors, outputs(pair.a), outputs(pair.b), on_the_line(pair, coefficient), strict=True
    ):
        assert torch.allclose(merged, of_a * a + of_b * b, atol=ROUNDING)
    at_the_midpoint = theory.line_factors(0.5, others, owns)
    kappas = [one + other for one, other in zip(others, owns, strict=True)]
    assert torch.allclose(at_the_midpoint, theory.midpoint_factors(kappas)[:, None].expand(-1, 2))


def test_the_check_of_the_chapter_tells_whose_answers_the_cross_talk_resembles():
    found = theory.line_checks(0.25, INPUTS, **SIZES, generator=stream())
    assert list(found) == ["κ′ = 0.5, κ″ = 0", "κ′ = 0.4, κ″ = 0.1", "κ′ = 0, κ″ = 0.5"]
    for errors in found.values():
        right, exchanged = errors.values()
        assert right.max() < ROUNDING and exchanged[:2].max() < ROUNDING < 0.01 < exchanged[2:].min()


def test_of_the_sum_alone_the_law_knows_two_layers_off_the_midpoint():
    zeros, kappas = (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)
    first, second = theory.line_factors(0.25, kappas, zeros), theory.line_factors(0.25, zeros, kappas)
    # in layer 2 the two differ in how they share the cross-talk; the sum over both readings is in neither
    pairs = [overlapping(theory.mixed(*each)) for each in ((kappas, zeros), (zeros, kappas))]
    for pair, factors in zip(pairs, (first, second), strict=True):
        assert torch.allclose(
            on_the_line(pair, 0.25)[2],
            factors[2, 0] * outputs(pair.a)[2] + factors[2, 1] * outputs(pair.b)[2],
            atol=ROUNDING,
        )
    assert torch.allclose(first[:2], second[:2]) and (first[2] - second[2]).abs().min() > 1e-3
    # with commutativity, κ = 1, every λ has its law: LLFC, whoever it is that answers
    for others, owns in (((1.0,) * 3, zeros), (zeros, (1.0,) * 3), ((0.5,) * 3, (0.5,) * 3)):
        expected = torch.tensor([0.25, 0.75], dtype=torch.float64).expand(4, 2)
        assert torch.allclose(theory.line_factors(0.25, others, owns), expected)


# the sum


@pytest.mark.parametrize("bias", [False, True])
def test_nothing_fades_in_the_sum_of_networks(bias):
    networks = theory.disjoint_networks(
        3, num_layers=4, input_size=12, units=5, num_classes=3, generator=stream(), bias=bias
    )
    layers = zip(outputs(theory.merged(networks, (1, 1, 1))), *map(outputs, networks), strict=True)
    assert all(torch.allclose(of_sum, a + b + c, atol=ROUNDING) for of_sum, a, b, c in layers)
    mean = outputs(theory.merged(networks, (1 / 3,) * 3))[-1]
    total = outputs(theory.merged(networks, (1, 1, 1)))[-1]
    assert torch.allclose(3**4 * mean, total, atol=1e-9) is not bias


def test_an_inverse_temperature_can_be_put_into_the_weights():
    pair, beta = overlapping(), 5.0
    merged = theory.merged(pair, (0.5, 0.5))
    scaled = Network(weights=tuple(beta ** (1 / 4) * weight for weight in merged.weights))
    assert torch.allclose(outputs(scaled)[-1], beta * outputs(merged)[-1], atol=ROUNDING)


def test_bad_input_is_said_in_one_line():
    with pytest.raises(InputError, match="inputs holds 6 examples; at most 5 can be told apart"):
        overlapping(units=20)
    with pytest.raises(InputError, match="owns holds 1 numbers; give 2, one for each of others"):
        theory.line_factors(0.5, [0.1, 0.2], [0.1])
