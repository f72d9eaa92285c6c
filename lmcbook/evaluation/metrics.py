"""Loss and accuracy of logits."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lmcbook.calibration import check_logits
from lmcbook.errors import check_number
from lmcbook.errors.arguments import checked


@checked
def loss(
    logits: Float[Tensor, "examples classes"],
    labels: Int[Tensor, " examples"],
    *,
    inverse_temperature: float | int = 1.0,
) -> float:
    r"""Mean cross-entropy of softmax(βf) in nats, $\frac1n\sum_i \log\sum_k e^{\beta f_{ik}} - \beta f_{i y_i}$.

    Computed in float64, so that the sum of many examples keeps its digits.

    Raises:
        InputError: the logits are not finite, a label is not one of their classes, or β is not above 0.
    """
    check_logits(logits, labels)
    check_number("inverse_temperature", inverse_temperature, above=0)
    scaled = logits.double() * inverse_temperature
    of_label = scaled.gather(1, labels[:, None].long())[:, 0]
    return float((torch.logsumexp(scaled, dim=1) - of_label).mean())


@checked
def accuracy(logits: Float[Tensor, "examples classes"], labels: Int[Tensor, " examples"]) -> float:
    """The fraction of examples whose largest logit is their label's; of equal logits the first class counts.

    Raises:
        InputError: the logits are not finite, or a label is not one of their classes.
    """
    check_logits(logits, labels)
    return int((logits.argmax(dim=1) == labels).sum()) / len(labels)
