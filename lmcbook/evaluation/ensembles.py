"""Ensembles of two networks: a weighted mean of their logits."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import check_number


def ensemble_logits(
    logits_a: Float[Tensor, "examples classes"], logits_b: Float[Tensor, "examples classes"], coefficient: float | int
) -> Float[Tensor, "examples classes"]:
    r"""$\lambda z_a + (1-\lambda) z_b$: the logits of the two networks, averaged; 1 gives those of a, 0 those of b.

    Raises:
        InputError: λ lies outside of [0, 1].
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    return torch.lerp(logits_b, logits_a, coefficient)


def lewc_ensemble_weight(coefficient: float | int, num_layers: int) -> float:
    r"""$\mu = \lambda^L/(\lambda^L+(1-\lambda)^L)$, model a's weight in the ensemble that LEWC merges to.

    By Definition 4.1 of the paper the merged logits are
    $\lambda^L z_a + (1-\lambda)^L z_b = (\lambda^L + (1-\lambda)^L)\,(\mu z_a + (1-\mu) z_b)$.

    Raises:
        InputError: λ lies outside of [0, 1], or ``num_layers`` is not a whole number of at least 1.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    check_number("num_layers", num_layers, minimum=1, integer=True)
    if coefficient in (0, 1):
        return float(coefficient)
    # through the odds, whose power cannot become 0/0 in a deep network; the larger side is the one to divide by
    odds = num_layers * math.log(coefficient / (1 - coefficient))
    return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(odds) / (1 + math.exp(odds))
