"""How good repairs of the merged network are along the line, beside the merge itself and the ensemble."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.barrier import barriers_of
from lmcbook.evaluation.curve import Fitted, fitted_along
from lmcbook.evaluation.ensembles import ensemble_logits
from lmcbook.evaluation.line import Line, Logits
from lmcbook.evaluation.prediction import predict_logits
from lmcbook.evaluation.sweeping_temperatures import rounded
from lmcbook.merging import REPAIRS, Repairer, add_biases, merge


@checked
def repair_study(line: Line, *, coefficients: Sequence[float | int], images: Tensor) -> dict[str, Any]:
    """Losses, accuracies and inverse temperatures of the merged network after each of `lmcbook.merging.REPAIRS`.

    The same weights and examples serve all repairs; inverse temperatures are fitted on the line's calibration examples,
    everything else is measured on its test examples.

    Args:
        line: between the two networks.
        coefficients: λ, in any order, 0, ½ and 1 among them.
        images: un-augmented training images, without labels, that the repairs measure means on.

    Returns:
        ``coefficients``; ``layers``, the repaired layers by name with their depth ℓ; ``curves`` with a `Fitted` for
        each repair and for ``ensemble`` (the two networks' logits averaged with weight λ); ``barriers`` of each of
        them, by name. Losses in nats, accuracies as fractions.

    Raises:
        InputError: 0, ½ or 1 is not among the coefficients or one comes twice; and as `Repairer` and
            `predict_logits_along`.
    """
    grid = [float(coefficient) for coefficient in coefficients]
    if len(set(grid)) < len(grid) or not {0.0, 0.5, 1.0} <= set(grid):
        raise InputError(f"coefficients is {tuple(grid)}; it must hold 0, 0.5 and 1, and no number twice")
    repairer = Repairer(line.model, (line.state_a, line.state_b), images)
    plain = dict(line.walk(grid))
    biased = add_biases(line.model)
    points: dict[str, list[Logits]] = {kind: [] for kind in REPAIRS}
    for coefficient in grid:
        merged = None
        for kind in REPAIRS:
            if kind == "none" or coefficient in (0, 1) or not repairer.layers:
                points[kind].append(plain[coefficient])
                continue
            merged = merged or merge(line.model, line.state_a, line.state_b, coefficient, line.batch_norm_images)
            state = repairer.repair(merged, (coefficient, 1 - coefficient), kind)
            points[kind].append(_logits(line, biased, state))
    curves = {kind: fitted_along(found, line.labels) for kind, found in points.items()}
    ends = list(zip(plain[1.0], plain[0.0], strict=True))
    ensembles = ([ensemble_logits(a, b, coefficient) for a, b in ends] for coefficient in grid)
    curves["ensemble"] = fitted_along(ensembles, line.labels)
    return {
        "coefficients": grid,
        "layers": repairer.layers,
        "curves": {name: _told(curve) for name, curve in curves.items()},
        "barriers": {
            name: {barrier: rounded(value) for barrier, value in barriers_of(grid, curve).items()}
            for name, curve in curves.items()
        },
    }


def _logits(line: Line, model: nn.Module, state: dict[str, Tensor]) -> Logits:
    examples = line.calibration.images, line.test.images
    return Logits(*(predict_logits(model, state, images, batch_size=line.batch_size) for images in examples))


def _told(curve: Fitted) -> dict[str, Any]:
    return {
        name: [value if isinstance(value, str) else rounded(value) for value in values]
        for name, values in asdict(curve).items()
    }
