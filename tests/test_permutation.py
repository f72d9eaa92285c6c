"""Permutations: exact as index arithmetic, function-preserving for every architecture, and wrong tables are named."""

import re

import pytest
import torch
from hypothesis import given, settings, strategies
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.models import LayeredModel, permutation_spec
from lmcbook.permutation import (
    Permutation,
    PermutationSpec,
    apply,
    check_function_preserved,
    compose,
    identity,
    invert,
    random_permutation,
)
from lmcbook.permutation.preservation import _outputs_near
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, evaluation_mode
from tests.helpers.small_networks import random_images, small_model

Network = tuple[LayeredModel, StateDict, PermutationSpec]


def named(architecture: str) -> Network:
    model, state = small_model(architecture)
    return model, state, permutation_spec(model)


def drawn(network: Network, *purpose: str) -> Permutation:
    _, state, spec = network
    return random_permutation(spec, state, random_stream(0, "permutation", *purpose))


def outputs(model: nn.Module, state: StateDict, images: Tensor) -> Tensor:
    own = {name: tensor.clone() for name, tensor in state.items()}
    with torch.no_grad():
        return torch.func.functional_call(model, own, (images,))


def same(first: StateDict, second: StateDict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- the invariants, for every architecture -------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_permuting_hidden_units_preserves_the_function(network: Network, training: bool):
    model, state, spec = network
    permuted = apply(spec, drawn(network), state)
    images = random_images(8)
    model.train(training)
    assert torch.allclose(outputs(model, permuted, images), outputs(model, state, images), rtol=1e-9, atol=1e-11)
    changed = [name for name in state if not torch.equal(state[name], permuted[name])]
    assert set(changed) == {name for name, axes in spec.axes.items() if any(axes)}


def test_running_statistics_are_in_the_table(network: Network):
    model, _, spec = network
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            group = spec.axes[f"{name}.weight"]
            assert group != (None,)
            assert [spec.axes[f"{name}.{key}"] for key in ("bias", "running_mean", "running_var")] == [group] * 3
            assert spec.axes[f"{name}.num_batches_tracked"] == ()


def test_undoing_is_bit_exact(network: Network):
    _, state, spec = network
    permutation = drawn(network)
    assert same(apply(spec, invert(permutation), apply(spec, permutation, state)), state)
    assert same(apply(spec, permutation, apply(spec, invert(permutation), state)), state)


def test_identity_moves_nothing_and_is_what_composing_with_the_inverse_gives(network: Network):
    _, state, spec = network
    permutation = drawn(network)
    still = identity(spec, state)
    assert same(apply(spec, still, state), state)
    assert same(compose(permutation, invert(permutation)), still)
    assert same(compose(invert(permutation), permutation), still)
    assert same(compose(still, permutation), permutation)


def test_composition_is_first_then_second_and_associative(network: Network):
    _, state, spec = network
    first, second, third = (drawn(network, str(number)) for number in range(3))
    one_by_one = apply(spec, second, apply(spec, first, state))
    assert same(apply(spec, compose(first, second), state), one_by_one)
    assert not same(apply(spec, compose(second, first), state), one_by_one)
    assert same(compose(compose(first, second), third), compose(first, compose(second, third)))


def test_a_true_table_passes_the_check(network: Network):
    model, state, spec = network
    before = {name: tensor.clone() for name, tensor in state.items()}
    modes = [module.training for module in model.train().modules()]
    check_function_preserved(model, spec, state, random_images(8), random_stream(0, "check"))
    # nothing is left behind: neither in the state nor in the modules
    assert same(before, state)
    assert [module.training for module in model.modules()] == modes
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} <= {0.1}


def test_in_float32_a_true_table_passes_the_check_too(network: Network):
    model, state, spec = network
    model.float()
    single = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    check_function_preserved(model, spec, single, random_images(8).float(), random_stream(0, "check"))


# --- groups of the three networks ------------------------------------------------------------------------------------


def test_an_mlp_has_one_group_per_hidden_layer():
    _, state, spec = named("mlp")
    assert spec.groups(state) == {"hidden1": 12, "hidden2": 12, "hidden3": 12}
    assert spec.axes["hidden2.linear.weight"] == ("hidden2", "hidden1")
    assert spec.axes["classifier.linear.weight"] == (None, "hidden3")


def test_vgg11_has_one_group_per_convolution():
    _, state, spec = named("vgg11")
    widths = dict(zip([f"conv{number}" for number in range(1, 9)], [4, 8, 16, 16, 32, 32, 32, 32], strict=True))
    assert spec.groups(state) == widths
    assert spec.axes["classifier.linear.bias"] == (None,)


def test_resnet50_has_one_group_per_stream_and_two_per_bottleneck():
    _, state, spec = named("resnet50")
    groups = {"stem": 4}
    for stage, (inside, blocks) in enumerate(((4, 3), (8, 4), (16, 6), (32, 3)), start=1):
        groups[f"stage{stage}"] = 4 * inside
        groups |= {
            f"stage{stage}.block{block + 1}.conv{number}": inside for block in range(blocks) for number in (1, 2)
        }
    assert spec.groups(state) == groups
    written = {name for name, axis in spec.members("stage2") if axis == 0 and name.endswith("linear.weight")}
    thirds = {f"stage2.block{block}.conv3.linear.weight" for block in (1, 2, 3, 4)}
    assert written == {*thirds, "stage2.block1.shortcut.linear.weight"}


def test_resnet20_has_one_group_per_stage_and_one_per_block():
    _, state, spec = named("resnet20")
    stages = {f"stage{stage}": width for stage, width in ((1, 4), (2, 8), (3, 16))}
    blocks = {f"{stage}.block{block}": width for stage, width in stages.items() for block in (1, 2, 3)}
    assert spec.groups(state) == {**stages, **blocks}
    # all that writes into the stream of stage 2, the shortcut included
    assert {name for name, axis in spec.members("stage2") if axis == 0 and name.endswith("linear.weight")} == {
        "stage2.block1.conv2.linear.weight",
        "stage2.block1.shortcut.linear.weight",
        "stage2.block2.conv2.linear.weight",
        "stage2.block3.conv2.linear.weight",
    }
    assert spec.axes["stem.linear.weight"][0] == spec.axes["stage1.block3.conv2.linear.weight"][0] == "stage1"
    assert spec.axes["stage2.block1.shortcut.linear.weight"] == ("stage2", "stage1", None, None)


# --- exact arithmetic ------------------------------------------------------------------------------------------------


def test_new_unit_i_is_old_unit_permutation_i():
    spec = PermutationSpec({"first": ("units", None), "bias": ("units",), "second": (None, "units"), "steps": ()})
    state = {
        "first": torch.tensor([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]),
        "bias": torch.tensor([0.0, 10.0, 20.0]),
        "second": torch.tensor([[0.0, 10.0, 20.0]]),
        "steps": torch.tensor(7),
    }
    permuted = apply(spec, {"units": torch.tensor([2, 0, 1])}, state)
    assert permuted["first"].tolist() == [[20, 21], [0, 1], [10, 11]]
    assert permuted["bias"].tolist() == [20, 0, 10]
    assert permuted["second"].tolist() == [[20, 0, 10]]
    assert permuted["steps"].item() == 7


@settings(max_examples=25, deadline=None)
@given(
    strategies.permutations(range(7)),
    strategies.permutations(range(7)),
    strategies.sampled_from([torch.float32, torch.bfloat16, torch.float64, torch.int64]),
)
def test_gather_agrees_with_indexing_in_every_type(first, second, dtype):
    spec = PermutationSpec({"weight": ("out", None, "in")})
    weight = torch.arange(7 * 2 * 7).reshape(7, 2, 7).to(dtype)
    permutation = {"out": torch.tensor(first), "in": torch.tensor(second)}
    permuted = apply(spec, permutation, {"weight": weight})["weight"]
    assert permuted.dtype == dtype
    assert torch.equal(permuted, weight[first][:, :, second])


def test_what_is_returned_shares_no_memory_with_what_was_given():
    spec = PermutationSpec({"weight": ("units", None), "fixed": (None,)})
    state = {"weight": torch.ones(3, 2), "fixed": torch.ones(2)}
    for tensor in apply(spec, identity(spec, state), state).values():
        tensor.zero_()
    assert all(bool(tensor.all()) for tensor in state.values())


def test_channels_last_weights_stay_channels_last():
    spec = PermutationSpec({"weight": ("out", "in", None, None)})
    weight = torch.randn(6, 4, 3, 3, generator=random_stream(0, "weight")).to(memory_format=torch.channels_last)
    permutation = random_permutation(spec, {"weight": weight}, random_stream(0, "permutation"))
    permuted = apply(spec, permutation, {"weight": weight})["weight"]
    assert permuted.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(permuted, weight[permutation["out"]][:, permutation["in"]])


def test_random_permutations_are_reproducible_and_uniform():
    spec = PermutationSpec({"weight": ("units", None)})
    state = {"weight": torch.zeros(3, 1)}
    assert same(*(random_permutation(spec, state, random_stream(5, "permutation")) for _ in range(2)))
    generator = random_stream(0, "permutation")
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(1200):
        order = tuple(random_permutation(spec, state, generator)["units"].tolist())
        counts[order] = counts.get(order, 0) + 1
    # 200 expected of each, standard deviation 13: five of them
    assert len(counts) == 6 and all(abs(count - 200) < 65 for count in counts.values())


# --- wrong input -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "tensor", "axes"),
    [
        ("mlp", "hidden2.linear.weight", ("hidden2", None)),
        ("mlp", "hidden3.linear.weight", ("hidden3", "hidden1")),
        ("mlp", "classifier.linear.weight", (None, None)),
        ("vgg11", "conv3.normalisation.running_mean", (None,)),
        ("vgg11", "conv8.normalisation.running_var", (None,)),
        ("vgg11", "conv4.normalisation.bias", ("conv3",)),
        ("resnet20", "stage3.block1.shortcut.linear.weight", (None, "stage2", None, None)),
        ("resnet20", "stage1.block2.conv2.linear.weight", ("stage1.block2", "stage1.block2", None, None)),
        ("resnet20", "stem.normalisation.weight", (None,)),
    ],
)
def test_a_wrong_table_is_refused_with_the_tensors_name(architecture, tensor, axes):
    model, state, spec = named(architecture)
    wrong = PermutationSpec({**spec.axes, tensor: axes})
    with pytest.raises(InputError, match="does not preserve the function") as caught:
        check_function_preserved(model, wrong, state, random_images(8), random_stream(0, "check"))
    suspects = str(caught.value).split("look at its entries for ")[1].split(", ")
    assert suspects == [tensor]


@pytest.mark.slow
def test_constants_of_a_fresh_network_hide_no_fault():
    model, state, spec = named("resnet20")
    for name, constant in state.items():
        if "normalisation" in name:
            constant.fill_(1.0 if name.endswith(("weight", "running_var")) else 0)
    tensor = "stage2.block2.conv1.normalisation.running_mean"
    wrong = PermutationSpec({**spec.axes, tensor: (None,)})
    with pytest.raises(InputError, match=re.escape(tensor)):
        check_function_preserved(model, wrong, state, random_images(8), random_stream(0, "check"))


def test_dropout_is_no_fault_of_the_table():
    generator = random_stream(0, "weights")
    state = {
        "0.weight": torch.randn(6, 4, generator=generator),
        "1.weight": torch.rand(6, generator=generator),
        "1.bias": torch.randn(6, generator=generator),
        "1.running_mean": torch.zeros(6),
        "1.running_var": torch.ones(6),
        "1.num_batches_tracked": torch.tensor(0),
        "3.weight": torch.randn(3, 6, generator=generator),
    }
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3, bias=False))
    units = dict.fromkeys([name for name in state if name.startswith("1.")], ("units",))
    axes = {"0.weight": ("units", None), **units, "1.num_batches_tracked": (), "3.weight": (None, "units")}
    images = torch.randn(9, 4, generator=generator)
    check_function_preserved(model, PermutationSpec(axes), state, images, random_stream(0, "check"))


class Branched(nn.Module):
    """In float32, as most networks are: a path through units, and one whose share of the output is small."""

    def __init__(self, small: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.small = small
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 3)
        self.small_up, self.small_down = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        small = self.small_down(torch.relu(self.small_up(inputs)))
        return self.down(torch.relu(self.up(inputs))) + self.small * small


def branched(*, up: str | None, small: str | None) -> PermutationSpec:
    axes: dict[str, tuple[str | None, ...]] = {}
    for prefix, group in (("", up), ("small_", small)):
        axes |= {f"{prefix}up.weight": (group, None), f"{prefix}up.bias": (group,)}
        axes |= {f"{prefix}down.weight": (None, group), f"{prefix}down.bias": (None,)}
    return PermutationSpec(axes)


def test_a_network_in_float32_is_looked_at_with_the_precision_of_float64():
    model, images = Branched(1.0), torch.randn(8, 4, generator=random_stream(0, "images"))
    found = _outputs_near(model, model.state_dict(), (images,), random_stream(0, "check"))
    assert found.precision == torch.finfo(torch.float64).eps and found.tolerance == found.precision**0.5

    class Single(Branched):
        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs).float().double()

    found = _outputs_near(Single(1.0), model.state_dict(), (images,), random_stream(0, "check"))
    assert found.precision == torch.finfo(torch.float32).eps


def test_a_table_whose_fault_moves_the_outputs_little_is_refused():
    model, images = Branched(1e-4), torch.randn(8, 4, generator=random_stream(0, "images"))
    spec = branched(up="units", small="others")
    check_function_preserved(model, spec, model.state_dict(), images, random_stream(0, "check"))
    wrong = PermutationSpec({**spec.axes, "small_down.weight": (None, None)})
    with pytest.raises(InputError, match=r"does not preserve .* small_down\.weight"):
        check_function_preserved(model, wrong, model.state_dict(), images, random_stream(0, "check"))


def test_units_with_a_small_share_of_the_output_are_noticed():
    model, images = Branched(0.01), torch.randn(8, 4, generator=random_stream(0, "images"))
    spec = branched(up=None, small="units")
    check_function_preserved(model, spec, model.state_dict(), images, random_stream(0, "check"))


def test_faults_in_two_entries_name_the_members_of_the_group():
    model, state, spec = named("vgg11")
    wrong = {f"conv3.normalisation.{key}": (None,) for key in ("weight", "bias")}
    with pytest.raises(InputError, match=r"conv3\.linear\.weight.*conv4\.linear\.weight"):
        check_function_preserved(
            model, PermutationSpec({**spec.axes, **wrong}), state, random_images(8), random_stream(0, "check")
        )


def test_batch_norm_needs_two_images_for_the_check():
    model, state, spec = named("vgg11")
    with pytest.raises(InputError, match="images holds 1 examples"):
        check_function_preserved(model, spec, state, random_images(1), random_stream(0, "check"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden2.linear.weight": ("hidden2",)}, r"spec gives hidden2\.linear\.weight 1 axes .* one entry per axis"),
        ({"hidden1.linear.weight": (None, "hidden1")}, r"axis of 12 of hidden2\.linear\.weight .* which has 192 units"),
        ({"hidden9.linear.weight": ("hidden9", None)}, r"names hidden9\.linear\.weight, which the state dict has not"),
        ({"hidden3.linear.weight": None}, r"it lacks hidden3\.linear\.weight"),
    ],
)
def test_a_table_that_does_not_fit_the_state_is_refused(changes, message):
    _, state, spec = named("mlp")
    axes = {name: at for name, at in {**spec.axes, **changes}.items() if at is not None}
    with pytest.raises(InputError, match=message):
        identity(PermutationSpec(axes), state)


def test_axes_that_are_no_tuple_are_refused_at_birth():
    spec = PermutationSpec({"weight": ("units",)})
    # past the type checker of the tests, which a user does not have
    object.__setattr__(spec, "axes", {"weight": "units"})
    with pytest.raises(InputError, match=r"axes\['weight'\] is 'units'; it must be a tuple"):
        spec.__post_init__()


@pytest.mark.parametrize(
    "indices",
    [torch.tensor([0, 0, 1]), torch.tensor([0, 1]), torch.tensor([1, 2, 3]), torch.tensor([0.0, 1.0, 2.0])],
    ids=["twice the same", "too few", "out of range", "not integer"],
)
def test_what_is_no_permutation_is_refused(indices):
    spec = PermutationSpec({"weight": ("units", None)})
    with pytest.raises(InputError, match=r"permutation\['units'\] .* is no permutation of 3 units"):
        apply(spec, {"units": indices}, {"weight": torch.ones(3, 2)})


def test_groups_must_be_those_of_the_spec_and_of_each_other():
    spec = PermutationSpec({"weight": ("units", None)})
    with pytest.raises(InputError, match="permutation has groups other; it must have those of the spec: units"):
        apply(spec, {"other": torch.arange(3)}, {"weight": torch.ones(3, 2)})
    with pytest.raises(InputError, match="they differ in units"):
        compose({"units": torch.arange(3)}, {"units": torch.arange(4)})


def test_evaluation_mode_is_left_even_by_an_error():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, momentum=0.3), nn.Dropout()).train()
    model[0].eval()
    with pytest.raises(RuntimeError), evaluation_mode(model, train_normalisation=True):
        assert [module.training for module in model.modules()] == [False, False, True, False]
        raise RuntimeError
    assert [module.training for module in model.modules()] == [True, False, True, True]
    assert model[1].momentum == 0.3
