"""Against a penalty on low rank, at one width: ranks, the conditions of Theorem 5.3, barriers, unmerged accuracy."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from pandas import DataFrame

from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.figures.sweeps import COLUMNS, PAIR, draw_sweep, sweep_words


def penalty_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent pair merged as it is: its penalty, ranks, conditions, barriers, unmerged accuracy.

    Barriers are those at λ = ½; the others are means over layers, or over the two networks.
    """
    table = pairs_table(records)
    table = table[(table["alignment"] == "identity") & (table["shared"] == "nothing")]
    return table[[*PAIR, "spread_penalty", *COLUMNS]].astype(dict.fromkeys(COLUMNS, float)).reset_index(drop=True)


def against_penalty(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Ranks, both conditions, barriers and unmerged accuracy against the size of a penalty against low rank.

    Every pair is a point, lines join means; 0 is training without the penalty.
    """
    return draw_sweep(penalty_table(records), "spread_penalty", scale_penalties, narrow=narrow)


def scale_penalties(axis: Axes, places: Mapping[float, float]) -> None:
    """Penalties on a logarithmic axis that has a place for 0."""
    axis.xaxis.set_major_locator(FixedLocator(sorted(places.values())))
    axis.set_xticklabels([f"{penalty:g}" for penalty in sorted(places)])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("penalty against low rank")


def against_penalty_alt(records: Sequence[Record]) -> str:
    """`against_penalty` for those who do not see it."""
    said = sweep_words(penalty_table(records), "spread_penalty")
    return f"Ranks, both conditions, barriers and unmerged accuracy against a penalty on low rank. {said}"
