"""How much the loss of logits can rise when an error is added to them; ours, not the paper's."""

import math
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.theory.bounds import error_budget
from lmcbook.theory.networks import merged, run
from lmcbook.theory.pairs import Pair


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
        logits: $g$.
        error: $r$.
        labels: $y$.
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


class BoundedRise(NamedTuple):
    """What bounds say of one pair, beside what was measured on the same examples; all in nats."""

    measured: float
    """The merged network's calibrated loss, less the ensemble's; never more than each bound."""
    useless_above: float
    r"""$\log K$ less the ensemble's calibrated loss, which guessing costs: a larger bound is vacuous."""
    from_conditions: float
    r"""From the two conditions: $2 \beta^\star(g)\,\lVert r_L \rVert / s$ with the bound on the norm."""
    from_error: float
    """From the measured error of the logits, to first order: part 2."""
    to_second_order: float
    """From the measured error of the logits, to second order: part 3."""


def bounded_rise(
    pair: Pair,
    coefficient: float,
    inputs: Float[Tensor, "examples inputs"],
    labels: Int[Tensor, " examples"],
) -> BoundedRise:
    r"""The bounds of the theorems on approximate LEWC and on calibration, evaluated on a pair, trained or constructed.

    With $s = \lambda^L + (1-\lambda)^L$, the ensemble g and the merged logits $s\,(g + r)$ of networks with ReLU.

    Args:
        pair: the two networks.
        coefficient: λ.
        inputs: the examples, on which all of it is computed.
        labels: theirs.
    """
    a, b, logits = (
        run(network, inputs, F.relu)[-1].output for network in (*pair, merged(pair, (coefficient, 1 - coefficient)))
    )
    powers = coefficient**pair.a.num_layers, (1 - coefficient) ** pair.a.num_layers
    size = sum(powers)
    ensemble = (powers[0] * a + powers[1] * b) / size
    best = fit_inverse_temperature(ensemble, labels)
    bounds = loss_bounds(ensemble, logits / size - ensemble, labels, best.inverse_temperature)
    of_layers = error_budget(pair, coefficient, inputs).bound[-1].item()
    return BoundedRise(
        measured=fit_inverse_temperature(logits, labels).loss - best.loss,
        useless_above=math.log(logits.shape[1]) - best.loss,
        from_conditions=2 * best.inverse_temperature * of_layers / size,
        from_error=bounds.lipschitz,
        to_second_order=bounds.second_order,
    )
