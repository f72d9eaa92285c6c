"""Against a penalty on low rank, at one width: ranks, the conditions of Theorem 5.3, barriers, unmerged accuracy."""

from functools import partial

from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.pages.figures.sweeps import draw_sweep, name_places, sweep_words


def against_penalty(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Ranks, both conditions, barriers and unmerged accuracy against the size of a penalty against low rank.

    Every pair is a point, lines join means; 0 is training without the penalty.
    """
    return draw_sweep(table, "spread_penalty", partial(name_places, label="penalty against low rank"), narrow=narrow)


def against_penalty_alt(table: DataFrame) -> str:
    """`against_penalty` for those who do not see it."""
    said = sweep_words(table, "spread_penalty")
    return f"Ranks, both conditions, barriers and unmerged accuracy against a penalty on low rank. {said}"
