"""What can be done with permutations: apply, undo, compose, draw."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked
from lmcbook.permutation.axes import Axis, Permutation, gather_indices, listed
from lmcbook.permutation.spec import PermutationSpec
from lmcbook.states import StateDict


@checked
def identity(spec: PermutationSpec, state: StateDict) -> Permutation:
    """The permutation that moves nothing."""
    return {group: torch.arange(size) for group, size in spec.groups(state).items()}


@checked
def random_permutation(spec: PermutationSpec, state: StateDict, generator: torch.Generator) -> Permutation:
    """Every group shuffled uniformly; draw ``generator`` from ``random_stream(seed, "permutation")``."""
    sizes = spec.groups(state)
    return {group: torch.randperm(size, generator=generator, device=generator.device) for group, size in sizes.items()}


@checked
def invert(permutation: Permutation) -> Permutation:
    """The permutation that undoes ``permutation``.

    Raises:
        InputError: ``permutation`` does not hold each unit of a group once.
    """
    _check_orders("permutation", permutation)
    return {group: torch.argsort(indices) for group, indices in permutation.items()}


@checked
def compose(first: Permutation, second: Permutation) -> Permutation:
    """The one permutation that does what ``first`` and then ``second`` do.

    Raises:
        InputError: the two permute different groups, or groups of different sizes, or are no permutations.
    """
    _check_orders("first", first)
    _check_orders("second", second)
    sizes = [{group: len(indices) for group, indices in each.items()} for each in (first, second)]
    if sizes[0] != sizes[1]:
        differing = {group for group, _ in sizes[0].items() ^ sizes[1].items()}
        raise InputError(f"first and second must permute the same groups; they differ in {listed(differing)}")
    return {group: indices[second[group].to(indices.device)] for group, indices in first.items()}


@checked
def apply(spec: PermutationSpec, permutation: Permutation, state: StateDict) -> StateDict:
    """A new state dict with the units of every group in their new order; values move, none is computed.

    Raises:
        InputError: the spec does not fit ``state``, or ``permutation`` is not one of each group.
    """
    _check_permutation(spec, permutation, state)
    return {name: gather(tensor, spec.axes[name], permutation) for name, tensor in state.items()}


def gather(tensor: Tensor, axes: tuple[Axis, ...], permutation: Permutation) -> Tensor:
    """``tensor`` with the units along its axes in their new order; always a tensor of its own."""
    gathered = tensor
    for number, axis in enumerate(axes):
        if axis is not None:
            indices = gather_indices(axis, tensor.shape[number], permutation)
            gathered = gathered.index_select(number, indices.to(tensor.device))
    if gathered is tensor:
        return tensor.clone()
    # channels-last weights stay channels-last
    return gathered if gathered.stride() == tensor.stride() else torch.empty_like(tensor).copy_(gathered)


def _check_permutation(spec: PermutationSpec, permutation: Permutation, state: StateDict) -> None:
    sizes = spec.groups(state)
    if sizes.keys() != permutation.keys():
        raise InputError(
            f"permutation has groups {listed(permutation)}; it must have those of the spec: {listed(sizes)}"
        )
    _check_orders("permutation", permutation, sizes)


def _check_orders(name: str, permutation: Permutation, sizes: Mapping[str, int] | None = None) -> None:
    for group, indices in permutation.items():
        size = indices.numel() if sizes is None else sizes[group]
        if (
            indices.shape != (size,)
            or indices.dtype != torch.int64
            or not torch.equal(indices.sort().values.cpu(), torch.arange(size))
        ):
            raise InputError(
                f"{name}[{group!r}] of shape {tuple(indices.shape)} and type {indices.dtype} is no permutation of "
                f"{size} units; it must hold each of 0 … {size - 1} once, as int64"
            )
