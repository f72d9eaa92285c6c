"""What layers do to units: convolutions, normalisation, pooling, embeddings, and all that is elementwise."""

import math
import re

from lmcbook.permutation.tracing.calls import Axes, Call, Rule, Value, unknown
from lmcbook.permutation.tracing.layouts import NATURAL, SINGLE, Layout, Units, fixed, free, freeze, length, part

ELEMENTWISE = """
    abs add addcdiv addcmul alias bitwise_and bitwise_not bitwise_or celu clamp clamp_max clamp_min clone
    contiguous cos cosh detach div dropout elu eq erf erfc exp exp2 expand_as expm1 feature_dropout floor
    floor_divide fmod ge gelu greater gt hardshrink hardsigmoid hardswish hardtanh isfinite isinf isnan le
    leaky_relu lerp less lift_fresh lift_fresh_copy log log10 log1p log2 log_sigmoid log_softmax logical_and
    logical_not logical_or logical_xor logit lt masked_fill maximum minimum mish mul nan_to_num ne neg negative
    pow reciprocal relu relu6 remainder round rsqrt rsub selu sigmoid sign silu sin sinh softmax softplus
    softshrink sqrt square sub subtract tan tanh tanhshrink threshold to to_copy true_divide trunc type_as where
    xlogy
"""
CONSTANT = "zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full"
REDUCTIONS = "all amax amin any linalg_vector_norm logsumexp mean nanmean nansum norm prod std sum var"


def elementwise(call: Call) -> Value:
    """Axes are aligned from the right; what meets moves together. Softmax is none, but commutes with permutations."""
    if isinstance(call.node.meta["val"], list | tuple):
        return unknown(call)
    found: list[Layout] = []
    for back in range(len(call.shape), 0, -1):
        aligned = [axes[-back] for axes in call.tensors if len(axes) >= back]
        full = [layout for layout in aligned if length(layout) == call.shape[-back]]
        found.append(call.tie(*full) if full and call.shape[-back] > 1 else SINGLE)
    return tuple(found)


def constant(call: Call) -> Axes:
    """Equal numbers may be permuted freely."""
    return tuple(free(size) for size in call.shape)


def reduction(call: Call) -> Axes:
    """A symmetric function of the rows of some axes does not see their order."""
    axes = call.given("self")
    dims = call.arguments.get("dim")
    dims = range(len(axes)) if dims is None or dims == [] else dims if isinstance(dims, list | tuple) else [dims]
    gone = {dim % len(axes) for dim in dims} if axes else set()
    keep = call.arguments.get("keepdim")
    return tuple(
        SINGLE if number in gone else layout for number, layout in enumerate(axes) if keep or number not in gone
    )


def extremum(call: Call) -> Value:
    """max and min: of two tensors, of all rows, or of the rows of an axis with the places where they are found."""
    if len(call.tensors) == 2 or "other" in call.arguments:
        return elementwise(call)
    if not isinstance(call.node.meta["val"], list | tuple):
        return reduction(call)
    axes = call.given("self")
    call.stay(axes[call.arguments["dim"]])
    return [reduction(call)] * 2


def moments(call: Call) -> Value:
    """var_mean and std_mean: two symmetric functions at once."""
    return [reduction(call)] * 2


def weight_norm(call: Call) -> Value:
    """Every row of v is divided by its norm and multiplied by its g."""
    direction, size = call.given("v"), call.given("g")
    if len(size) != len(direction):  # one g for all
        return direction
    found = tuple(
        call.tie(layout, own) if length(own) == length(layout) else layout
        for layout, own in zip(direction, size, strict=True)
    )
    return [found, size] if isinstance(call.node.meta["val"], list | tuple) else found


def gated(call: Call) -> Axes:
    """glu: one half of the rows opens and closes the other."""
    axes = call.given("self")
    dim = call.arguments["dim"] % len(axes)
    half, rows = call.shape[dim], length(axes[dim])
    halves = part(axes[dim], 0, half, call.reason), part(axes[dim], half, rows, call.reason)
    return (*axes[:dim], call.tie(*halves), *axes[dim + 1 :])


def nothing(call: Call) -> Axes:
    """Assertions compute nothing."""
    return ()


def convolution(call: Call) -> Axes:
    inputs, weight, bias = call.given("input"), call.given("weight"), call.axes("bias")
    channel = len(inputs) - len(weight) + 1
    groups = call.arguments.get("groups") or 1
    transposed = bool(call.arguments.get("transposed")) or "transpose" in call.name
    for kernel in weight[2:]:
        freeze(kernel, NATURAL)
    call.stay(*inputs[channel + 1 :])
    reads, writes = (0, 1) if transposed else (1, 0)
    if groups == 1:
        call.tie(inputs[channel], weight[reads])
        outputs = weight[writes]
    else:
        outputs = _grouped(call, inputs[channel], weight, groups, transposed)
    call.tie(outputs, bias[0] if bias is not None else None)
    after = [fixed(size) for size in call.shape[channel + 1 :]]
    return (*inputs[:channel], outputs, *after)


def _grouped(call: Call, inputs: Layout, weight: Axes, groups: int, transposed: bool) -> Layout:
    """The outputs of a grouped convolution: its groups change places as wholes, or the channels within each do.

    The kernels of all groups lie in one tensor, whose axis 1 is that of every group: what is permuted along it moves in
    all groups alike. Along axis 0 each group has rows of its own.
    """
    stacked, alike = length(weight[0]) // groups, length(weight[1])
    read, written = (stacked, alike) if transposed else (alike, stacked)
    whole = Units(groups)
    inside = "the units are the groups of the convolution, and what is inside a group stays in its order"
    of_rows = tuple((Units(stacked), 1) for _ in range(groups))
    of_all = ((Units(alike), 1),) * groups if alike > 1 else fixed(alike * groups, inside)
    apart = groups * math.lgamma(stacked + 1) + math.lgamma(alike + 1) > math.lgamma(groups + 1)
    within = (of_rows, of_all[:1] if alike > 1 else weight[1], of_rows if transposed else of_all)
    as_wholes = (((whole, stacked),), fixed(alike, inside) if alike > 1 else weight[1], ((whole, read),))
    options = [within, as_wholes] if apart and 1 not in (alike, stacked) else [as_wholes]
    chosen = options[call.choices.alternative((call.node.name, 0), (weight[0], weight[1], inputs), options)]
    if chosen is as_wholes:
        return ((whole, written),)
    return of_all if transposed else of_rows


def batch_norm(call: Call) -> Axes:
    axes = call.given("input")
    names = ("weight", "bias", "running_mean", "running_var")
    call.tie(axes[1], *(own[0] for own in map(call.axes, names) if own is not None))
    return axes


def group_norm(call: Call) -> Axes:
    """Either whole groups of channels may change places, or channels within their group: whichever is more."""
    axes, groups = call.given("input"), call.arguments["num_groups"]
    channels = length(axes[1])
    call.tie(axes[1], *(own[0] for own in map(call.axes, ("weight", "bias")) if own is not None))
    each = channels // groups
    if groups > 1 and each > 1:
        inside: Layout = tuple((Units(each), 1) for _ in range(groups))
        options = [(inside,), (((Units(groups), each),),)]
        if groups * math.lgamma(each + 1) <= math.lgamma(groups + 1):
            options.reverse()
        call.choices.alternative((call.node.name, 0), axes[1:2], options)
    return axes


def layer_norm(call: Call) -> Axes:
    axes = call.given("input")
    last = axes[len(axes) - len(call.arguments["normalized_shape"]) :]
    for own in map(call.axes, ("weight", "bias")):
        for layout, parameter in zip(last, own or (), strict=False):
            call.tie(layout, parameter)
    return axes


def embedding(call: Call) -> Axes:
    weight, indices = call.given("weight"), call.given("indices")
    # words of a vocabulary are no hidden units
    freeze(weight[0], NATURAL)
    return (*indices, weight[1])


def prelu(call: Call) -> Axes:
    axes, weight = call.given("self"), call.given("weight")
    if length(weight[0]) > 1:
        call.tie(axes[1], weight[0])
    return axes


def positions(call: Call) -> Value:
    """Pooling and resizing: the last axes are positions, as many as the operation's name says, and stay in order."""
    axes = call.tensors[0]
    dimensions = int(re.findall(r"(\d)d", call.name)[0])
    call.stay(*axes[-dimensions:])
    several = isinstance(call.node.meta["val"], list | tuple)
    shapes = call.shapes if several else [call.shape]
    found = [(*axes[:-dimensions], *(fixed(size) for size in shape[-dimensions:])) for shape in shapes]
    return found if several else found[0]


def padding(call: Call) -> Axes:
    axes = call.tensors[0]
    kept = [before == after for before, after in zip(map(length, axes), call.shape, strict=True)]
    call.stay(*(layout for layout, same in zip(axes, kept, strict=True) if not same))
    sizes = zip(axes, kept, call.shape, strict=True)
    return tuple(layout if same else fixed(size, call.reason) for layout, same, size in sizes)


_POSITIONS = re.compile(
    r"(adaptive_)?(avg|max)_pool\dd(_with_indices)?|upsample_\w+\dd|(reflection|replication)_pad\dd"
)

LAYER_RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE.split(), elementwise),
    **dict.fromkeys(CONSTANT.split(), constant),
    **dict.fromkeys(REDUCTIONS.split(), reduction),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), convolution),
    **dict.fromkeys(("batch_norm", "instance_norm"), batch_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), layer_norm),
    **dict.fromkeys(("pad", "constant_pad_nd"), padding),
    **dict.fromkeys(("max", "min"), extremum),
    **dict.fromkeys(("assert_tensor_metadata", "assert_async"), nothing),
    **dict.fromkeys(("var_mean", "std_mean"), moments),
    **dict.fromkeys(("weight_norm", "weight_norm_interface"), weight_norm),
    "glu": gated,
    "group_norm": group_norm,
    "embedding": embedding,
    "prelu": prelu,
}


def layer_rule(name: str) -> Rule | None:
    """The rule for an operation; None if there is none here."""
    return LAYER_RULES.get(name) or (positions if _POSITIONS.fullmatch(name) else None)
