"""What recurrent layers do to units: the rows of all gates of a unit move with it."""

from collections.abc import Sequence

from torch import fx

from lmcbook.permutation.tracing.calls import Axes, Call, Rule, Value, operation, unknown
from lmcbook.permutation.tracing.layer_rules import CONSTANT
from lmcbook.permutation.tracing.layouts import Layout, free, length

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
_EQUAL_NUMBERS = CONSTANT.split()


def recurrent(call: Call) -> Value:
    """LSTM, GRU and RNN of any number of layers and directions, with projections; steps stay in their order."""
    if "params" not in call.arguments or "batch_sizes" in call.arguments:
        return unknown(call)
    arguments = call.arguments
    params = [call.of(node) for node in arguments["params"]]
    layers, directions = arguments["num_layers"], 2 if arguments["bidirectional"] else 1
    each, rest = divmod(len(params), layers * directions)
    inputs = call.given("input")
    call.stay(inputs[1 if arguments["batch_first"] else 0])
    if rest or len(inputs) != 3:
        return unknown(call)
    given, hidden, cells = inputs[2], [], []
    for layer in range(layers):
        made: list[Layout] = []
        for direction in range(directions):
            start = (layer * directions + direction) * each
            state, cell = _cell(call, given, params[start : start + each], GATES[call.name], arguments["has_biases"])
            made.append(state)
            cells.append(cell)
        hidden += made
        given = tuple(segment for layout in made for segment in layout)
    starts = arguments["hx"] if isinstance(arguments["hx"], list | tuple) else [arguments["hx"]]
    for node, units in zip(starts, (hidden, cells), strict=False):
        if not _is_constant(node):  # equal numbers say nothing of an order
            call.tie(call.of(node)[2], *units)
    batch = inputs[0 if arguments["batch_first"] else 1]
    last = [
        (free(layers * directions), batch, _all(call, number, units)) for number, units in enumerate((hidden, cells), 1)
    ]
    call.stay(*(axes[0] for axes in last))
    return [(inputs[0], inputs[1], given), *last[: len(call.shapes) - 1]]


def cell(call: Call) -> Value:
    """One step of a recurrent layer."""
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    params = [axes for axes in map(call.axes, names) if axes is not None]
    batch, units = call.given("input")
    state, _ = _cell(call, units, params, GATES[call.name.removesuffix("_cell")], len(params) == 4)
    starts = call.arguments["hx"]
    for node in starts if isinstance(starts, list | tuple) else [starts]:
        if not _is_constant(node):
            call.tie(state, call.of(node)[1])
    made: Axes = (batch, state)
    return [made] * len(call.shapes) if isinstance(call.node.meta["val"], list | tuple) else made


def _cell(call: Call, inputs: Layout, params: Sequence[Axes], gates: int, has_biases: bool) -> tuple[Layout, Layout]:
    """The units that one direction of one layer makes, and its cells, which only a projection tells from them."""
    reading, recurring = params[0], params[1]
    call.tie(reading[1], inputs)
    cells = free(length(reading[0]) // gates)
    projected = len(params) > (4 if has_biases else 2)
    made = recurring[1] if projected else cells
    for axes in (reading, recurring, *(params[2:4] if has_biases else ())):
        call.tie(axes[0], cells * gates)
    if projected:
        call.tie(params[-1][1], cells)
        call.tie(params[-1][0], made)
    call.tie(recurring[1], made)
    return made, cells


def _all(call: Call, number: int, units: Sequence[Layout]) -> Layout:
    """The last states of all layers lie on one axis: whoever reads them reads all units in one order."""
    read = any(user.args[1] == number and user.users for user in call.node.users)
    return call.tie(*units) if read else units[0]


def _is_constant(node: fx.Node) -> bool:
    """Equal numbers to the end: nothing has the tensor, or a view of it, that could write into it."""
    harmless = {*RECURRENT_RULES, *_EQUAL_NUMBERS}
    return operation(node) in _EQUAL_NUMBERS and all(operation(user) in harmless for user in node.users)


RECURRENT_RULES: dict[str, Rule] = {
    **dict.fromkeys(GATES, recurrent),
    **{f"{name}_cell": cell for name in GATES},
}
