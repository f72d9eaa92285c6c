"""One law for both mechanisms, LEWC and LLFC, and what lies between; ours, not the paper's."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError, check_number


def midpoint_factors(kappas: Sequence[float]) -> Float[Tensor, " layers"]:
    r"""$2^{-\ell}\prod_{k=2}^{\ell}(1+\kappa_k)$ for ℓ = 1…L: the merged layer over the sum of the two, at λ = ½.

    Args:
        kappas: $\kappa_2, \dots, \kappa_L$, so that $W^az^b + W^bz^a$ is $\kappa_\ell$ times
            $\tilde z^a + \tilde z^b$: 0 is LEWC, 1 is LLFC.

    Raises:
        InputError: a κ is not above −1, except the last layer's.
    """
    for kappa in kappas[:-1]:
        check_number("kappa", kappa, above=-1)
    factors = [0.5]
    for kappa in kappas:
        factors.append(factors[-1] * (1 + kappa) / 2)
    return torch.tensor(factors, dtype=torch.float64)


def midpoint_exponents(kappas: Sequence[float]) -> Float[Tensor, " layers"]:
    r"""$e_\ell = \ell - \sum_{k=2}^{\ell}\log_2(1+\kappa_k)$, the decay exponent at λ = ½.

    Raises:
        InputError: a κ is not above −1.
    """
    exponents = [1.0]
    for kappa in kappas:
        check_number("kappa", kappa, above=-1)
        exponents.append(exponents[-1] + 1 - math.log2(1 + kappa))
    return torch.tensor(exponents, dtype=torch.float64)


def line_factors(coefficient: float, others: Sequence[float], owns: Sequence[float]) -> Float[Tensor, "layers 2"]:
    r"""$A_\ell$ and $B_\ell$ with $\bar f_\ell = A_\ell f_\ell^a + B_\ell f_\ell^b$, for any λ.

    Each network's weights answer the other's features with $\eta$ times what their owner makes of them and $\theta$
    times what they make of their own: $W^a z^b = \eta\,\tilde z^b + \theta\,\tilde z^a$ and likewise
    for $W^b z^a$. At λ = ½ only κ = η + θ counts.

    Args:
        coefficient: λ.
        others: $\eta_2, \dots, \eta_L$.
        owns: $\theta_2, \dots, \theta_L$.

    Raises:
        InputError: a number is negative, λ is outside [0, 1], or there are not as many η as θ.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    if len(others) != len(owns):
        raise InputError(f"owns holds {len(owns)} numbers; give {len(others)}, one for each of others")
    share_a, share_b = coefficient, 1 - coefficient
    rows = [(share_a, share_b)]
    for eta, theta in zip(others, owns, strict=True):
        check_number("others", eta, minimum=0)
        check_number("owns", theta, minimum=0)
        previous_a, previous_b = rows[-1]
        rows.append(
            (
                (share_a + share_b * eta) * previous_a + share_a * theta * previous_b,
                (share_b + share_a * eta) * previous_b + share_b * theta * previous_a,
            )
        )
    return torch.tensor(rows, dtype=torch.float64)
