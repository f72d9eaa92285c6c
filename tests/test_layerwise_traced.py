"""Layers of any module: what a trace finds in networks of foreign make, and that it agrees with the fold to the bit."""

import copy
import gc
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcbook import layerwise
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError
from lmcbook.layerwise import METRICS, measure_layers
from lmcbook.layerwise.traced import TracedNetwork
from lmcbook.merging import merge
from lmcbook.randomness import random_stream
from tests.helpers.small_networks import ALL, Wrapped, add_a_network, random_images, small_model


@pytest.fixture(autouse=True)
def added_architecture(monkeypatch):
    add_a_network(monkeypatch)


class Convolutions(nn.Module):
    """A network as many write it: activations as functions, one in place, a bias, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3)
        self.second = nn.Conv2d(6, 8, 3, padding=1, stride=2)
        self.normalisation = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        signal = F.max_pool2d(F.gelu(self.first(images)), 2)
        signal = F.relu(self.normalisation(self.second(signal)), inplace=True)
        return self.head(self.dropout(signal.mean((2, 3))))


class Classifier(nn.Module):
    """A transformer encoder over sequences of vectors."""

    def __init__(self, batch_first: bool = True, norm_first: bool = False) -> None:
        super().__init__()
        self.batch_first = batch_first
        block = nn.TransformerEncoderLayer(
            8, 2, dim_feedforward=12, batch_first=batch_first, norm_first=norm_first, activation="gelu"
        )
        self.embedding = nn.Linear(3, 8)
        self.encoder = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 4)

    def forward(self, sequences: Tensor) -> Tensor:
        signal = self.embedding(sequences)
        if self.batch_first:
            return self.head(self.encoder(signal).mean(1))
        return self.head(self.encoder(signal.transpose(0, 1)).mean(0))


def drawn(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """A state dict of numbers that are all different, batch-norm statistics too."""
    stream = random_stream(seed, "drawn")
    state = {}
    for name, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=stream, dtype=torch.float64)
        if not tensor.is_floating_point():
            state[name] = tensor.clone()
        elif tensor.dim() == 1:
            state[name] = (noise.abs() + 0.5).to(tensor.dtype)
        else:
            state[name] = (noise / math.sqrt(tensor[0].numel())).to(tensor.dtype)
    return state


def measured(model: nn.Module, images: Tensor, **options):
    state_a, state_b = drawn(model, 0), drawn(model, 1)
    merged = {coefficient: merge(model, state_a, state_b, coefficient, images) for coefficient in (0.3, 0.5)}
    return state_a, state_b, merged, measure_layers(model, state_a, state_b, merged, images, **options)


def endpoints(entries):
    return {each["layer"]: each for each in entries if each["coefficient"] is None}


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "changes"), [*((name, {}) for name in ALL), ("mlp", {"bias": True})])
def test_a_traced_network_gives_the_numbers_of_the_fold_to_the_bit(architecture, changes):
    model, state_a = small_model(architecture, **changes)
    _, state_b = small_model(architecture, seed=1, **changes)
    images = random_images(23)
    merged = {each: merge(model, state_a, state_b, each, images) for each in (0.25, 0.5)}
    expected = measure_layers(model, state_a, state_b, merged, images, batch_size=10)

    def wrapped(state):
        return {f"inner.{key}": tensor for key, tensor in state.items()}

    merged = {each: wrapped(state) for each, state in merged.items()}
    found = measure_layers(Wrapped(model), wrapped(state_a), wrapped(state_b), merged, images, batch_size=10)
    for each in found:
        each["layer"] = each["layer"].removeprefix("inner.").removesuffix(".linear")
    assert found == expected


@pytest.mark.slow
def test_what_is_seen_is_what_the_plain_functions_say():
    """Functional activations, one of them in place, a bias: each tensor recomputed by hand."""
    model, images = Convolutions().double().eval(), random_images(7)
    state_a, state_b, merged, entries = measured(model, images, batch_size=3)
    seen: dict[str, dict[str, tuple[Tensor, Tensor]]] = {}
    for name, state in {"a": state_a, "b": state_b, "merged": merged[0.3]}.items():
        model.load_state_dict(state)
        with torch.no_grad():
            first = model.first(images)
            pooled = F.max_pool2d(F.gelu(first), 2)
            second = model.normalisation(model.second(pooled))
            seen[name] = {
                "first": (first, F.gelu(first)),
                "second": (second, F.relu(second)),
                "pooled and product": (pooled, F.conv2d(pooled, state["second.weight"], None, 2, 1)),
            }
    assert [(each["layer"], each["depth"]) for each in endpoints(entries).values()] == [
        ("first", 1),
        ("second", 2),
        ("head", 3),
    ]
    assert [name for name, each in endpoints(entries).items() if "units" in each] == ["first", "second"]
    activations: dict[str, Callable[[Tensor], Tensor]] = {"first": F.gelu, "second": F.relu}
    for depth, (name, activation) in enumerate(activations.items(), start=1):
        before = [seen[network][name][0] for network in "ab"]
        metrics = endpoints(entries)[name]["metrics"]
        assert metrics["weak_additivity"] == pytest.approx(
            layerwise.weak_additivity(before[0], before[1], 0.5, activation)
        )
        assert metrics["opposite_signs"] == layerwise.opposite_signs(before[0], before[1])
        after = [seen[network][name][1] for network in ("a", "b", "merged")]
        prediction = layerwise.lewc_prediction(after[0], after[1], 0.3, depth)
        [of_merged] = [each["metrics"] for each in entries if (each["layer"], each["coefficient"]) == (name, 0.3)]
        assert of_merged["lewc_error"] == pytest.approx(layerwise.relative_error(after[2], prediction))
    pooled, a_on_a = seen["a"]["pooled and product"]
    b_on_a = F.conv2d(pooled, state_b["second.weight"], None, 2, 1)
    expected = layerwise.reciprocal_orthogonality(b_on_a, a_on_a)
    assert endpoints(entries)["second"]["metrics"]["reciprocal_orthogonality_of_b_on_a"] == pytest.approx(expected)
    assert "commutativity" not in endpoints(entries)["first"]["metrics"]


@pytest.mark.slow
def test_a_resnet_of_torchvision():
    import_torchvision()
    from torchvision.models import resnet18

    model = resnet18(num_classes=5, width_per_group=64)
    images = random_images(4).float()
    *_, entries = measured(model, images, ranks=False)
    depths = {name: each["depth"] for name, each in endpoints(entries).items()}
    assert len(depths) == 21 and depths["conv1"] == 1 and depths["layer4.1.conv2"] == 17 and depths["fc"] == 18
    assert [name for name, depth in depths.items() if depth is None] == [
        f"layer{stage}.0.downsample.0" for stage in (2, 3, 4)
    ]
    units = {name for name, each in endpoints(entries).items() if "units" in each}
    assert units == {name for name, depth in depths.items() if depth is not None} - {"fc"}
    for each in entries:
        assert each["metrics"].keys() <= METRICS.keys()
        assert all(value is not None for value in each["metrics"].values()), each["layer"]


@pytest.mark.slow
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_transformer_encoder(norm_first):
    model = Classifier(norm_first=norm_first).double()
    sequences = torch.randn(6, 5, 3, generator=random_stream(0, "sequences"), dtype=torch.float64)
    state_a, state_b, merged, entries = measured(model, sequences, batch_size=4)
    found = endpoints(entries)
    block = ("self_attn.in_proj", "self_attn.out_proj", "linear1", "linear2")
    blocks = [f"encoder.layers.{number}.{name}" for number in (0, 1) for name in block]
    assert {name: each["depth"] for name, each in found.items()} == {
        name: depth for depth, name in enumerate(("embedding", *blocks, "head"), start=1)
    }
    assert [name for name, each in found.items() if "units" in each] == [f"encoder.layers.{n}.linear1" for n in (0, 1)]
    assert all(value is not None for each in entries for value in each["metrics"].values())
    # where the tokens come first, the layers are the same
    transposed = Classifier(batch_first=False, norm_first=norm_first).double()
    again = measure_layers(transposed, state_a, state_b, merged, sequences, batch_size=4)
    for one, other in zip(entries, again, strict=True):
        assert one["metrics"] == pytest.approx(other["metrics"], rel=1e-9)


@pytest.mark.slow
def test_a_pair_that_is_one_network_twice_meets_llfc_and_is_not_orthogonal():
    model = Classifier().double()
    sequences = torch.randn(6, 5, 3, generator=random_stream(0, "sequences"), dtype=torch.float64)
    state = drawn(model, 0)
    entries = measure_layers(model, state, state, {0.5: state}, sequences)
    for each in entries:
        metrics = each["metrics"]
        if each["coefficient"] is None:
            assert metrics.get("reciprocal_orthogonality", 1) == pytest.approx(1)
            assert metrics["weight_norm_ratio"] == 1
        else:
            assert metrics["llfc_cosine"] == pytest.approx(1) and metrics["llfc_error"] == pytest.approx(0, abs=1e-12)
            assert metrics["decay_exponent"] == pytest.approx(1)


def test_weights_that_are_tied_or_used_twice_are_measured_at_each_place():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
            self.again.weight = self.first.weight

        def forward(self, inputs: Tensor) -> Tensor:
            return self.head(torch.relu(self.again(torch.relu(self.first(torch.relu(self.first(inputs)))))))

    model = Twice()
    inputs = torch.randn(9, 6, generator=random_stream(0, "inputs"))
    state_a, state_b = drawn(model, 0), drawn(model, 1)
    for state in (state_a, state_b):
        state["again.weight"] = state["first.weight"]
    entries = measure_layers(model, state_a, state_b, {0.5: merge(model, state_a, state_b, 0.5)}, inputs)
    places = {name: each["depth"] for name, each in endpoints(entries).items()}
    assert places == {"first": 1, "first#2": 2, "first#3": 3, "head": 4}


def test_the_model_and_the_states_stay_as_they_are():
    model = Convolutions().double().train()
    images = random_images(5)
    own = copy.deepcopy(model.state_dict())
    before = drawn(model, 0)
    state_a, *_ = measured(model, images)
    assert model.training and model.dropout.training and model.normalisation.training
    assert all(torch.equal(own[name], tensor) for name, tensor in model.state_dict().items())
    assert all(torch.equal(before[name], tensor) for name, tensor in state_a.items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.slow
def test_named_layers_and_blocks():
    model = Classifier().double()
    sequences = torch.randn(6, 5, 3, generator=random_stream(0, "sequences"), dtype=torch.float64)
    names = ["head", "encoder.layers.0"]
    state_a, state_b, merged, entries = measured(model, sequences, layers=names)
    found = endpoints(entries)
    assert {name: each["depth"] for name, each in found.items()} == {"encoder.layers.0": 5, "head": 10}
    assert found["encoder.layers.0"]["metrics"] == {}
    outputs = []
    for state in (state_a, state_b, merged[0.3]):
        model.load_state_dict(state)
        with torch.no_grad():
            outputs.append(model.eval().encoder.layers[0](model.embedding(sequences)))
    [of_merged] = [each["metrics"] for each in entries if (each["layer"], each["coefficient"]) == (names[1], 0.3)]
    prediction = layerwise.llfc_prediction(outputs[0], outputs[1], 0.3)
    assert of_merged["llfc_error"] == pytest.approx(layerwise.relative_error(outputs[2], prediction))
    with pytest.raises(InputError, match=r"layers holds 'encoder\.layers\.7'; the images pass through: .*encoder"):
        measured(model, sequences, layers=["encoder.layers.7"])


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs) if float(inputs.sum()) > 0 else self.linear(-inputs)


class Fixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([self.linear(inputs[number]) for number in range(len(inputs))])


class WithoutWeights(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.relu()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Deciding(), "model cannot be traced by torch.export .*no decision in it may depend on numbers in a tensor"),
        (Fixed(), "model has no linear layer or convolution to measure; .* all examples at once, however many"),
        (WithoutWeights(), "model has no linear layer or convolution to measure"),
    ],
)
def test_what_cannot_be_traced_is_said_in_one_line(model, message):
    state = model.state_dict()
    with pytest.raises(InputError, match=message) as caught:
        measure_layers(model, state, state, {}, torch.ones(4, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_images_come_in_any_form():
    model, images = (
        nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.ReLU(), nn.Linear(4, 3)).double(),
        random_images(6),
    )
    *_, expected = measured(model, images)
    state_a, state_b = drawn(model, 0), drawn(model, 1)
    merged = {each: merge(model, state_a, state_b, each) for each in (0.3, 0.5)}
    for form in ((images, torch.zeros(6)), [images[:2], images[2:]]):
        assert measure_layers(model, state_a, state_b, merged, form) == expected


@pytest.mark.slow
def test_a_trace_holds_one_layer_and_its_input():
    model = nn.Sequential(*(layer for _ in range(8) for layer in (nn.Linear(6, 6), nn.ReLU())))
    images = torch.ones(37, 6)
    network = TracedNetwork(model, images)
    held = []
    for step in network.steps(model.state_dict(), images):
        tensors = [each for each in gc.get_objects() if type(each) is Tensor and each.shape == images.shape]
        held.append(len({tensor.untyped_storage().data_ptr() for tensor in tensors}))
        del step, tensors
    # the images, and of a layer its input, linear output, pre-activation and output
    assert len(held) == 8 and max(held) <= 5
