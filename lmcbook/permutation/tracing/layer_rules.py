"""What layers do to units: linear maps, convolutions, normalisation, attention, pooling, and all that is elementwise."""

import math
import re

from lmcbook.permutation.tracing.calls import Axes, Call, Rule, Value
from lmcbook.permutation.tracing.layouts import NATURAL, SINGLE, Layout, Units, fixed, free, freeze, length

ELEMENTWISE = """
    abs add addcdiv addcmul alias bernoulli bitwise_and bitwise_not bitwise_or celu clamp clamp_max clamp_min clone
    contiguous cos cosh detach div dropout elu eq erf erfc exp exp2 expm1 expand_as feature_dropout floor floor_divide fmod
    ge gelu glu_jvp greater gt hardshrink hardsigmoid hardswish hardtanh isfinite isinf isnan le leaky_relu lerp less log
    log10 log1p log2 log_sigmoid log_softmax logical_and logical_not logical_or logical_xor logit lt masked_fill maximum
    minimum mish mul mvlgamma nan_to_num ne neg negative pow reciprocal relu relu6 remainder round rsqrt rsub selu sigmoid
    sign silu sin sinh softmax softplus softshrink sqrt square sub subtract tan tanh tanhshrink threshold to to_copy
    true_divide trunc type_as where xlogy
""".split()
CONSTANT = "zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full".split()
REDUCTIONS = "all amax amin any linalg_vector_norm logsumexp mean norm nansum nanmean prod std sum var".split()


def elementwise(call: Call) -> Axes:
    """Axes are aligned from the right; what meets moves together. Softmax is none, but commutes with permutations."""
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


def contraction(call: Call, operands: list[tuple[Axes, str]], result: str) -> Axes:
    """Products summed over the labels that ``result`` lacks: axes of one label move together."""
    labelled: dict[str, Layout] = {}
    for axes, labels in operands:
        for label, layout in zip(labels, axes, strict=True):
            # an axis of length one is broadcast
            if length(layout) > 1 or label not in labelled:
                before = labelled.get(label)
                together = before is not None and length(before) > 1
                labelled[label] = call.tie(before, layout) if together else layout
    return tuple(labelled[label] for label in result)


def _letters(count: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVW"[:count]


def linear(call: Call) -> Axes:
    inputs, weight, bias = call.given("input"), call.given("weight"), call.axes("bias")
    batch = _letters(len(inputs) - 1)
    operands = [(inputs, batch + "i"), (weight, "oi"), *([(bias, "o")] if bias is not None else [])]
    return contraction(call, operands, batch + "o")


def matmul(call: Call) -> Axes:
    left = call.given("self")
    right = call.given("other" if "other" in call.arguments else "vec" if "vec" in call.arguments else "mat2")
    batch = _letters(max(len(left), len(right), 2) - 2)

    def labels(axes: Axes, row: str, column: str, alone: str) -> str:
        return alone if len(axes) == 1 else batch[len(batch) - len(axes) + 2 :] + row + column

    both = [(left, labels(left, "m", "k", "k")), (right, labels(right, "k", "n", "k"))]
    result = batch + ("m" if len(left) > 1 else "") + ("n" if len(right) > 1 else "")
    return contraction(call, both, result)


def added_matmul(call: Call) -> Axes:
    first, second = ("batch1", "batch2") if "batch1" in call.arguments else ("mat1", "mat2")
    added, left, right = call.given("self"), call.given(first), call.given(second)
    result = "bmn" if len(left) == 3 else "mn"
    product = contraction(call, [(left, result[:-1] + "k"), (right, result[:-2] + "kn")], result)
    return contraction(call, [(product, result), (added, result[len(result) - len(added) :])], result)


def einsum(call: Call) -> Axes:
    equation = call.arguments["equation"].replace(" ", "")
    operands = call.tensors
    if "..." in equation or "->" not in equation:
        return unknown(call)[0] if isinstance(unknown(call), list) else unknown(call)  # type: ignore[return-value]
    inputs, result = equation.split("->")
    return contraction(call, list(zip(operands, inputs.split(","), strict=True)), result)


def attention(call: Call) -> Axes:
    """Heads are the batch's last axis: whatever computes query, key and value may exchange whole heads."""
    query, key, value, mask = call.given("query"), call.given("key"), call.given("value"), call.axes("attn_mask")
    batch = _letters(len(query) - 2)
    if call.arguments.get("is_causal"):
        call.stay(query[-2], key[-2])
    if call.arguments.get("enable_gqa"):
        call.stay(query[-3], key[-3], value[-3])
        key, value = (*key[:-3], query[-3], *key[-2:]), (*value[:-3], query[-3], *value[-2:])
    scores = contraction(call, [(query, batch + "le"), (key, batch + "se")], batch + "ls")
    if mask is not None:
        labels = (batch + "ls")[len(batch) + 2 - len(mask) :]
        scores = contraction(call, [(scores, batch + "ls"), (mask, labels)], batch + "ls")
    return contraction(call, [(scores, batch + "ls"), (value, batch + "sv")], batch + "lv")


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
        # a group of the convolution moves as one, with the channels that it reads and writes
        units = Units(groups)
        own = length(weight[1])
        call.stay(weight[1])
        moving = length(inputs[channel]) // groups
        call.tie(((units, moving),), inputs[channel])
        written = length(weight[0]) // groups if not transposed else own
        outputs = ((units, written),)
        call.tie(((units, length(weight[0]) // groups),), weight[0])
    call.tie(outputs, bias)
    after = [fixed(size) for size in call.shape[channel + 1 :]]
    return (*inputs[:channel], outputs, *after)


def batch_norm(call: Call) -> Axes:
    axes = call.given("input")
    names = ("weight", "bias", "running_mean", "running_var")
    call.tie(axes[1], *(own[0] for own in map(call.axes, names) if own is not None))
    return axes


def group_norm(call: Call) -> Axes:
    """Either whole groups of channels may change places, or channels inside of their group: whichever is more."""
    axes, groups = call.given("input"), call.arguments["num_groups"]
    channels = length(axes[1])
    call.tie(axes[1], *(own[0] for own in map(call.axes, ("weight", "bias")) if own is not None))
    each = channels // groups
    if groups > 1 and each > 1:
        inside = groups * math.lgamma(each + 1) > math.lgamma(groups + 1)
        normalised = tuple((Units(each), 1) for _ in range(groups)) if inside else ((Units(groups), each),)
        call.tie(axes[1], normalised)
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
    call.stay(weight[0])
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


def unknown(call: Call) -> Value:
    """What no rule speaks of: all that goes in stays, and so does all that comes out."""
    for axes in call.tensors:
        call.stay(*axes)
    reason = f"{call.name} is not known to commute with permutations" if call.tensors else NATURAL
    value = call.node.meta.get("val")
    if isinstance(value, list | tuple):
        return [tuple(fixed(size, reason) for size in getattr(each, "shape", ())) for each in value]
    return tuple(fixed(size, reason) for size in getattr(value, "shape", ()))


_POSITIONS = re.compile(r"(adaptive_)?(avg|max)_pool\dd(_with_indices)?|upsample_\w+\dd|(reflection|replication)_pad\dd")

LAYER_RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(CONSTANT, constant),
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), convolution),
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), added_matmul),
    **dict.fromkeys(("batch_norm", "instance_norm"), batch_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), layer_norm),
    **dict.fromkeys(("pad", "constant_pad_nd"), padding),
    "linear": linear,
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    "group_norm": group_norm,
    "embedding": embedding,
    "prelu": prelu,
}


def layer_rule(name: str) -> Rule | None:
    """The rule for an operation; None if there is none here."""
    return LAYER_RULES.get(name) or (positions if _POSITIONS.fullmatch(name) else None)
