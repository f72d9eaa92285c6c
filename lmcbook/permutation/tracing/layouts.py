"""The algebra of units along an axis: what must move together, what may move apart, what stays.

A *layout* says which rows of an axis belong to which unit: a sequence of segments (units, block), each of them
``units.count`` units of ``block`` rows. Every axis of every parameter begins with units of its own, one per row; every
operation of the network ties units together, makes coarser units of them, splits or freezes them. What is left at the
end is what may move. Units are never shown to move that an operation did not allow, so the result is a proof.

An example: a convolution with 4 outputs, flattened 2×2 pixels, a linear layer of 16 inputs.

>>> channels, inputs = free(4), free(16)  # the convolution's outputs, and the inputs of the linear layer
>>> flat = merged(channels, fixed(4), "")  # each channel is 4 rows of the flattened features
>>> unify(flat, inputs, "they cut through each other")  # the linear layer multiplies its inputs with them
>>> [(units.count, block) for units, block in resolved(inputs)]  # 4 units of 4 inputs each …
[(4, 4)]
>>> resolved(inputs)[0][0] is resolved(channels)[0][0]  # … which move as the channels do
True
>>> freeze(resolved(channels)[:1], "a softmax over channels")
>>> movable(inputs)
False
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class Units:
    """Things that are permuted among each other; or, once ``becomes`` is set, another name of others."""

    count: int
    frozen: str | None = None
    """Why they stay in place; None if they may move."""
    becomes: "tuple[tuple[Units, int], ...] | None" = None
    """What they have been replaced by, in order: units, and how many of these make one of those."""

    @property
    def movable(self) -> bool:
        return self.frozen is None and self.count > 1


Segment = tuple[Units, int]
Layout = tuple[Segment, ...]

NATURAL = "it is an axis of inputs, outputs, positions or table rows, or of length one"
"""The one reason that is no shortcoming: nothing of the kind is a hidden unit."""
SINGLE: Layout = ((Units(1, NATURAL), 1),)


def free(count: int) -> Layout:
    """An axis of units that nothing is known of yet, one row each."""
    return ((Units(count), 1),) if count > 1 else SINGLE


def fixed(count: int, reason: str = NATURAL) -> Layout:
    """An axis that stays."""
    return ((Units(count, reason), 1),) if count > 1 else SINGLE


def length(layout: Iterable[Segment]) -> int:
    """Rows."""
    return sum(units.count * block for units, block in layout)


def resolved(layout: Iterable[Segment]) -> Layout:
    """The same in terms of units that have not been replaced."""
    found: list[Segment] = []
    for units, block in layout:
        if units.becomes is None:
            found.append((units, block))
        else:
            found.extend(resolved((other, block * several) for other, several in units.becomes))
    return tuple(found)


def movable(layout: Layout) -> bool:
    """Whether any row may move."""
    return any(units.movable for units, _ in resolved(layout))


def freeze(layout: Layout, reason: str) -> None:
    """Leave every row in place."""
    for units, _ in resolved(layout):
        if units.frozen is None:
            units.frozen = reason


def unify(first: Layout, second: Layout, reason: str) -> None:
    """Make two axes of equal length move together.

    Blocks of different size meet in their least common multiple; a boundary between segments splits the units of the
    other axis. Where a boundary would cut through a unit, its units stay, for ``reason``.
    """
    left, right = (list(reversed(resolved(layout))) for layout in (first, second))
    while left:
        a, b = _popped(left), _popped(right)
        if a == b:
            continue
        rows_a, rows_b = (units.count * block for units, block in (a, b))
        if rows_a == rows_b:
            _join(a, b, reason)
        elif rows_a > rows_b:
            left.extend(reversed(_split(a, rows_b, reason)))
            right.append(b)
        else:
            right.extend(reversed(_split(b, rows_a, reason)))
            left.append(a)


def _popped(stack: list[Segment]) -> Segment:
    # a step before may have replaced what still lies on the stack
    stack.extend(reversed(resolved([stack.pop()])))
    return stack.pop()


def _join(a: Segment, b: Segment, reason: str) -> None:
    (units_a, block_a), (units_b, block_b) = a, b
    if units_a.frozen is not None or units_b.frozen is not None:
        why = units_a.frozen if units_a.frozen is not None else units_b.frozen
        units_a.frozen = units_b.frozen = why
        return
    block = math.lcm(block_a, block_b)
    count = units_a.count * block_a // block
    # one unit is all there is left: it can only stay
    common = Units(count, reason if count == 1 else None)
    units_a.becomes = ((common, block // block_a),)
    units_b.becomes = ((common, block // block_b),)


def _split(segment: Segment, rows: int, reason: str) -> tuple[Segment, Segment]:
    units, block = segment
    if units.frozen is None and rows % block:
        units.frozen = reason
    if units.frozen is not None:
        return (Units(rows, units.frozen), 1), (Units(units.count * block - rows, units.frozen), 1)
    head, tail = Units(rows // block), Units(units.count - rows // block)
    units.becomes = ((head, 1), (tail, 1))
    return (head, block), (tail, block)


def part(layout: Layout, start: int, stop: int, reason: str) -> Layout:
    """Rows ``start`` to ``stop`` of an axis: units on either side of a boundary may no longer change places."""
    lengths = [start, stop - start, length(layout) - stop]
    pieces = [((Units(rows), 1),) if rows else () for rows in lengths]
    unify(layout, tuple(segment for piece in pieces for segment in piece), reason)
    return resolved(pieces[1])


def merged(outer: Layout, inner: Layout, reason: str) -> Layout:
    """The layout of two neighbouring axes that are flattened into one."""
    if movable(outer):
        # every row of the outer axis becomes a block; a unit of it cannot move while the inner rows move too
        freeze(inner, reason)
        return tuple((units, block * length(inner)) for units, block in resolved(outer))
    if movable(inner):
        return resolved(inner) * length(outer)
    return fixed(length(outer) * length(inner), reason_of((*outer, *inner)))


def reason_of(layout: Layout) -> str:
    """Why an axis that stays does: its first shortcoming, if there is one."""
    reasons = [units.frozen for units, _ in resolved(layout) if units.frozen is not None]
    return next((reason for reason in reasons if reason != NATURAL), NATURAL)


def factor(layout: Layout, repeats: int, count: int, block: int) -> Layout | None:
    """The axis of ``count`` in an axis that is cut into (repeats, count, block), if nothing has to be tied for it."""
    found = resolved(layout)
    each, rest = divmod(len(found), repeats)
    if rest or found != found[:each] * repeats or any(size % block for _, size in found[:each]):
        return None
    sub = tuple((units, size // block) for units, size in found[:each])
    return sub if length(sub) == count else None


def log_permutations(layouts: Iterable[Sequence[Layout]]) -> float:
    """The logarithm of the number of permutations that the axes of some tensors allow."""
    units = {id(found): found for axes in layouts for layout in axes for found, _ in resolved(layout) if found.movable}
    return sum(math.lgamma(found.count + 1) for found in units.values())
