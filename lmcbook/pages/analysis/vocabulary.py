"""What all tables share: the names of a pair, which pairs are plain, the paper's weight decay, the prediction."""

from collections.abc import Sequence
from typing import Any

from pandas import DataFrame, Series

from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY as PAPER_DECAY
from lmcbook.lab.recipes import USUAL_WEIGHT_DECAY as USUAL_DECAY
from lmcbook.lab.recipes import recipe
from lmcbook.lab.records import Record

__all__ = [
    "ACCURACY",
    "CALIBRATED",
    "LOSS",
    "PAIR",
    "PAPER_DECAY",
    "USUAL_DECAY",
    "as_they_are",
    "decays",
    "ends",
    "groups",
    "has_batch_norm",
    "is_the_recipes_own",
    "paper_decay",
    "plain",
    "predicted_inverse_temperature",
    "widest",
]

PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]
"""The columns that name a pair of networks."""

ACCURACY, LOSS = "midpoint_accuracy_barrier", "midpoint_loss_barrier"
CALIBRATED = "midpoint_calibrated_loss_barrier"
"""The columns of the barriers at λ = ½: of the accuracy, of the loss, and of the loss after calibration."""


def as_they_are(table: DataFrame) -> DataFrame:
    """The rows of pairs that are merged without a permutation."""
    return table[table["alignment"] == "identity"]


def plain(table: DataFrame) -> DataFrame:
    """The rows of independent pairs that were trained without a penalty: those that most claims are about."""
    return table[(table["spread_penalty"] == 0) & (table["shared"] == "nothing")]


def has_batch_norm(table: DataFrame) -> "Series[bool]":
    """Whether each row is of networks with batch norm: LEWC's exponent is 2 there, however many layers they have."""
    return (table["lewc_exponent"] == 2) & (table["num_layers"] != 2)


def paper_decay(table: DataFrame) -> DataFrame:
    """The rows of the paper's weight decay, of each recipe; where it was not measured, of the largest that was."""
    if table.empty:
        return table
    found = table.groupby("recipe")["weight_decay"].transform(
        lambda decays: PAPER_DECAY if PAPER_DECAY in set(decays) else decays.max()
    )
    return table[table["weight_decay"] == found]


def is_the_recipes_own(record: Record) -> bool:
    """Whether its networks are trained as the recipe says, but for width, depth, weight decay, penalty and batches."""
    ours = record.config.training
    usual = recipe(record.recipe).training
    names = (
        *("architecture", "bias", "activation", "decay_normalisation", "momentum", "learning_rate"),
        *("centred_rows", "normalisation", "skip", "optimiser", "loss_weight_variance", "train_fraction"),
    )
    return all(getattr(ours, name) == getattr(usual, name) for name in names)


def widest(table: DataFrame) -> DataFrame:
    """The rows of the largest width multiplier."""
    return table[table["width_multiplier"] == table["width_multiplier"].max()]


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
    power = exponent.astype(float)
    return ensemble.astype(float) / (coefficient**power + (1 - coefficient) ** power)
