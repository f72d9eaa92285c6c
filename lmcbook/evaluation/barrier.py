"""Barriers: how far the merged network falls short of the straight line between the two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked
from lmcbook.evaluation.lewc import predicted_inverse_temperature

if TYPE_CHECKING:
    from lmcbook.evaluation.curve import Fitted, InterpolationCurve


@checked
def loss_barrier(
    coefficients: Sequence[float | int], losses: Sequence[float], *, endpoints: tuple[float, float] | None = None
) -> float:
    r"""How far the loss rises above the straight line between the endpoints, Definition 2.1 (Entezari et al. 2022).

    $\max_\lambda \mathcal L(\lambda\theta^a + (1-\lambda)\theta^b) - [\lambda\mathcal L(\theta^a) +
    (1-\lambda)\mathcal L(\theta^b)]$, in the unit of the losses. Both ends of the line count, so that it is at least 0
    (unless other ``endpoints`` are given).

    Args:
        coefficients: λ, in any order, 0 and 1 among them.
        losses: the merged network's, in the same order.
        endpoints: losses of a and of b to measure against; by default those at λ = 1 and λ = 0.

    Raises:
        InputError: 0 or 1 is not among the coefficients, or there is not one loss for every coefficient.
    """
    return max(_excess(coefficients, losses, endpoints))


@checked
def midpoint_loss_barrier(
    coefficients: Sequence[float | int], losses: Sequence[float], *, endpoints: tuple[float, float] | None = None
) -> float:
    r"""$\mathcal L(\frac{\theta^a+\theta^b}2) - \frac12[\mathcal L(\theta^a) + \mathcal L(\theta^b)]$, Table 1's.

    It is not a maximum, and so it is below 0 where the merged network is better than its parents are in the mean.

    Raises:
        InputError: as `loss_barrier`, or ½ is not among the coefficients.
    """
    excess = _excess(coefficients, losses, endpoints)
    return excess[_index_of(coefficients, 0.5)]


@checked
def accuracy_barrier(
    coefficients: Sequence[float | int], accuracies: Sequence[float], *, endpoints: tuple[float, float] | None = None
) -> float:
    """`loss_barrier` of the accuracy with the opposite sign: the most accuracy that is lost, a fraction.

    Raises:
        InputError: as `loss_barrier`.
    """
    _check_lengths("accuracies", coefficients, accuracies)
    return loss_barrier(coefficients, [-each for each in accuracies], endpoints=_negative(endpoints))


@checked
def midpoint_accuracy_barrier(
    coefficients: Sequence[float | int], accuracies: Sequence[float], *, endpoints: tuple[float, float] | None = None
) -> float:
    """The endpoints' mean accuracy minus that of the merged network at λ = ½, a fraction; below 0 if the merge gains.

    Raises:
        InputError: as `midpoint_loss_barrier`.
    """
    _check_lengths("accuracies", coefficients, accuracies)
    return midpoint_loss_barrier(coefficients, [-each for each in accuracies], endpoints=_negative(endpoints))


@checked
def barriers(curve: "InterpolationCurve") -> dict[str, float]:
    r"""Every barrier of a curve by its name, and the inverse temperature at λ = ½.

    Losses in nats, accuracies as fractions. ``calibrated_loss_barrier`` compares calibrated with calibrated, which is
    fair; ``…_against_raw_endpoints`` calibrates the merged network alone. ``predicted_inverse_temperature_midpoint`` is
    what LEWC says of ``inverse_temperature_midpoint`` without a free parameter (`predicted_inverse_temperature`): at
    λ = ½ it is $2^{e-1}\beta^\star(\frac12)$, with β⋆ fitted on the ensemble and e of `lewc_exponent`: L, or 2
    in a network with batch norm. It is left out where e is not known.

    Raises:
        InputError: 0, ½ or 1 is not among the coefficients.
    """
    found = barriers_of(curve.coefficients, curve)
    midpoint = _index_of(curve.coefficients, 0.5)
    if curve.lewc_ensemble is not None and curve.lewc_exponent is not None:
        of_ensemble = curve.lewc_ensemble.inverse_temperature[midpoint]
        predicted = predicted_inverse_temperature(of_ensemble, 0.5, curve.lewc_exponent)
        found["predicted_inverse_temperature_midpoint"] = predicted
    return found


def barriers_of(grid: Sequence[float], curve: "Fitted") -> dict[str, float]:
    """`barriers` of any curve along ``grid``, without what LEWC predicts of it.

    Raises:
        InputError: 0, ½ or 1 is not on the grid.
    """
    midpoint = _index_of(grid, 0.5)
    raw = curve.loss[_index_of(grid, 1)], curve.loss[_index_of(grid, 0)]
    return {
        "loss_barrier": loss_barrier(grid, curve.loss),
        "midpoint_loss_barrier": midpoint_loss_barrier(grid, curve.loss),
        "accuracy_barrier": accuracy_barrier(grid, curve.accuracy),
        "midpoint_accuracy_barrier": midpoint_accuracy_barrier(grid, curve.accuracy),
        "calibrated_loss_barrier": loss_barrier(grid, curve.calibrated_loss),
        "midpoint_calibrated_loss_barrier": midpoint_loss_barrier(grid, curve.calibrated_loss),
        "calibrated_loss_barrier_against_raw_endpoints": loss_barrier(grid, curve.calibrated_loss, endpoints=raw),
        "midpoint_calibrated_loss_barrier_against_raw_endpoints": midpoint_loss_barrier(
            grid, curve.calibrated_loss, endpoints=raw
        ),
        "inverse_temperature_midpoint": curve.inverse_temperature[midpoint],
    }


def _check_lengths(name: str, coefficients: Sequence[float | int], values: Sequence[float]) -> None:
    if len(coefficients) != len(values):
        raise InputError(
            f"{name} holds {len(values)} values for {len(coefficients)} coefficients; there must be as many"
        )


def _excess(
    coefficients: Sequence[float | int], losses: Sequence[float], endpoints: tuple[float, float] | None
) -> list[float]:
    _check_lengths("losses", coefficients, losses)
    end_a, end_b = endpoints or (losses[_index_of(coefficients, 1)], losses[_index_of(coefficients, 0)])
    chord = [each * end_a + (1 - each) * end_b for each in coefficients]
    return [value - straight for value, straight in zip(losses, chord, strict=True)]


def _index_of(coefficients: Sequence[float | int], coefficient: float) -> int:
    if coefficient not in coefficients:
        raise InputError(
            f"coefficients does not hold {coefficient:g}; a barrier needs 0 and 1, and at the midpoint 0.5: "
            "coefficients_grid of an odd number has all three"
        )
    return list(coefficients).index(coefficient)


def _negative(endpoints: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if endpoints is None else (-endpoints[0], -endpoints[1])
