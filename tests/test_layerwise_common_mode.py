"""The split of reciprocal orthogonality: the closed form against all permutations, and the walk against plain loops."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.layerwise import COMMON_MODE_METRICS, measure_common_mode, measure_layers
from lmcbook.layerwise.common_mode import (
    UnitMoments,
    activation_share,
    cross_talk,
    own_gain,
    unit_moments,
    weight_products,
    weight_share,
)
from lmcbook.models import permutation_spec, trace
from lmcbook.permutation import PermutationSpec, apply, derive_spec, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.theory.common_mode import CrossTalk, expected_cross_talk
from lmcbook.theory.one_law import midpoint_exponents
from tests.helpers.small_networks import ALL, Wrapped, random_images, small_config, small_model


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=random_stream(seed, "common mode", *shape), dtype=torch.float64)


def expected(weight: Tensor, features: Tensor) -> CrossTalk:
    return cross_talk(unit_moments(features), weight_products(weight))


def over_all_orders(weight: Tensor, features: Tensor) -> float:
    """The mean over all permutations and examples of ‖W P z‖², one after the other."""
    orders = list(itertools.permutations(range(weight.shape[1])))
    rows, examples = weight.flatten(1), [features[:, list(order)].flatten(1) for order in orders]
    return sum(float((each @ rows.T).square().sum(1).mean()) for each in examples) / len(orders)


@pytest.mark.parametrize("units", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("places", [(), (3,), (2, 2)])
def test_the_closed_form_is_the_mean_over_all_permutations(units, places):
    weight, features = normal(4, units, *places), normal(3, units, *places, seed=1).relu() + 0.1
    found = expected(weight, features)
    assert found.total == pytest.approx(over_all_orders(weight, features), rel=1e-12)
    if units > 1:
        assert found == pytest.approx(expected_cross_talk(weight, features), rel=1e-12)
    # one number wrong is seen: another exponent of n, or the common part without the mean's square
    moments, (rows, sums) = unit_moments(features), weight_products(weight)
    careless = float((moments.of_deviations * rows).sum() + (moments.of_means * sums).sum())
    assert units == 1 or careless != pytest.approx(found.total, rel=1e-3)


def test_of_a_dense_layer_it_is_the_formula_of_the_theorem():
    weight, features = normal(7, 6), normal(1, 6, seed=1) + 1
    n, mean, variance = 6, features.mean(), features.var(correction=0)
    frobenius, of_ones = weight.square().sum(), weight.sum(1).square().sum()
    wanted = n / (n - 1) * variance * frobenius + (mean**2 - variance / (n - 1)) * of_ones
    found = expected(weight, features)
    assert found.total == pytest.approx(float(wanted), rel=1e-12)
    assert found.common == pytest.approx(float(mean**2 * of_ones), rel=1e-12)


def test_it_agrees_with_random_orders_of_many_units():
    weight, features = normal(20, 80), normal(4, 80, seed=1).relu()
    stream = random_stream(0, "orders")
    draws = torch.stack([
        (features[:, torch.randperm(80, generator=stream)] @ weight.T).square().sum(1).mean() for _ in range(4000)
    ])  # fmt: skip
    error = draws.std() / len(draws) ** 0.5
    found = expected(weight, features).total
    assert abs(found - float(draws.mean())) < 4 * float(error) and float(error) < 0.005 * found


def test_the_parts_are_what_they_are_called():
    weight, features = normal(5, 6, 4), normal(3, 6, 4, seed=1)
    centred = weight - weight.mean(1, keepdim=True)
    assert expected(centred, features).common == pytest.approx(0, abs=1e-14)
    alike = features.mean(1, keepdim=True).expand_as(features)
    assert expected(weight, alike).isotropic == pytest.approx(0, abs=1e-14)
    # what each part is left with is the whole: means and deviations of features, or of weights, do not mix
    assert expected(weight, alike).total == pytest.approx(expected(weight, features).common)
    assert expected(centred, features).total == pytest.approx(expected(weight, features).isotropic)


def test_the_common_part_is_the_product_of_shares_by_the_gain():
    weight, features = normal(5, 6), normal(9, 6, seed=1).relu()
    own = float((features @ weight.T).square().sum(1).mean())
    moments, products = unit_moments(features), weight_products(weight)
    share = weight_share(products, 6) * activation_share(moments) / own_gain(own, moments, products)
    assert share == pytest.approx(expected(weight, features).common / own, rel=1e-12)
    assert weight_share(weight_products(torch.ones(2, 6)), 6) == pytest.approx(1)
    assert activation_share(unit_moments(torch.ones(2, 6))) == pytest.approx(1)
    assert moments.energy == pytest.approx(float(features.square().sum(1).mean()))


def test_more_units_shrink_the_isotropic_part_alone():
    parts = []
    for units in (256, 1024):
        # a network that a width makes wider: rows of one length, and of one sum
        weight, features = (normal(10, units) + 2) / units**0.5, normal(50, units, seed=1).relu() / units**0.5
        parts.append(expected(weight, features))
    assert parts[1].isotropic / parts[0].isotropic == pytest.approx(1 / 4, rel=0.15)
    assert parts[1].common / parts[0].common == pytest.approx(1, rel=0.15)


# --- the walk through networks ---------------------------------------------------------------------------------------


class Flattened(nn.Module):
    """A convolution whose map is flattened, so that every unit has four rows; another one in groups."""

    def __init__(self, units: int = 3, groups: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, units, 3, stride=2, bias=False)
        self.second = nn.Conv2d(units, units, 2, groups=groups, bias=False)
        self.head = nn.Linear(4 * units, 5, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.relu(self.second(F.relu(self.first(images)))).flatten(1))


def pair(architecture: str) -> tuple:
    model, state_a = small_model(architecture)
    return model, state_a, small_model(architecture, seed=1)[1]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL[:4])
def test_what_is_measured_is_what_a_plain_loop_gives(architecture):
    model, state_a, state_b = pair(architecture)
    images = random_images(12)
    entries = measure_common_mode(model, images, state_a, state_b)
    layers = measure_layers(model, state_a, state_b, {}, images, ranks=False)
    measured = {entry["layer"]: entry["metrics"] for entry in layers}
    assert {entry["layer"] for entry in entries} == measured.keys()
    for entry in entries:
        if "left_out" in entry:
            assert entry["left_out"] == "it reads the images"
            continue
        for name in ("reciprocal_orthogonality",):
            assert entry["metrics"][name] == pytest.approx(measured[entry["layer"]][name], rel=1e-9)
        commutativity = measured[entry["layer"]]["commutativity"]
        # ‖own − cross‖² ≥ its part along own: κ is 1 − commutativity's component
        assert abs(1 - entry["metrics"]["kappa"]) <= commutativity + 1e-9
    last = next(entry for entry in entries if entry["layer"] == model.layer_names[-1])
    z_a, z_b = (trace(model, state, images)[-1].input for state in (state_a, state_b))
    w_a, w_b = (state[model.weight_key(last["layer"])] for state in (state_a, state_b))
    cross, own = z_a @ w_b.T, z_a @ w_a.T
    mirror, own_b = z_b @ w_a.T, z_b @ w_b.T
    found = last["metrics"]
    constant = [
        float((each.mean(0).square().sum()) / mine.square().sum(1).mean())
        for each, mine in ((cross, own), (mirror, own_b))
    ]
    assert found["constant_share"] == pytest.approx(sum(constant) / 2 / found["reciprocal_orthogonality"] ** 2)
    varying = [
        float(each.var(0, correction=0).sum() / mine.var(0, correction=0).sum())
        for each, mine in ((cross, own), (mirror, own_b))
    ]
    assert found["varying_orthogonality"] == pytest.approx((sum(varying) / 2) ** 0.5)
    kappa = ((cross + mirror) * (own + own_b)).sum() / (own + own_b).square().sum()
    assert found["kappa"] == pytest.approx(float(kappa))
    predicted = [
        expected(w_b, z_a).total / float(own.square().sum(1).mean()),
        expected(w_a, z_b).total / float(own_b.square().sum(1).mean()),
    ]
    assert found["predicted"] == pytest.approx((sum(predicted) / 2) ** 0.5)
    alone = expected(w_a, z_a)
    assert found["common_from_a"] ** 2 == pytest.approx(alone.common / float(own.square().sum(1).mean()))
    for which in ("", "_from_a", "_from_b"):
        parts = found[f"isotropic{which}"] ** 2 + found[f"common{which}"] ** 2
        assert parts == pytest.approx(found[f"predicted{which}"] ** 2)
    assert {name for entry in entries for name in entry["metrics"]} <= {
        name.removesuffix("_a") + end for name in COMMON_MODE_METRICS for end in ("", "_a", "_b", "_from_a", "_from_b")
    }


def test_firing_counts_images_unit_by_unit():
    model, state_a, state_b = pair("mlp")
    images = random_images(60)
    before = trace(model, state_b, images)[1].pre_activation
    found = measure_common_mode(model, images, state_a, state_b)[1]["metrics"]
    shares = [float((before[:, unit] > 0).double().mean()) for unit in range(before.shape[1])]
    assert found["firing_b"] == pytest.approx(sum(shares) / len(shares))
    assert found["always_on_b"] == sum(share > 0.95 for share in shares) / len(shares)
    assert found["dead_b"] == sum(share == 0 for share in shares) / len(shares)
    shifted = {**state_a, model.weight_key("hidden1"): torch.zeros_like(state_a[model.weight_key("hidden1")])}
    assert measure_common_mode(model, images, shifted)[0]["metrics"]["dead_a"] == 1


def all_permutations(spec: PermutationSpec, state: dict) -> list:
    orders = [
        [(group, torch.tensor(order)) for order in itertools.permutations(range(size))]
        for group, size in spec.groups(state).items()
    ]
    return [dict(chosen) for chosen in itertools.product(*orders)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "convolutions", "flattened"])
def test_one_network_tells_what_all_its_shuffled_copies_do_on_average(kind):
    model: nn.Module
    if kind == "dense":
        model, state = small_model("mlp", hidden_width=3, num_layers=3)
        spec = permutation_spec(model)
    else:
        model = Flattened(units=2).double() if kind == "flattened" else nn.Sequential(
            nn.Conv2d(3, 2, 3, bias=False), nn.ReLU(), nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5, bias=False),
        ).double()  # fmt: skip
        state = {name: normal(*tensor.shape, seed=3) for name, tensor in model.state_dict().items()}
        model.load_state_dict(state)
        spec = derive_spec(model, random_images(2))
    images = random_images(5)
    alone = {entry["layer"]: entry for entry in measure_common_mode(model, images, state, spec=spec)}
    copies = [apply(spec, permutation, state) for permutation in all_permutations(spec, state)]
    several = [
        {entry["layer"]: entry["metrics"] for entry in measure_common_mode(model, images, state, copy, spec=spec)}
        for copy in copies
    ]
    read = [layer for layer, entry in alone.items() if "left_out" not in entry]
    assert len(read) == 2
    for layer in read:
        found = alone[layer]["metrics"]
        squares = [each[layer]["reciprocal_orthogonality"] ** 2 for each in several]
        assert found["predicted_from_a"] ** 2 == pytest.approx(sum(squares) / len(squares), rel=1e-9)
        constants = [each[layer]["reciprocal_orthogonality"] ** 2 * each[layer]["constant_share"] for each in several]
        constant = found["constant_share_from_a"] * found["predicted_from_a"] ** 2
        assert constant == pytest.approx(sum(constants) / len(constants), rel=1e-9)
        varying = [each[layer]["varying_orthogonality"] ** 2 for each in several]
        assert found["varying_from_a"] ** 2 == pytest.approx(sum(varying) / len(varying), rel=1e-9)


def test_kappa_of_one_network_is_the_ratio_of_expectations_over_its_shuffled_copies():
    model, state = small_model("mlp", hidden_width=3, num_layers=3)
    spec, images = permutation_spec(model), random_images(6)
    found = measure_common_mode(model, images, state)
    ours = trace(model, state, images)
    over, under = [0.0, 0.0], [0.0, 0.0]
    for permutation in all_permutations(spec, state):
        copy = apply(spec, permutation, state)
        theirs = trace(model, copy, images)
        for place, depth in enumerate((1, 2)):
            key = model.weight_key(model.layer_names[depth])
            cross = ours[depth].input @ copy[key].T + theirs[depth].input @ state[key].T
            own = ours[depth].linear_output + theirs[depth].linear_output
            over[place] += float((cross * own).sum())
            under[place] += float(own.square().sum())
    for place, depth in enumerate((1, 2)):
        assert found[depth]["metrics"]["kappa_from_a"] == pytest.approx(over[place] / under[place], rel=1e-9)
    exponents = [entry["metrics"]["exponent_from_a"] for entry in found]
    assert exponents == pytest.approx(
        midpoint_exponents([each / down for each, down in zip(over, under, strict=True)]).tolist()
    )


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mlp", "vgg11", "resnet20"])
def test_batches_and_strangers_modules_change_nothing(architecture):
    model, state_a, state_b = pair(architecture)
    images, spec = random_images(10), permutation_spec(model)
    whole = measure_common_mode(model, images, state_a, state_b)
    wrapped = Wrapped(model)
    given = [{f"inner.{name}": tensor for name, tensor in state.items()} for state in (state_a, state_b)]
    foreign = PermutationSpec({f"inner.{name}": axes for name, axes in spec.axes.items()}, spec.sizes)
    for other in (
        measure_common_mode(model, images, state_a, state_b, batch_size=3),
        measure_common_mode(wrapped, images, *given, spec=foreign),
    ):
        assert [entry.get("left_out") for entry in other] == [entry.get("left_out") for entry in whole]
        for mine, theirs in zip(whole, other, strict=True):
            assert theirs["layer"].removeprefix("inner.").removesuffix(".linear") == mine["layer"]
            assert theirs["metrics"] == pytest.approx(mine["metrics"], rel=1e-6, nan_ok=True)


@pytest.mark.slow
def test_a_table_that_is_derived_gives_the_same():
    model, state_a, state_b = pair("mlp")
    images = random_images(6)
    wrapped = Wrapped(model)
    given = [{f"inner.{name}": tensor for name, tensor in state.items()} for state in (state_a, state_b)]
    derived = measure_common_mode(wrapped, images, *given)
    for mine, theirs in zip(measure_common_mode(model, images, state_a, state_b), derived, strict=True):
        assert theirs["metrics"] == pytest.approx(mine["metrics"], rel=1e-8)


@pytest.mark.slow
def test_what_the_closed_form_does_not_cover_is_said():
    model = Flattened(units=4, groups=2).double()
    state = dict(model.state_dict())
    entries = {entry["layer"]: entry for entry in measure_common_mode(model, random_images(3), state)}
    assert "left_out" in entries["second"] and "predicted_from_a" not in entries["second"]["metrics"]
    # channels move within each of the convolution's groups, so that what follows reads two groups of units
    assert "several groups of units" in entries["head"]["left_out"]


@pytest.mark.slow
def test_a_permuted_copy_of_model_b_changes_no_prediction():
    model, state_a, state_b = pair("vgg11")
    spec, images = permutation_spec(model), random_images(6)
    shuffled = apply(spec, random_permutation(spec, state_b, random_stream(0, "permutation")), state_b)
    first, second = (measure_common_mode(model, images, state_a, each) for each in (state_b, shuffled))
    same = ("predicted", "isotropic", "common", "predicted_from_b", "kappa_from_b", "always_on_b")
    for mine, theirs in zip(first[1:], second[1:], strict=True):
        for name in same:
            if name in mine["metrics"]:
                assert theirs["metrics"][name] == pytest.approx(mine["metrics"][name], rel=1e-9)
        measured = [each["metrics"]["reciprocal_orthogonality"] for each in (mine, theirs)]
        assert measured[0] != pytest.approx(measured[1], rel=1e-6), "what is measured does change"


def test_wrong_input_is_refused():
    model, state_a, _ = pair("mlp")
    with pytest.raises(InputError, match="images holds 0 examples"):
        measure_common_mode(model, random_images(2)[:0], state_a)
    with pytest.raises(InputError, match="batch_size"):
        measure_common_mode(model, random_images(2), state_a, batch_size=0)
    assert small_config("mlp").num_layers == 4 and isinstance(unit_moments(normal(2, 3)), UnitMoments)
