"""What all tables share: the names of a pair, which pairs are plain, the paper's weight decay, the prediction."""

from collections.abc import Sequence
from typing import Any

from pandas import DataFrame, Series

from lmcbook.evaluation.scale import sum_of_powers
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY

__all__ = [
    "ACCURACY",
    "CALIBRATED",
    "LOSS",
    "PAIR",
    "SEEDS",
    "as_they_are",
    "decays",
    "ends",
    "groups",
    "paired",
    "paper_decay",
    "plain",
    "predicted_inverse_temperature",
    "widest",
    "with_most_batch_sizes",
]

SEEDS = ["seed_a", "seed_b"]
"""The columns that tell the pairs of one training apart."""

PAIR = ["recipe", "width_multiplier", "weight_decay", *SEEDS]
"""The columns that name a pair of networks."""

ACCURACY, LOSS = "midpoint_accuracy_barrier", "midpoint_loss_barrier"
CALIBRATED = "midpoint_calibrated_loss_barrier"
"""The columns of the barriers at λ = ½: of the accuracy, of the loss, and of the loss after calibration."""


def as_they_are(table: DataFrame) -> DataFrame:
    """The rows of pairs that are merged without a permutation."""
    return table[table["alignment"] == "identity"]


def plain(table: DataFrame, *, penalised: bool = False, sharing: bool = False) -> DataFrame:
    """The rows of independent pairs that were trained without a penalty, as `lmcbook.lab.plain.is_plain` has them.

    With ``penalised`` also those with a penalty, with ``sharing`` those that share a part of their training.
    """
    table = table if penalised else table[table["spread_penalty"] == 0]
    return table if sharing else table[table["shared"] == "nothing"]


def paper_decay(table: DataFrame) -> DataFrame:
    """The rows of the paper's weight decay, of each recipe; where it was not measured, of the largest that was."""
    if table.empty:
        return table
    found = table.groupby("recipe")["weight_decay"].transform(
        lambda decays: MAIN_WEIGHT_DECAY if MAIN_WEIGHT_DECAY in set(decays) else decays.max()
    )
    return table[table["weight_decay"] == found]


def widest(table: DataFrame) -> DataFrame:
    """The rows of the largest width multiplier."""
    return table[table["width_multiplier"] == table["width_multiplier"].max()]


def with_most_batch_sizes(table: DataFrame) -> DataFrame:
    """Of each recipe the rows of the width that was trained with the most batch sizes, the widest of several such."""
    sizes = table.groupby(["recipe", "width_multiplier"])["batch_size"].transform("nunique")
    most = table[sizes == sizes.groupby(table["recipe"]).transform("max")]
    return most[most["width_multiplier"] == most.groupby("recipe")["width_multiplier"].transform("max")]


def paired(first: DataFrame, second: DataFrame, *more: str) -> DataFrame:
    """Pairs of the same seeds and width in two settings, in the order of ``first``; each row is of both.

    Columns of ``second`` that ``first`` has too end in ``_second``. ``more`` are columns that must be equal as well.
    """
    return first.merge(second, on=["width_multiplier", *SEEDS, *more], suffixes=("", "_second"))


def ends(table: DataFrame) -> list[DataFrame]:
    """The rows of the smallest and of the largest width multiplier; once, where there is one only."""
    widths = table["width_multiplier"]
    return [table[widths == width] for width in sorted({widths.min(), widths.max()})]


def groups(table: DataFrame, *names: str) -> list[tuple[tuple[Any, ...], DataFrame]]:
    """The parts of ``table`` that share the values of ``names``, in the table's order."""
    return [(key if isinstance(key, tuple) else (key,), part) for key, part in table.groupby(list(names), sort=False)]


def decays(table: DataFrame) -> list[tuple[float, DataFrame]]:
    """The parts of ``table`` that share a weight decay, the strongest first."""
    found: Sequence[float] = sorted(table["weight_decay"].unique(), reverse=True)
    return [(decay, table[table["weight_decay"] == decay]) for decay in found]


def predicted_inverse_temperature(ensemble: Series, exponent: Series, coefficient: Series | float = 0.5) -> Series:
    r"""The inverse temperature of the merged network that LEWC predicts, with nothing fitted on it, row by row.

    $\beta(\lambda) = \beta^\star(\mu) / (\lambda^e + (1-\lambda)^e)$; at λ = ½ that is $2^{e-1}\beta^\star(½)$.

    Args:
        ensemble: $\beta^\star(\mu)$, fitted on the two networks' ensemble with the weights that LEWC gives them.
        exponent: $e$ of each row: the number of layers $L$, or 2 with batch norm (``lewc_exponent`` of a record);
            where it is missing, so is the prediction.
        coefficient: λ, the share of model a.
    """
    return ensemble.astype(float) / sum_of_powers((coefficient, 1 - coefficient), exponent.astype(float))
