"""Ensembles of two networks: a weighted mean of their logits."""

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked


@checked
def ensemble_logits(
    logits_a: Float[Tensor, "examples classes"], logits_b: Float[Tensor, "_ _"], coefficient: float | int
) -> Float[Tensor, "examples classes"]:
    r"""$\lambda f^a + (1-\lambda) f^b$: the logits of the two networks, averaged; 1 gives those of a, 0 those of b.

    Raises:
        InputError: λ lies outside [0, 1].
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    if logits_a.shape != logits_b.shape:
        shapes = tuple(logits_a.shape), tuple(logits_b.shape)
        raise InputError(f"logits_a has shape {shapes[0]} and logits_b {shapes[1]}; give both of the same examples")
    kind = torch.promote_types(logits_a.dtype, logits_b.dtype)
    logits_a, logits_b = logits_a.to(kind), logits_b.to(kind)
    return torch.lerp(logits_b, logits_a, coefficient)
