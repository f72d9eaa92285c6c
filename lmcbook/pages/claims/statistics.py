"""The statistics that decide claims: from a table of one recipe's pairs of networks to one value for each pair.

Each takes rows of `lmcbook.lab.records.pairs_table` and returns a list; an empty one says that what is needed is not
measured. Barriers are those at λ = ½; "widest" is the largest width multiplier measured at that weight decay.
"""

import math
from collections.abc import Callable

from pandas import DataFrame

from lmcbook.lab.plan import recipe
from lmcbook.pages.claims.claim import Claim

MAIN_DECAY, USUAL_DECAY = 3e-3, 1e-4
"""The paper's weight decay and the field's usual one."""

ACCURACY, LOSS = "midpoint_accuracy_barrier", "midpoint_loss_barrier"
CALIBRATED = "midpoint_calibrated_loss_barrier"


def remaining_share(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_DECAY) -> list[float]:
    """The barrier, or another ``column``, at the widest, each pair's, as a share of the mean at the narrowest."""
    table = _rows(table, weight_decay=weight_decay).dropna(subset=[column])
    widths = table["width_multiplier"]
    narrow = table[widths == widths.min()][column].mean()
    if widths.nunique() < 2 or not narrow > 0:
        return []
    return [float(wide / narrow) for wide in table[widths == widths.max()][column]]


def barrier(
    table: DataFrame, *, column: str = ACCURACY, width_multiplier: float | None = None, weight_decay: float = MAIN_DECAY
) -> list[float]:
    """The barrier, or another ``column``, at a width, by default the widest, each pair's."""
    table = _rows(table, weight_decay=weight_decay).dropna(subset=[column])
    width = table["width_multiplier"].max() if width_multiplier is None else width_multiplier
    return [float(value) for value in table[table["width_multiplier"] == width][column]]


def decay_advantage(table: DataFrame, *, column: str = ACCURACY, weak: float = USUAL_DECAY) -> list[float]:
    """How much lower ``column`` is with the paper's weight decay than with a ``weak`` one, at the widest of both."""
    return _differences(_rows(table, weight_decay=weak), _rows(table, weight_decay=MAIN_DECAY), column)


def rise(table: DataFrame, *, column: str, weight_decay: float = MAIN_DECAY) -> list[float]:
    """``column`` at the widest, each pair's, minus its mean at the narrowest."""
    table = _rows(table, weight_decay=weight_decay).dropna(subset=[column])
    widths = table["width_multiplier"]
    narrow = table[widths == widths.min()][column].mean()
    return [float(value - narrow) for value in _widest(table)[column]] if widths.nunique() > 1 else []


def overlap_excess(table: DataFrame, *, weight_decay: float = MAIN_DECAY) -> list[float]:
    """Overlap of the two models' active units minus what independent units would have, at the widest."""
    table = _rows(table, weight_decay=weight_decay)
    excess = table.assign(excess=table["overlap"] - table["expected_overlap"]).dropna(subset=["excess"])
    return [float(value) for value in _widest(excess)["excess"]]


def matching_gain(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_DECAY) -> list[float]:
    """The barrier of the randomly permuted pair minus that of the pair matched by weights, at the widest."""
    permuted = _rows(table, weight_decay=weight_decay, alignment="random")
    return _differences(permuted, _rows(table, weight_decay=weight_decay, alignment="weight_matching"), column)


def matched_barrier(
    table: DataFrame, *, column: str = ACCURACY, width_multiplier: float | None = None, weight_decay: float = MAIN_DECAY
) -> list[float]:
    """The barrier after weight matching at a width, by default the widest, each pair's."""
    table = _rows(table, weight_decay=weight_decay, alignment="weight_matching").dropna(subset=[column])
    width = table["width_multiplier"].max() if width_multiplier is None else width_multiplier
    return [float(value) for value in table[table["width_multiplier"] == width][column]]


def temperature_rank_correlation(table: DataFrame, *, weight_decay: float | None = None) -> list[float]:
    r"""Spearman's correlation of $|\log_2(\beta / \beta_{\text{predicted}})|$ with the mean reciprocal orthogonality.

    Over all pairs merged as they are, of every width, depth and (unless one is given) weight decay: one value. At least
    five pairs, or there is none.
    """
    fitted, predicted = "inverse_temperature_midpoint", "predicted_inverse_temperature_midpoint"
    if predicted not in table:
        return []
    table = _plain(table[(table["alignment"] == "identity") & table["num_layers"].notna()])
    table = table if weight_decay is None else table[table["weight_decay"] == weight_decay]
    table = table.dropna(subset=[fitted, predicted, "reciprocal_orthogonality"])
    if len(table) < 5:
        return []
    ratios = (table[fitted].astype(float) / table[predicted].astype(float)).map(math.log2)
    # the correlation of ranks: pandas' own way to it would want scipy
    return [float(ratios.abs().rank().corr(table["reciprocal_orthogonality"].rank()))]


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


def depth_temperature_error(table: DataFrame, *, weight_decay: float = MAIN_DECAY) -> list[float]:
    r"""The largest $|\log_2(\beta / \beta_{\text{predicted}})|$ over depths, at the widest that has several of them."""
    table = _rows(table, weight_decay=weight_decay)
    if "predicted_inverse_temperature_midpoint" not in table:
        return []
    fitted, predicted = table["inverse_temperature_midpoint"], table["predicted_inverse_temperature_midpoint"]
    table = table.assign(error=(fitted.astype(float) / predicted.astype(float)).map(math.log2).abs())
    depths = table.groupby("width_multiplier")["num_layers"].transform("nunique")
    return [float(error) for error in _widest(table[depths > 1]).groupby(["seed_a", "seed_b"])["error"].max()]


def batch_norm_temperature_error(table: DataFrame, *, weight_decay: float = MAIN_DECAY) -> list[float]:
    r"""$\log_2$ of the fitted inverse temperature over twice the ensemble's, at the widest."""
    table = _widest(_rows(table, weight_decay=weight_decay))
    pairs = table[["inverse_temperature_midpoint", "ensemble_inverse_temperature"]].dropna().astype(float)
    return [math.log2(fitted / (2 * ensemble)) for fitted, ensemble in pairs.to_numpy()]


def penalty_effect(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_DECAY) -> list[float]:
    """``column`` with the strongest penalty against low rank minus that without, at the widest that has both."""
    table = table[(table["weight_decay"] == weight_decay) & (table["alignment"] == "identity")]
    strongest = table["spread_penalty"].max()
    if not strongest > 0:
        return []
    return _differences(table[table["spread_penalty"] == strongest], _rows(table, weight_decay=weight_decay), column)


def sharing_effect(
    table: DataFrame, *, shared: str, column: str = ACCURACY, weight_decay: float = MAIN_DECAY
) -> list[float]:
    """``column`` of pairs that share ``shared`` and no part of the training, minus that of independent ones."""
    return _differences(_sharing(table, shared, 0.0, weight_decay), _rows(table, weight_decay=weight_decay), column)


def spawned(
    table: DataFrame, *, fraction: float, column: str = ACCURACY, weight_decay: float = MAIN_DECAY
) -> list[float]:
    """``column`` of pairs that share the first ``fraction`` of their training, at the widest."""
    table = _sharing(table, "start", fraction, weight_decay).dropna(subset=[column])
    return [float(value) for value in _widest(table)[column]]


STATISTICS: dict[str, Callable[..., list[float]]] = {
    function.__name__: function
    for function in (
        remaining_share,
        barrier,
        decay_advantage,
        permutation_effect,
        calibration_share,
        ensemble_gap,
        temperature_error,
        rise,
        overlap_excess,
        matching_gain,
        matched_barrier,
        temperature_rank_correlation,
        depth_temperature_error,
        batch_norm_temperature_error,
        penalty_effect,
        sharing_effect,
        spawned,
    )
}
"""Name → statistic."""


def values_of(claim: Claim, table: DataFrame) -> list[float]:
    """The values that decide ``claim``, one for each pair; ``table`` may hold other recipes and depths too."""
    table = table[table["recipe"] == claim.recipe]
    if claim.layers != "all":
        layers = recipe(claim.recipe).training.num_layers if claim.layers == "own" else claim.layers
        table = table[table["num_layers"].isna() if layers is None else table["num_layers"] == layers]
    return STATISTICS[claim.statistic](table, **claim.arguments)


def _rows(table: DataFrame, *, weight_decay: float, alignment: str = "identity") -> DataFrame:
    return _plain(table[(table["weight_decay"] == weight_decay) & (table["alignment"] == alignment)])


def _plain(table: DataFrame) -> DataFrame:
    """The independent pairs that were trained without a penalty: those that every other claim is about."""
    return table[(table["spread_penalty"] == 0) & (table["shared"] == "nothing")]


def _sharing(table: DataFrame, shared: str, fraction: float, weight_decay: float) -> DataFrame:
    table = table[(table["weight_decay"] == weight_decay) & (table["alignment"] == "identity")]
    of_kind = (table["shared"] == shared) & (table["shared_fraction"] == fraction)
    return table[of_kind & (table["spread_penalty"] == 0)]


def _widest(table: DataFrame) -> DataFrame:
    return table[table["width_multiplier"] == table["width_multiplier"].max()]


def _differences(first: DataFrame, second: DataFrame, column: str) -> list[float]:
    # the same seeds at the same width, so that what differs is the one thing that is asked about
    keys = ["width_multiplier", "seed_a", "seed_b"]
    both = _widest(first[[*keys, column]].merge(second[[*keys, column]], on=keys, suffixes=("_first", "_second")))
    return [float(value) for value in (both[f"{column}_first"] - both[f"{column}_second"]).dropna()]
