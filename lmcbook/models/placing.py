"""A trained network at chosen places of a wider network: the same function, in few units or in split units."""

from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lmcbook.errors import InputError, check_number
from lmcbook.models.layered import LayeredModel
from lmcbook.states import StateDict


def random_places(
    model: LayeredModel, units: int, *, copies: int = 1, generator: torch.Generator
) -> dict[str, Int[Tensor, " places"]]:
    """For each hidden layer of ``model``, different places for ``copies`` of all its units among ``units``.

    Raises:
        InputError: there are fewer places than copies of units, or ``copies`` is no positive whole number.
    """
    check_number("copies", copies, minimum=1, integer=True)
    check_number("units", units, minimum=1, integer=True)
    places = {}
    for name in model.layer_names[:-1]:
        needed = copies * model.linear(name).weight.shape[0]
        if needed > units:
            raise InputError(f"units is {units}; {copies} copies of each unit of {name} need at least {needed} places")
        places[name] = torch.randperm(units, generator=generator)[:needed]
    return places


def placed(
    model: LayeredModel, state: StateDict, units: int, places: Mapping[str, Int[Tensor, " places"]]
) -> StateDict:
    r"""A state of the same network with ``units`` hidden units in each layer, and the same function.

    Hidden units stand at their places; where there are c times as many places as units, each unit is split into c
    copies with the same incoming weights, whose outgoing weights are a c-th of the unit's (Net2Net, Chen et al. 2016).
    All other weights are 0, so that the units at all other places are silent.

    Args:
        model: linear layers in a chain, without normalisation, bias and skips.
        places: of each hidden layer: where its units go, the first copies of all first.

    Raises:
        InputError: the network is no such chain, or a layer's places are not a multiple of its units.
    """
    names = model.layer_names
    for name in names:
        layer = model.layer(name)
        plain = layer.normalisation is None and not layer.closes_skip and layer.linear.bias is None
        if not plain or not isinstance(layer.linear, nn.Linear):
            raise InputError(f"{name} has a bias, a normalisation or a skip, or is no linear layer; give a plain chain")
    wide = {}
    reads: Tensor | None = None
    for name in names:
        key = model.weight_key(name)
        weight = state[key]
        if reads is not None:
            copies = len(reads) // weight.shape[1]
            spread = weight.new_zeros(weight.shape[0], units)
            spread[:, reads] = weight.repeat(1, copies) / copies
            weight = spread
        if name != names[-1]:
            reads, own = places[name], len(state[key])
            if len(reads) % own or not len(reads):
                raise InputError(f"places of {name} holds {len(reads)} places; give a multiple of its {own} units")
            spread = weight.new_zeros(units, weight.shape[1])
            spread[reads] = weight.repeat(len(reads) // own, 1)
            weight = spread
        wide[key] = weight
    return wide
