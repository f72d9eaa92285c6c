"""Repaired merges: what is lost before and after them, by setting of the training, and how that falls with width."""

from collections.abc import Sequence
from typing import NamedTuple

from pandas import DataFrame, concat

from lmcbook.lab.records import Record, repair_curves_table, repairs_table
from lmcbook.pages.analysis.falls import Fall, fit_fall
from lmcbook.pages.analysis.labels import decay_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import ACCURACY, CALIBRATED, PAIR, groups, plain, predicted_inverse_temperature

WAYS: dict[tuple[str, str], str] = {
    ("identity", "none"): "plain",
    ("identity", "mean"): "bias: averaged means",
    ("identity", "lewc_mean"): "bias: LEWC's means",
    ("identity", "mean_and_variance"): "means and variances",
    ("weight_matching", "none"): "b matched by weights",
    ("weight_matching", "mean_and_variance"): "matched, then REPAIR",
    ("identity", "ensemble"): "ensemble",
}
"""(alignment, repair) → its name in legends and tables."""

PLAIN, AVERAGED, REPAIRED, RESCALED, MATCHED, BOTH, ENSEMBLE = WAYS.values()


def ways_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent pair and way of merging it, one of `WAYS`: barriers at λ = ½ and the fitted β.

    ``setting`` is weight decay and batch size in words; ``predicted_inverse_temperature`` is what LEWC says of β.
    """
    table = plain(Measurements.of(records).table(repairs_table))
    names = [*PAIR, "batch_size", "setting", "way", ACCURACY, CALIBRATED, "inverse_temperature_midpoint"]
    names += ["predicted_inverse_temperature", "endpoint_accuracy"]
    if table.empty:
        return DataFrame(columns=names)
    found = [WAYS.get(key, "") for key in zip(table["alignment"], table["kind"], strict=True)]
    settings = zip(table["weight_decay"], table["batch_size"], strict=True)
    table = table.assign(
        way=found,
        setting=[f"weight decay {decay_label(decay)}, batches of {size:g}" for decay, size in settings],
        predicted_inverse_temperature=predicted_inverse_temperature(
            table["ensemble_inverse_temperature"], table["lewc_exponent"]
        ),
    )
    table = table[table["way"] != ""][names]
    return table.sort_values(["weight_decay", "batch_size"], ascending=False, kind="stable").reset_index(drop=True)


def against_width_table(records: Sequence[Record]) -> DataFrame:
    """The rows of `ways_table` of settings that were measured at several widths; of all where none was."""
    table = Measurements.of(records).table(ways_table)
    widths = table.groupby(["recipe", "setting"])["width_multiplier"].transform("nunique")
    return table[widths > 1].reset_index(drop=True) if (widths > 1).any() else table


def curves_of_ways(records: Sequence[Record]) -> DataFrame:
    """Calibrated loss at each λ of each pair and way of merging: of each network the setting and width in the middle.

    The setting is the first of `against_width_table`.
    """
    records = Measurements.of(records)
    shown = []
    for _, part in groups(records.table(against_width_table), "recipe"):
        first = part[part["setting"] == part["setting"].iloc[0]]
        widths = sorted(first["width_multiplier"].unique())
        shown.append(first[first["width_multiplier"] == widths[len(widths) // 2]])
    names = [*PAIR, "batch_size", "way", "coefficient", "calibrated_loss"]
    if not shown:
        return DataFrame(columns=names)
    curves = plain(records.table(repair_curves_table))
    curves = curves.assign(
        way=[WAYS.get(key, "") for key in zip(curves["alignment"], curves["kind"], strict=True)],
        calibrated_loss=curves["calibrated_loss"].astype(float),
    )
    return concat(shown)[[*PAIR, "batch_size", "way"]].merge(curves, on=[*PAIR, "batch_size", "way"])[names]


def barriers_of_ways(table: DataFrame) -> DataFrame:
    """What readers can take away of `against_width_table`."""
    return table[[*PAIR, "batch_size", "way", ACCURACY, CALIBRATED]]


class Trial(NamedTuple):
    """What trials had shown on digits, at the paper's weight decay, before any record was measured: points lost."""

    width_multiplier: float
    batch_size: int
    as_it_is: float
    repaired: float


TRIALS = (Trial(8, 128, 27, 4.6), Trial(8, 32, 9.9, 3.7), Trial(32, 32, 4.9, 1.0))
"""Of another calculation, on another processor; no record holds them."""

TRIAL_RECIPE = "mlp-digits"


class Excess(NamedTuple):
    """What a merge of one setting and way loses beyond the ensemble, pair by pair, and how it falls with width."""

    recipe: str
    setting: str
    way: str
    pairs: DataFrame
    """Calibrated loss barrier minus that of the ensemble, in nats, as ``excess``."""
    fall: Fall | None
    """None where there are too few widths, or nothing is lost."""
    singles: tuple[float, ...]
    """Widths of which there is a single pair."""
    without_singles: Fall | None
    """The fall through the other widths; None also where there are no singles."""


def excesses(records: Sequence[Record]) -> list[Excess]:
    """Of the plain and of the repaired average, for each network and setting at several widths."""
    table = Measurements.of(records).table(against_width_table)
    found = []
    for (recipe, setting), part in groups(table, "recipe", "setting"):
        ensemble = part[part["way"] == ENSEMBLE].set_index(PAIR)[CALIBRATED]
        for way in (PLAIN, REPAIRED):
            rows = part[part["way"] == way].set_index(PAIR)
            pairs = rows.assign(excess=rows[CALIBRATED] - ensemble.reindex(rows.index)).reset_index()
            counts = pairs["width_multiplier"].value_counts()
            singles = tuple(sorted(counts.index[counts == 1])) if (counts > 1).any() else ()
            others = pairs[~pairs["width_multiplier"].isin(singles)]
            rest = _fall(others) if singles else None
            found.append(Excess(recipe, setting, way, pairs, _fall(pairs), singles, rest))
    return found


def _fall(pairs: DataFrame) -> Fall | None:
    return fit_fall(list(pairs["width_multiplier"]), list(pairs["excess"]))


def excess_table(found: Sequence[Excess]) -> DataFrame:
    """One row for each pair of `excesses`, in nats."""
    names = [*PAIR, "setting", "way", "excess"]
    return concat([each.pairs[names] for each in found]).reset_index(drop=True) if found else DataFrame(columns=names)
