"""The merge of two networks: their weighted mean, batch norm recomputed, hidden layers repaired if that is wanted."""

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from lmcbook.errors import InputError, check_choice
from lmcbook.errors.arguments import checked
from lmcbook.merging.batch_norm import recompute_batch_norm_
from lmcbook.merging.interpolation import interpolate
from lmcbook.merging.repairing import REPAIRS, Repairer
from lmcbook.states import StateDict, has_batch_norm


@checked
def merge(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    coefficient: float | int,
    images: Shaped[Tensor, "examples ..."] | Any = None,
    *,
    repair: str = "none",
    batch_size: int = 500,
    generator: torch.Generator | None = None,
) -> StateDict:
    """`interpolate`, then `recompute_batch_norm` if the network has batch norm, then `repair` if it is asked for.

    Args:
        images: un-augmented training images, without labels; needed for batch norm and for a repair.
        repair: one of `lmcbook.merging.REPAIRS`. With any but ``none`` the result is a state of
            ``lmcbook.add_biases(model)``, not of ``model``.
        batch_size: how many images pass at once where batch norm is recomputed; a repair takes all at once.

    Raises:
        InputError: as the three raise it, or images are needed and not given.
    """
    check_choice("repair", repair, REPAIRS)
    merged = interpolate(state_a, state_b, coefficient)
    if images is None and has_batch_norm(model):
        raise InputError("images is None, but the network has batch norm; give training images to recompute it from")
    if images is None and repair != "none":
        raise InputError(
            f"images is None, but repair is {repair!r}; give a few hundred training images, without labels"
        )
    if has_batch_norm(model):
        recompute_batch_norm_(model, merged, images, batch_size=batch_size, generator=generator)
    if repair == "none":
        return merged
    return Repairer(model, (state_a, state_b), images).repair(merged, (coefficient, 1 - coefficient), repair)
