"""Matching of many networks: copies come back to the first, and the sum over all pairs never falls."""

import itertools

import pytest
import torch

from lmcbook.errors import InputError
from lmcbook.matching import merge_many_matching
from lmcbook.matching.similarity import objective_and_distance
from lmcbook.models import permutation_spec
from lmcbook.permutation import apply, compose, identity, invert, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import weight_names
from tests.helpers.matching_pairs import other, planted, same
from tests.helpers.small_networks import random_images, small_model


@pytest.mark.slow
def test_copies_of_one_network_all_come_back_to_the_first(network):
    model, state, spec = network
    copies = [
        apply(spec, random_permutation(spec, state, random_stream(number, "permutation")), state) for number in range(4)
    ]
    found = merge_many_matching(spec, copies, model=model, images=random_images(4), progress=False)
    assert same(found.permutations[0], identity(spec, state))
    for copy, permutation in zip(copies, found.permutations, strict=True):
        aligned = apply(spec, permutation, copy)
        assert all(torch.equal(aligned[name], copies[0][name]) for name in state)
    norm = sum(float(state[name].square().sum()) for name in weight_names(state))
    assert found.objective == pytest.approx(6 * norm, rel=1e-9)


def test_the_objective_of_many_never_falls_and_is_that_of_all_pairs():
    model, first = small_model("mlp")
    spec = permutation_spec(model)
    states = [first, *(other(first, f"network {number}") for number in range(3))]
    found = merge_many_matching(spec, states, model=None, progress=False)
    slack = 1e-6 * abs(found.objective)
    assert all(after >= before - slack for before, after in itertools.pairwise(found.trajectory))
    assert len(found.trajectory) == found.rounds + 1 > 2
    pairs = itertools.combinations(zip(states, found.permutations, strict=True), 2)
    total = 0.0
    for (state_a, permutation_a), (state_b, permutation_b) in pairs:
        relative = compose(permutation_b, invert(permutation_a))
        total += objective_and_distance(spec, state_a, state_b, relative)[0]
    assert found.objective == pytest.approx(total, rel=1e-5)
    assert same(found.permutations[0], identity(spec, first))


def test_two_networks_are_many_too_but_one_is_not():
    model, state = small_model("mlp")
    spec = permutation_spec(model)
    b, back = planted(spec, state)
    found = merge_many_matching(spec, [state, b], model=None, progress=False)
    assert same(found.permutations[1], back)
    with pytest.raises(InputError, match="states holds 1; matching needs two or more"):
        merge_many_matching(spec, [state], model=None)
