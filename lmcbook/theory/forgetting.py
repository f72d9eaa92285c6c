"""How many directions the last gradients of a training can fill, after Galanti et al.; no torch."""

import math

from lmcbook.errors import check_number


def remembered_steps(learning_rate: float, weight_decay: float, momentum: float = 0.0, tolerance: float = 0.1) -> int:
    r"""Steps after which weight decay has left less than ``tolerance`` of a gradient.

    The smallest t with $(1-\rho)^t \le \epsilon$, where a step forgets $\rho = \eta\kappa/(1-m)$.

    Raises:
        InputError: a number is outside its range, or nothing is forgotten.
    """
    check_number("momentum", momentum, minimum=0, below=1)
    check_number("tolerance", tolerance, above=0, below=1)
    rate = learning_rate * weight_decay / (1 - momentum)
    check_number("learning_rate * weight_decay / (1 - momentum)", rate, above=0, below=1)
    return math.ceil(math.log(tolerance) / math.log1p(-rate))


def rank_bound(
    batch_size: int, learning_rate: float, weight_decay: float, momentum: float = 0.0, tolerance: float = 0.1
) -> int:
    r"""The rank that weights can have, up to ``tolerance``: batch size times `remembered_steps`.

    The gradient of a dense layer has at most the rank of its batch, and weight decay lets older gradients fade. So the
    bound of Galanti et al. (2025) grows like $B \ln(1/\epsilon)/\rho$. It says nothing about a matrix with fewer rows
    or columns than that.

    Raises:
        InputError: a number is outside its range, or nothing is forgotten.
    """
    check_number("batch_size", batch_size, minimum=1, integer=True)
    return batch_size * remembered_steps(learning_rate, weight_decay, momentum, tolerance)
