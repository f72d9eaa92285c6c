"""The table of a network's permutation symmetry: for every tensor, the group of units along each of its axes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lmcbook.errors import InputError, described
from lmcbook.permutation.axes import Axis, Part, groups_of, is_axis, listed, stretches
from lmcbook.states import StateDict


@dataclass(frozen=True, slots=True)
class PermutationSpec:
    """For every tensor of a state dict, the group of units along each of its axes.

    For an MLP of one hidden layer: ``PermutationSpec({"hidden1.linear.weight": ("hidden1", None),
    "classifier.linear.weight": (None, "hidden1")})``. An axis along which a unit has several rows, or which several
    groups share, is a tuple of `Part`.
    """

    axes: Mapping[str, tuple[Axis, ...]]
    """Name of a tensor → one entry per axis: a group's name, None for an axis that stays, or parts; () for a scalar."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Units of groups that have no axis to themselves; where their parts leave no doubt, it may be left out."""
    unproved: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Tensors that `derive_spec` left in place because it could not prove that their units may move → why."""

    def __post_init__(self) -> None:
        for name in ("axes", "sizes", "unproved"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"{name} is {described(getattr(self, name))}; it must be a dict")
        for name, axes in self.axes.items():
            if not isinstance(axes, tuple) or isinstance(axes, Part) or not all(map(is_axis, axes)):
                raise InputError(
                    f"axes[{name!r}] is {axes!r}; it must be a tuple of one group's name or None per axis "
                    "(or a tuple of Part, with blocks of at least one row)"
                )

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups, in the order in which the table first names them."""
        return tuple(dict.fromkeys(group for axes in self.axes.values() for axis in axes for group in groups_of(axis)))

    def members(self, group: str) -> tuple[tuple[str, int], ...]:
        """The (tensor, axis) pairs that move with ``group``."""
        return tuple(
            (name, axis) for name, axes in self.axes.items() for axis, at in enumerate(axes) if group in groups_of(at)
        )

    def groups(self, state: StateDict) -> dict[str, int]:
        """The number of units of every group.

        Raises:
            InputError: the table does not fit ``state``; the message names the tensor.
        """
        missing, unknown = self.axes.keys() - state.keys(), state.keys() - self.axes.keys()
        if missing or unknown:
            raise InputError(
                f"spec must name the tensors of the state dict; it lacks {listed(unknown)} and names "
                f"{listed(missing)}, which the state dict has not. An axis that stays is None"
            )
        sizes: dict[str, int] = dict(self.sizes)
        first: dict[str, str] = {}
        for name, axes in self.axes.items():
            shape = tuple(state[name].shape)
            if len(axes) != len(shape):
                raise InputError(
                    f"spec gives {name} {len(axes)} axes {axes} and the state dict the shape {shape}; "
                    "there must be one entry per axis"
                )
            for group, size in zip(axes, shape, strict=True):
                if not isinstance(group, str):
                    continue
                if sizes.setdefault(group, size) != size:
                    raise InputError(
                        f"spec puts an axis of {size} of {name} (shape {shape}), as the state dict has it, into "
                        f"group {group}, which has {sizes[group]} units in {first.get(group, 'sizes')}; units of a "
                        "group move together"
                    )
                first.setdefault(group, name)
        self._add_groups_in_parts(sizes, state)
        return {group: sizes[group] for group in self.group_names}

    def _add_groups_in_parts(self, sizes: dict[str, int], state: StateDict) -> None:
        """Add the sizes of the groups that no axis has alone, and check every axis of several parts."""
        in_parts = [
            (name, axis, rows)
            for name, axes in self.axes.items()
            for axis, rows in zip(axes, state[name].shape, strict=True)
            if isinstance(axis, tuple)
        ]
        open_axes = -1
        while open_axes != (open_axes := sum(not sizes.keys() >= set(groups_of(axis)) for _, axis, _ in in_parts)):
            for _, axis, rows in in_parts:
                wanted = [group for group in groups_of(axis) if group not in sizes]
                if len(wanted) == 1:
                    known = stretches(axis, rows, {**sizes, wanted[0]: 0})
                    block = sum(part.block for part in axis if part.group == wanted[0])
                    sizes[wanted[0]] = max(1, (rows - sum(stretch.rows for stretch in known)) // block)
        for name, axis, rows in in_parts:
            wanted = [group for group in groups_of(axis) if group not in sizes]
            if wanted:
                raise InputError(
                    f"spec does not say how many units of {name} belong to each of the groups {listed(wanted)}; "
                    "tell it in sizes"
                )
            found = sum(stretch.rows for stretch in stretches(axis, rows, sizes))
            if found != rows:
                units = ", ".join(f"{group} has {sizes[group]} units" for group in groups_of(axis))
                raise InputError(
                    f"spec divides an axis of {rows} of {name} into parts of {found} rows in all ({units}), "
                    "and the state dict does not fit it"
                )
