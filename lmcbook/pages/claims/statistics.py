"""The statistics that decide claims: from a table of one recipe's pairs of networks to one value for each pair.

Each takes rows of `lmcbook.lab.records.pairs_table` and returns what it has seen: the values, their interval, and the
rows that they rest on; no values say that what is needed is not measured. The interval is Student's, over the pairs,
where values are of single pairs. Where the widest are compared with the mean of the narrowest, or calibrated losses
with the mean of raw ones, what is not known of that mean counts too. Barriers are those at λ = ½; "widest" is the
largest width multiplier measured at that weight decay. Pairs are merged as they are, independent and trained without a
penalty, where nothing else is said.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pandas import DataFrame, Series, concat

from lmcbook.lab.plan import recipe
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY
from lmcbook.pages.analysis.intervals import (
    Interval,
    correlation_interval,
    difference_interval,
    mean_interval,
    ratio_interval,
)
from lmcbook.pages.analysis.temperatures import rank_correlations
from lmcbook.pages.analysis.vocabulary import (
    ACCURACY,
    CALIBRATED,
    LOSS,
    SEEDS,
    as_they_are,
    paired,
    plain,
    predicted_inverse_temperature,
    widest,
)
from lmcbook.pages.claims.claim import Claim

_FITTED, _PREDICTED = "inverse_temperature_midpoint", "predicted_inverse_temperature_midpoint"
_TOLD = ["scale", "short", "width_multiplier"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a statistic says, and of what."""

    values: list[float]
    """One for each pair, or one of all pairs together."""
    interval: Interval
    """95 % interval of their mean."""
    rows: DataFrame
    """Scale, length and width of the rows that the values rest on."""


def remaining_share(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """The barrier, or another ``column``, at the widest, each pair's, as a share of the mean at the narrowest."""
    narrow, wide = _ends(_rows(table, weight_decay).dropna(subset=[column]))
    mean = narrow[column].mean()
    interval = ratio_interval(list(wide[column]), list(narrow[column]), paired=False)
    return _seen(wide[column] / mean if mean > 0 else (), narrow, wide, interval=interval)


def rise(table: DataFrame, *, column: str, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """``column`` at the widest, each pair's, minus its mean at the narrowest."""
    narrow, wide = _ends(_rows(table, weight_decay).dropna(subset=[column]))
    interval = difference_interval(list(wide[column]), list(narrow[column]))
    return _seen(wide[column] - narrow[column].mean(), narrow, wide, interval=interval)


def barrier(
    table: DataFrame,
    *,
    column: str = ACCURACY,
    width_multiplier: float | None = None,
    weight_decay: float = MAIN_WEIGHT_DECAY,
    alignment: str = "identity",
) -> Seen:
    """The barrier, or another ``column``, at a width, by default the widest, each pair's."""
    table = _rows(table, weight_decay, alignment).dropna(subset=[column])
    rows = widest(table) if width_multiplier is None else table[table["width_multiplier"] == width_multiplier]
    return _seen(rows[column], rows)


def matched_barrier(
    table: DataFrame,
    *,
    column: str = ACCURACY,
    width_multiplier: float | None = None,
    weight_decay: float = MAIN_WEIGHT_DECAY,
) -> Seen:
    """The barrier after weight matching at a width, by default the widest, each pair's."""
    return barrier(
        table,
        column=column,
        width_multiplier=width_multiplier,
        weight_decay=weight_decay,
        alignment="weight_matching",
    )


def decay_advantage(table: DataFrame, *, column: str = ACCURACY, weak: float = USUAL_WEIGHT_DECAY) -> Seen:
    """How much lower ``column`` is with the paper's weight decay than with a ``weak`` one, at the widest of both."""
    return _differences(_rows(table, weak), _rows(table, MAIN_WEIGHT_DECAY), column)


def overlap_excess(table: DataFrame, *, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """Overlap of the two models' active units minus what independent units would have, at the widest."""
    rows = widest(_rows(table, weight_decay).dropna(subset=["overlap", "expected_overlap"]))
    return _seen(rows["overlap"] - rows["expected_overlap"], rows)


def matching_gain(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """The barrier of the randomly permuted pair minus that of the pair matched by weights, at the widest."""
    permuted, matched = (_rows(table, weight_decay, alignment) for alignment in ("random", "weight_matching"))
    return _differences(permuted, matched, column)


def matching_cost(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """How much weight matching raises the barrier over that of the same pair as it is, at the widest."""
    return _differences(_rows(table, weight_decay, "weight_matching"), _rows(table, weight_decay), column)


def batch_cost(
    table: DataFrame, *, factor: float, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY
) -> Seen:
    """How much the recipe's batches raise ``column`` over ``factor`` times as large ones, at the widest of both."""
    own = _batches(table, 1.0)
    return _differences(_rows(own, weight_decay), _rows(_batches(table, factor), weight_decay), column)


def permutation_effect(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """How much a random permutation of model b raises the barrier, at the widest."""
    return _differences(_rows(table, weight_decay, "random"), _rows(table, weight_decay), column)


def calibration_share(table: DataFrame, *, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """The share of the loss barrier that fitting one inverse temperature removes, at the widest."""
    rows = widest(_rows(table, weight_decay))
    raw = rows[LOSS].mean()
    left = ratio_interval(list(rows[CALIBRATED]), list(rows[LOSS]), paired=True)
    interval = Interval(1 - left.high, 1 - left.low)
    return _seen(1 - rows[CALIBRATED] / raw if raw > 0 else (), rows, interval=interval)


def ensemble_gap(table: DataFrame, *, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """Accuracy of the ensemble of the two networks' logits minus that of the merged network, at the widest."""
    rows = widest(_rows(table, weight_decay)).dropna(subset=["ensemble_accuracy", "merged_accuracy"])
    return _seen(rows["ensemble_accuracy"] - rows["merged_accuracy"], rows)


def temperature_error(table: DataFrame, *, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    r"""$\log_2$ of the fitted over the predicted inverse temperature, at the widest; 0 is LEWC's $2^{L-1}$ exactly."""
    rows = _predicted(widest(_rows(table, weight_decay)))
    return _seen(_log2(rows[_FITTED], rows[_PREDICTED]), rows)


def depth_temperature_error(table: DataFrame, *, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    r"""The largest $|\log_2(\beta / \beta_{\text{predicted}})|$ over depths, of each pair measured at several.

    At the widest that such a pair has.
    """
    rows = _predicted(_rows(table, weight_decay))
    depths = rows.groupby(["width_multiplier", *SEEDS])["num_layers"].transform("nunique")
    rows = widest(rows[depths > 1])
    errors = rows.assign(error=_log2(rows[_FITTED], rows[_PREDICTED]).abs())
    return _seen(errors.groupby(SEEDS)["error"].max(), rows)


def temperature_rank_correlation(table: DataFrame, *, weight_decay: float | None = None) -> Seen:
    r"""Spearman's correlation of $|\log_2(\beta / \beta_{\text{predicted}})|$ with the mean reciprocal orthogonality.

    Over the widths of pairs of networks without batch norm, merged as they are, within each depth and weight decay (or
    the one that is given); then their mean, as one value. Groups of fewer than five pairs, or of one width, do not
    count.
    """
    rows = plain(as_they_are(table))
    rows = _predicted(rows[~rows["batch_norm"]]).dropna(subset=["reciprocal_orthogonality"])
    rows = rows if weight_decay is None else rows[rows["weight_decay"] == weight_decay]
    found = rank_correlations(rows.assign(error=_log2(rows[_FITTED], rows[_PREDICTED]).abs()))
    if not found:
        return _seen((), rows)
    mean, interval = correlation_interval([each.value for each in found], [each.num_pairs for each in found])
    counted = [(rows["weight_decay"] == each.weight_decay) & (rows["num_layers"] == each.num_layers) for each in found]
    return _seen([mean], *(rows[chosen] for chosen in counted), interval=interval)


def batch_norm_temperature_error(table: DataFrame, *, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    r"""$\log_2$ of the fitted inverse temperature over that predicted from the ensemble's, at the widest."""
    ensemble = "ensemble_inverse_temperature"
    rows = widest(_rows(table, weight_decay)).dropna(subset=[_FITTED, ensemble])
    return _seen(_log2(rows[_FITTED], predicted_inverse_temperature(rows[ensemble], rows["lewc_exponent"])), rows)


def penalty_effect(table: DataFrame, *, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """``column`` with the strongest penalty against low rank minus that without, at the widest that has both."""
    every = plain(as_they_are(table[table["weight_decay"] == weight_decay]), penalised=True)
    penalised = every[every["spread_penalty"] > 0]
    strongest = penalised[penalised["spread_penalty"] == penalised["spread_penalty"].max()]
    return _differences(strongest, _rows(table, weight_decay), column)


def sharing_effect(
    table: DataFrame, *, shared: str, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY
) -> Seen:
    """``column`` of pairs that share ``shared`` and no part of the training, minus that of independent ones."""
    return _differences(_sharing(table, shared, 0.0, weight_decay), _rows(table, weight_decay), column)


def spawned(
    table: DataFrame, *, fraction: float, column: str = ACCURACY, weight_decay: float = MAIN_WEIGHT_DECAY
) -> Seen:
    """``column`` of pairs that share the first ``fraction`` of their training, at the widest."""
    rows = widest(_sharing(table, "start", fraction, weight_decay).dropna(subset=[column]))
    return _seen(rows[column], rows)


def repair_share(table: DataFrame, *, kind: str = "lewc_mean", weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """The accuracy barrier after a repair of ``kind`` as a share of the mean without one, at the widest."""
    column = f"{kind}_accuracy_barrier"
    rows = widest(_rows(table, weight_decay).dropna(subset=[column]))
    plain_mean = rows["none_accuracy_barrier"].mean()
    interval = ratio_interval(list(rows[column]), list(rows["none_accuracy_barrier"]), paired=True)
    return _seen(rows[column] / plain_mean if plain_mean > 0 else (), rows, interval=interval)


def repair_change(table: DataFrame, *, kind: str = "lewc_mean", weight_decay: float = MAIN_WEIGHT_DECAY) -> Seen:
    """The accuracy barrier after a repair of ``kind`` minus that without one, at the widest."""
    column = f"{kind}_accuracy_barrier"
    rows = widest(_rows(table, weight_decay).dropna(subset=[column]))
    return _seen(rows[column] - rows["none_accuracy_barrier"], rows)


STATISTICS: dict[str, Callable[..., Seen]] = {
    function.__name__: function
    for function in (
        *(remaining_share, rise, barrier, matched_barrier, decay_advantage, overlap_excess, matching_gain),
        *(
            matching_cost,
            batch_cost,
            permutation_effect,
            calibration_share,
            ensemble_gap,
            temperature_error,
            depth_temperature_error,
        ),
        *(temperature_rank_correlation, batch_norm_temperature_error, penalty_effect, sharing_effect, spawned),
        *(repair_share, repair_change),
    )
}
"""Name → statistic."""


def seen_by(claim: Claim, table: DataFrame) -> Seen:
    """What decides ``claim``; ``table`` may hold other recipes and depths too."""
    table = table[table["recipe"] == claim.recipe]
    if claim.statistic != batch_cost.__name__:
        table = table[table["batch_size"] == (claim.batch_size or recipe(claim.recipe).training.batch_size)]
    if claim.layers != "all":
        layers = recipe(claim.recipe).training.num_layers if claim.layers == "own" else claim.layers
        table = table[table["num_layers"].isna() if layers is None else table["num_layers"] == layers]
    if table.empty:  # as for most claims on the records of one recipe, and it would be found in a dozen steps
        return _seen([], table)
    return STATISTICS[claim.statistic](table, **claim.arguments)


def _seen(values: Iterable[float], *rows: DataFrame, interval: Interval | None = None) -> Seen:
    found = [float(value) for value in values]
    return Seen(found, interval or mean_interval(found), concat([each[_TOLD] for each in rows]))


def _rows(table: DataFrame, weight_decay: float, alignment: str = "identity") -> DataFrame:
    return plain(table[(table["weight_decay"] == weight_decay) & (table["alignment"] == alignment)])


def _batches(table: DataFrame, factor: float) -> DataFrame:
    """The rows of trainings whose batches are ``factor`` times their recipe's."""
    own = table["recipe"].map(lambda name: recipe(name).training.batch_size)
    return table[table["batch_size"] == (factor * own).round()]


def _sharing(table: DataFrame, shared: str, fraction: float, weight_decay: float) -> DataFrame:
    table = plain(as_they_are(table[table["weight_decay"] == weight_decay]), sharing=True)
    return table[(table["shared"] == shared) & (table["shared_fraction"] == fraction)]


def _ends(table: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The rows of the narrowest and of the widest, none where there is one width only."""
    widths = table["width_multiplier"]
    if widths.nunique() < 2:
        return table.iloc[:0], table.iloc[:0]
    return table[widths == widths.min()], widest(table)


def _predicted(table: DataFrame) -> DataFrame:
    """The rows that have a prediction of the inverse temperature, and a fitted one."""
    return (
        table.dropna(subset=[_FITTED, _PREDICTED]) if _PREDICTED in table else table.iloc[:0].assign(**{_PREDICTED: 0})
    )


def _log2(numerator: Series, denominator: Series) -> Series:
    return (numerator.astype(float) / denominator.astype(float)).map(math.log2)


def _differences(first: DataFrame, second: DataFrame, column: str) -> Seen:
    # the same seeds at the same width, so that what differs is the one thing that is asked about
    one, other = (each[["width_multiplier", *SEEDS, column]].assign(row=each.index) for each in (first, second))
    both = paired(one, other)
    both = widest(both).dropna(subset=[column, f"{column}_second"])
    rows = first.loc[both["row"]], second.loc[both["row_second"]]
    return _seen(both[column] - both[f"{column}_second"], *rows)
