"""Lines from one network: to the other of its pair, in random directions as long, towards untrained networks."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record, lines_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR

KINDS: dict[str, str] = {
    "pair": "to network b",
    "global": "random",
    "layer": "random, by layer",
    "filter": "random, by filter",
    "untrained": "to untrained networks",
}
"""Kind of line → its name."""

MIDDLE = (0.1, 0.9)
"""Eight of ten lines lie between these quantiles."""

_MEASURED = ("loss", "calibrated_loss", "accuracy")


def along_lines_table(records: Sequence[Record]) -> DataFrame:
    """Losses (nats) and accuracies along every line, of the widest of each network."""
    table = Measurements.of(records).table(lines_table)
    widest = table.groupby("recipe")["width_multiplier"].transform("max")
    names = [*PAIR, "kind", "line", "length", "distance", *_MEASURED, "inverse_temperature"]
    return table[table["width_multiplier"] == widest][names].reset_index(drop=True)


def halfway_table(records: Sequence[Record]) -> DataFrame:
    """Of each pair and kind of line, means over the lines at the distance ½.

    Of each quantity also the quantiles between which eight of ten lines lie; ``length`` is relative to the norm of
    network a.
    """
    table = Measurements.of(records).table(lines_table)
    halfway = table[table["distance"] == 0.5].groupby([*PAIR, "kind"], sort=False)
    found = halfway[["length", *_MEASURED]].mean()
    for name in _MEASURED:
        found[f"{name}_low"], found[f"{name}_high"] = (halfway[name].quantile(each) for each in MIDDLE)
    return found.reset_index()
