"""The repair of merged networks: exact where it must be, and nothing else is moved."""

import copy
import itertools

import pytest
import torch
from torch import nn

from lmcbook import add_biases, interpolate, merge, repair
from lmcbook.errors import InputError
from lmcbook.merging import REPAIRS, Repairer, merge_many, recompute_batch_norm
from lmcbook.randomness import random_stream
from lmcbook.states import with_state
from lmcbook.theory import Network, Pair, disjoint_networks, run
from tests.helpers.evaluation_pairs import random_pair
from tests.helpers.small_networks import small_model

CHANGING = REPAIRS[1:]
INPUTS, UNITS, CLASSES = 5, 6, 4


def copies(state):
    return {name: tensor.clone() for name, tensor in state.items()}


def same_bits(state, other) -> bool:
    return state.keys() == other.keys() and all(
        torch.equal(state[name].view(-1).view(torch.uint8), other[name].view(-1).view(torch.uint8)) for name in state
    )


def seeded(network: nn.Module, seed: int) -> dict:
    """A state of ``network``, all its tensors of floating point drawn anew."""
    generator = random_stream(seed, "repair", "weights")
    return {
        name: tensor.clone()
        if not tensor.is_floating_point()
        else torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5
        if name.endswith("running_var")
        else torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) / 2
        for name, tensor in network.state_dict().items()
    }


def random_images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=random_stream(0, "repair", "images"), dtype=torch.float64)


# --- constructed pairs ------------------------------------------------------------------------------------------------


def sequential(widths, *, bias: bool = False) -> nn.Sequential:
    layers = []
    for units_in, units_out in itertools.pairwise(widths):
        layers += [nn.Linear(units_in, units_out, bias=bias, dtype=torch.float64), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def state_of(network: Network) -> dict:
    state = {f"{2 * index}.weight": weight for index, weight in enumerate(network.weights)}
    return state | {f"{2 * index}.bias": bias for index, bias in enumerate(network.biases or ())}


def networks_with_constant_cross_talk(count: int, num_layers: int = 4) -> tuple[Network, ...]:
    """Units are disjoint, but each network also reads one unit of each other that is the same for every image.

    The first unit of each network carries the input's last entry, a constant, from layer to layer.
    """
    generator = random_stream(1, "repair", "constructed")
    networks = disjoint_networks(
        count, num_layers=num_layers, input_size=INPUTS, units=UNITS, num_classes=CLASSES, generator=generator
    )
    for index, network in enumerate(networks):
        own = slice(index * UNITS, (index + 1) * UNITS)
        for depth, weight in enumerate(network.weights[:-1], start=1):
            weight[own.start] = 0
            weight[own.start, -1 if depth == 1 else own.start] = 1
            for other in range(count) if depth > 1 else ():
                if other != index:
                    column = torch.randn(UNITS, generator=generator, dtype=torch.float64)
                    weight[own, other * UNITS] = column.abs()  # a positive constant, so that the first unit stays on
    return networks


def constant_last(examples: int) -> torch.Tensor:
    inputs = random_images(examples, INPUTS)
    inputs[:, -1] = 1
    return inputs


def lewc(networks, coefficients, inputs, depth: int) -> torch.Tensor:
    terms = [c**depth * run(each, inputs)[depth - 1].output for c, each in zip(coefficients, networks, strict=True)]
    return torch.stack(terms).sum(0)


@pytest.mark.parametrize("coefficient", [0.25, 0.5, 0.9])
def test_constant_cross_talk_is_repaired_and_lewc_holds_exactly(coefficient):
    pair = Pair(*networks_with_constant_cross_talk(2))
    model = sequential([INPUTS, 2 * UNITS, 2 * UNITS, 2 * UNITS, CLASSES])
    seen, unseen = constant_last(300)[:200], constant_last(300)[200:]
    expected = lewc(pair, (coefficient, 1 - coefficient), unseen, 4)

    def error(kind: str) -> float:
        merged = merge(model, state_of(pair.a), state_of(pair.b), coefficient, seen, repair=kind)
        network = model if kind == "none" else add_biases(model)
        return float((with_state(network, merged)(unseen) - expected).abs().max())

    assert error("none") > 0.01 and error("mean") > 0.01
    assert error("lewc_mean") < 1e-12


def test_constant_cross_talk_of_three_networks_is_repaired():
    networks = networks_with_constant_cross_talk(3)
    coefficients = (0.5, 0.2, 0.3)
    model = sequential([INPUTS, *[3 * UNITS] * 3, CLASSES])
    states = [state_of(network) for network in networks]
    inputs = constant_last(100)
    merged = merge_many(states, coefficients)
    repaired = Repairer(model, states, inputs).repair(merged, coefficients, "lewc_mean")
    expected = lewc(networks, coefficients, inputs, 4)
    torch.testing.assert_close(with_state(add_biases(model), repaired)(inputs), expected, rtol=0, atol=1e-12)
    assert (with_state(model, merged)(inputs) - expected).abs().max() > 0.01


class Convolutions(nn.Module):
    """Every kind of linear layer, plain, grouped and transposed, behind each other; two outputs."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, bias=bias, groups=2)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2, bias=bias)
        self.third = nn.Conv2d(4, 3, 2, stride=2, bias=bias)
        self.along = nn.Conv1d(3, 5, 3, bias=bias)
        self.down = nn.ConvTranspose1d(5, 2, 3, bias=bias)
        self.linear = nn.Linear(2, 4, bias=bias)
        self.classifier = nn.Linear(4, 3, bias=bias)
        self.double()

    def forward(self, images):
        hidden = torch.relu(self.third(torch.relu(self.up(torch.relu(self.first(images))))))
        hidden = torch.relu(self.down(torch.relu(self.along(hidden.flatten(2)))))
        return self.classifier(torch.relu(self.linear(hidden.mT)).mean(1)), hidden


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["mean", "mean_and_variance"])
def test_a_network_whose_biases_and_sizes_were_spoiled_is_itself_again(kind, bias):
    # both networks are the same, so that the law of the means holds; the merged one is spoiled unit by unit
    model, images = Convolutions(bias), random_images(40, 2, 7, 7)
    state = seeded(model, 1)
    spoiled = {**add_biases(model).state_dict(), **copies(state)}
    generator = random_stream(2, "repair", "spoil")
    for name in Repairer(model, (state, state), images).layers:
        units = len(spoiled[f"{name}.bias"])
        spoiled[f"{name}.bias"] = spoiled[f"{name}.bias"] + torch.randn(units, generator=generator, dtype=torch.float64)
        if kind == "mean_and_variance":
            factor = torch.rand(units, generator=generator, dtype=torch.float64) + 0.5
            layer, weight = model.get_submodule(name), spoiled[f"{name}.weight"]
            if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
                rows = weight.shape[0] // layer.groups
                per_group = factor.view(layer.groups, -1).repeat_interleave(rows, 0)
                spoiled[f"{name}.weight"] = weight * per_group.view(*weight.shape[:2], *[1] * (weight.ndim - 2))
            else:
                spoiled[f"{name}.weight"] = weight * factor.view(-1, *[1] * (weight.ndim - 1))
            spoiled[f"{name}.bias"] = spoiled[f"{name}.bias"] * factor
    biased = add_biases(model)
    expected = with_state(model, state)(images)[0]
    assert (with_state(biased, spoiled)(images)[0] - expected).abs().max() > 0.1
    repaired = repair(model, state, state, spoiled, 0.3, images, kind)
    torch.testing.assert_close(with_state(biased, repaired)(images)[0], expected, rtol=0, atol=1e-12)


# --- any pair ---------------------------------------------------------------------------------------------------------


def by_hand(state_a, state_b, coefficient, images, kind):
    """The logits of the repaired average of two perceptrons, by loops over layers and units."""
    keys = [name for name in state_a if name.endswith("weight")]
    below = {"a": images.double().flatten(1), "b": images.double().flatten(1), "merged": images.double().flatten(1)}
    for depth, key in enumerate(keys, start=1):
        weights = {"a": state_a[key].double(), "b": state_b[key].double()}
        weights["merged"] = coefficient * weights["a"] + (1 - coefficient) * weights["b"]
        made = {who: below[who] @ weights[who].T for who in below}
        if depth == len(keys):
            return made["merged"]
        columns = []
        for a, b, merged in zip(*(made[who].T for who in ("a", "b", "merged")), strict=True):
            if kind == "lewc_mean":
                mean = coefficient**depth * a.mean() + (1 - coefficient) ** depth * b.mean()
            else:
                mean = coefficient * a.mean() + (1 - coefficient) * b.mean()
            centred = merged - merged.mean()
            if kind == "mean_and_variance":
                wanted = coefficient * a.std(correction=0) + (1 - coefficient) * b.std(correction=0)
                centred = centred * wanted / merged.std(correction=0)
            columns.append(centred + mean)
        made["merged"] = torch.stack(columns, 1)
        below = {who: torch.relu(output) for who, output in made.items()}
    raise AssertionError


@pytest.mark.parametrize("kind", CHANGING)
def test_a_layered_model_is_repaired_as_by_hand(kind):
    pair = random_pair("mlp")
    merged = merge(pair.model, pair.state_a, pair.state_b, 0.3, pair.train_images, repair=kind)
    logits = with_state(add_biases(pair.model), merged)(pair.train_images)
    expected = by_hand(pair.state_a, pair.state_b, 0.3, pair.train_images, kind)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-5)
    plain = with_state(pair.model, merge(pair.model, pair.state_a, pair.state_b, 0.3))(pair.train_images)
    assert (plain - logits).abs().max() > 1e-3


def test_any_module_gets_the_same_biases_as_the_same_layered_model():
    pair = random_pair("mlp", bias=True)
    names = {"hidden1.linear": "1", "hidden2.linear": "3", "classifier.linear": "5"}
    layers = [pair.model.get_submodule(name) for name in names]
    module = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    kept = [names[name.rpartition(".")[0]] + "." + name.rpartition(".")[2] for name in pair.state_a]

    def renamed(state):
        return dict(zip(kept, state.values(), strict=True))

    for kind in CHANGING:
        ours = merge(pair.model, pair.state_a, pair.state_b, 0.6, pair.train_images, repair=kind)
        theirs = merge(module, renamed(pair.state_a), renamed(pair.state_b), 0.6, pair.train_images, repair=kind)
        for name, tensor in renamed(ours).items():
            torch.testing.assert_close(theirs[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", CHANGING)
def test_a_repair_costs_a_pass_of_each_network_and_one_of_the_merged_network_for_each_coefficient(kind):
    passes: list[float] = []

    class Counted(nn.Sequential):
        def forward(self, images):
            first = self[0]
            assert isinstance(first, nn.Linear)
            passes.append(float(first.weight.detach().flatten()[0]))  # which tells the networks apart
            return super().forward(images)

    model = Counted(*sequential((INPUTS, UNITS, UNITS, CLASSES)))
    a, b = seeded(model, 1), seeded(model, 2)
    first, second = (float(state["0.weight"].flatten()[0]) for state in (a, b))
    images = random_images(20, INPUTS)
    repairer, coefficients = Repairer(model, (a, b), images), (0.25, 0.5, 0.75)
    assert passes == [first, second]
    for coefficient in coefficients:
        repairer.repair(interpolate(a, b, coefficient), (coefficient, 1 - coefficient), kind)
    assert passes[2:] == pytest.approx([each * first + (1 - each) * second for each in coefficients])
    passes.clear()
    merge(model, a, b, 0.5, images, repair=kind)
    assert passes == pytest.approx([first, second, (first + second) / 2])


@pytest.mark.parametrize("kind", REPAIRS)
@pytest.mark.parametrize("coefficient", [0, 0.0, 1, 1.0])
def test_the_endpoints_are_bit_for_bit_themselves(kind, coefficient):
    model = Convolutions(bias=False)
    states = seeded(model, 1), seeded(model, 2)
    state = states[0 if coefficient == 1 else 1]
    merged = merge(model, *states, coefficient, random_images(10, 2, 7, 7), repair=kind)
    biases = {name: tensor for name, tensor in merged.items() if name not in state}
    assert all(tensor.count_nonzero() == 0 for tensor in biases.values())
    assert bool(biases) == (kind != "none")
    assert same_bits({name: merged[name] for name in state}, state)


@pytest.mark.parametrize("architecture", ["vgg11", "resnet20"])
@pytest.mark.parametrize("kind", CHANGING)
def test_a_network_with_batch_norm_everywhere_is_left_as_it_is(architecture, kind):
    model, state_a = small_model(architecture)
    _, state_b = small_model(architecture, seed=1)
    images = random_images(16, 3, 8, 8)
    plain = merge(model, state_a, state_b, 0.5, images)
    repaired = merge(model, state_a, state_b, 0.5, images, repair=kind)
    assert same_bits({name: repaired[name] for name in plain}, plain)
    assert all(tensor.count_nonzero() == 0 for name, tensor in repaired.items() if name not in plain)


class PartlyNormalised(nn.Module):
    """Batch norm behind the second layer only."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8, bias=False)
        self.second = nn.Linear(8, 8, bias=False)
        self.norm = nn.BatchNorm1d(8)
        self.third = nn.Linear(8, 8)
        self.classifier = nn.Linear(8, 3)
        self.double()

    def forward(self, inputs):
        hidden = torch.relu(self.norm(self.second(torch.relu(self.first(inputs)))))
        return self.classifier(torch.relu(self.third(hidden)))


def test_behind_a_repaired_layer_batch_norm_is_recomputed():
    model, inputs = PartlyNormalised(), random_images(60, 4)
    states = seeded(model, 1), seeded(model, 2)
    repairer = Repairer(model, states, inputs)
    assert repairer.layers == {"first": 1, "third": 3}
    repaired = merge(model, *states, 0.5, inputs, repair="mean")
    biased = add_biases(model).eval()
    again = recompute_batch_norm(biased, repaired, inputs)
    torch.testing.assert_close(again["norm.running_mean"], repaired["norm.running_mean"])
    found: dict[str, list[torch.Tensor]] = {}
    for name in ("first", "third"):
        biased.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: found.setdefault(name, []).append(output.mean(0))
        )
    for state in (*({**biased.state_dict(), **state} for state in states), repaired):
        with_state(biased, state)(inputs)
    for name, (a, b, merged) in found.items():
        # the last bits of the statistics: batch norm divides by n in training and by n − 1 in evaluation
        torch.testing.assert_close(merged, (a + b) / 2, rtol=0, atol=1e-12 if name == "first" else 0.02)


class NormalisedImageByImage(nn.Module):
    """Instance norm, which evaluation takes from running statistics, behind the first layer only."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 4, 3)
        self.norm = nn.InstanceNorm1d(4, affine=True, track_running_stats=True)
        self.second = nn.Linear(4 * 6, 5)
        self.classifier = nn.Linear(5, 3)
        self.double()

    def forward(self, inputs):
        hidden = torch.relu(self.second(torch.relu(self.norm(self.first(inputs))).flatten(1)))
        return self.classifier(hidden)


@pytest.mark.parametrize("kind", ["mean", "mean_and_variance"])
def test_instance_norm_normalises_in_the_pass_as_in_evaluation(kind):
    model, inputs = NormalisedImageByImage(), random_images(60, 2, 8)
    states = seeded(model, 1), seeded(model, 2)
    repaired = merge(model, *states, 0.5, inputs, repair=kind)
    biased, found = add_biases(model).eval(), []
    biased.get_submodule("second").register_forward_hook(lambda _, __, output: found.append(output))
    for state in (*states, repaired):
        with_state(biased, state)(inputs)
    a, b, merged = found
    torch.testing.assert_close(merged.mean(0), (a.mean(0) + b.mean(0)) / 2, rtol=0, atol=1e-12)
    if kind == "mean_and_variance":
        torch.testing.assert_close(merged.std(0), (a.std(0) + b.std(0)) / 2, rtol=0, atol=1e-12)


class Twice(nn.Module):
    """One layer that is called twice, and one that never is."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.shared = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.classifier = nn.Linear(4, 3)
        self.double()

    def forward(self, inputs):
        hidden = torch.relu(self.shared(torch.relu(self.shared(torch.relu(self.first(inputs))))))
        return self.classifier(hidden)


@pytest.mark.parametrize("kind", CHANGING)
def test_a_layer_called_twice_or_never_and_the_last_one_are_left_alone(kind):
    model, inputs = Twice(), random_images(20, 4)
    states = seeded(model, 1), seeded(model, 2)
    assert Repairer(model, states, inputs).layers == {"first": 1}
    plain, repaired = interpolate(*states, 0.5), merge(model, *states, 0.5, inputs, repair=kind)
    changed = {name for name in plain if not torch.equal(plain[name], repaired[name])}
    assert changed == {"first.bias"} | ({"first.weight"} if kind == "mean_and_variance" else set())


def test_depth_counts_the_calls_of_all_linear_layers():
    model, inputs = Convolutions(bias=False), random_images(10, 2, 7, 7)
    layers = Repairer(model, (seeded(model, 1), seeded(model, 2)), inputs).layers
    assert layers == {"first": 1, "up": 2, "third": 3, "along": 4, "down": 5, "linear": 6}


def test_a_dead_unit_is_not_blown_up():
    model, inputs = sequential([4, 3, 2]), random_images(20, 4)
    states = seeded(model, 1), seeded(model, 2)
    for state, sign in zip(states, (1, -1), strict=True):
        state["0.weight"][0] = sign * torch.ones(4, dtype=torch.float64)  # they cancel in the average
    repaired = merge(model, *states, 0.5, inputs, repair="mean_and_variance")
    assert torch.equal(repaired["0.weight"][0], torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(repaired["0.bias"][0], torch.zeros((), dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_means_are_taken_in_float64_whatever_the_type(dtype):
    # in bfloat16 a running sum of 100 stops at 25,600, the 256th of 4096 images
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).to(dtype)
    state = {name: torch.ones_like(tensor) for name, tensor in model.state_dict().items()}
    images = torch.full((4096, 1), 300.0, dtype=dtype)
    images[:2048] = 100.0
    spoiled = {**add_biases(model).state_dict(), **copies(state)}
    spoiled["0.bias"] = torch.tensor([64.0], dtype=dtype)
    repaired = repair(model, state, state, spoiled, 0.5, images, "mean")
    assert repaired["0.bias"].dtype == dtype and abs(float(repaired["0.bias"])) <= 1


# --- what stays as it was ---------------------------------------------------------------------------------------------


def everything(model: nn.Module):
    return [
        (module.training, len(module._forward_hooks), len(module._forward_pre_hooks), type(module))
        for module in model.modules()
    ], copies(model.state_dict())


@pytest.mark.parametrize("kind", CHANGING)
def test_model_states_and_images_stay_as_they_were(kind):
    pair = random_pair("mlp")
    model = copy.deepcopy(pair.model).train()
    given = (pair.state_a, pair.state_b, interpolate(pair.state_a, pair.state_b, 0.5))
    before, states, images = everything(model), [*map(copies, given)], pair.train_images.clone()
    repaired = repair(model, *given, 0.5, images, kind)
    for tensor in repaired.values():
        tensor.fill_(3)
    after = everything(model)
    assert after[0] == before[0] and same_bits(after[1], before[1])
    assert all(same_bits(state, old) for state, old in zip(given, states, strict=True))
    assert torch.equal(images, pair.train_images)


class Fails(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, dtype=torch.float64)
        self.calls = [0]

    def forward(self, inputs):
        self.calls[0] += 1
        if self.first(inputs).sum() != 0 and self.calls[0] > 0:
            raise RuntimeError("out of order")


def test_an_exception_leaves_nothing_behind():
    model = Fails().train()
    before = everything(model)
    states = seeded(model, 1), seeded(model, 2)
    with pytest.raises(RuntimeError, match="out of order"):
        merge(model, *states, 0.5, random_images(5, 3), repair="mean")
    after = everything(model)
    assert after[0] == before[0] and same_bits(after[1], before[1]) and model.calls == [0]


def test_a_repairer_is_as_new_after_an_exception():
    model, images = PartlyNormalised(), random_images(30, 4)
    states = seeded(model, 1), seeded(model, 2)
    repairer = Repairer(model, states, images)
    merged = merge(model, *states, 0.5, images)
    expected = repairer.repair(merged, (0.5, 0.5), "mean")
    broken = {**merged, "norm.weight": merged["norm.weight"].float()}
    repairer._images = images.float()  # another type than the weights: the pass stops at the first layer
    with pytest.raises(RuntimeError):
        repairer.repair(broken, (0.5, 0.5), "mean")
    repairer._images = images
    assert same_bits(repairer.repair(merged, (0.5, 0.5), "mean"), expected)


# --- saving, and what is refused --------------------------------------------------------------------------------------


def test_a_repaired_network_is_saved_and_loaded(tmp_path):
    pair = random_pair("mlp")
    merged = merge(pair.model, pair.state_a, pair.state_b, 0.5, pair.train_images, repair="lewc_mean")
    torch.save(merged, tmp_path / "merged.pt")
    loaded = add_biases(pair.model)
    loaded.load_state_dict(torch.load(tmp_path / "merged.pt"))
    expected = with_state(add_biases(pair.model), merged)(pair.test.images)
    assert torch.equal(loaded(pair.test.images), expected)


def test_added_biases_change_nothing_and_come_once():
    model = Convolutions(bias=False)
    images = random_images(3, 2, 7, 7)
    biased = add_biases(model)
    assert torch.equal(biased(images)[0], model(images)[0])
    assert all(layer.bias is None for layer in model.children())
    with torch.no_grad():
        biased.get_parameter("first.bias").fill_(1)
    assert torch.equal(add_biases(biased).get_parameter("first.bias"), torch.ones(6).double()), (
        "a bias that is there stays"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repair": "LEWC"}, "repair is 'LEWC'; it may be one of: none, mean, lewc_mean, mean_and_variance"),
        ({"repair": "mean", "images": None}, "images is None, but repair is 'mean'; give a few hundred"),
        ({"repair": "mean", "images": torch.ones(1, 5).double()}, r"images holds 1 example\(s\); a repair needs at le"),
        ({"repair": "mean", "images": 3}, "images is 3; it may be a tensor"),
    ],
)
def test_what_is_refused(arguments, message):
    pair = networks_with_constant_cross_talk(2)
    model = sequential([INPUTS, *[2 * UNITS] * 3, CLASSES])
    with pytest.raises(InputError, match=message):
        merge(model, state_of(pair[0]), state_of(pair[1]), 0.5, **{"images": constant_last(9), **arguments})


def test_what_a_repairer_refuses():
    model, images = Twice(), random_images(8, 4)
    state = seeded(model, 1)
    with pytest.raises(InputError, match="a repair needs those of at least 2 networks"):
        Repairer(model, [state], images)
    repairer = Repairer(model, [state, state], images)
    with pytest.raises(InputError, match="coefficients holds 3 number"):
        repairer.repair(state, (0.2, 0.3, 0.5), "mean")
    with pytest.raises(InputError, match="kind is 'both'; it may be one of"):
        repairer.repair(state, (0.5, 0.5), "both")
    with pytest.raises(InputError, match=r"only one has first\.weight"):
        repairer.repair({name: state[name] for name in state if name != "first.weight"}, (0.5, 0.5), "mean")
    model.shared.weight = model.first.weight
    repairer = Repairer(model, [state, state], images)
    repairer.repair(state, (0.5, 0.5), "lewc_mean")
    with pytest.raises(InputError, match=r"rescales the weight of first, .* choose 'mean' or 'lewc_mean'"):
        repairer.repair(state, (0.5, 0.5), "mean_and_variance")


def test_a_module_that_calls_no_linear_layer_is_refused():
    class Functional(nn.Linear):
        pass

    class Uses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = Functional(4, 3)

        def forward(self, inputs):
            return inputs @ self.linear.weight.mT

    model = Uses()
    state = copies(model.state_dict())
    with pytest.raises(InputError, match=r"calls none of its linear layers as a module.*self\.linear\(x\)"):
        merge(model, state, state, 0.5, torch.ones(3, 4), repair="mean")
