"""Any network as a sequence of layers: its computation is traced once, then walked through with any weights.

`torch.export` gives the computation as a graph of elementary operations, whose inputs are the tensors of a state dict.
Each linear layer and convolution whose weight is such a tensor is a layer. A layer's *pre-activation* is found by
following its output, as long as it has one user: through a bias, normalisation, dropout and the addition of a skip, to
an activation. Where none is met, the layer's output is its linear output after bias and batch norm. The *depth* is the
number of linear maps on the longest way from the images. A map that only leads into the addition of a deeper branch is
a *shortcut* and has none.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from lmcbook.errors import InputError
from lmcbook.layerwise.networks import FoldedNetwork, LayeredNetwork, MeasuredLayer
from lmcbook.models import LayeredModel, LayerTrace
from lmcbook.permutation.tracing.program import exported, first_names
from lmcbook.states import StateDict

# operation → axes of its output behind the units
LINEAR = {"linear": 0, "conv1d": 1, "conv2d": 2, "conv3d": 3}
ACTIVATIONS = {
    *("relu", "relu6", "leaky_relu", "gelu", "silu", "mish", "elu", "celu", "selu", "softplus"),
    *("tanh", "sigmoid", "hardtanh", "hardswish", "hardsigmoid"),
}
BATCH_NORMS = {"batch_norm", "instance_norm"}
OTHER_NORMS = {"layer_norm", "group_norm", "rms_norm"}


@dataclass(frozen=True)
class _Call:
    """A measured layer and its places in the graph."""

    layer: MeasuredLayer
    linear: fx.Node | None
    """None where only a module's output is measured."""
    pre_activation: fx.Node
    output: fx.Node
    axes: tuple[int, int]
    """Where the examples and the units are."""

    def arranged(self, tensor: Tensor) -> Tensor:
        """As (examples, units, …positions)."""
        return tensor.movedim(self.axes, (0, 1))


def layered_network(model: nn.Module, images: Tensor, layers: Sequence[str] | None = None) -> LayeredNetwork:
    """The layers of a module: a `LayeredModel` says itself what they are, any other is traced.

    Raises:
        InputError: as `TracedNetwork`.
    """
    if isinstance(model, LayeredModel) and layers is None:
        return FoldedNetwork(model)
    return TracedNetwork(model, images, layers)


class TracedNetwork:
    """The layers of any module from one tensor to one tensor, for `lmcbook.layerwise.measure_layers`.

    Args:
        model: the network. Its weights and its mode are not changed.
        images: at least one example; two are looked at.
        layers: names of modules; by default all linear layers and convolutions. Of a module that is neither, only the
            output is measured.

    Raises:
        InputError: the computation cannot be traced, has no layer to measure, or no module of a name in ``layers``.
    """

    def __init__(self, model: nn.Module, images: Tensor, layers: Sequence[str] | None = None) -> None:
        # a size of 1 would be taken for a constant; two examples stand for any number
        example = images[:2] if len(images) > 1 else torch.cat([images, images])
        program = exported(
            model,
            (example,),
            any_number_of_examples=True,
            way_out="it must take one tensor, and no decision in it may depend on numbers in a tensor",
        )
        self._graph = program.graph_module
        self._nodes = list(program.graph.nodes)
        shared = first_names(model)
        # input of the graph → name of the tensor that it is
        self._names = {
            spec.arg.name: shared.get(spec.target, spec.target)
            for spec in program.graph_signature.input_specs
            if spec.target is not None
        }
        self._constants = dict(program.constants) | dict(model.named_buffers())
        self._mutates = any(_operation(node).endswith("_") for node in self._nodes)
        calls = _linear_calls(self._nodes, self._names)
        if layers is not None:
            calls = [call for name in layers for call in _named(name, model, calls, self._nodes)]
        if not calls:
            raise InputError(
                "model has no linear layer or convolution to measure; "
                "at least one must apply a tensor of the state dict to all examples at once, however many they are"
            )
        self._calls = sorted(calls, key=lambda call: self._nodes.index(call.output))
        self.layers = tuple(call.layer for call in self._calls)
        # node → the values that nothing after it reads
        self._last_read: dict[fx.Node, list[fx.Node]] = {}
        read: set[fx.Node] = set()
        for node in reversed(self._nodes):
            self._last_read[node] = [value for value in (node, *node.all_input_nodes) if value not in read]
            read.update(self._last_read[node])

    def steps(
        self, state: StateDict, images: Tensor, known: MutableMapping[str, Tensor] | None = None
    ) -> Iterator[LayerTrace]:
        """See `lmcbook.layerwise.networks.LayeredNetwork`."""
        linear = {call.linear: call for call in self._calls if call.linear is not None}
        kept = {node for call in self._calls for node in (call.pre_activation, call.output)}
        ending: dict[fx.Node, list[_Call]] = {}
        for call in self._calls:
            ending.setdefault(call.output, []).append(call)
        values: dict[fx.Node, Any] = {}
        products: dict[fx.Node, tuple[Tensor, Tensor]] = {}
        features: dict[fx.Node, Tensor] = {}
        for node in self._nodes:
            if node in linear:
                call = linear[node]
                inputs, product = values[node.args[0]], (known or {}).pop(call.layer.name, None)
                if product is None:
                    product = _product(node, inputs, values[node.args[1]])
                else:
                    product = product.movedim((0, 1), call.axes)
                products[node] = self._as_it_is_now(inputs), call.arranged(self._as_it_is_now(product))
                values[node] = _with_bias(node, product, values)
            else:
                values[node] = self._value(node, values, state, images)
            if node in kept:
                features[node] = self._as_it_is_now(values[node])
            for call in ending.get(node, ()):
                output, pre_activation = (call.arranged(features[place]) for place in (node, call.pre_activation))
                inputs, product = (output, output) if call.linear is None else products.pop(call.linear)
                yield LayerTrace(call.layer.name, call.layer.depth or 0, inputs, product, pre_activation, output)
                del output, pre_activation, inputs, product
            for call in ending.pop(node, ()):
                features.pop(call.pre_activation, None)
                features.pop(node, None)
            for value in self._last_read[node]:
                values.pop(value, None)

    def linear_map(self, layer: MeasuredLayer, state: StateDict, inputs: Tensor) -> Tensor:
        """See `lmcbook.layerwise.networks.LayeredNetwork`."""
        call = self._calls[self.layers.index(layer)]
        assert call.linear is not None and layer.weight_key is not None
        return call.arranged(_product(call.linear, inputs, state[layer.weight_key]))

    def _value(self, node: fx.Node, values: dict[fx.Node, Any], state: StateDict, images: Tensor) -> Any:
        if node.op == "placeholder":
            name = self._names.get(node.name)
            if name is None:
                return images
            return state[name] if name in state else self._constants[name]
        if node.op == "get_attr":
            return getattr(self._graph, str(node.target))
        if node.op == "output":
            return None
        arguments, options = map_arg((node.args, node.kwargs), values.__getitem__)
        return node.target(*arguments, **options)  # type: ignore[operator]

    def _as_it_is_now(self, tensor: Tensor) -> Tensor:
        # an operation in place, such as torchvision's ReLU, would change what was seen before it
        return tensor.clone() if self._mutates else tensor


def _linear_calls(nodes: Sequence[fx.Node], names: dict[str, str]) -> list[_Call]:
    """All linear layers and convolutions, in the order of the computation."""
    depths = _depths(nodes)
    weighted: set[fx.Node] = set()
    calls: list[_Call] = []
    for node in nodes:
        weighted |= {node} if node.name in names or weighted.intersection(node.all_input_nodes) else set()
        key = names.get(getattr(node.args[1], "name", "")) if _is_linear(node) else None
        if key is None or not _of_examples(node):
            continue
        pre_activation, output, is_shortcut = _followed(node, depths)
        times = sum(call.layer.weight_key == key for call in calls) + 1
        name = key.removesuffix("weight").rstrip("._") or "weight"
        layer = MeasuredLayer(
            name if times == 1 else f"{name}#{times}",
            None if is_shortcut else depths[node],
            key,
            None if output is pre_activation else _activation(output),
            reads_images=node.args[0] not in weighted,
        )
        sizes = node.meta["val"].shape
        examples = next(axis for axis, size in enumerate(sizes) if isinstance(size, torch.SymInt))
        units = len(sizes) - 1 - LINEAR[_operation(node)]
        calls.append(_Call(layer, node, pre_activation, output, (examples, units)))
    return calls


def _depths(nodes: Sequence[fx.Node]) -> dict[fx.Node, int]:
    """The number of linear maps on the longest way to each value, its own included."""
    depths: dict[fx.Node, int] = {}
    for node in nodes:
        before = max((depths[given] for given in node.all_input_nodes), default=0)
        depths[node] = before + (_is_linear(node) and _of_examples(node))
    return depths


def _followed(linear: fx.Node, depths: dict[fx.Node, int]) -> tuple[fx.Node, fx.Node, bool]:
    """The pre-activation and output of a layer, and whether it is a shortcut."""
    own = current = linear
    alone = True
    while len(users := [user for user in current.users if isinstance(user.meta.get("val"), Tensor)]) == 1:
        [user] = users
        operation = _operation(user).rstrip("_")
        others = [given for given in user.all_input_nodes if given is not current]
        if str(user.meta["val"].shape) != str(linear.meta["val"].shape):
            break
        if operation in ACTIVATIONS and not others:
            return current, user, False
        if operation == "add" and any(_of_examples(other) for other in others):
            if depths[others[0]] > depths[current]:
                return own, own, True
            alone = False
        elif operation in OTHER_NORMS:
            alone = False
        elif operation in BATCH_NORMS or operation == "add":
            own = user if alone else own
        elif operation != "dropout":
            break
        current = user
    return own, own, False


def _named(name: str, model: nn.Module, calls: Sequence[_Call], nodes: Sequence[fx.Node]) -> list[_Call]:
    """The linear layer of that name, at all places where it is used, or else the module's output."""
    linear = [call for call in calls if call.layer.name.partition("#")[0] == name]
    if linear:
        return linear
    inside = [node for node in nodes if _of_examples(node) and name in _modules_around(node)]
    if not inside:
        known = ", ".join(sorted({module for node in nodes for module in _modules_around(node)} - {""}))
        raise InputError(f"layers holds {name!r}; the images pass through: {known}")
    output = inside[-1]
    sizes = output.meta["val"].shape
    examples = next(axis for axis, size in enumerate(sizes) if isinstance(size, torch.SymInt))
    layer = MeasuredLayer(name, _depths(nodes)[output], None, None, reads_images=False)
    return [_Call(layer, None, output, output, (examples, 1 if examples == 0 else 0))]


def _modules_around(node: fx.Node) -> list[str]:
    return [path for path, _ in node.meta.get("nn_module_stack", {}).values()]


def _activation(node: fx.Node) -> Any:
    def activation(values: Tensor) -> Tensor:
        # a copy, because the operation may work in place
        return node.target(values.clone(), *node.args[1:], **node.kwargs)  # type: ignore[operator]

    return activation


def _product(node: fx.Node, inputs: Tensor, weight: Tensor) -> Tensor:
    """The linear map without its bias."""
    return node.target(inputs, weight, None, *node.args[3:])  # type: ignore[operator]


def _with_bias(node: fx.Node, product: Tensor, values: dict[fx.Node, Any]) -> Tensor:
    bias = node.args[2] if len(node.args) > 2 else None
    if bias is None:
        return product
    positions = LINEAR[_operation(node)]
    return product + values[bias].reshape(-1, *[1] * positions)  # type: ignore[index]


def _operation(node: fx.Node) -> str:
    """The name of an elementary operation, with _ at its end if it works in place; empty for anything else."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.removeprefix("aten::") if schema is not None else ""


def _is_linear(node: fx.Node) -> bool:
    return _operation(node) in LINEAR


def _of_examples(node: fx.Node) -> bool:
    """Whether this is a tensor that holds something for every example."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and any(isinstance(size, torch.SymInt) for size in value.shape)
