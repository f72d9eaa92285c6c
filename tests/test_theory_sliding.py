"""Tests of lmcbook.theory.sliding: between disjoint and identical networks, both ends exactly what they should be."""

import pytest
import torch

from lmcbook import theory
from lmcbook.errors import InputError
from lmcbook.randomness import random_stream

UNITS, LAYERS = 12, 4


@pytest.fixture(scope="module")
def dense():
    stream = random_stream(0, "sliding")
    return theory.dense_pair(num_layers=LAYERS, input_size=7, units=UNITS, num_classes=5, generator=stream)


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(60, 7, generator=random_stream(0, "inputs"), dtype=torch.float64)


@pytest.mark.parametrize("shared", [0, 1, 5, UNITS])
def test_weak_additivity_holds_whatever_is_shared(shared, dense, inputs):
    pair = theory.sliding_pair(dense, shared)
    assert [tuple(weight.shape) for weight in pair.a.weights] == [
        (2 * UNITS - shared, 7),
        *[(2 * UNITS - shared,) * 2] * (LAYERS - 2),
        (5, 2 * UNITS - shared),
    ]
    assert theory.condition_errors(pair, inputs)["additivity"][:-1].max() < 1e-14


def test_without_shared_units_lewc_is_exact_and_each_network_is_its_dense_one(dense, inputs):
    pair = theory.sliding_pair(dense, 0)
    assert theory.condition_errors(pair, inputs)["orthogonality"][1:].max() == 0
    assert theory.law_errors(pair, inputs)["LEWC"].max() < 1e-12
    for network, of_pair in zip(dense, pair, strict=True):
        torch.testing.assert_close(theory.run(of_pair, inputs)[-1].output, theory.run(network, inputs)[-1].output)


def test_with_all_units_shared_the_two_are_one_network(dense, inputs):
    pair = theory.sliding_pair(dense, UNITS)
    assert all(torch.equal(*each) for each in zip(pair.a.weights, pair.b.weights, strict=True))
    assert all(torch.equal(*each) for each in zip(pair.a.weights, dense.a.weights, strict=True))
    assert theory.law_errors(pair, inputs)["LLFC"].max() < 1e-14


def test_the_exponents_go_from_one_law_to_the_other(dense, inputs):
    rows = theory.slide(dense, [0, 3, UNITS], inputs)
    assert [(row["shared_units"], row["depth"]) for row in rows] == [
        (s, d) for s in (0, 3, UNITS) for d in (1, 2, 3, 4)
    ]
    exponents = torch.tensor([row["decay_exponent"] for row in rows]).view(3, LAYERS)
    torch.testing.assert_close(exponents[0], torch.arange(1.0, LAYERS + 1))
    torch.testing.assert_close(exponents[2], torch.ones(LAYERS))
    assert 1 < exponents[1, -1] < LAYERS
    assert rows[LAYERS - 1]["off_lewc"] < 1e-12 < 0.1 < rows[LAYERS - 1]["off_llfc"]
    assert rows[-1]["off_llfc"] < 1e-14 < 0.1 < rows[-1]["off_lewc"]
    assert {row["units"] for row in rows} == {UNITS}


@pytest.mark.parametrize("shared", [-1, UNITS + 1])
def test_more_units_than_there_are_cannot_be_shared(shared, dense):
    with pytest.raises(InputError, match="shared_units is .* it must be a whole number at least 0 and at most 12"):
        theory.sliding_pair(dense, shared)


def test_sizes_are_checked():
    with pytest.raises(InputError, match="units is 0"):
        theory.dense_pair(num_layers=3, input_size=4, units=0, num_classes=2, generator=random_stream(0, "sliding"))
