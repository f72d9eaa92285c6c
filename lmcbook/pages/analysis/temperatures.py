"""Inverse temperatures at λ = ½: fitted on the merged network, predicted without it, and what hangs on them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy
from numpy import ndarray
from pandas import DataFrame

from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import (
    PAIR,
    as_they_are,
    groups,
    paper_decay,
    predicted_inverse_temperature,
)

TOLERANCE = 0.02
"""Nats: this much of the loss is given away for a temperature that is not the best."""

_FITTED = ["fitted_inverse_temperature", "predicted_inverse_temperature"]


def temperature_width_table(records: Sequence[Record]) -> DataFrame:
    """One row for each unpermuted pair: β at λ = ½, fitted and predicted.

    The prediction is $2^{L-1}$ times the β of the averaged logits, and twice that β for networks with batch norm.
    """
    return _predictions(records)[[*PAIR, "num_layers", *_FITTED]].reset_index(drop=True)


def temperature_error_table(records: Sequence[Record]) -> DataFrame:
    r"""How far the prediction is off, of unpermuted pairs that have no batch norm.

    ``error`` is $|\log_2(\beta_{\text{fitted}} / \beta_{\text{predicted}})|$ at λ = ½; ``reciprocal_orthogonality`` the
    mean over the layers 2…L.
    """
    table = _predictions(records)
    table = table[~table["batch_norm"]]
    table = table.assign(error=abs(numpy.log2(table[_FITTED[0]] / table[_FITTED[1]])))
    names = ["num_layers", "reciprocal_orthogonality", "error"]
    return table[[*PAIR, *names]].dropna(subset=names[1:]).reset_index(drop=True)


class RankCorrelation(NamedTuple):
    """Spearman's correlation of ``error`` with ``reciprocal_orthogonality`` over the widths of one group of pairs."""

    weight_decay: float
    num_layers: float
    num_pairs: int
    value: float


def rank_correlations(table: DataFrame) -> list[RankCorrelation]:
    """The correlation within each weight decay and depth, of at least five pairs at several widths.

    Pairs of different weight decays or depths are not pooled: what differs between the groups would be taken for what
    differs within them.
    """
    found = []
    for (decay, layers), group in groups(table, "weight_decay", "num_layers"):
        if len(group) >= 5 and group["width_multiplier"].nunique() > 1:
            # the correlation of ranks: pandas' own way to it would want scipy.stats
            value = group["error"].rank().corr(group["reciprocal_orthogonality"].rank())
            found.append(RankCorrelation(decay, layers, len(group), float(value)))
    return found


def temperature_conditions_table(records: Sequence[Record]) -> DataFrame:
    """The fitted over the predicted β at λ = ½ (``ratio``) beside both conditions of Theorem 5.3, as means over layers.

    Of unpermuted pairs.
    """
    table = _predictions(records)
    table = table.assign(ratio=table[_FITTED[0]] / table[_FITTED[1]])
    names = ["reciprocal_orthogonality", "weak_additivity", "ratio"]
    return table[[*PAIR, "num_layers", *names]].dropna(subset=names).reset_index(drop=True)


def _predictions(records: Sequence[Record]) -> DataFrame:
    table = as_they_are(Measurements.of(records).table(pairs_table))
    predicted = predicted_inverse_temperature(table["ensemble_inverse_temperature"], table["lewc_exponent"])
    fitted = table["inverse_temperature_midpoint"].astype(float)
    return table.assign(fitted_inverse_temperature=fitted, predicted_inverse_temperature=predicted)


class Sensitivity(NamedTuple):
    """How the loss at λ = ½ depends on the inverse temperature."""

    losses: DataFrame
    """A row for each pair and inverse temperature that was tried. ``loss_barrier`` (nats) is the merged network's test
    loss there minus the mean calibrated loss of its two parents; ``fitted_…`` and ``predicted_inverse_temperature`` are
    the pair's."""
    intervals: DataFrame
    """A row for each pair: its least loss barrier over β, and the multiples of the fitted β between which it is kept.
    From ``low`` to ``high`` the barrier is within `TOLERANCE` of its least, from ``low_absolute`` to ``high_absolute``
    under `TOLERANCE` itself; empty where no β does that. Between the measured β a cubic spline in log β is taken."""


def sensitivity(records: Sequence[Record]) -> Sensitivity:
    """The losses at other inverse temperatures than the fitted, of the paper's weight decay, and their intervals."""
    measured = [record for record in records if record.measurement == "interpolation" and "temperatures" in record.data]
    table = _tried(measured)
    predicted = predicted_inverse_temperature(table["ensemble_inverse_temperature"], table["lewc_exponent"])
    table = paper_decay(table.assign(predicted_inverse_temperature=predicted))
    losses = table[[*PAIR, *_FITTED, "inverse_temperature", "loss_barrier"]]
    found = []
    for _, pair in losses.groupby(PAIR, sort=False):
        relative = (pair["inverse_temperature"] / pair["fitted_inverse_temperature"]).to_numpy()
        barrier = pair["loss_barrier"].to_numpy()
        least, inside = _interval(relative, barrier, None)
        _, under = _interval(relative, barrier, TOLERANCE)
        found.append([*pair.iloc[0][[*PAIR, *_FITTED]], least, *inside, *under])
    names = ["least_barrier", "low", "high", "low_absolute", "high_absolute"]
    return Sensitivity(losses, DataFrame(found, columns=[*PAIR, *_FITTED, *names]))


def _tried(records: Sequence[Record]) -> DataFrame:
    rows = []
    for record in records:
        curve = record.data["curve"]
        middle = curve["coefficients"].index(0.5)
        ends = (curve["calibrated_loss"][0] + curve["calibrated_loss"][-1]) / 2
        training = record.config.training
        of_pair = [record.recipe, training.width_multiplier, training.weight_decay, *record.config.seeds]
        of_pair += [curve["inverse_temperature"][middle], curve["ensemble_inverse_temperature"][middle]]
        of_pair += [record.lewc_exponent]
        for entry in record.data["temperatures"]["merged"]:
            rows.append([*of_pair, entry["inverse_temperature"], entry["loss"] - ends])
    fitted = ["fitted_inverse_temperature", "ensemble_inverse_temperature", "lewc_exponent"]
    return DataFrame(rows, columns=[*PAIR, *fitted, "inverse_temperature", "loss_barrier"])


def _interval(relative: ndarray, barrier: ndarray, bound: float | None) -> tuple[float, tuple[float, float]]:
    """The least barrier, and the multiples of β that keep it under ``bound``, by default the least and `TOLERANCE`."""
    from scipy.interpolate import CubicSpline  # slow to import, and most pages need none of it

    octaves = numpy.linspace(numpy.log2(relative[0]), numpy.log2(relative[-1]), 2401)
    values = CubicSpline(numpy.log2(relative), barrier)(octaves)
    best = int(values.argmin())
    inside = values <= (values[best] + TOLERANCE if bound is None else bound)
    if not inside[best]:
        return float(values[best]), (float("nan"), float("nan"))
    outside = numpy.flatnonzero(~inside)
    low = max(outside[outside < best], default=-1) + 1
    high = min(outside[outside > best], default=len(octaves)) - 1
    return float(values[best]), (float(2 ** octaves[low]), float(2 ** octaves[high]))
