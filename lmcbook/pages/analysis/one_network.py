"""What one network tells of the merge with a sibling, beside what the pair does: errors and ranks within groups."""

import math
from collections.abc import Sequence

import numpy
from pandas import DataFrame, concat

from lmcbook.lab.records import Record, exponents_table, self_merges_table
from lmcbook.pages.analysis.common_mode import split_table
from lmcbook.pages.analysis.intervals import UNKNOWN, correlation_interval, mean_interval
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, groups, plain

GROUP = ["recipe", "batch_size", "weight_decay"]
"""Trainings that differ in width, depth and seeds alone."""

ORTHOGONALITY, EXPONENT, KAPPA = "reciprocal orthogonality", "decay exponent, copies", "decay exponent, κ"
FROM_BOTH, VARYING = "reciprocal orthogonality, told by both", "varying orthogonality"
TEMPERATURE, LOST, REPAIRED = "log₂ β", "points lost", "points lost, repaired"
QUANTITIES = (ORTHOGONALITY, FROM_BOTH, VARYING, KAPPA, EXPONENT, TEMPERATURE, LOST, REPAIRED)
"""What is predicted: the first four with formulas, the others by averaging with shuffled copies.

`FROM_BOTH` takes the weights of either network and the features of the other. `VARYING` is reciprocal orthogonality of
what differs between images, all that batch norm leaves, and is predicted of networks with batch norm alone.
"""

DIGITS = {ORTHOGONALITY: 3, FROM_BOTH: 3, VARYING: 3, KAPPA: 2, EXPONENT: 2, TEMPERATURE: 2, LOST: 1, REPAIRED: 1}
"""Digits behind the point with which a quantity is written."""

_FEWEST = 5
"""Pairs in a group of which ranks are correlated."""


def told_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair, quantity and (where it is of layers) layer: ``told`` by one network and ``found``.

    ``told`` is the mean of what either network tells alone, but for `FROM_BOTH`. ``quantity`` is one of `QUANTITIES`;
    points are per cent of the test images. Layers from the second on, shortcuts aside.
    """
    measured = Measurements.of(records)
    split = measured.table(split_table)
    parts = [
        _part(split, ORTHOGONALITY, "predicted_from", "reciprocal_orthogonality"),
        _part(split, FROM_BOTH, "predicted", "reciprocal_orthogonality"),
        # perceptrons alone have a number of layers, and no batch norm
        _part(split[split["num_layers"].isna()], VARYING, "varying_from", "varying_orthogonality"),
    ]
    exponents = plain(as_they_are(measured.table(exponents_table)))
    exponents = exponents[exponents["depth"] > 1]
    parts += [_part(exponents, KAPPA, "told_by_kappa", "found"), _part(exponents, EXPONENT, "told_by_copies", "found")]
    merges = plain(as_they_are(measured.table(self_merges_table))).assign(layer="", depth=0)
    both = merges.groupby([*PAIR, "batch_size", "num_layers", "layer", "depth", "repair"], dropna=False, sort=False)
    names = [f"{told}_{name}" for told in ("told", "found") for name in ("accuracy", "inverse_temperature")]
    pairs = both[names].mean().reset_index()
    plainly, repaired = (pairs[pairs["repair"] == kind] for kind in ("none", "lewc_mean"))
    logarithms = plainly.assign(
        told=numpy.log2(plainly["told_inverse_temperature"].astype(float)),
        found=numpy.log2(plainly["found_inverse_temperature"].astype(float)),
    )
    parts.append(_part(logarithms, TEMPERATURE, "told", "found"))
    for quantity, chosen in ((LOST, plainly), (REPAIRED, repaired)):
        points = chosen.assign(told=100 * chosen["told_accuracy"], found=100 * chosen["found_accuracy"])
        parts.append(_part(points, quantity, "told", "found"))
    return concat(parts, ignore_index=True).astype({"depth": int})


def orthogonality_told_table(records: Sequence[Record]) -> DataFrame:
    """Reciprocal orthogonality, ``told`` and ``found``: a row for each training and layer, means over ``pairs``."""
    table = Measurements.of(records).table(told_table)
    table = table[table["quantity"] == ORTHOGONALITY]
    by = [*GROUP, "width_multiplier", "num_layers", "layer", "depth", "quantity"]
    of_training = table.groupby(by, dropna=False, sort=False)[["told", "found"]]
    return of_training.mean().assign(pairs=of_training.size()).reset_index()


def lost_told_table(records: Sequence[Record]) -> DataFrame:
    """The rows of `told_table` about points of accuracy lost, plain and repaired."""
    table = Measurements.of(records).table(told_table)
    return table[table["quantity"].isin([LOST, REPAIRED])].reset_index(drop=True)


def agreement_table(records: Sequence[Record]) -> DataFrame:
    """One row for each group of trainings and quantity: how far what one network tells is from what is found.

    ``error`` is the mean absolute difference over pairs and layers. ``bias`` is the mean over pairs of told − found,
    each pair's mean over its layers, ``low`` and ``high`` its 95 % interval. ``rank`` is Spearman's correlation over
    the pairs of the group, ``rank_low`` and ``rank_high`` its interval; empty where there are fewer than five pairs.
    """
    rows = []
    for (*group, quantity), chosen in groups(Measurements.of(records).table(told_table), *GROUP, "quantity"):
        keys = [name for name in PAIR if name not in GROUP] + ["num_layers"]
        pairs = chosen.groupby(keys, dropna=False)[["told", "found"]].mean()
        bias = mean_interval((pairs["told"] - pairs["found"]).tolist())
        rank, around = math.nan, UNKNOWN
        if len(pairs) >= _FEWEST:
            # the correlation of ranks: pandas' own way to it would want scipy
            rank = float(pairs["told"].rank().corr(pairs["found"].rank()))
            around = correlation_interval([rank], [len(pairs)])[1]
        difference = chosen["told"] - chosen["found"]
        rows.append(
            dict(zip(GROUP, group, strict=True))
            | {"quantity": quantity, "pairs": len(pairs), "error": difference.abs().mean()}
            | {"bias": (pairs["told"] - pairs["found"]).mean(), "low": bias.low, "high": bias.high}
            | {"rank": rank, "rank_low": around.low, "rank_high": around.high}
        )
    columns = ["quantity", "pairs", "error", "bias", "low", "high", "rank", "rank_low", "rank_high"]
    return DataFrame(rows, columns=[*GROUP, *columns])


def _part(table: DataFrame, quantity: str, told: str, found: str) -> DataFrame:
    columns = [*PAIR, "batch_size", "num_layers", "layer", "depth"]
    part = table[[*columns, told, found]].rename(columns={told: "told", found: "found"}).assign(quantity=quantity)
    return part.astype({"told": float, "found": float}).dropna(subset=["told", "found"])
