"""Tables derived from a trace: they agree with ours, preserve functions, and admit what they cannot prove."""

import doctest
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from lmcbook.errors import InputError
from lmcbook.models import permutation_spec
from lmcbook.permutation import Part, PermutationSpec, apply, check_function_preserved, derive_spec
from lmcbook.permutation.tracing import layouts as layouts_module
from lmcbook.permutation.tracing.layer_rules import LAYER_RULES
from lmcbook.permutation.tracing.layouts import Layout, Units, resolved, unify
from lmcbook.permutation.tracing.shape_rules import SHAPE_RULES
from lmcbook.randomness import random_stream
from tests.helpers.small_networks import ALL, add_a_network, random_images, small_model
from tests.helpers.traced_networks import (
    Attention,
    Between,
    Branches,
    Fixed,
    GatedUnits,
    Recurrent,
    Residual,
    SelfAttention,
    Shuffled,
    TiedWords,
    Transformer,
    TwoInputs,
    deconvolution,
    depthwise,
    group_normalised,
    grouped,
)

IMAGE, TOKENS, VECTOR = (4, 3, 6, 6), (4, 5, 8), (4, 5)


class Standardised(nn.Conv2d):
    """Weight standardisation: the variance and the mean of each filter from one operation."""

    def forward(self, images: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=[1, 2, 3], keepdim=True, unbiased=False)
        return F.conv2d(images, (self.weight - mean) / torch.sqrt(variance + 1e-5), self.bias)


def between(first: nn.Module, middle: nn.Module, units: int) -> nn.Module:
    """Two modules, an activation, and a linear map of the units that come out."""
    last = nn.Conv2d(units, 1, 1) if isinstance(first, nn.Conv2d) else nn.Linear(units, 2)
    return nn.Sequential(first, middle, nn.ReLU(), last)


# network, shape of its input, sizes of its groups in the order in which they are met, tensors that are not proved
NETWORKS = {
    "concatenation and flatten": (Branches, IMAGE, [4, 6], []),
    "depth-wise convolution": (depthwise, IMAGE, [6, 10], []),
    "grouped convolution": (grouped, IMAGE, [2, 3, 3, 3, 3], []),
    "group norm of one group": (lambda: group_normalised(1), IMAGE, [8], []),
    "group norm of pairs": (lambda: group_normalised(4), IMAGE, [4], []),
    "group norm of halves": (lambda: group_normalised(2), IMAGE, [4, 4], []),
    "group norm of single channels": (lambda: group_normalised(8), IMAGE, [8], []),
    "deconvolution": (deconvolution, IMAGE, [5, 7], []),
    "attention by matrix products": (lambda: Transformer(Attention("explicit"), nn.GELU()), TOKENS, [12, 3, 20], []),
    "attention by einsum": (lambda: Transformer(Attention("einsum"), nn.SiLU()), TOKENS, [12, 3, 20], []),
    "attention, stacked": (lambda: Transformer(Attention("stacked"), nn.GELU()), TOKENS, [12, 3, 20], []),
    "torch's attention": (lambda: Transformer(SelfAttention(True), nn.SiLU()), TOKENS, [12, 3, 20], []),
    "torch's attention, batch second": (lambda: Transformer(SelfAttention(False), nn.GELU()), TOKENS, [12, 3, 20], []),
    "torch's encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), TOKENS, [2, 16], []),
    "gated units, cut apart": (lambda: GatedUnits(apart=False), VECTOR, [8], []),
    "gated units, apart": (lambda: GatedUnits(apart=True), VECTOR, [8], []),
    "channel shuffle": (Shuffled, IMAGE, [2], []),
    "torch's channel shuffle": (lambda: between(nn.Conv2d(3, 8, 3), nn.ChannelShuffle(2), 8), IMAGE, [2], []),
    "pixel shuffle": (lambda: between(nn.Conv2d(3, 16, 3), nn.PixelShuffle(2), 4), IMAGE, [4], []),
    "pixel unshuffle": (lambda: between(nn.Conv2d(3, 5, 3), nn.PixelUnshuffle(2), 20), IMAGE, [5], []),
    "weight norm": (
        lambda: between(weight_norm(nn.Linear(5, 12)), weight_norm(nn.Linear(12, 8)), 8), VECTOR, [12, 8], []
    ),
    "spectral norm": (
        lambda: between(spectral_norm(nn.Linear(5, 12)), spectral_norm(nn.Linear(12, 8)), 8), VECTOR, [12, 8], []
    ),
    "standardised weights": (lambda: between(Standardised(3, 8, 3), nn.ReLU(), 8), IMAGE, [8], []),
    "residual on a square matrix": (
        lambda: nn.Sequential(nn.Linear(5, 7), Residual(nn.Linear(7, 7), nn.ReLU()), nn.Linear(7, 2)), VECTOR, [7], []
    ),
    "two layers, the first in order": (Fixed, (4, 4), [5], ["first.bias", "first.weight", "second.weight"]),
}  # fmt: skip


def shaken(model: nn.Module) -> nn.Module:
    """In float64, with every parameter and statistic different, so that no constant hides a fault."""
    generator = random_stream(0, "shaken")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=generator))
    return model.double().eval()


def inputs(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=random_stream(0, "inputs"), dtype=torch.float64)


def assert_same_function(model: nn.Module, spec: PermutationSpec, *given: Tensor) -> None:
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    moved_on = {group: torch.arange(size).roll(1) for group, size in spec.groups(state).items()}
    permuted = apply(spec, moved_on, state)
    with torch.no_grad():
        before = model(*given)
        after = torch.func.functional_call(model, permuted, given, tie_weights=False)
    before, after = (value if isinstance(value, tuple) else (value,) for value in (before, after))
    for old, new in zip(before, after, strict=True):
        assert torch.allclose(old, new, rtol=1e-9, atol=1e-10)
    moved = {name for name in state if not torch.equal(state[name], permuted[name])}
    assert moved == {name for name, axes in spec.axes.items() if any(axes)}


# --- our networks ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_what_is_derived_is_what_was_written_by_hand(architecture, monkeypatch):
    add_a_network(monkeypatch)
    model, state = small_model(architecture)
    written = permutation_spec(model)
    derived = derive_spec(model, random_images(4))
    assert derived.unproved == {}
    names: dict[str, str] = {}
    for tensor, axes in written.axes.items():
        for ours, found in zip(axes, derived.axes[tensor], strict=True):
            assert (ours is None) == (found is None), tensor
            if ours is not None:
                assert isinstance(ours, str) and isinstance(found, str), tensor
                assert names.setdefault(ours, found) == found, tensor
    assert len(set(names.values())) == len(names) == len(written.group_names)
    assert sorted(derived.groups(state).values()) == sorted(written.groups(state).values())


# --- foreign networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_foreign_networks_keep_their_function_and_all_their_units(name):
    build, shape, sizes, unproved = NETWORKS[name]
    torch.manual_seed(0)
    model = shaken(build())
    spec = derive_spec(model, inputs(shape))
    assert list(spec.groups(dict(model.state_dict())).values()) == sizes
    assert sorted(spec.unproved) == unproved
    assert_same_function(model, spec, inputs(shape))


# operation on [examples, tokens, 8 units] → how many of them may move afterwards; 0 where their order counts
OPERATIONS: dict[str, tuple[Callable[[Tensor], Tensor], list[int]]] = {
    "softmax over units": (lambda x: x.softmax(-1), [8]),
    "mean and spread": (lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True), [8]),
    "normalise": (lambda x: F.normalize(x, dim=-1), [8]),
    "largest unit": (lambda x: x.max(-1, keepdim=True)[0] * x, [0]),
    "amax": (lambda x: x.amax(-1, keepdim=True) + x, [8]),
    "place of the largest": (lambda x: x.argmax(-1, keepdim=True) * x, [0]),
    "sort": (lambda x: x.sort(-1)[0], [0]),
    "flip": (lambda x: x.flip(-1) + x, [0]),
    "flip of tokens": (lambda x: x.flip(1) + x, [8]),
    "roll": (lambda x: x.roll(1, -1) + x, [0]),
    "every other unit": (lambda x: x[..., ::2], [0]),
    "slice": (lambda x: x[..., 2:7], [2, 5]),
    "narrow": (lambda x: x.narrow(-1, 0, 5), [5, 3]),
    "uneven split": (lambda x: torch.cat(x.split([3, 5], -1)[::-1], -1), [3, 5]),
    "even chunks": (lambda x: torch.stack(x.chunk(2, -1)).prod(0), [4]),
    "twice": (lambda x: torch.cat([x, x.relu()], -1), [8]),
    "repeat": (lambda x: x.repeat(1, 2, 3), [8]),
    "interleave": (lambda x: torch.stack([x, -x], -1).flatten(-2), [8]),
    "padding of units": (lambda x: F.pad(x, (1, 1)), [0]),
    "padding of tokens": (lambda x: F.pad(x, (0, 0, 1, 1)), [8]),
    "picked units": (lambda x: x[..., [1, 0, 3]], [0]),
    "picked tokens": (lambda x: x[:, [1, 0, 3]], [8]),
    "index_select": (lambda x: x.index_select(-1, torch.tensor([2, 2, 5])), [0]),
    "gated halves": (lambda x: F.glu(x, -1), [4]),
    "units as a square": (lambda x: x.unflatten(-1, (4, 2)).softmax(-1).flatten(-2), [4]),
    "units as a square, summed": (lambda x: x.view(len(x), 5, 2, 4).sum(2), [2]),
    "gram matrix": (lambda x: (x.transpose(1, 2) @ x).sum(1), [8]),
    "gram by einsum": (lambda x: torch.einsum("btu,btv->buv", x, x).mean(1), [8]),
    "gram matrix, read row by row": (lambda x: x.mT @ x, [0]),
    "baddbmm": (lambda x: torch.baddbmm(x, x @ x.mT, x), [8]),
    "outer": (lambda x: (x[..., :, None] * x[..., None, :]).flatten(-2), [0]),
    "constants of each unit": (lambda x: x * torch.arange(8), [0]),
    "one constant": (lambda x: torch.where(x > 0, x, torch.full_like(x, 0.5)), [8]),
    "filled in place": (lambda x: x.clone().mul_(2).add_(x).clamp_(-1, 1), [8]),
    "written in place": (lambda x: torch.zeros_like(x).copy_(x) + x, [0]),
    "masked": (lambda x: x.masked_fill(torch.eye(5, 8, dtype=torch.bool), 0.0), [0]),
    "lower triangle": (lambda x: x.tril(), [0]),
    "distances": (lambda x: torch.cdist(x, x), [0]),
    "maximum of two": (lambda x: torch.max(x, x.flip(1)), [8]),
    "convolution along units": (lambda x: F.avg_pool1d(x, 2), [0]),
    "tokens as channels": (lambda x: F.instance_norm(x), [8]),
    "two axes normalised": (lambda x: F.layer_norm(x, (5, 8)), [8]),
    "transposed": (lambda x: x.permute(2, 0, 1).flatten(1).t().reshape(len(x), 5, 8), [8]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_operations_do_to_units(name):
    operation, sizes = OPERATIONS[name]
    torch.manual_seed(0)
    model = shaken(Between(operation))
    example = inputs((3, 5, 6))
    spec = derive_spec(model, example)
    assert list(spec.groups(dict(model.state_dict())).values()) == [size for size in sizes if size]
    assert_same_function(model, spec, example)


def test_heads_are_blocks_and_flattened_maps_too():
    model = shaken(Transformer(SelfAttention(True), nn.GELU()))
    axes = derive_spec(model, inputs(TOKENS)).axes
    heads = "block.0.body.1.attention"
    assert axes[f"{heads}.in_proj_weight"] == ((Part(heads, 4),) * 3, "token")
    assert axes[f"{heads}.out_proj.weight"] == ("token", (Part(heads, 4),))
    branches = derive_spec(shaken(Branches()), inputs(IMAGE)).axes
    assert branches["norm.running_var"] == ((Part("left"), Part("right")),)
    assert branches["head.weight"] == (None, (Part("left", 16), Part("right", 16)))


def test_words_in_and_out_share_their_matrix():
    torch.manual_seed(0)
    model = shaken(TiedWords())
    words = torch.arange(12).reshape(2, 6) % 7
    spec = derive_spec(model, words)
    assert spec.axes["embed.weight"] == spec.axes["read.weight"] == (None, "embed")
    assert spec.groups(dict(model.state_dict())) == {"embed": 6, "hidden.body.0": 10}
    assert_same_function(model, spec, words)


def test_several_inputs_and_outputs():
    torch.manual_seed(0)
    model = shaken(TwoInputs())
    given = inputs((4, 3)), inputs((4, 4))
    spec = derive_spec(model, given)
    assert spec.group_names == ("left",)
    assert_same_function(model, spec, *given)


def test_what_cannot_be_proved_stays_and_is_told():
    torch.manual_seed(0)
    model = shaken(Recurrent())
    spec = derive_spec(model, inputs((3, 5, 4)))
    assert spec.groups(dict(model.state_dict())) == {"head.0": 9}
    assert set(spec.unproved) == {name for name in spec.axes if not name.startswith("head")} | {"head.0.weight"}
    assert "sort in the network does not let units move" in spec.unproved["recurrent.weight_hh_l0"]
    assert "cumsum in the network" in derive_spec(Fixed(), torch.randn(2, 4)).unproved["first.weight"]


def test_unused_parameters_stay():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    model.register_parameter("idle", nn.Parameter(torch.randn(5)))
    spec = derive_spec(model, torch.randn(2, 3))
    assert spec.axes["idle"] == (None,)
    assert spec.unproved == {"idle": "the traced computation does not use it"}


@pytest.mark.slow
def test_tracing_leaves_the_model_as_it_was():
    model, state = small_model("resnet20")
    model.train()
    derive_spec(model, random_images(4))
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


class Counting(nn.Module):
    """Its forward writes into its buffers, one of which no state has, and a module stands at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(5, 6), nn.Linear(6, 2)
        self.again = self.up
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("passed", torch.zeros(1), persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        self.get_buffer("calls").add_(1)
        self.get_buffer("passed").add_(1)
        return self.down(torch.relu(self.again(vectors)))


def test_what_a_forward_writes_is_not_written_into_the_model():
    model = Counting()
    kept = {name: tensor for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    before = {name: tensor.clone() for name, tensor in kept.items()}
    derive_spec(model, torch.ones(VECTOR))
    after = dict([*model.named_parameters(), *model.named_buffers()])
    assert all(after[name] is kept[name] and torch.equal(before[name], kept[name]) for name in kept)
    assert model.again is model.up


def test_what_cannot_be_traced_is_said_in_one_line():
    class Impatient(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(
        InputError, match=r"cannot be traced by torch\.export .* write a PermutationSpec by hand"
    ) as caught:
        derive_spec(Impatient(), torch.randn(2, 3))
    assert "\n" not in str(caught.value)


def test_the_check_runs_by_default(monkeypatch):
    # a rule that is wrong must not come through: here a cumulated sum is taken for elementwise
    monkeypatch.setitem(SHAPE_RULES, "cumsum", LAYER_RULES["relu"])
    model, example = shaken(Fixed()), inputs((4, 4))
    with pytest.raises(InputError, match=r"does not preserve the function.*first\.weight"):
        derive_spec(model, example)
    assert derive_spec(model, example, check=False).group_names == ("first", "second")


def test_parts_are_checked_against_the_state():
    model = shaken(Branches())
    state = dict(model.state_dict())
    spec = derive_spec(model, inputs(IMAGE))
    wrong = PermutationSpec({**spec.axes, "head.weight": (None, (Part("left", 16), Part("right", 12)))})
    with pytest.raises(InputError, match=r"divides an axis of 160 of head\.weight into parts of 136 rows"):
        wrong.groups(state)
    unknown = PermutationSpec({**spec.axes, "head.bias": ((Part("one"), Part("two")),)})
    with pytest.raises(InputError, match=r"does not say how many units of head\.bias"):
        unknown.groups(state)
    with pytest.raises(InputError, match="blocks of at least one row"):
        PermutationSpec({"weight": ((Part("units", 0),),)})
    swapped = PermutationSpec({**spec.axes, "head.weight": (None, (Part("right", 16), Part("left", 16)))})
    with pytest.raises(InputError, match=r"head\.weight"):
        check_function_preserved(model, swapped, state, inputs(IMAGE), random_stream(0, "check"))


# --- the algebra -----------------------------------------------------------------------------------------------------


def layouts(rows: int) -> strategies.SearchStrategy[list[tuple[int, int, bool]]]:
    """Segments (count, block, whether it stays) of so many rows in all."""

    @strategies.composite
    def drawn(draw) -> list[tuple[int, int, bool]]:
        segments, left = [], rows
        while left:
            block = draw(strategies.sampled_from([size for size in (1, 2, 3, 4, 6) if size <= left]))
            count = draw(strategies.integers(1, left // block))
            segments.append((count, block, draw(strategies.integers(0, 9)) == 0))
            left -= count * block
        return segments

    return drawn()


def row_order(layout: Layout, seed: int) -> list[int]:
    """The rows of an axis after every kind of units was shuffled; the same shuffle wherever the units are met."""
    order: list[int] = []
    for units, block in resolved(layout):
        generator = random_stream(seed, "units", _SERIAL.setdefault(id(units), len(_SERIAL)))
        shuffled = torch.randperm(units.count, generator=generator).tolist() if units.movable else range(units.count)
        start = len(order)
        order += [start + unit * block + row for unit in shuffled for row in range(block)]
    return order


_SERIAL: dict[int, int] = {}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(strategies.integers(1, 24).flatmap(lambda rows: strategies.tuples(*[layouts(rows)] * 3)))
def test_tied_axes_move_alike_whatever_their_layouts(drawn):
    kept = [[Units(count, "told to" if stays else None) for count, _, stays in segments] for segments in drawn]
    first, second, third = (
        tuple((units, block) for units, (_, block, _) in zip(own, segments, strict=True))
        for own, segments in zip(kept, drawn, strict=True)
    )
    unify(first, second, "boundary")
    assert row_order(first, 0) == row_order(second, 0)
    # and what is tied later does not come undone
    unify(second, third, "boundary")
    assert row_order(first, 1) == row_order(second, 1) == row_order(third, 1)
    for units, (_, _, stays) in zip(kept[0], drawn[0], strict=True):
        if stays:
            assert not any(found.movable for found, _ in resolved(((units, 1),)))


def test_nothing_is_given_away_needlessly():
    units, pairs = Units(12), Units(6)
    unify(((units, 1),), ((pairs, 2),), "boundary")
    ((left, block),) = resolved(((units, 1),))
    assert (left.count, block) == (6, 2)
    # blocks of two and of three meet in six
    triples = Units(4)
    unify(((units, 1),), ((triples, 3),), "boundary")
    assert [(found.count, size) for found, size in resolved(((units, 1),))] == [(2, 6)]
    # a boundary on a multiple of the block keeps both sides
    whole, head, tail = Units(7), Units(3), Units(4)
    unify(((whole, 2),), ((head, 2), (tail, 2)), "boundary")
    assert [found.count for found, _ in resolved(((whole, 2),))] == [3, 4]


def test_the_example_of_layouts_is_true():
    assert doctest.testmod(layouts_module) == doctest.TestResults(failed=0, attempted=7)
