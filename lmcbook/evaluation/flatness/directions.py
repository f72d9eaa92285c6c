"""Directions in weight space: the difference of two networks, and random directions of the same length."""

import math
from collections.abc import Collection

import torch
from torch import Generator, Tensor

from lmcbook.errors import InputError, check_choice
from lmcbook.states import StateDict, check_same_tensors

RESCALINGS: tuple[str, ...] = ("global", "layer", "filter")
"""Which parts of a random direction are made as long as the difference of two networks: all of it together, each
tensor, or the weights of each output unit."""


def difference(state_a: StateDict, state_b: StateDict, names: Collection[str]) -> StateDict:
    r"""$\theta^b - \theta^a$, the direction from network a to network b, of the tensors ``names``: its parameters.

    Statistics of batch norm have no place in it: they follow from the weights.

    Raises:
        InputError: the states do not hold the same tensors, or one of ``names`` is not among them.
    """
    check_same_tensors("state_a", state_a, "state_b", state_b)
    unknown = sorted(set(names) - set(state_a))
    if unknown or not names:
        raise InputError(
            f"names holds {', '.join(unknown) or 'nothing'}; they must be parameters of the two networks: "
            "give the names that model.named_parameters() has"
        )
    return {name: state_b[name] - state_a[name] for name in state_a if name in names}


def length_of(direction: StateDict) -> float:
    """The Euclidean length of a direction, of all its tensors as one vector; summed in float64."""
    return math.sqrt(sum(tensor.double().square().sum().item() for tensor in direction.values()))


def gaussian_direction(like: StateDict, generator: Generator) -> StateDict:
    """Independent standard Gaussians in the shapes of ``like``; the same generator gives the same on every device."""
    return {
        name: torch.randn(tensor.shape, generator=generator, device=generator.device).to(tensor)
        for name, tensor in like.items()
    }


def rescaled(direction: StateDict, to: StateDict, rescaling: str) -> StateDict:
    r"""``direction`` made as long as ``to``: as a whole, in each tensor, or in the weights of each output unit.

    The last is filter normalisation, $d_{i} \mapsto d_{i}\,\lVert\delta_{i}\rVert / \lVert d_{i} \rVert$ for each
    filter i (Li et al. 2018), with the filters of $\delta$ = ``to``, the difference of two networks, in the place of
    the network's own. Where a tensor has one number for each unit, such as batch norm's scales, only the sign is left
    to chance.

    Raises:
        InputError: the rescaling is unknown, or the two do not hold tensors of the same names and shapes.
    """
    check_choice("rescaling", rescaling, RESCALINGS)
    check_same_tensors("direction", direction, "to", to)
    if rescaling == "global":
        factor = length_of(to) / length_of(direction)
        return {name: tensor * factor for name, tensor in direction.items()}
    by_unit = rescaling == "filter"
    return {name: tensor * _factor(tensor, to[name], by_unit=by_unit) for name, tensor in direction.items()}


def _factor(tensor: Tensor, to: Tensor, *, by_unit: bool) -> Tensor:
    """What makes ``tensor``, or each of its slices along axis 0, as long as ``to``; 0 where that has no length."""
    axes = tuple(range(1 if by_unit else 0, tensor.ndim))
    # a tensor of one number for each unit has no axis left to take a norm over
    lengths = [
        torch.linalg.vector_norm(each.double(), dim=axes, keepdim=True) if axes else each.double().abs()
        for each in (to, tensor)
    ]
    factor = lengths[0] / lengths[1]
    return torch.where(lengths[0] == 0, 0.0, factor).to(tensor.dtype)


def displaced(state: StateDict, direction: StateDict, distance: float, *, out: StateDict | None = None) -> StateDict:
    r"""$\theta + t\,d$: ``state`` moved by ``distance`` t along ``direction``; at 0 a copy, bit for bit.

    Args:
        out: a state of the same tensors that is overwritten and returned.
    """
    moved = {name: torch.empty_like(tensor) for name, tensor in state.items()} if out is None else out
    for name, tensor in state.items():
        moved[name].copy_(tensor)
        if distance != 0 and name in direction:
            moved[name].add_(direction[name], alpha=distance)
    return moved
