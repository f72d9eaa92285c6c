"""What calibration needs and what it gives: reliability, one inverse temperature for all λ, few examples."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.ensembles import ensemble_logits
from lmcbook.evaluation.lewc import lewc_ensemble_weight, lewc_exponent, predicted_inverse_temperature
from lmcbook.evaluation.line import Line, Logits
from lmcbook.evaluation.metrics import loss
from lmcbook.evaluation.sweeping_temperatures import at_temperature, rounded

DRAWS = 20
"""The number of random samples of calibration examples of each size."""
_SIZES = (10, 20, 50)


@checked
def calibration_study(
    line: Line, *, coefficients: Sequence[float | int], generator: Generator, num_layers: int | None = None
) -> dict[str, Any]:
    r"""Reliability diagrams, losses at one inverse temperature for all λ, and what few calibration examples cost.

    Temperatures are fitted on the line's calibration examples, everything else is measured on its test examples; losses
    in nats. The result has

    - ``"reliability"``: for a, b, ``merged`` and ``ensemble`` (both at λ = ½), ``"raw"`` and ``"calibrated"``, what
      `lmcbook.evaluation.sweeping_temperatures.at_temperature` says of it;
    - ``"along"``: for each way to choose β its values over λ and the test losses over λ: ``raw`` (β = 1), ``fitted``
      (for each λ), ``single`` (for all λ together), ``midpoint`` (at λ = ½, used everywhere) and ``predicted``, which
      never sees the merged network (`predicted_inverse_temperature`, with the exponent of `lewc_exponent`, which is
      ``"exponent"`` in the result; left out where it is not known);
    - ``"few"``: for 10, 20, 50, 100, … up to all calibration examples, the inverse temperatures that random samples of
      that size give to the merged network at λ = ½, the test losses with them, and of how many samples every example
      was right, so that the targets were smoothed (`fit_inverse_temperature`).

    Args:
        coefficients: λ, among them 0, ½ and 1.
        generator: draws the samples.
        num_layers: L, the number of linear layers; by default ``model.num_layers``.

    Raises:
        InputError: 0, ½ or 1 is not among the coefficients, or as `predict_logits_along`.
    """
    grid = [float(coefficient) for coefficient in coefficients]
    if not {0.0, 0.5, 1.0} <= set(grid):
        raise InputError(f"coefficients is {tuple(grid)}; it must hold 0, 0.5 and 1")
    exponent = lewc_exponent(line.model, num_layers)
    logits = dict(line.walk(grid))
    labels = line.labels
    ensemble = [ensemble_logits(a, b, 0.5) for a, b in zip(logits[1.0], logits[0.0], strict=True)]
    networks = {"a": logits[1.0], "b": logits[0.0], "merged": logits[0.5], "ensemble": ensemble}
    return {
        "coefficients": grid,
        "exponent": exponent,
        "reliability": {name: _reliability(parts, labels) for name, parts in networks.items()},
        "along": _along(logits, labels, exponent),
        "few": _few(logits[0.5], labels, generator),
    }


def _reliability(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Any]:
    fit = fit_inverse_temperature(logits[0], labels[0])
    chosen = {"raw": 1.0, "calibrated": fit.inverse_temperature}
    return {name: at_temperature(logits[1], labels[1], scale) for name, scale in chosen.items()}


def _along(
    logits: dict[float, Logits], labels: Sequence[Tensor], exponent: int | None
) -> dict[str, dict[str, list[float]]]:
    def fitted(parts: Sequence[Tensor]) -> float:
        return fit_inverse_temperature(parts[0], labels[0]).inverse_temperature

    for_each = {coefficient: fitted(parts) for coefficient, parts in logits.items()}
    calibration = torch.cat([parts[0] for parts in logits.values()])
    together = fit_inverse_temperature(calibration, labels[0].repeat(len(logits))).inverse_temperature
    chosen = {
        "raw": dict.fromkeys(logits, 1.0),
        "fitted": for_each,
        "single": dict.fromkeys(logits, together),
        "midpoint": dict.fromkeys(logits, for_each[0.5]),
    }
    if exponent is not None:
        chosen["predicted"] = {
            coefficient: predicted_inverse_temperature(
                fitted([ensemble_logits(logits[1.0][0], logits[0.0][0], lewc_ensemble_weight(coefficient, exponent))]),
                coefficient,
                exponent,
            )
            for coefficient in logits
        }
    return {
        name: {
            "inverse_temperature": [rounded(scale) for scale in scales.values()],
            "loss": [
                rounded(loss(parts[1], labels[1], inverse_temperature=scales[coefficient]))
                for coefficient, parts in logits.items()
            ],
        }
        for name, scales in chosen.items()
    }


def _few(logits: Sequence[Tensor], labels: Sequence[Tensor], generator: Generator) -> list[dict[str, Any]]:
    everything = len(labels[0])
    entries = []
    for size in [*_sizes(everything), everything]:
        fits = []
        for _ in range(DRAWS if size < everything else 1):
            sample = torch.randperm(everything, generator=generator)[:size].to(labels[0].device)
            fits.append(fit_inverse_temperature(logits[0][sample], labels[0][sample]))
        scales = [fit.inverse_temperature for fit in fits]
        losses = [loss(logits[1], labels[1], inverse_temperature=scale) for scale in scales]
        entries.append(
            {
                "examples": size,
                "inverse_temperature": [rounded(scale) for scale in scales],
                "loss": [rounded(each) for each in losses],
                "smoothed": sum(fit.flag == "smoothed_targets" for fit in fits),
            }
        )
    return entries


def _sizes(everything: int) -> list[int]:
    """10, 20, 50, 100, …, as long as that is fewer than all."""
    return [
        size * 10**decade for decade in range(len(str(everything))) for size in _SIZES if size * 10**decade < everything
    ]
