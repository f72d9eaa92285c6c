"""How long the measurements took."""

from collections.abc import Iterable

from pandas import DataFrame

from lmcbook.lab.records import Record

COLUMNS = ("scale", "network", "measurements", "minutes of measuring, trainings not counted")


def durations_table(records: Iterable[Record]) -> DataFrame:
    """How many measurements there are of each network at each scale, and the minutes that they took in all.

    A record that does not say how long it took counts as a measurement, with no time.
    """
    rows = [(record.scale, record.recipe, record.provenance.get("seconds")) for record in records]
    spent = DataFrame(rows, columns=["scale", "network", "seconds"]).astype({"seconds": float})
    table = spent.groupby(["scale", "network"])["seconds"].agg(["size", "sum"]).reset_index()
    table["sum"] = (table["sum"] / 60).round(1)
    return table.set_axis(COLUMNS, axis=1)
