"""The scale of LEWC's prediction, of numbers or of columns of a table; no torch."""

from collections.abc import Sequence
from typing import Any


def sum_of_powers(coefficients: Sequence[Any], exponent: Any) -> Any:
    r"""$\sum_i \lambda_i^e$: LEWC's merged logits are the ensemble's times this, and its β is the ensemble's over this.

    For two networks $\lambda^e + (1-\lambda)^e$, which is $2^{1-e}$ at λ = ½; for k networks of equal weight $k^{1-e}$.
    Nothing is checked: `lmcbook.evaluation.lewc_scale` does so for numbers.

    Args:
        coefficients: λ of each network: numbers, or numbers and columns of a table.
        exponent: e, the number of layers L, or 2 with batch norm (`lmcbook.evaluation.lewc_exponent`); where a column
            of it is empty, so is the sum.
    """
    return sum(coefficient**exponent for coefficient in coefficients)
