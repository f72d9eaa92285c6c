"""Ensembles of two networks: a weighted mean of their logits."""

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.arguments import checked
from lmcbook.errors import check_number


@checked
def ensemble_logits(
    logits_a: Float[Tensor, "examples classes"], logits_b: Float[Tensor, "examples classes"], coefficient: float | int
) -> Float[Tensor, "examples classes"]:
    r"""$\lambda z_a + (1-\lambda) z_b$: the logits of the two networks, averaged; 1 gives those of a, 0 those of b.

    Raises:
        InputError: λ lies outside [0, 1].
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    return torch.lerp(logits_b, logits_a, coefficient)
