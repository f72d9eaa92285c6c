"""One operation of a traced network: its arguments by name, and the layouts of those that are tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from lmcbook.permutation.tracing.layouts import (
    NATURAL,
    SINGLE,
    Layout,
    Units,
    factor,
    fixed,
    freeze,
    merged,
    movable,
    reason_of,
    unify,
)

Axes = tuple[Layout, ...]
"""The layout of every axis of a tensor."""
Value = Axes | list[Axes]
"""What an operation returns: a tensor's axes, or those of several tensors."""


@dataclass
class Choices:
    """Which factor of an axis keeps its units where a reshape cuts the axis into several, and how that ended."""

    chosen: dict[tuple[str, int], int] = field(default_factory=dict)
    made: dict[tuple[str, int], tuple[int, Layout]] = field(default_factory=dict)

    def cut(self, key: tuple[str, int], layout: Layout, sizes: Sequence[int], reason: str) -> list[Layout]:
        """An axis cut into factors, of which one may move: each movable unit is then a block of the inner units."""
        if not movable(layout):
            return [fixed(size, reason_of(layout)) for size in sizes]
        places = [_around(sizes, number) for number in range(len(sizes))]
        fitting = {number: factor(layout, *place) for number, place in enumerate(places)}
        ready = next((number for number, found in fitting.items() if found is not None and movable(found)), None)
        if ready is not None and key not in self.chosen:
            axis: Layout = fitting[ready] or SINGLE
            return [axis if number == ready else fixed(size) for number, size in enumerate(sizes)]
        number = self.chosen.get(key, 0)
        repeats, count, block = places[number]
        axis = ((Units(count), 1),)
        unify(layout, tuple((units, block) for units, _ in axis) * repeats, reason)
        self.made[key] = (len(sizes), axis)
        return [axis if other == number else fixed(size) for other, size in enumerate(sizes)]

    def alternative(self, key: tuple[str, int], layouts: Sequence[Layout], options: Sequence[Sequence[Layout]]) -> int:
        """Which of several ways to move some axes is tried: the first, or the next where that left nothing."""
        number = self.chosen.get(key, 0)
        before = [movable(layout) for layout in layouts]
        for layout, option in zip(layouts, options[number], strict=True):
            unify(layout, option, "it does not let units move")
        if any(before):
            self.made[key] = (len(options), tuple(segment for layout in options[number] for segment in layout))
        return number

    def revised(self) -> "Choices | None":
        """Another try for the cuts whose units were not left to move; None if there is none to make."""
        chosen = dict(self.chosen)
        for key, (factors, axis) in self.made.items():
            if not movable(axis) and chosen.get(key, 0) + 1 < factors:
                chosen[key] = chosen.get(key, 0) + 1
        return Choices(chosen) if chosen != self.chosen else None


def _around(sizes: Sequence[int], number: int) -> tuple[int, int, int]:
    repeats = block = 1
    for size in sizes[:number]:
        repeats *= size
    for size in sizes[number + 1 :]:
        block *= size
    return repeats, sizes[number], block


def operation(node: fx.Node) -> str:
    """The name of what a node computes, without overload and the mark of working in place."""
    packet = getattr(node.target, "overloadpacket", None)
    name = str(packet).split(".")[-1] if packet is not None else getattr(node.target, "__name__", str(node.target))
    return name.removesuffix("_") if not name.startswith("_") else name.lstrip("_")


class Call:
    """A node of the graph as a rule sees it."""

    def __init__(self, node: fx.Node, values: dict[fx.Node, Value], choices: Choices) -> None:
        self.node = node
        self.values = values
        self.choices = choices
        self.arguments: dict[str, Any] = {}
        schema = getattr(node.target, "_schema", None)
        if schema is not None:
            named = zip((argument.name for argument in schema.arguments), node.args, strict=False)
            defaults = {argument.name: argument.default_value for argument in schema.arguments}
            self.arguments = {**defaults, **dict(named), **node.kwargs}

    @property
    def name(self) -> str:
        """The operation's."""
        return operation(self.node)

    @property
    def reason(self) -> str:
        """Where this is, as it stands in a message."""
        stack = list((self.node.meta.get("nn_module_stack") or {}).values())
        where = stack[-1][0] if stack else ""
        return f"{self.name} in {where or 'the network'} does not let units move"

    def axes(self, name: str) -> Axes | None:
        """The layouts of the axes of the tensor argument of that name; None if it is not given."""
        value = self.arguments.get(name)
        return self.of(value) if isinstance(value, fx.Node) else None

    def given(self, name: str) -> Axes:
        """The same for an argument that is always given."""
        axes = self.axes(name)
        assert axes is not None
        return axes

    def of(self, node: fx.Node) -> Axes:
        """The layouts of the axes of the tensor that ``node`` computed."""
        value = self.values[node]
        assert isinstance(value, tuple)
        return value

    @property
    def written(self) -> list[Axes]:
        """The tensor arguments into which the operation writes its result, which another value may be a view of."""
        target = self.node.target
        if torch.Tag.inplace_view in getattr(target, "tags", ()):  # writes another shape, and no numbers
            return []
        arguments = getattr(getattr(target, "_schema", None), "arguments", ())
        found = [self.axes(each.name) for each in arguments if each.alias_info is not None and each.alias_info.is_write]
        return [axes for axes in found if axes is not None]

    @property
    def tensors(self) -> list[Axes]:
        """All tensor arguments, lists flattened."""
        values = [self.values[node] for node in self.node.all_input_nodes if node in self.values]
        return [axes for value in values for axes in (value if isinstance(value, list) else [value])]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return tuple(self.node.meta["val"].shape)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of several results."""
        return [tuple(value.shape) for value in self.node.meta["val"]]

    def tie(self, *layouts: Layout | None) -> Layout:
        """Make some axes move together (those that are None are left out), and return their layout."""
        present = [layout for layout in layouts if layout is not None]
        for layout in present[1:]:
            unify(present[0], layout, self.reason)
        return present[0]

    def stay(self, *layouts: Layout) -> None:
        """Leave some axes in place, because of this operation."""
        for layout in layouts:
            freeze(layout, self.reason)

    def reshaped(self, axes: Axes, old: Sequence[int], new: Sequence[int]) -> Axes:
        """The axes after a reshape: neighbours are merged, and merged axes cut."""
        if 0 in (*old, *new):
            self.stay(*axes)
            return tuple(fixed(size, self.reason) for size in new)
        sources = [(layout, size) for layout, size in zip(axes, old, strict=True) if size != 1]
        targets = [size for size in new if size != 1]
        found: list[Layout] = []
        taken, block = 0, 0
        while taken < len(sources) or len(found) < len(targets):
            layout, rows = sources[taken]
            taken += 1
            sizes = [targets[len(found)]]
            while rows != (product := _product(sizes)):
                if rows < product:
                    layout, rows, taken = (
                        merged(layout, sources[taken][0], self.reason),
                        rows * sources[taken][1],
                        taken + 1,
                    )
                else:
                    sizes.append(targets[len(found) + len(sizes)])
            block += 1
            if len(sizes) == 1:
                found.append(layout)
            else:
                found.extend(self.choices.cut((self.node.name, block), layout, sizes, self.reason))
        remaining = iter(found)
        return tuple(SINGLE if size == 1 else next(remaining) for size in new)


Rule = Callable[[Call], Value]


def unknown(call: Call) -> Value:
    """What no rule speaks of: all that goes in stays, and so does all that comes out."""
    for axes in call.tensors:
        call.stay(*axes)
    reason = f"{call.name} is not known to commute with permutations" if call.tensors else NATURAL
    value = call.node.meta.get("val")
    if isinstance(value, list | tuple):
        return [tuple(fixed(size, reason) for size in getattr(each, "shape", ())) for each in value]
    return tuple(fixed(size, reason) for size in getattr(value, "shape", ()))


def _product(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
