"""From a network to its `PermutationSpec`: trace the computation, tie units along it, and name what may still move."""

from dataclasses import dataclass

from torch import Tensor, fx, nn

from lmcbook.errors.arguments import checked
from lmcbook.permutation.axes import Axis, Part
from lmcbook.permutation.preservation import check_function_preserved, in_type
from lmcbook.permutation.spec import PermutationSpec
from lmcbook.permutation.tracing.calls import Axes, Call, Choices, Value, unknown
from lmcbook.permutation.tracing.layer_rules import layer_rule
from lmcbook.permutation.tracing.layouts import (
    NATURAL,
    Layout,
    fixed,
    free,
    freeze,
    length,
    log_permutations,
    reason_of,
    resolved,
)
from lmcbook.permutation.tracing.product_rules import PRODUCT_RULES
from lmcbook.permutation.tracing.program import exported, first_names
from lmcbook.permutation.tracing.recurrent_rules import RECURRENT_RULES
from lmcbook.permutation.tracing.shape_rules import SHAPE_RULES
from lmcbook.randomness import random_stream
from lmcbook.states import float_type

UNUSED = "the traced computation does not use it"


@dataclass
class _Graph:
    """A traced network: its nodes, and which tensor of the state dict each of its inputs is."""

    nodes: list[fx.Node]
    names: dict[str, str]
    """Name of an input → the first name of its tensor: tied tensors have several, of which a trace uses any."""


@checked
def derive_spec(model: nn.Module, example: Tensor | tuple[Tensor, ...], *, check: bool = True) -> PermutationSpec:
    """The permutation symmetry of any network that `torch.export` can trace, derived from its computation.

    Proved are linear layers and convolutions (grouped, depth-wise and transposed too), recurrent layers (LSTM, GRU,
    RNN; the gates of a unit move with it), weight and spectral norm, batch, group, instance and layer norm, pixel and
    channel shuffle, everything elementwise, sums, products, concatenation, pooling, flattening, matrix products and
    attention (heads are the units). Of a grouped convolution either whole groups change places or the channels within
    each, whichever is more. What cannot be proved stays in place; ``unproved`` of the result says why.

    Args:
        model: any module; it is traced in evaluation mode and not changed, nor is torch's random state.
        example: its input, or the tuple of its inputs; two examples or more for networks with batch norm.
        check: make sure that the outputs do not change, by `check_function_preserved`.

    Raises:
        InputError: the network cannot compute the example or cannot be traced, or the check fails.
    """
    state = {name: tensor.detach() for name, tensor in model.state_dict(keep_vars=True).items()}
    inputs = in_type(example if isinstance(example, tuple) else (example,), float_type(state, model=model))
    shared = first_names(model)
    graph = _traced(model, inputs, shared)
    best: dict[str, Axes] = {}
    most = -1.0
    choices: Choices | None = Choices()
    while choices is not None:
        found = _propagated(graph, choices)
        if (count := log_permutations(found.values())) > most:
            best, most = found, count
        choices = choices.revised()
    met = list(best)
    layouts = {}
    # in the order in which the computation meets them, which is the order of the groups
    for name in sorted(state, key=lambda name: met.index(shared[name]) if shared[name] in best else len(met)):
        layouts[name] = best.get(shared[name]) or tuple(fixed(size, UNUSED) for size in state[name].shape)
    spec = _named(layouts)
    if check:
        check_function_preserved(model, spec, state, inputs, random_stream(0, "derive_spec"))
    return spec


def _traced(model: nn.Module, inputs: tuple[Tensor, ...], shared: dict[str, str]) -> _Graph:
    program = exported(model, inputs, way_out="write a PermutationSpec by hand", argument="example")
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    return _Graph(list(program.graph.nodes), {given: shared.get(name, name) for given, name in names.items()})


def _propagated(graph: _Graph, choices: Choices) -> dict[str, Axes]:
    """The layouts of all tensors after every operation has tied its own, in the order in which they are used."""
    values: dict[fx.Node, Value] = {}
    tensors: dict[str, Axes] = {}
    used: dict[str, Axes] = {}
    for node in graph.nodes:
        shape = tuple(getattr(node.meta.get("val"), "shape", ()))
        if node.op == "placeholder" and node.name in graph.names:
            values[node] = tensors.setdefault(graph.names[node.name], tuple(free(size) for size in shape))
        elif node.op in ("placeholder", "get_attr"):
            values[node] = tuple(fixed(size) for size in shape)
        elif node.op == "output":
            for result in node.all_input_nodes:
                value = values[result]
                for axes in value if isinstance(value, list) else [value]:
                    for layout in axes:
                        freeze(layout, NATURAL)
        else:
            for given in node.all_input_nodes:
                if given.name in graph.names:
                    used.setdefault(graph.names[given.name], tensors[graph.names[given.name]])
            call = Call(node, values, choices)
            named = (rules.get(call.name) for rules in (SHAPE_RULES, PRODUCT_RULES, RECURRENT_RULES))
            rule = next(filter(None, named), None) or layer_rule(call.name) or unknown
            made = values[node] = rule(call)
            for written in call.written:
                if isinstance(made, tuple) and [*map(length, made)] == [*map(length, written)]:
                    for layouts in zip(made, written, strict=True):
                        call.tie(*layouts)
                else:
                    call.stay(*written)
    return used


def _named(layouts: dict[str, Axes]) -> PermutationSpec:
    """A table with a name for every kind of units: the module that has them first, which computes them."""
    names: dict[int, str] = {}
    for tensor, axes in layouts.items():
        for units, _ in (segment for layout in axes for segment in resolved(layout)):
            if units.movable and id(units) not in names:
                names[id(units)] = _unused(tensor.rpartition(".")[0] or tensor, names)
    unproved = {}
    for tensor, axes in layouts.items():
        reasons = [reason_of(layout) for layout in axes]
        if shortcomings := [reason for reason in reasons if reason != NATURAL]:
            unproved[tensor] = shortcomings[0]
    table = {tensor: tuple(_axis(layout, names) for layout in axes) for tensor, axes in layouts.items()}
    sizes = {
        names[id(units)]: units.count
        for axes in layouts.values()
        for layout in axes
        for units, _ in resolved(layout)
        if units.movable
    }
    alone = {axis for axes in table.values() for axis in axes if isinstance(axis, str)}
    return PermutationSpec(table, {name: size for name, size in sizes.items() if name not in alone}, unproved)


def _unused(name: str, names: dict[int, str]) -> str:
    taken = set(names.values())
    number = 1
    while (candidate := name if number == 1 else f"{name}#{number}") in taken:
        number += 1
    return candidate


def _axis(layout: Layout, names: dict[int, str]) -> Axis:
    """A layout as an entry of the table; neighbouring rows that stay are one part."""
    parts: list[Part] = []
    for units, block in resolved(layout):
        if units.movable:
            parts.append(Part(names[id(units)], block))
        elif parts and parts[-1].group is None:
            parts[-1] = Part(None, parts[-1].block + units.count * block)
        else:
            parts.append(Part(None, units.count * block))
    if all(each.group is None for each in parts):
        return None
    if len(parts) == 1 and parts[0].block == 1:
        return parts[0].group
    return tuple(parts)
