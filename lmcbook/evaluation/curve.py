"""The curve of a pair: losses, accuracies and calibration of the merged network along λ, beside its ensembles."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from lmcbook.calibration import expected_calibration_error, fit_inverse_temperature
from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.ensembles import ensemble_logits
from lmcbook.evaluation.lewc import lewc_ensemble_weight, lewc_exponent
from lmcbook.evaluation.line import Line
from lmcbook.evaluation.metrics import accuracy, loss
from lmcbook.states import StateDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """How good networks are whose inverse temperature is fitted, one for each λ.

    Losses are in nats, accuracies fractions, both on test examples; inverse temperatures are fitted on the calibration
    split.
    """

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    inverse_temperature: tuple[float, ...]
    """β, fitted for each λ."""
    calibration_flag: tuple[str, ...]
    """Empty, or why β is not a minimum; see `lmcbook.calibration.fit_inverse_temperature`."""
    calibrated_loss: tuple[float, ...]
    """The loss of softmax(βf)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolationCurve(Fitted):
    r"""How good the merged network λθᵃ + (1−λ)θᵇ is, for each λ; every tuple is in the order of ``coefficients``.

    Batch-norm statistics are recomputed at every λ, the ends included.
    """

    coefficients: tuple[float, ...]
    """λ, which multiplies model a."""
    expected_calibration_error: tuple[float, ...]
    calibrated_expected_calibration_error: tuple[float, ...]
    ensemble: Fitted
    """Of the endpoints' logits averaged with weight λ."""
    lewc_exponent: int | None
    """e of `lewc_exponent`: L, or 2 in a network with batch norm; None if L is not known."""
    lewc_ensemble: Fitted | None
    """Of their logits averaged with weight μ = λ^e/(λ^e+(1−λ)^e); None without e."""
    trained_statistics: dict[str, tuple[float, float]]
    """``loss`` and ``accuracy`` of model a and model b with the batch-norm statistics that they were trained with."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; the ensembles' names begin with ``ensemble_`` and ``lewc_ensemble_``."""
        content = asdict(self)
        for name in ("ensemble", "lewc_ensemble"):
            ensemble = content.pop(name) or {}
            content |= {f"{name}_{key}": value for key, value in ensemble.items()}
        content["trained_statistics"] = {name: list(pair) for name, pair in self.trained_statistics.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}


@checked
def interpolation_curve(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    *,
    coefficients: Sequence[float | int],
    calibration: Any,
    test: Any,
    batch_norm_images: Any = None,
    batch_size: int = 1000,
    num_layers: int | None = None,
) -> InterpolationCurve:
    """Measure the merged network at every λ of ``coefficients``, and the ensembles of its two parents.

    It is `curve_along` of the `Line` between the two.

    Args:
        coefficients: λ, in any order, 0 and 1 among them.
        calibration: examples that neither network was trained on: something with ``images`` and ``labels``, a tuple
            (images, labels), or an iterable of such tuples, such as a `torch.utils.data.DataLoader`.
        test: examples that nothing is fitted on, in the same forms.
        batch_norm_images: un-augmented training images, in these forms or alone; needed if the network has batch norm.
        num_layers: L, the number of linear layers, as `curve_along` takes it.

    Raises:
        InputError: 0 or 1 is not among the coefficients or one comes twice, or as `predict_logits_along`.
    """
    line = Line(
        model,
        state_a,
        state_b,
        calibration=calibration,
        test=test,
        batch_norm_images=batch_norm_images,
        batch_size=batch_size,
    )
    return curve_along(line, coefficients=coefficients, num_layers=num_layers)


@checked
def curve_along(
    line: Line, *, coefficients: Sequence[float | int], num_layers: int | None = None
) -> InterpolationCurve:
    """Measure the merged network at every λ of ``coefficients``, and the ensembles of its two parents.

    Inverse temperatures are fitted on the line's calibration examples, everything else is measured on its test
    examples.

    Args:
        coefficients: λ, in any order, 0 and 1 among them.
        num_layers: L, the number of linear layers; by default ``model.num_layers``. If it is not known and the network
            has no batch norm, LEWC predicts nothing and its ensemble is left out.

    Raises:
        InputError: 0 or 1 is not among the coefficients or one comes twice, or as `predict_logits_along`.
    """
    grid = tuple(float(coefficient) for coefficient in coefficients)
    if len(set(grid)) < len(grid) or not {0.0, 1.0} <= set(grid):
        raise InputError(
            f"coefficients is {grid}; it must hold 0 and 1, where the two networks are, and no number twice"
        )
    exponent = lewc_exponent(line.model, num_layers)
    labels = line.labels
    points = [_merged(logits, labels) for _, logits in line.walk(grid)]
    ends = list(zip(line.logits(1.0), line.logits(0.0), strict=True))

    def ensembles(weights: Sequence[float]) -> Fitted:
        return fitted_along(([ensemble_logits(a, b, weight) for a, b in ends] for weight in weights), labels)

    trained_loss, trained_accuracy = (
        [measure(logits.test, line.test.labels) for logits in line.trained] for measure in (loss, accuracy)
    )
    return InterpolationCurve(
        coefficients=grid,
        lewc_exponent=exponent,
        ensemble=ensembles(grid),
        lewc_ensemble=None if exponent is None else ensembles([lewc_ensemble_weight(each, exponent) for each in grid]),
        trained_statistics={
            "loss": (trained_loss[0], trained_loss[1]),
            "accuracy": (trained_accuracy[0], trained_accuracy[1]),
        },
        **_columns(points),
    )


def fitted_along(points: Iterable[Sequence[Tensor]], labels: Sequence[Tensor]) -> Fitted:
    """Of several networks' logits, each of calibration and test examples: an inverse temperature for each network."""
    return Fitted(**_columns([fitted_point(logits, labels) for logits in points]))


def _columns(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: tuple(point[name] for point in points) for name in points[0]}


def fitted_point(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Any]:
    """Fit the inverse temperature on the first set of examples (calibration), measure all else on the second (test)."""
    fit = fit_inverse_temperature(logits[0], labels[0])
    return {
        "loss": loss(logits[1], labels[1]),
        "accuracy": accuracy(logits[1], labels[1]),
        "inverse_temperature": fit.inverse_temperature,
        "calibration_flag": fit.flag,
        "calibrated_loss": loss(logits[1], labels[1], inverse_temperature=fit.inverse_temperature),
    }


def _merged(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Any]:
    point = fitted_point(logits, labels)
    beta = point["inverse_temperature"]
    return {
        **point,
        "expected_calibration_error": expected_calibration_error(logits[1], labels[1]),
        "calibrated_expected_calibration_error": expected_calibration_error(
            logits[1], labels[1], inverse_temperature=beta
        ),
    }
