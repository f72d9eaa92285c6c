"""What LEWC says of the inverse temperature of a merged network, with nothing to fit."""

import math
from collections.abc import Sequence

from lmcbook.errors import InputError, check_number


def lewc_scale(coefficients: Sequence[float], exponent: int) -> float:
    r"""$\sum_i \lambda_i^L$: how much smaller the merged logits are than those of the ensemble that they belong to.

    For two networks $\lambda^L + (1-\lambda)^L$; at λ = ½ that is $2^{1-L}$.

    Raises:
        InputError: a coefficient lies outside of [0, 1], or ``exponent`` is not a positive whole number.
    """
    check_number("exponent", exponent, minimum=1, integer=True)
    for coefficient in coefficients:
        check_number("coefficients", coefficient, minimum=0, maximum=1)
    return math.fsum(coefficient**exponent for coefficient in coefficients)


def lewc_weights(coefficients: Sequence[float], exponent: int) -> tuple[float, ...]:
    r"""$\mu_i = \lambda_i^L / \sum_j \lambda_j^L$: the weights of the networks in the ensemble that LEWC merges to.

    For two networks `lmcbook.evaluation.lewc_ensemble_weight` gives the first of them.

    Raises:
        InputError: a coefficient lies outside of [0, 1], all are 0, or ``exponent`` is not a positive whole number.
    """
    check_number("exponent", exponent, minimum=1, integer=True)
    for coefficient in coefficients:
        check_number("coefficients", coefficient, minimum=0, maximum=1)
    largest = max(coefficients, default=0)
    if largest == 0:
        raise InputError("coefficients are all 0; at least one network must take part")
    # relative to the largest, so that a deep network's powers do not all vanish
    powers = [(coefficient / largest) ** exponent for coefficient in coefficients]
    return tuple(power / math.fsum(powers) for power in powers)


def predicted_inverse_temperature(ensemble_inverse_temperature: float, coefficient: float, exponent: int) -> float:
    r"""$\beta(\lambda) = \beta^*(\mu) / (\lambda^L + (1-\lambda)^L)$: what LEWC predicts, with no free parameter.

    β*(μ) is fitted on the ensemble $\mu f_a + (1-\mu) f_b$ of the weights `lewc_weights`. Exact where Definition 4.1
    holds at the last layer. ``exponent`` is L; in networks whose hidden layers all have batch norm it is 2 whatever the
    depth, as far as the conditions of our theorem on batch norm hold.

    Raises:
        InputError: β* is not positive, λ lies outside of [0, 1], or ``exponent`` is not a positive whole number.
    """
    check_number("ensemble_inverse_temperature", ensemble_inverse_temperature, above=0)
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    return ensemble_inverse_temperature / lewc_scale((coefficient, 1 - coefficient), exponent)
