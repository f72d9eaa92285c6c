"""Which units lie along one axis of a tensor: a group, nothing that moves, or several stretches one after another."""

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

import torch
from torch import Tensor

Permutation = dict[str, Tensor]
"""Group → its index vector (int64): new unit i is old unit ``permutation[group][i]``."""


class Part(NamedTuple):
    """A stretch of an axis: ``block`` consecutive rows for every unit of ``group``, or ``block`` rows that stay.

    The linear layer behind a flattened 7×7 map reads ``(Part("conv8", 49),)``; what reads a concatenation reads
    ``(Part("left"), Part("right"))``; the stacked projections of an attention of 64-wide heads are
    ``(Part("heads", 64),) * 3``.
    """

    group: str | None
    """The group's name; None for rows that stay where they are."""
    block: int = 1
    """Rows of one unit; of the whole stretch if the group is None."""


Axis = str | None | tuple[Part, ...]
"""A group's name for one row per unit, None for an axis that stays, or the parts that make up the axis."""


class Stretch(NamedTuple):
    """A part with its place: rows ``start`` to ``start + units·block`` of the axis."""

    group: str | None
    start: int
    units: int
    block: int

    @property
    def rows(self) -> int:
        """Length of the stretch."""
        return self.units * self.block


def is_axis(axis: object) -> bool:
    """Whether ``axis`` is an entry that a table of axes may have."""
    if axis is None or isinstance(axis, str):
        return True
    return isinstance(axis, tuple) and all(isinstance(part, Part) and part.block >= 1 for part in axis)


def groups_of(axis: Axis) -> tuple[str, ...]:
    """The groups along an axis, each once."""
    if axis is None:
        return ()
    if isinstance(axis, str):
        return (axis,)
    return tuple(dict.fromkeys(part.group for part in axis if part.group is not None))


def stretches(axis: Axis, rows: int, sizes: Mapping[str, int]) -> tuple[Stretch, ...]:
    """The parts of an axis of ``rows`` rows with their places, given the number of units of every group."""
    if axis is None:
        return (Stretch(None, 0, 1, rows),)
    start, found = 0, []
    for part in (Part(axis),) if isinstance(axis, str) else axis:
        found.append(Stretch(part.group, start, 1 if part.group is None else sizes[part.group], part.block))
        start += found[-1].rows
    return tuple(found)


def gather_indices(axis: Axis, rows: int, permutation: Permutation) -> Tensor:
    """The rows that the new rows of an axis are taken from."""
    if isinstance(axis, str):
        return permutation[axis]
    sizes = {group: len(permutation[group]) for group in groups_of(axis)}
    pieces = []
    for group, start, units, block in stretches(axis, rows, sizes):
        first_rows = (torch.arange(units) if group is None else permutation[group]) * block
        pieces.append(start + first_rows[:, None].cpu() + torch.arange(block))
    return torch.cat([piece.reshape(-1) for piece in pieces])


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first ``most`` names, for a message."""
    names = sorted(names) if isinstance(names, Set) else list(names)
    if not names:
        return "nothing"
    return ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
