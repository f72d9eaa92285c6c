"""The statistics that decide claims: from a barriers table of one recipe to one value for each pair of networks.

Each takes the rows of `lmcbook.records.barriers_table` and returns a list; an empty one says that what is needed is not
measured. Barriers are those at λ = ½; "widest" is the largest width multiplier measured at that weight decay.
"""

import math

from pandas import DataFrame

from lmcbook.claims.claim import Claim

MAIN_DECAY, USUAL_DECAY = 3e-3, 1e-4
"""The paper's weight decay and the field's usual one."""

ACCURACY, LOSS = "midpoint_accuracy_barrier", "midpoint_loss_barrier"
CALIBRATED = "midpoint_calibrated_loss_barrier"


def remaining_share(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_DECAY) -> list[float]:
    """The barrier at the widest, each pair's, as a share of the mean barrier at the narrowest."""
    table = _rows(table, weight_decay=weight_decay)
    widths = table["width_multiplier"]
    narrow = table[widths == widths.min()][column].mean()
    if widths.nunique() < 2 or not narrow > 0:
        return []
    return [float(wide / narrow) for wide in table[widths == widths.max()][column]]


def barrier(
    table: DataFrame, *, column: str = ACCURACY, width_multiplier: float | None = None, weight_decay: float = MAIN_DECAY
) -> list[float]:
    """The barrier at a width, by default the widest, each pair's."""
    table = _rows(table, weight_decay=weight_decay)
    width = table["width_multiplier"].max() if width_multiplier is None else width_multiplier
    return [float(value) for value in table[table["width_multiplier"] == width][column]]


def decay_advantage(table: DataFrame, *, column: str = ACCURACY) -> list[float]:
    """How much lower the barrier is with the paper's weight decay than with the usual one, at the widest of both."""
    strong, weak = _rows(table, weight_decay=MAIN_DECAY), _rows(table, weight_decay=USUAL_DECAY)
    return _differences(weak, strong, column)


def permutation_effect(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_DECAY) -> list[float]:
    """How much a random permutation of model b raises the barrier, at the widest."""
    permuted = _rows(table, weight_decay=weight_decay, alignment="random")
    return _differences(permuted, _rows(table, weight_decay=weight_decay), column)


def calibration_share(table: DataFrame, *, weight_decay: float = MAIN_DECAY) -> list[float]:
    """The share of the loss barrier that fitting one inverse temperature removes, at the widest."""
    table = _widest(_rows(table, weight_decay=weight_decay))
    raw = table[LOSS].mean()
    return [float(1 - calibrated / raw) for calibrated in table[CALIBRATED]] if raw > 0 else []


def ensemble_gap(table: DataFrame, *, weight_decay: float = MAIN_DECAY) -> list[float]:
    """Accuracy of the ensemble of the two networks' logits minus that of the merged network, at the widest."""
    table = _widest(_rows(table, weight_decay=weight_decay))
    return [float(value) for value in (table["ensemble_accuracy"] - table["merged_accuracy"]).dropna()]


def temperature_error(table: DataFrame, *, weight_decay: float = MAIN_DECAY) -> list[float]:
    r"""$\log_2$ of the fitted over the predicted inverse temperature, at the widest; 0 is LEWC's $2^{L-1}$ exactly."""
    table = _widest(_rows(table, weight_decay=weight_decay))
    if "predicted_inverse_temperature_midpoint" not in table:
        return []
    pairs = table[["inverse_temperature_midpoint", "predicted_inverse_temperature_midpoint"]].dropna()
    return [math.log2(fitted / predicted) for fitted, predicted in pairs.itertuples(index=False)]


STATISTICS = {
    function.__name__: function
    for function in (
        remaining_share,
        barrier,
        decay_advantage,
        permutation_effect,
        calibration_share,
        ensemble_gap,
        temperature_error,
    )
}
"""Name → statistic."""


def values_of(claim: Claim, table: DataFrame) -> list[float]:
    """The values that decide ``claim``, one for each pair; ``table`` may hold other recipes too."""
    return STATISTICS[claim.statistic](table[table["recipe"] == claim.recipe], **claim.arguments)


def _rows(table: DataFrame, *, weight_decay: float, alignment: str = "identity") -> DataFrame:
    return table[(table["weight_decay"] == weight_decay) & (table["alignment"] == alignment)]


def _widest(table: DataFrame) -> DataFrame:
    return table[table["width_multiplier"] == table["width_multiplier"].max()]


def _differences(first: DataFrame, second: DataFrame, column: str) -> list[float]:
    # the same seeds at the same width, so that what differs is the one thing that is asked about
    keys = ["width_multiplier", "seed_a", "seed_b"]
    both = _widest(first[[*keys, column]].merge(second[[*keys, column]], on=keys, suffixes=("_first", "_second")))
    return [float(value) for value in (both[f"{column}_first"] - both[f"{column}_second"]).dropna()]
