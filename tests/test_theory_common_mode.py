"""The common mode: cross-talk of randomly placed units in closed form, its parts, and a bound that says nothing."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcbook import theory
from lmcbook.errors import InputError
from lmcbook.layerwise import stable_rank
from tests.helpers.overlapping import drawn, stream

# the closed form


@settings(max_examples=40, deadline=None)
@given(
    units=st.integers(2, 5),
    outputs=st.integers(1, 4),
    examples=st.integers(1, 3),
    offset=st.floats(-2, 2),
    seed=st.integers(0, 999),
)
def test_the_closed_form_is_the_mean_over_all_permutations(units, outputs, examples, offset, seed):
    weight, features = drawn(outputs, units, seed=seed), drawn(examples, units, seed=seed + 1) + offset
    everywhere = theory.placed_cross_talk(weight, features, theory.all_placements(units))
    expected = theory.expected_cross_talk(weight, features)
    assert len(everywhere) == math.factorial(units)
    assert expected.total == pytest.approx(everywhere.mean().item(), rel=1e-12)
    # the issue's own form of it, with the mean and the variance over the units
    mean, variance = features.mean(1).square().mean(), features.var(1, correction=0).mean()
    on_ones = weight.sum(1).square().sum()
    form = units / (units - 1) * variance * weight.square().sum() + (mean - variance / (units - 1)) * on_ones
    assert expected.total == pytest.approx(form.item(), rel=1e-12)


def test_the_common_part_is_the_mean_cross_talk_and_the_isotropic_part_its_variance():
    weight, features = drawn(3, 5), drawn(2, 5) + 0.7
    answers = torch.stack([features[:, each] @ weight.T for each in theory.all_placements(5)])
    expected = theory.expected_cross_talk(weight, features)
    mean = features.mean(1, keepdim=True) * weight.sum(1)
    assert torch.allclose(answers.mean(0), mean, atol=1e-12)
    assert expected.common == pytest.approx(mean.square().sum(1).mean().item())
    assert expected.isotropic == pytest.approx((answers - mean).square().sum(2).mean().item())


def test_the_closed_form_against_draws_at_a_size_that_cannot_be_enumerated():
    weight, features = drawn(7, 80), drawn(4, 80).relu()
    found = theory.placed_cross_talk(weight, features, theory.random_placements(80, 3000, stream()))
    error = found.std().item() / math.sqrt(3000)
    expected = theory.expected_cross_talk(weight, features)
    assert abs(found.mean().item() - expected.total) < 4 * error
    # what a formula without the common part would say is far off
    assert found.mean().item() - expected.isotropic > 50 * error


def test_of_a_convolution_the_channels_are_placed_and_windows_stay_whole():
    weight, windows = drawn(3, 4, 2, 2), drawn(5, 4, 2, 2) + 0.5
    everywhere = [
        torch.einsum("ocij,ecij->eo", weight, windows[:, placement]).square().sum(1).mean().item()
        for placement in theory.all_placements(4)
    ]
    expected = theory.expected_cross_talk(weight, windows)
    assert expected.total == pytest.approx(sum(everywhere) / len(everywhere), rel=1e-12)
    dense = theory.expected_cross_talk(weight[:, :, 0, 0], windows[:, :, 0, 0])
    assert theory.expected_cross_talk(weight[:, :, :1, :1], windows[:, :, :1, :1]) == pytest.approx(dense)


def test_training_commutes_with_a_permutation_of_the_units():
    # so networks from independent seeds have exchangeable units: all orders of a sibling's are equally likely
    permutation, batches, targets = torch.tensor([2, 0, 3, 1]), drawn(20, 8, 3), drawn(20, 8, 2, seed=1)

    def trained(
        first: torch.Tensor, second: torch.Tensor, optimiser: type[torch.optim.SGD | torch.optim.AdamW]
    ) -> list[torch.Tensor]:
        weights = [torch.nn.Parameter(each.clone()) for each in (first, second)]
        steps = optimiser(weights, lr=0.05, weight_decay=3e-3)
        for images, wanted in zip(batches, targets, strict=True):
            steps.zero_grad()
            ((images @ weights[0].T).relu() @ weights[1].T - wanted).square().mean().backward()
            steps.step()
        return [each.detach() for each in weights]

    first, second = drawn(4, 3, seed=2), drawn(2, 4, seed=3)
    for optimiser in (torch.optim.SGD, torch.optim.AdamW):
        plain = trained(first, second, optimiser)
        moved = trained(first[permutation], second[:, permutation], optimiser)
        assert torch.allclose(moved[0], plain[0][permutation], atol=1e-12)
        assert torch.allclose(moved[1], plain[1][:, permutation], atol=1e-12)
        assert not torch.allclose(plain[0], first, atol=1e-2)


# its three numbers


@settings(max_examples=40, deadline=None)
@given(units=st.integers(2, 9), offset=st.floats(-2, 2), seed=st.integers(0, 999))
def test_three_shares_give_both_parts(units, offset, seed):
    weight, other = drawn(4, units, seed=seed), drawn(4, units, seed=seed + 1)
    features = drawn(3, units, seed=seed) + offset
    own = (features @ weight.T).square().sum(1).mean().item()
    shares = theory.layer_shares(weight, features)
    for read_by in (weight, other):
        with_weights = shares._replace(weights=theory.layer_shares(read_by, features).weights)
        ratio = (read_by.square().sum() / weight.square().sum()).item()
        parts = theory.expected_orthogonality(units, with_weights, ratio)
        assert parts == pytest.approx([part / own for part in theory.expected_cross_talk(read_by, features)], abs=1e-12)
    assert 0 <= shares.weights <= 1 and 0 <= shares.features <= 1
    # low rank bounds the gain, and the weights' share as well
    rank = stable_rank(torch.linalg.svdvals(weight))
    assert shares.gain <= 1 / rank + 1e-12 and shares.weights <= 1 / rank + 1e-12


def test_the_gain_is_one_over_the_stable_rank_for_features_along_the_first_singular_direction_only():
    weight = drawn(4, 9)
    _, values, directions = torch.linalg.svd(weight, full_matrices=False)
    rank = stable_rank(values)
    first, second = (theory.layer_shares(weight, directions[[index]]).gain for index in (0, 1))
    assert first == pytest.approx(1 / rank) and second < 0.9 / rank
    across = drawn(1, 9) @ (torch.eye(9, dtype=torch.float64) - directions.T @ directions)
    assert theory.layer_shares(weight, across).gain < 1e-25, "no stable rank bounds the gain from below"


@pytest.mark.parametrize("centred", ["weights", "features"])
def test_chance_alone_leaves_one_over_n(centred):
    # either share at its chance value 1/n is enough, whatever the other one is
    shares = {"weights": 0.6, "features": 0.7, "gain": 0.1} | {centred: 1 / 50}
    assert theory.expected_orthogonality(50, theory.Shares(**shares)).total == pytest.approx(1 / (0.1 * 50))
    both = theory.Shares(weights=0.6, features=0.7, gain=0.1)
    assert theory.expected_orthogonality(50, both).total == pytest.approx(
        (1 + (50 * 0.6 - 1) * (50 * 0.7 - 1) / 49) / (0.1 * 50)
    )


def test_more_units_remove_the_isotropic_part_and_leave_the_common_one():
    weight, features = drawn(5, 8) + 0.3, drawn(30, 8).relu()
    weights = {"as they are": weight, "centred": theory.centred_rows(weight)}
    rows = theory.width_rows(weights, features, [2, 8, 32], placements=400, generator=stream())
    assert [(row["panel"], row["units"]) for row in rows] == [
        (name, units) for name in weights for units in (16, 64, 256)
    ]
    narrow, wide = rows[0], rows[2]
    assert wide["common"] == pytest.approx(narrow["common"], rel=1e-12)
    assert wide["isotropic"] == pytest.approx(narrow["isotropic"] * math.sqrt(15 / 255), rel=1e-12)
    assert all(row["drawn"] == pytest.approx(row["expected"], rel=0.02) for row in rows)
    assert wide["drawn"] > 3 * wide["isotropic"]
    assert rows[5]["common"] < 1e-12 and rows[5]["drawn"] == pytest.approx(rows[5]["isotropic"], rel=0.02)


def test_of_odd_activations_signs_are_random_too_and_nothing_is_common():
    weight, features = drawn(3, 4) + 2, drawn(2, 4) + 2
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
    answers = [
        theory.placed_cross_talk(weight, sign * features, theory.all_placements(4)).mean().item() for sign in signs
    ]
    in_closed_form = weight.square().sum().item() * features.square().sum(1).mean().item() / 4
    assert sum(answers) / len(answers) == pytest.approx(in_closed_form, rel=1e-12)
    assert theory.expected_cross_talk(weight, features).total > 1.5 * in_closed_form


# over images and over units


def test_four_parts_add_up_and_are_orthogonal():
    features = drawn(7, 9).relu()
    parts = theory.four_parts(features)
    assert torch.allclose(torch.stack(list(parts.values())).sum(0), features, atol=1e-14)
    energies = [[(one * other).sum(1).mean().item() for other in parts.values()] for one in parts.values()]
    for index, row in enumerate(energies):
        assert row[index] > 1e-3 and sum(map(abs, row)) == pytest.approx(row[index], abs=1e-12)


def test_what_a_bias_and_what_centred_rows_take_away():
    weight, features = drawn(3, 9) + 0.2, drawn(7, 9).relu()
    parts = theory.four_parts(features)
    for placement in theory.random_placements(9, 5, stream()):
        answers = {name: part[:, placement] @ weight.T for name, part in parts.items()}
        whole = features[:, placement] @ weight.T
        with_bias = whole - whole.mean(0)
        assert torch.allclose(with_bias, answers["constant over units"] + answers["varies over both"], atol=1e-12)
        centred = features[:, placement] @ theory.centred_rows(weight).T
        unmoved = parts["constant over images"] + parts["varies over both"]
        assert torch.allclose(centred, unmoved[:, placement] @ theory.centred_rows(weight).T, atol=1e-12)
    # in the mean over the placements the four energies add up, each in closed form
    energies = theory.part_energies(weight, features)
    whole_layer = list(energies["unchanged"].values())
    assert sum(whole_layer) == pytest.approx(theory.expected_cross_talk(weight, features).total)
    assert list(energies["with a bias for each unit"].values()) == pytest.approx([0, 0, *whole_layer[2:]], abs=1e-12)
    kept = [0, whole_layer[1], 0, whole_layer[3]]
    assert list(energies["rows centred"].values()) == pytest.approx(kept, abs=1e-12)
    on_units = [theory.expected_cross_talk(weight, parts[name]).common for name in parts]
    assert on_units[1] < 1e-20 and on_units[3] < 1e-20 < 1e-3 < min(on_units[0], on_units[2])


# a bound that says nothing


def test_the_bound_on_the_rank():
    assert theory.rank_bound(1, 0.1, 1.0, tolerance=0.5) == 7, "0.9^6 > 0.5 > 0.9^7"
    assert theory.rank_bound(500, 0.1, 3e-3, 0.9, tolerance=1 / math.e) == 500 * 333
    small, large = (theory.rank_bound(batch, 0.1, 3e-3, 0.9) for batch in (16, 500))
    assert small == 16 * theory.remembered_steps(0.1, 3e-3, 0.9) and large / small == 500 / 16
    with pytest.raises(InputError, match="batch_size is 0; it must be a whole number at least 1"):
        theory.rank_bound(0, 0.1, 3e-3)
    with pytest.raises(InputError, match="learning_rate \\* weight_decay"):
        theory.rank_bound(500, 0.1, 0.0)


def test_bad_input_is_said_in_one_line():
    with pytest.raises(InputError, match="units is 1; it must be a whole number at least 2"):
        theory.expected_cross_talk(drawn(3, 1), drawn(2, 1))
    with pytest.raises(InputError, match=r"features have the shape \(4,\) for each example; the weight reads \(5,\)"):
        theory.placed_cross_talk(drawn(3, 5), drawn(2, 4), theory.all_placements(4))
    with pytest.raises(InputError, match="units is 9; it must be a whole number at least 1 and at most 8"):
        theory.all_placements(9)
    with pytest.raises(InputError, match="weight or features are 0"):
        theory.layer_shares(drawn(3, 5), torch.zeros(2, 5, dtype=torch.float64))
    with pytest.raises(InputError, match="gain is 0.0; it must be a number above 0"):
        theory.expected_orthogonality(5, theory.Shares(0.5, 0.5, 0.0))
