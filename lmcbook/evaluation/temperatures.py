"""What a network's loss and reliability would be at other inverse temperatures than the fitted one."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from lmcbook.calibration import reliability
from lmcbook.errors import check_number
from lmcbook.evaluation.metrics import loss

FACTORS: tuple[float, ...] = tuple(2.0 ** (half / 2) for half in range(-6, 7))
"""Multiples of the fitted inverse temperature that are looked at: an eighth to eight times, √2 apart."""


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
    entries = []
    for factor in FACTORS:
        scale = inverse_temperature * factor
        diagram = reliability(logits, labels, inverse_temperature=scale)
        entries.append(
            {
                "inverse_temperature": _rounded(scale),
                "loss": _rounded(loss(logits, labels, inverse_temperature=scale)),
                "expected_calibration_error": _rounded(diagram.expected_calibration_error),
                "counts": [int(count) for count in diagram.counts],
                "confidence": [_rounded(value) for value in diagram.confidence],
                "accuracy": [_rounded(value) for value in diagram.accuracy],
            }
        )
    return entries


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
