"""How many directions a layer's weights use: stable rank and effective rank, absolute and relative.

The paper's own definition of rank (Fig. 6, 7) is not known to us; both of these are common, and neither needs a
threshold.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError
from lmcbook.errors.tensors import check_not_negative, checked_tensors


def as_matrix(weight: Float[Tensor, "outputs inputs *kernel"]) -> Float[Tensor, "outputs columns"]:
    """A layer's weights as one matrix: of a convolution (outputs, inputs · kernel · kernel)."""
    return weight.flatten(1)


@checked_tensors
def singular_values(weight: Float[Tensor, "outputs inputs *kernel"]) -> Float[Tensor, " values"]:
    """The singular values, descending, in float64, from the smaller of the two Gram matrices.

    At 8,192 × 73,728 weights the Gram matrix is the difference between minutes and hours. Its price: values below about
    1e-8 of the largest are lost, which neither rank can notice.

    Raises:
        InputError: weights are infinite or no numbers.
    """
    if not weight.isfinite().all():
        raise InputError(
            "weight holds what is infinite or no number; it must be finite: look for a training that diverged"
        )
    matrix = as_matrix(weight).double()
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return torch.linalg.eigvalsh(gram).flip(0).clamp(min=0).sqrt()


@checked_tensors
def stable_rank(values: Float[Tensor, " values"]) -> float:
    r"""$\lVert W \rVert_F^2 / \lVert W \rVert_2^2$ from the singular values; 0 of a zero matrix.

    Raises:
        InputError: a value is below 0.
    """
    check_not_negative(values=values)
    squares = values.double().square()
    largest = squares.max()
    return (squares.sum() / largest).item() if largest > 0 else 0.0


@checked_tensors
def effective_rank(values: Float[Tensor, " values"]) -> float:
    r"""$\exp(-\sum_i p_i \log p_i)$ with $p_i = s_i / \sum_j s_j$ from the singular values (Roy, Vetterli 2007).

    1 of a matrix of rank one, the full rank of an orthogonal matrix, 0 of a zero matrix.

    Raises:
        InputError: a value is below 0.
    """
    check_not_negative(values=values)
    total = values.double().sum()
    if not total > 0:
        return 0.0
    shares = values.double() / total
    return torch.exp(-torch.xlogy(shares, shares).sum()).item()


@checked_tensors
def rank_measures(weight: Float[Tensor, "outputs inputs *kernel"]) -> dict[str, float]:
    """Both ranks, absolute and relative to the largest rank that the matrix could have, the smaller of its sides.

    For a hidden layer between hidden layers of an MLP that is the width.
    """
    values = singular_values(weight)
    stable, effective = stable_rank(values), effective_rank(values)
    return {
        "stable_rank": stable,
        "effective_rank": effective,
        "relative_stable_rank": stable / len(values),
        "relative_effective_rank": effective / len(values),
    }
