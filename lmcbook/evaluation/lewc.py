"""What LEWC predicts of a merged network's logits: the exponent, the ensemble, the inverse temperature; no fit."""

import math
from collections.abc import Sequence

from torch import nn

from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.scale import sum_of_powers
from lmcbook.models.layered import Layer
from lmcbook.states import batch_norm_modules


@checked
def lewc_exponent(model: nn.Module, num_layers: int | None = None) -> int | None:
    r"""e, where LEWC predicts the merged logits $\lambda^e f^a + (1-\lambda)^e f^b$; None where nothing is predicted.

    Without batch norm it is L, the number of linear layers, by Definition 4.1 of the paper. In a network with batch
    norm it is 2 whatever the depth, by our theorem (`lmcbook.theory.batch_norm`): of all factors λ only those of the
    last batch norm and of the classifier are left. The theorem is about networks in which all layers but the last have
    batch norm. Nothing is predicted where layer norm divides each example by its own scale, or where a skip of a
    `LayeredModel` leads around layers and no batch norm is there.

    Args:
        model: the network.
        num_layers: L; by default ``model.num_layers``, if it has an attribute of that name.

    Raises:
        InputError: L is not a positive whole number.
    """
    if num_layers is None:
        num_layers = getattr(model, "num_layers", None)
    if num_layers is not None:
        check_number("num_layers", num_layers, minimum=1, integer=True)
    if batch_norm_modules(model):
        return 2
    return None if any(_is_beyond(module) for module in model.modules()) else num_layers


def _is_beyond(module: nn.Module) -> bool:
    return isinstance(module, nn.LayerNorm) or (isinstance(module, Layer) and module.closes_skip)


@checked
def lewc_ensemble_weight(coefficient: float | int, exponent: int) -> float:
    r"""$\mu = \lambda^L/(\lambda^L+(1-\lambda)^L)$, model a's weight in the ensemble that LEWC merges to.

    By Definition 4.1 of the paper the merged logits are
    $\lambda^L f^a + (1-\lambda)^L f^b = (\lambda^L + (1-\lambda)^L)\,(\mu f^a + (1-\mu) f^b)$. ``exponent`` is that
    of `lewc_exponent`.

    Raises:
        InputError: λ lies outside [0, 1], or ``exponent`` is not a whole number of at least 1.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    check_number("exponent", exponent, minimum=1, integer=True)
    if coefficient in (0, 1):
        return float(coefficient)
    # through the odds, whose power cannot become 0/0 in a deep network; the larger side is what to divide by
    odds = exponent * math.log(coefficient / (1 - coefficient))
    return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(odds) / (1 + math.exp(odds))


@checked
def lewc_scale(coefficients: Sequence[float], exponent: int) -> float:
    r"""$\sum_i \lambda_i^L$: how much smaller the merged logits are than those of the ensemble that they belong to.

    For two networks $\lambda^L + (1-\lambda)^L$; at λ = ½ that is $2^{1-L}$.

    Raises:
        InputError: a coefficient lies outside [0, 1], or ``exponent`` is not a positive whole number.
    """
    check_number("exponent", exponent, minimum=1, integer=True)
    for coefficient in coefficients:
        check_number("coefficients", coefficient, minimum=0, maximum=1)
    return float(sum_of_powers(coefficients, exponent))


@checked
def predicted_inverse_temperature(ensemble_inverse_temperature: float, coefficient: float, exponent: int) -> float:
    r"""$\beta(\lambda) = \beta^\star(\mu) / (\lambda^L + (1-\lambda)^L)$: what LEWC predicts, with no free parameter.

    β⋆(μ) is fitted on the ensemble $\mu f^a + (1-\mu) f^b$ with the weight μ of `lewc_ensemble_weight`. Exact where
    Definition 4.1 holds at the last layer. ``exponent`` is that of `lewc_exponent`: L, or 2 under batch norm, as far as
    the conditions of our theorem on it hold.

    Raises:
        InputError: β⋆ is not positive, λ lies outside [0, 1], or ``exponent`` is not a positive whole number, or so
            large that β is above what a float holds.
    """
    check_number("ensemble_inverse_temperature", ensemble_inverse_temperature, above=0)
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    scale = lewc_scale((coefficient, 1 - coefficient), exponent)
    if scale == 0 or math.isinf(ensemble_inverse_temperature / scale):
        raise InputError(
            f"exponent is {exponent}; with λ = {coefficient:g} the prediction is above any float: give less"
        )
    return ensemble_inverse_temperature / scale
