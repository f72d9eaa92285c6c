"""How much the loss of logits can rise when an error is added to them; ours, not the paper's."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class LossBounds(NamedTuple):
    """Two upper bounds on the rise of the mean cross-entropy, in nats."""

    lipschitz: float
    r"""$2\beta\,\mathbb{E}[\max_k |r_k|]$: of the first order in r, whatever its direction."""
    second_order: float
    r"""$\beta\,\mathbb{E}\langle p_\beta - e_y, r\rangle + \frac{\beta^2}{8}\,\mathbb{E}(\max r - \min r)^2$."""


def loss_bounds(
    logits: Float[Tensor, "examples classes"],
    error: Float[Tensor, "examples classes"],
    labels: Int[Tensor, " examples"],
    inverse_temperature: float,
) -> LossBounds:
    r"""Bounds on the loss of $\mathrm{softmax}(\beta(g + r))$ above that of $\mathrm{softmax}(\beta g)$.

    Args:
        logits: g.
        error: r.
        labels: y.
        inverse_temperature: β.
    """
    residual = (inverse_temperature * logits).softmax(1)
    residual[range(len(labels)), labels] -= 1
    first_order = inverse_temperature * (residual * error).sum(1).mean()
    spread = error.max(1).values - error.min(1).values
    return LossBounds(
        lipschitz=2 * inverse_temperature * error.abs().max(1).values.mean().item(),
        second_order=(first_order + inverse_temperature**2 / 8 * spread.square().mean()).item(),
    )
