"""What changes of shape do to units: reshapes, transpositions, concatenation, cutting, picking."""

import torch

from lmcbook.permutation.tracing.calls import Axes, Call, Rule, Value, unknown
from lmcbook.permutation.tracing.layouts import (
    NATURAL,
    SINGLE,
    Layout,
    Units,
    fixed,
    free,
    freeze,
    length,
    merged,
    part,
    resolved,
)


def reshape(call: Call) -> Axes:
    axes = call.tensors[0]
    return call.reshaped(axes, [length(layout) for layout in axes], call.shape)


def permute(call: Call) -> Axes:
    axes = call.given("self")
    return tuple(axes[dim] for dim in call.arguments["dims"])


def transpose(call: Call) -> Axes:
    found = list(call.given("self"))
    names = ("dim0", "dim1") if "dim0" in call.arguments else ("axis0", "axis1")
    first, second = (call.arguments[name] for name in names)
    found[first], found[second] = found[second], found[first]
    return tuple(found)


def transpose_all(call: Call) -> Axes:
    return call.tensors[0][::-1]


def transpose_last(call: Call) -> Axes:
    *batch, rows, columns = call.tensors[0]
    return (*batch, columns, rows)


def expand(call: Call) -> Axes:
    """A row that is repeated is the same in any order."""
    axes = call.given("self")
    axes = (SINGLE,) * (len(call.shape) - len(axes)) + axes
    return tuple(
        layout if length(layout) == size else free(size) for layout, size in zip(axes, call.shape, strict=True)
    )


def repeat(call: Call) -> Axes:
    axes = call.given("self")
    axes = (SINGLE,) * (len(call.shape) - len(axes)) + axes
    found = []
    for layout, size in zip(axes, call.shape, strict=True):
        times = size // length(layout)
        found.append(free(size) if length(layout) == 1 else resolved(layout) * times)
    return tuple(found)


def concatenation(call: Call) -> Axes:
    dim = (call.arguments.get("dim") or 0) % len(call.shape)
    tensors = [call.of(node) for node in call.arguments["tensors"]]
    # torch lets an empty tensor of one axis be concatenated with anything
    tensors = [axes for axes in tensors if len(axes) == len(call.shape)]
    return tuple(
        tuple(segment for axes in tensors for segment in resolved(axes[dim]))
        if number == dim
        else call.tie(*(axes[number] for axes in tensors))
        for number in range(len(call.shape))
    )


def stack(call: Call) -> Axes:
    tensors = [call.of(node) for node in call.arguments["tensors"]]
    dim = (call.arguments.get("dim") or 0) % len(call.shape)
    found: list[Layout] = [call.tie(*layouts) for layouts in zip(*tensors, strict=True)]
    # the stacked tensors stay in their order
    found.insert(dim, fixed(len(tensors), call.reason))
    return tuple(found)


def cut(call: Call) -> Value:
    """split and chunk: the axis falls into parts, between which nothing is exchanged."""
    axes = call.given("self")
    dim = (call.arguments.get("dim") or 0) % len(axes)
    found, start = [], 0
    for shape in call.shapes:
        stop = start + shape[dim]
        found.append((*axes[:dim], part(axes[dim], start, stop, call.reason), *axes[dim + 1 :]))
        start = stop
    return found


def unbind(call: Call) -> Value:
    axes = call.given("self")
    dim = (call.arguments.get("dim") or 0) % len(axes)
    call.stay(axes[dim])
    return [(*axes[:dim], *axes[dim + 1 :]) for _ in call.shapes]


def select(call: Call) -> Axes:
    axes = call.given("self")
    dim = call.arguments["dim"] % len(axes)
    call.stay(axes[dim])
    return (*axes[:dim], *axes[dim + 1 :])


def slice_of(call: Call) -> Axes:
    """slice and narrow."""
    axes = call.given("self")
    dim = (call.arguments.get("dim") or 0) % len(axes)
    rows = length(axes[dim])
    if call.shape[dim] == rows:
        return axes
    start = call.arguments.get("start") or 0
    start = max(0, start + rows if start < 0 else start)
    if (call.arguments.get("step") or 1) != 1:
        call.stay(axes[dim])
        start = 0
    piece = part(axes[dim], start, start + call.shape[dim], call.reason)
    return (*axes[:dim], piece, *axes[dim + 1 :])


def in_order(call: Call) -> Axes:
    """flip, roll, cumulated sums: the order of the rows counts."""
    axes = call.tensors[0]
    dims = call.arguments.get("dims", call.arguments.get("dim"))
    dims = range(len(axes)) if dims is None or dims == [] else dims if isinstance(dims, list | tuple) else [dims]
    call.stay(*(axes[dim] for dim in dims))
    return axes


def triangle(call: Call) -> Axes:
    axes = call.tensors[0]
    call.stay(*axes[-2:])
    return axes


def index(call: Call) -> Value:
    """Rows picked by number: the picked axes stay, the others pass."""
    axes = call.given("self")
    if "index" in call.arguments:  # index_select
        dim = call.arguments["dim"] % len(axes)
        call.stay(axes[dim])
        return (*axes[:dim], fixed(call.shape[dim], call.reason), *axes[dim + 1 :])
    picking = [number for number, node in enumerate(call.arguments["indices"]) if node is not None]
    masks = [call.arguments["indices"][number].meta["val"].dtype in (torch.bool, torch.uint8) for number in picking]
    if any(masks) or picking[-1] - picking[0] != len(picking) - 1:
        return unknown(call)
    for number in picking:
        # rows of a table, such as positions, are no hidden units
        freeze(axes[number], NATURAL if call.arguments["self"].op == "placeholder" else call.reason)
        call.stay(*call.of(call.arguments["indices"][number]))
    new = len(call.shape) - (len(axes) - len(picking))
    found = [fixed(size) for size in call.shape[picking[0] : picking[0] + new]]
    return (*axes[: picking[0]], *found, *axes[picking[-1] + 1 :])


def pixel_shuffle(call: Call) -> Axes:
    """Blocks of r² channels become the r × r positions of one: whole blocks may move."""
    *batch, channels, height, width = call.given("self")
    factor = call.arguments["upscale_factor"]
    call.stay(height, width)
    units = Units(length(channels) // factor**2)
    call.tie(((units, factor**2),), channels)
    return (*batch, ((units, 1),), *(fixed(size) for size in call.shape[-2:]))


def pixel_unshuffle(call: Call) -> Axes:
    """The r × r positions of a channel become a block of r² channels."""
    *batch, channels, height, width = call.given("self")
    call.stay(height, width)
    blocks = tuple((units, block * call.arguments["downscale_factor"] ** 2) for units, block in resolved(channels))
    return (*batch, blocks, *(fixed(size) for size in call.shape[-2:]))


def channel_shuffle(call: Call) -> Axes:
    """The channels as a table of groups, written column by column."""
    batch, channels, *positions = call.given("self")
    groups, rows = call.arguments["groups"], length(channels)
    table = call.choices.cut((call.node.name, 0), channels, [groups, rows // groups], call.reason)
    return (batch, merged(table[1], table[0], call.reason), *positions)


def item(call: Call) -> Axes:
    """One of the results of an operation that has several."""
    value = call.values[call.node.args[0]]  # type: ignore[index]
    number = call.node.args[1]
    assert isinstance(value, list) and isinstance(number, int)
    return value[number]


SHAPE_RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "reshape", "unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"), reshape),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), transpose),
    **dict.fromkeys(("t", "numpy_T"), transpose_all),
    **dict.fromkeys(("mT", "adjoint"), transpose_last),
    **dict.fromkeys(("cat", "concat", "concatenate"), concatenation),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split"), cut),
    **dict.fromkeys(("slice", "narrow"), slice_of),
    **dict.fromkeys(("flip", "roll", "cumsum", "cumprod"), in_order),
    **dict.fromkeys(("tril", "triu"), triangle),
    "permute": permute,
    "expand": expand,
    "repeat": repeat,
    "stack": stack,
    "unbind": unbind,
    "select": select,
    "getitem": item,
    **dict.fromkeys(("index", "index_select"), index),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
}
