"""One law for both mechanisms, LEWC and LLFC, and what lies between; ours, not the paper's."""

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
    for kappa in kappas:
        check_number("kappa", kappa, above=-1)
    return -midpoint_factors(kappas).log2()


def line_factors(coefficient: float, others: Sequence[float], owns: Sequence[float]) -> Float[Tensor, "layers 2"]:
    r"""$\tilde p_\ell$, $\tilde q_\ell$ with $\bar f_\ell = \tilde p_\ell f_\ell^a + \tilde q_\ell f_\ell^b$ for any λ.

    Each network's weights answer the other's features with $\kappa'$ times what their owner makes of them and
    $\kappa''$ times what they make of their own: $W^a z^b = \kappa'\,\tilde z^b + \kappa''\,\tilde z^a$ and likewise
    for $W^b z^a$. At λ = ½ only κ = κ' + κ'' counts.

    Args:
        coefficient: λ.
        others: $\kappa'_2, \dots, \kappa'_L$.
        owns: $\kappa''_2, \dots, \kappa''_L$.

    Raises:
        InputError: a number is negative, λ is outside [0, 1], or the two are not equally many.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    if len(others) != len(owns):
        raise InputError(f"owns holds {len(owns)} numbers; give {len(others)}, one for each of others")
    share_a, share_b = coefficient, 1 - coefficient
    rows = [(share_a, share_b)]
    for of_owner, of_reader in zip(others, owns, strict=True):
        check_number("others", of_owner, minimum=0)
        check_number("owns", of_reader, minimum=0)
        previous_a, previous_b = rows[-1]
        rows.append(
            (
                (share_a + share_b * of_owner) * previous_a + share_a * of_reader * previous_b,
                (share_b + share_a * of_owner) * previous_b + share_b * of_reader * previous_a,
            )
        )
    return torch.tensor(rows, dtype=torch.float64)
