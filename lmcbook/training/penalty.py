"""A penalty against low rank: how far the singular values of the weight matrices are from being equal."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def singular_value_spread(weight: Float[Tensor, "outputs ..."]) -> Float[Tensor, ""]:
    r"""Relative variance of the squared singular values of a weight matrix (a convolution's as out × in·k·k).

    $$\frac{n\,\|G\|_F^2}{(\operatorname{tr} G)^2} - 1 = \frac{\operatorname{Var}(\sigma_i^2)}
    {\operatorname{mean}(\sigma_i^2)^2}, \qquad G = W W^\top \text{ or } W^\top W, \text{ the smaller, of order } n$$

    It is 0 where all singular values are equal, n − 1 at rank one, and does not change with the matrix's scale.
    """
    matrix = weight.flatten(start_dim=1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return len(gram) * gram.square().sum() / gram.diagonal().sum().square() - 1


def rank_penalty(model: nn.Module) -> Float[Tensor, ""]:
    """The sum of `singular_value_spread` over the weights of all linear maps and convolutions of a network.

    The paper explains its finding by low rank. This penalty is not the paper's: it takes the low rank away, to see what
    happens without it.
    """
    spreads = [
        singular_value_spread(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    ]
    return torch.stack(spreads).sum()
