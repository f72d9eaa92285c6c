"""Which entries of a wrong table of symmetry are at fault, found by changing them one by one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from lmcbook.permutation.axes import Axis, Permutation, groups_of
from lmcbook.permutation.spec import PermutationSpec
from lmcbook.states import StateDict


def suspects(
    spec: PermutationSpec,
    state: StateDict,
    permutation: Permutation,
    preserves: Callable[[PermutationSpec, Permutation], bool],
) -> list[str]:
    """Names of the tensors whose entries may be at fault, in the order of the table.

    Each group is permuted alone. Where that changes the function, every table with one axis more or less in the group
    is tried; a tensor is suspected if its change mends the group. If no single change does, all members of the group
    are suspected.

    Args:
        spec: a table that does not preserve the function.
        state: of the network.
        permutation: moves every unit of every group.
        preserves: whether permuting along a table leaves the outputs unchanged.
    """
    still = {group: torch.arange(len(indices)) for group, indices in permutation.items()}
    of_groups: list[set[str]] = []
    for group, indices in permutation.items():
        alone = {**still, group: indices}
        if preserves(spec, alone):
            continue
        mending = {name for name, changed in _one_entry_changed(spec, group, state) if preserves(changed, alone)}
        of_groups.append(mending or {name for name, _ in spec.members(group)})
    # an entry in the wrong group spoils two groups, and putting it right mends both
    common = set.intersection(*of_groups) if of_groups else set()
    chosen = common or set().union(*of_groups) or set(spec.axes)
    return [name for name in spec.axes if name in chosen]


def _one_entry_changed(spec: PermutationSpec, group: str, state: StateDict) -> Iterator[tuple[str, PermutationSpec]]:
    """Every spec with one axis more or less in ``group``, and the tensor that the axis belongs to."""
    members = spec.members(group)
    size = spec.groups(state)[group]
    for name, axes in spec.axes.items():
        for axis, at in enumerate(axes):
            inside = group in groups_of(at)
            # taking a member out of a group of two leaves a table that moves next to nothing, which proves nothing
            if len(members) > 2 if inside else state[name].shape[axis] == size:
                entry: Axis = None if inside else group
                yield name, replace(spec, axes={**spec.axes, name: (*axes[:axis], entry, *axes[axis + 1 :])})
