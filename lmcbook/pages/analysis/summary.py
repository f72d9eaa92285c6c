"""What averaging costs, in one table: narrow and wide, plain, with one bias for each layer, and after matching."""

from collections.abc import Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.plain import is_the_recipes_own
from lmcbook.lab.recipes import recipe
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import mean_and_deviation, recipe_label, width_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.repairs import REPAIRED, ways_table
from lmcbook.pages.analysis.vocabulary import ACCURACY, ends, groups, paper_decay, plain, widest

COLUMNS = (
    *("network", "batches of", "accuracy of the two (%)", "narrowest", "widest"),
    *("widest with one bias for each layer", "widest after weight matching"),
)

LEAST_SHARE = 2 / 3
"""Of the accuracy of its row's best pair: two networks with less on average have one that did not train."""


def cost_of_averaging(records: Sequence[Record]) -> DataFrame:
    """Points of test accuracy lost at λ = ½, mean ± standard deviation (pairs): a row for each network and batch size.

    With the paper's weight decay and the recipe's depth, of pairs that share nothing, where there are several widths.
    A pair with a network that did not train is left out (see `LEAST_SHARE`): its average is no worse than its mean.
    A width behind a number says where it was measured, if that is not the widest of the row.
    """
    own = _own(records)
    repaired = own.table(ways_table)
    repaired = paper_decay(repaired[repaired["way"] == REPAIRED])
    rows = []
    for (name, size), cell in _at_several_widths(own):
        unpermuted = cell[cell["alignment"] == "identity"]
        narrow, wide = ends(unpermuted)[0], widest(unpermuted)
        bias = repaired[(repaired["recipe"] == name) & (repaired["batch_size"] == size)]
        rows.append(
            (
                recipe_label(name).split(",")[0],
                f"{size:g}",
                f"{100 * wide['endpoint_accuracy'].mean():.1f}",
                _lost(narrow),
                _lost(wide),
                _lost(widest(bias), wide),
                _lost(widest(cell[cell["alignment"] == "weight_matching"]), wide),
            )
        )
    return DataFrame(rows, columns=[*COLUMNS])


def falls_with_width(records: Sequence[Record]) -> tuple[int, int]:
    """In how many rows of `cost_of_averaging` the widest networks lose less than the narrowest, and of how many."""
    falls = []
    for _, cell in _at_several_widths(_own(records)):
        unpermuted = cell[cell["alignment"] == "identity"]
        falls.append(widest(unpermuted)[ACCURACY].mean() < ends(unpermuted)[0][ACCURACY].mean())
    return sum(map(bool, falls)), len(falls)


def _own(records: Sequence[Record]) -> Measurements:
    return Measurements.of(
        record for record in records if is_the_recipes_own(record.recipe, record.config.training) and not record.short
    )


def _at_several_widths(own: Measurements) -> list[tuple[tuple[Any, ...], DataFrame]]:
    """The comparable rows of each network and batch size that were merged unpermuted at several widths, in order."""
    table = _comparable(own.table(barriers_table))
    order = list(table["recipe"].unique())
    cells = [
        (key, cell)
        for key, cell in ((key, _trained(cell)) for key, cell in groups(table, "recipe", "batch_size"))
        if cell[cell["alignment"] == "identity"]["width_multiplier"].nunique() > 1
    ]
    return sorted(cells, key=lambda each: (order.index(each[0][0]), -each[0][1]))


def _trained(cell: DataFrame) -> DataFrame:
    return cell[cell["endpoint_accuracy"] >= LEAST_SHARE * cell["endpoint_accuracy"].max()]


def _comparable(table: DataFrame) -> DataFrame:
    """The rows of plain pairs with the paper's weight decay and as many layers as their recipe says."""
    table = paper_decay(plain(table))
    own = {name: recipe(name).training.num_layers for name in table["recipe"].unique()}
    deep = [own[name] for name in table["recipe"]]
    found = [
        layers is None or (count == count and int(count) == layers)
        for layers, count in zip(deep, table["num_layers"], strict=True)
    ]
    return table[found]


def _lost(rows: DataFrame, at: DataFrame | None = None) -> str:
    """``8.3 ± 0.6 (3) at ×2``: the width where the column does not name it, or is not that of ``at``."""
    if rows.empty:
        return "–"
    width = rows["width_multiplier"].iloc[0]
    said = f"{mean_and_deviation(rows[ACCURACY], 100, 1)} ({len(rows)})"
    if at is not None and at["width_multiplier"].iloc[0] == width:
        return said
    return f"{said} at {width_label(width)}"
