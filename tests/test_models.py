"""Networks: one fold and one scan of the same layers, sizes by formula, initial weights by distribution and stream."""

import copy
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError
from lmcbook.models import (
    ACTIVATIONS,
    ARCHITECTURES,
    Layer,
    LayeredModel,
    Shortcut,
    build_model,
    forward_flops,
    layer_outputs,
    linear_map,
    num_parameters,
    permutation_spec,
    pre_activations,
    scaled_width,
    steps,
    trace,
    trace_bytes,
)
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, has_batch_norm
from lmcbook.training.config import NORMALISATIONS, TrainingConfig
from tests.helpers.small_networks import (
    ALL,
    INPUT_SHAPE,
    NUM_CLASSES,
    add_a_network,
    random_images,
    small_config,
    small_model,
)

CIFAR_SHAPE = (3, 32, 32)
MLPS: tuple[dict[str, Any], ...] = (
    {"bias": True},
    {"num_layers": 2, "activation": "gelu"},
    {"num_layers": 4, "normalisation": "batch", "activation": "tanh"},
    {"num_layers": 4, "normalisation": "layer", "skip": True},
    {"num_layers": 5, "skip": True, "centred_rows": True},
)
VARIANTS: list[tuple[str, dict[str, Any]]] = [*[(name, {}) for name in ALL], *[("mlp", changes) for changes in MLPS]]


@pytest.fixture(autouse=True)
def added_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    add_a_network(monkeypatch)


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join([variant[0], *map(str, variant[1].values())]))
def network(request: pytest.FixtureRequest) -> tuple[LayeredModel, StateDict]:
    name, changes = request.param
    return small_model(name, **changes)


def full_size(architecture: str, **changes) -> LayeredModel:
    # small_config's own multipliers are for speed
    config = small_config(architecture, **{"width_multiplier": 1.0, **changes})
    return build_model(config, input_shape=CIFAR_SHAPE, num_classes=10)


# --- one fold, one scan ----------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_last_output_of_the_trace_is_the_forward_pass(network):
    model, state = network
    images = random_images(4)
    scan = trace(model, state, images)
    assert torch.equal(scan[-1].output, model(images))
    assert torch.equal(scan[-1].output, scan[-1].pre_activation)
    assert [layer.name for layer in scan] == list(model.layer_names)
    assert [layer.depth for layer in scan] == list(range(1, model.num_layers + 1))


@torch.no_grad()
def test_a_trace_holds_together(network):
    model, state = network
    scan = trace(model, state, random_images(4))
    for layer in scan:
        part = model.layer(layer.name)
        assert torch.equal(layer.output, part.activation(layer.pre_activation) if part.activation else layer.output)
        if not part.closes_skip:
            assert torch.equal(layer.pre_activation, part.finish(layer.linear_output))
    for before, after in pairwise(scan):
        prepare = model.layer(after.name).prepare
        assert torch.equal(after.input, prepare(before.output) if prepare else before.output)


def test_the_dictionaries_are_the_trace(network):
    model, state = network
    images = random_images(2)
    scan = trace(model, state, images)
    for read, field in (
        (layer_outputs, "output"),
        (pre_activations, "pre_activation"),
    ):
        found = read(model, state, images)
        assert list(found) == list(model.layer_names)
        assert all(torch.equal(found[layer.name], getattr(layer, field)) for layer in scan)


def test_the_trace_is_in_evaluation_mode_and_changes_nothing(network):
    model, state = network
    images = random_images(4)
    expected = trace(model, state, images)[-1].output
    before = copy.deepcopy(state)
    model.train()
    assert torch.equal(trace(model, state, images)[-1].output, expected)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(state[name], before[name]) for name in state)


@torch.no_grad()
def test_networks_with_other_states_are_gone_through_side_by_side(network):
    model, state = network
    other = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    model.train()
    images, before = random_images(4), copy.deepcopy(state)
    first = trace(model, other, images)[0].linear_output
    both = zip(steps(model, state, images), steps(model, other, images, first_linear_output=first), strict=True)
    traces = zip(trace(model, state, images), trace(model, other, images), strict=True)
    for found, expected in zip(both, traces, strict=True):
        for one, same in zip(found, expected, strict=True):
            assert one[:2] == same[:2]
            assert all(torch.equal(mine, yours) for mine, yours in zip(one[2:], same[2:], strict=True))
        assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_state_that_lacks_a_tensor_is_refused(network):
    model, state = network
    key = model.weight_key(model.layer_names[-1])
    with pytest.raises(InputError, match=f"state does not fit model: it .*{key}"):
        steps(model, {name: tensor for name, tensor in state.items() if name != key}, random_images(1))


@torch.no_grad()
def test_a_linear_map_is_the_linear_output_without_bias(network):
    model, state = network
    for layer in trace(model, state, random_images(3)):
        assert torch.equal(linear_map(model, state, layer.name, layer.input), layer.linear_output)
        linear = copy.deepcopy(model.linear(layer.name))
        linear.bias = None
        assert torch.equal(linear(layer.input), layer.linear_output)


def test_a_linear_map_takes_the_weights_of_another_state(network):
    model, state = network
    name = model.layer_names[1]
    inputs = {layer.name: layer.input for layer in trace(model, state, random_images(3))}[name]
    other = {**state, model.weight_key(name): 2 * state[model.weight_key(name)]}
    doubled = linear_map(model, other, name, inputs)
    assert torch.equal(doubled, 2 * linear_map(model, state, name, inputs))


@torch.no_grad()
def test_the_forward_pass_goes_on_from_a_known_first_product(network):
    model, state = network
    images = random_images(4)
    first = trace(model, state, images)[0].linear_output
    assert torch.equal(model(images, first_linear_output=first), model(images))
    scan = model(images, first_linear_output=first, trace=True)
    assert torch.equal(scan[-1].output, model(images))


@torch.no_grad()
def test_layer_1_is_linear_in_the_weights(network):
    model, state_a = network
    state_b = {name: tensor.flip(0) if tensor.dim() else tensor for name, tensor in state_a.items()}
    images = random_images(4)
    product_a, product_b = (trace(model, state, images)[0].linear_output for state in (state_a, state_b))
    merged = {
        name: 0.3 * state_a[name] + 0.7 * state_b[name] if state_a[name].is_floating_point() else state_a[name]
        for name in state_a
    }
    given = {"first_linear_output": 0.3 * product_a + 0.7 * product_b}
    swept = torch.func.functional_call(model, merged, (images,), given)
    assert torch.allclose(swept, torch.func.functional_call(model, merged, (images,)), rtol=1e-10, atol=1e-12)


@torch.no_grad()
def test_the_mlp_computes_what_its_formula_says():
    model, state = small_model("mlp", bias=True, num_layers=3, activation="leaky_relu")
    images = random_images(4)
    signal = images.flatten(1)
    for depth in (1, 2):
        signal = signal @ state[f"hidden{depth}.linear.weight"].T + state[f"hidden{depth}.linear.bias"]
        signal = signal.maximum(0.01 * signal)
    logits = signal @ state["classifier.linear.weight"].T + state["classifier.linear.bias"]
    assert torch.allclose(model(images), logits, rtol=1e-12, atol=1e-14)


@torch.no_grad()
def test_resnet20_computes_what_a_plain_resnet_does():
    model, _ = small_model("resnet20")
    images = random_images(4)
    relu = torch.relu

    def layer(name: str, signal: torch.Tensor) -> torch.Tensor:
        return model.get_submodule(f"{name}.normalisation")(model.get_submodule(f"{name}.linear")(signal))

    signal = relu(layer("stem", images))
    for stage in (1, 2, 3):
        for block in (1, 2, 3):
            name = f"stage{stage}.block{block}"
            skip = layer(f"{name}.shortcut", signal) if stage > 1 and block == 1 else signal
            signal = relu(layer(f"{name}.conv2", relu(layer(f"{name}.conv1", signal))) + skip)
    logits = model.get_submodule("classifier.linear")(signal.mean(dim=(2, 3)))
    assert torch.allclose(model(images), logits, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@torch.no_grad()
def test_resnet50_computes_what_torchvisions_does():
    import_torchvision()
    from torchvision.models import resnet50 as their_resnet50

    config = small_config("resnet50", width_multiplier=1.0)
    model = build_model(config, input_shape=(3, 64, 64), num_classes=7)
    theirs = their_resnet50(num_classes=7)
    names = {"stem.linear": "conv1", "stem.normalisation": "bn1", "classifier.linear": "fc"}
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            ours, other = f"stage{stage}.block{block + 1}", f"layer{stage}.{block}"
            names |= {f"{ours}.conv{number}.linear": f"{other}.conv{number}" for number in (1, 2, 3)}
            names |= {f"{ours}.conv{number}.normalisation": f"{other}.bn{number}" for number in (1, 2, 3)}
            if block == 0:
                names |= {f"{ours}.shortcut.linear": f"{other}.downsample.0"}
                names |= {f"{ours}.shortcut.normalisation": f"{other}.downsample.1"}
    renamed = {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": name for name in model.state_dict()}
    assert renamed.keys() == theirs.state_dict().keys()
    model.load_state_dict({ours: theirs.state_dict()[other] for other, ours in renamed.items()})
    images = torch.randn(2, 3, 64, 64, generator=random_stream(0, "photographs"))
    model, theirs = model.double(), theirs.double()
    for mode in (False, True):
        found, expected = model.train(mode)(images.double()), theirs.train(mode)(images.double())
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert model.num_layers == 50 and num_parameters(model) == num_parameters(theirs)


@pytest.mark.slow
def test_several_networks_run_at_once_under_vmap_in_training_mode():
    for name in ALL:
        (model, first), (_, second) = small_model(name), small_model(name, seed=1)
        images = random_images(6)
        stacked = {key: torch.stack([first[key], second[key]]) for key in first}
        model.train()
        together = torch.func.vmap(lambda state, m=model, x=images: torch.func.functional_call(m, state, (x,)))(stacked)
        for number, state in enumerate((first, second)):
            alone = torch.func.functional_call(model, state, (images,))
            assert torch.allclose(together[number], alone, rtol=1e-9, atol=1e-11)
            # running statistics have been written, in place, for each of them
            assert all(torch.allclose(stacked[key][number], state[key]) for key in state)


# --- names and sizes -------------------------------------------------------------------------------------------------


def test_every_layer_has_its_weight_under_its_name(network):
    model, state = network
    for name in (*model.layer_names, *model.shortcut_names):
        assert model.weight_key(name) == f"{name}.linear.weight"
        assert torch.equal(state[model.weight_key(name)], model.linear(name).weight)
    with pytest.raises(InputError, match="name is 'conv99'; it may be one of"):
        model.linear("conv99")


def test_the_layers_of_the_three_networks():
    mlp, vgg11, resnet20 = full_size("mlp"), full_size("vgg11"), full_size("resnet20")
    assert mlp.layer_names == ("hidden1", "hidden2", "hidden3", "classifier")
    assert vgg11.layer_names == (*[f"conv{number}" for number in range(1, 9)], "classifier")
    assert (mlp.num_layers, vgg11.num_layers, resnet20.num_layers) == (4, 9, 20)
    assert resnet20.layer_names[:3] == ("stem", "stage1.block1.conv1", "stage1.block1.conv2")
    assert resnet20.layer_names[-2:] == ("stage3.block3.conv2", "classifier")
    assert resnet20.shortcuts == {f"stage{stage}.block1.conv1": f"stage{stage}.block1.shortcut" for stage in (2, 3)}
    assert all(model.linear(name).bias is None for model in (vgg11, resnet20) for name in model.layer_names[:-1])


@pytest.mark.parametrize(("multiplier", "units"), [(0.0625, [1, 2, 4]), (0.25, [4, 8, 16]), (1, [16, 32, 64])])
def test_the_multiplier_scales_every_hidden_layer(multiplier, units):
    model = full_size("resnet20", width_multiplier=multiplier)
    found = [model.linear(name).weight.shape[0] for name in model.layer_names[:-1]]
    assert found == [units[0]] * 7 + [units[1]] * 6 + [units[2]] * 6
    assert scaled_width(16, multiplier) == units[0]
    with pytest.raises(InputError, match=r"width_multiplier is 0.01; a layer of 16 units would have none left"):
        full_size("resnet20", width_multiplier=0.01)


@pytest.mark.parametrize("multiplier", [0.5, 1, 2])
def test_the_number_of_parameters_is_that_of_the_formula(multiplier):
    classes, side = 10, 3 * 3
    hidden = round(12 * multiplier)
    assert num_parameters(full_size("mlp", width_multiplier=multiplier)) == hidden * (3072 + 2 * hidden + classes)

    vgg = [round(units * multiplier) for units in (64, 128, 256, 256, 512, 512, 512, 512)]
    weights = sum(side * before * after for before, after in pairwise([3, *vgg]))
    expected = weights + 2 * sum(vgg) + classes * (vgg[-1] + 1)
    assert num_parameters(full_size("vgg11", width_multiplier=multiplier)) == expected
    assert multiplier != 1 or expected == 9_228_362

    stages = [round(units * multiplier) for units in (16, 32, 64)]
    convolutions = [(3, stages[0])] + [(stages[0], stages[0])] * 6
    for before, after in pairwise(stages):
        # the first convolution of the stage, the shortcut, and the five others
        convolutions += [(before, after)] * 2 + [(after, after)] * 5
    expected = sum(side * before * after + 2 * after for before, after in convolutions) + classes * (stages[-1] + 1)
    assert num_parameters(full_size("resnet20", width_multiplier=multiplier)) == expected
    # He et al. (2016) have 0.27 million without convolutions in the shortcuts
    assert multiplier != 1 or expected - (9 * (16 * 32 + 32 * 64) + 2 * (32 + 64)) == 269_722


def test_flops_are_two_for_each_multiply_add(network):
    model, state = network
    images = random_images(1)
    layers = trace(model, state, images)
    inputs = {layer.name: layer.input for layer in layers}
    inputs |= {shortcut: inputs[opening] for opening, shortcut in model.shortcuts.items()}
    by_hand = 0
    for name, given in inputs.items():
        made = linear_map(model, state, name, given)
        by_hand += 2 * made.numel() * model.linear(name).weight[0].numel()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    assert forward_flops(model, INPUT_SHAPE) == by_hand == counter.get_total_flops()


@pytest.mark.slow
def test_resnet50_has_the_size_and_the_cost_that_are_known_of_it():
    config = small_config("resnet50", width_multiplier=1.0)
    model = build_model(config, input_shape=(3, 224, 224), num_classes=1000, device="meta")
    assert num_parameters(model) == 25_557_032
    # 4.09 billion multiply-adds
    assert forward_flops(model, (3, 224, 224)) == pytest.approx(2 * 4.089e9, rel=1e-3)


@pytest.mark.parametrize("architecture", ALL)
def test_the_memory_of_a_trace_is_that_of_its_tensors(architecture):
    model, state = small_model(architecture)
    held = {id(tensor): tensor for layer in trace(model, state, random_images(1)) for tensor in layer[2:]}
    assert trace_bytes(model, INPUT_SHAPE) == sum(tensor.nbytes for tensor in held.values())


def test_flops_of_the_mlp_are_those_of_the_formula():
    config = small_config("mlp", hidden_width=512)
    model = build_model(config, input_shape=(1, 28, 28), num_classes=10)
    assert forward_flops(model, (1, 28, 28)) == 2 * (784 * 512 + 2 * 512 * 512 + 512 * 10) == 2 * num_parameters(model)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 2, 8)])
def test_vgg11_takes_images_of_any_size_and_halves_no_single_pixel(shape):
    model = build_model(small_config("vgg11"), input_shape=shape, num_classes=10).eval()
    images = torch.zeros(2, *shape)
    inputs = {layer.name: layer.input.shape[2:] for layer in model(images, trace=True)[:-1]}
    height, width = shape[1:]
    for number, pooled in enumerate((True, True, False, True, False, True, False, True), start=1):
        assert inputs[f"conv{number}"] == (height, width)
        if pooled:
            height, width = max(1, height // 2), max(1, width // 2)
    assert model(images).shape == (2, 10)


# --- initialisation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ALL)
def test_the_initial_weights_are_torchs_default_distribution(architecture):
    changes = {"hidden_width": 64, "bias": True} if architecture == "mlp" else {}
    model = full_size(architecture, **changes)
    for name in (*model.layer_names, *model.shortcut_names):
        linear = model.linear(name)
        bound = 1 / math.sqrt(linear.weight[0].numel())
        for values in (linear.weight, linear.bias):
            if values is None:
                continue
            values = values.detach().double() / bound
            assert values.abs().max() <= 1 + 1e-6
            # mean 0 and variance 1/3 of U(−1, 1), to five standard deviations
            assert abs(values.mean()) < 5 / math.sqrt(3 * values.numel())
            assert abs(values.square().mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / values.numel())
            assert values.numel() < 1000 or values.abs().max() > 0.98


@pytest.mark.parametrize("architecture", ALL)
def test_a_seed_and_nothing_else_decides_the_initial_weights(architecture):
    def built(seed: int, **given) -> StateDict:
        config = small_config(architecture, seed=seed)
        return build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES, **given).state_dict()

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = built(0)
    assert torch.equal(torch.get_rng_state(), before), "the global stream was moved"
    torch.manual_seed(2)
    again, stream, other = built(0), built(7, generator=random_stream(0, "init")), built(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(first[name], stream[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if name.endswith("linear.weight"))


def test_no_two_layers_start_alike():
    state = build_model(small_config("mlp"), input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).state_dict()
    assert not torch.equal(state["hidden2.linear.weight"], state["hidden3.linear.weight"])


# --- formats and devices ---------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("architecture", ALL)
def test_channels_last_computes_the_same(architecture):
    model, _ = small_model(architecture)
    images = random_images(4)
    expected = model(images)
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    found = last(images.to(memory_format=torch.channels_last))
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ALL)
@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_computes_nearly_the_same(architecture, autocast):
    model, _ = small_model(architecture)
    images = random_images(4)
    expected = model(images)
    if autocast:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = model.float()(images.float())
    else:
        found = model.bfloat16()(images.bfloat16())
        assert found.dtype == torch.bfloat16
    assert (found.double() - expected).abs().max() < 0.1 * expected.std() + 0.05 * expected.abs().max()


@torch.no_grad()
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("architecture", ALL)
def test_a_gpu_computes_the_same(architecture):
    model, _ = small_model(architecture)
    images = random_images(4)
    expected = model(images)
    found = model.cuda()(images.cuda())
    assert found.is_cuda
    assert torch.allclose(found.cpu(), expected, rtol=1e-9, atol=1e-11)


# --- the table of architectures and wrong input ----------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ALL)
def test_a_configuration_says_whether_there_is_batch_norm(architecture):
    entry = ARCHITECTURES[architecture]
    assert entry.name == architecture and entry.description
    given = [{}, *({"normalisation": kind} for kind in NORMALISATIONS if "normalisation" in entry.options)]
    for changes in given:
        model, _ = small_model(architecture, **changes)
        assert small_config(architecture, **changes).has_batch_norm == has_batch_norm(model)


def test_activations_are_applied():
    images = random_images(4)
    logits = [small_model("mlp", activation=activation)[0](images) for activation in ACTIVATIONS]
    assert len({round(float(values.detach().sum()), 9) for values in logits}) == len(ACTIVATIONS)


def build(input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES, **changes) -> LayeredModel:
    given = {"dataset": "digits", "epochs": 1, "batch_size": 8, "learning_rate": 0.1, **changes}
    return build_model(TrainingConfig(**given), input_shape=input_shape, num_classes=num_classes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "vgg16"}, "architecture is 'vgg16'; it may be one of: mlp, vgg11, resnet20"),
        ({"architecture": "vgg11", "activation": "sine"}, "activation is 'sine'; it may be one of: relu, leaky_relu"),
        ({"architecture": "vgg11", "hidden_width": 8}, "hidden_width is 8; vgg11 has no such option .* given for: mlp"),
        ({"architecture": "resnet20", "num_layers": 20}, "num_layers is 20; resnet20 has no such option"),
        ({"architecture": "resnet20", "bias": True}, "bias is True; resnet20 has no such option and it must be False"),
        (
            {"architecture": "vgg11", "centred_rows": True},
            "centred_rows is True; vgg11 has no such option and it must be",
        ),
        ({"architecture": "resnet20", "skip": True}, "skip is True; resnet20 has no such option and it must be False"),
        ({"architecture": "vgg11", "normalisation": "layer"}, "normalisation is 'layer'; vgg11 has no such option"),
        ({"architecture": "mlp", "hidden_width": 8}, "hidden_width and num_layers are 8 and None; an mlp needs both"),
        ({"architecture": "mlp", "num_layers": 3}, "hidden_width and num_layers are None and 3; an mlp needs both"),
        ({"architecture": "vgg11", "input_shape": (1, 1, 8)}, r"input_shape is \(1, 1, 8\); vgg11 needs at least 2×2"),
        ({"architecture": "resnet20", "input_shape": (1, 3, 8)}, "resnet20 needs at least 4×4 pixels"),
        ({"architecture": "resnet50", "input_shape": (3, 7, 8)}, "resnet50 needs at least 8×8 pixels"),
        ({"architecture": "vgg11", "input_shape": (0, 8, 8)}, "input_shape's channels is 0; it must be a whole number"),
        ({"architecture": "vgg11", "num_classes": 1}, "num_classes is 1; it must be a whole number at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        build(**changes)


def part(**options) -> Layer:
    return Layer(nn.Linear(2, 2), **options)


def test_skips_must_open_and_close():
    with pytest.raises(InputError, match="layer a closes a skip and none is open"):
        LayeredModel({"a": part(closes_skip=True)})
    with pytest.raises(InputError, match="layer a opens a skip that no layer closes"):
        LayeredModel({"a": part(opens_skip=True), "b": part()})
    with pytest.raises(InputError, match="layer b opens a skip while that of a is open"):
        LayeredModel({"a": part(opens_skip=True), "b": part(opens_skip=True, closes_skip=True)})
    with pytest.raises(InputError, match="shortcuts is 'b'; it may be one of: a"):
        LayeredModel({"a": part(opens_skip=True), "b": part(closes_skip=True)}, {"b": Shortcut("way", part())})


@torch.no_grad()
def test_one_layer_may_open_and_close_a_skip():
    model = LayeredModel({"only": part(opens_skip=True, closes_skip=True), "classifier": part()})
    signal = torch.tensor([[1.0, -2.0]])
    assert torch.equal(model(signal), model.layer("classifier")(model.layer("only")(signal) + signal))


def test_a_network_from_elsewhere_has_no_table():
    with pytest.raises(InputError, match="model has no architecture"):
        permutation_spec(LayeredModel({"classifier": part()}))


def test_convolutions_that_pad_otherwise_are_refused():
    with pytest.raises(InputError, match="padding_mode is 'reflect'"):
        Layer(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))
