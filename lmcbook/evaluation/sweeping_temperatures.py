"""What a network's loss and reliability would be at other inverse temperatures than the fitted."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from lmcbook.calibration import reliability
from lmcbook.errors import check_number
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.metrics import loss

FACTORS: tuple[float, ...] = tuple(2.0 ** (half / 2) for half in range(-6, 7))
"""Multiples of the fitted inverse temperature that are looked at: an eighth to eight times, √2 apart."""


@checked
def temperature_sweep(
    logits: Float[Tensor, "examples classes"], labels: Int[Tensor, " examples"], inverse_temperature: float
) -> list[dict[str, Any]]:
    """Loss (nats), expected calibration error and reliability diagram at multiples of an inverse temperature.

    Each entry is ``{"inverse_temperature", "loss", "expected_calibration_error", "counts", "confidence", "accuracy"}``;
    the last three are over bins of confidence of equal width, None where a bin is empty. Numbers are rounded to six
    digits: they are for figures.

    Raises:
        InputError: the logits are not finite or the inverse temperature is not above 0.
    """
    check_number("inverse_temperature", inverse_temperature, above=0)
    return [at_temperature(logits, labels, inverse_temperature * factor) for factor in FACTORS]


def at_temperature(
    logits: Float[Tensor, "examples classes"], labels: Int[Tensor, " examples"], inverse_temperature: float
) -> dict[str, Any]:
    """One entry of `temperature_sweep`: how good the logits are at this inverse temperature.

    Raises:
        InputError: the logits are not finite or the inverse temperature is not above 0.
    """
    diagram = reliability(logits, labels, inverse_temperature=inverse_temperature)
    return {
        "inverse_temperature": rounded(inverse_temperature),
        "loss": rounded(loss(logits, labels, inverse_temperature=inverse_temperature)),
        "expected_calibration_error": rounded(diagram.expected_calibration_error),
        "counts": [int(count) for count in diagram.counts],
        "confidence": [None if value is None else rounded(value) for value in diagram.confidence],
        "accuracy": [None if value is None else rounded(value) for value in diagram.accuracy],
    }


def rounded(value: float) -> float:
    """Six digits, which is more than any figure shows."""
    return float(f"{value:.6g}")
