"""Panels of one quantity each against an axis with a place for 0: every pair a point, lines through the means."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame, concat

from lmcbook.pages.figures import marks, style
from lmcbook.pages.figures.kit import draw_dots
from lmcbook.pages.figures.scales import scale_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity in a panel."""

    column: str
    label: str = ""
    """Its name in the legend, where a panel has several."""
    look: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel of each network's row."""

    label: str
    series: tuple[Series, ...]
    factor: float = 1.0
    guide: float | None = None
    """Where the quantity would be if what is asked for held."""
    logarithmic: bool = False
    limits: tuple[float | None, float | None] = (None, None)


MAIN: dict[str, Any] = {"color": style.STRONG, "marker": "o", "linestyle": "-"}
OTHER: dict[str, Any] = {"color": style.WEAK, "marker": "s", "linestyle": "-"}
THIRD: dict[str, Any] = {"color": style.FOURTH, "marker": "^", "linestyle": "-"}
FOURTH: dict[str, Any] = {"color": style.CONTROL, "marker": "D", "linestyle": "-"}


ACCURACY_BARRIER = Panel(
    label="accuracy barrier (points)",
    series=(Series(column="midpoint_accuracy_barrier", look=MAIN),),
    factor=100,
    guide=0,
)
LOSS_BARRIERS = Panel(
    label="loss barrier (nats)",
    series=(
        Series(column="midpoint_loss_barrier", label="uncalibrated", look=OTHER),
        Series(column="midpoint_calibrated_loss_barrier", label="calibrated", look=MAIN),
    ),
    logarithmic=True,
)


def draw_panel(axis: Axes, panel: Panel, table: DataFrame, across: str, places: Mapping[float, float]) -> None:
    """Draw the series of ``panel`` against the column ``across``.

    Where the table says which rows are ``hollow``, these have lines of their own.
    """
    table = table if "hollow" in table else table.assign(hollow=False)
    for series in panel.series:
        for hollow, chosen in table.dropna(subset=[series.column]).groupby("hollow", sort=False):
            look = look_of(series.look, hollow=bool(hollow))
            draw_dots(axis, chosen[across].map(places), panel.factor * chosen[series.column], look)
    axis.set_ylabel(panel.label)
    if panel.logarithmic:
        scale_values(axis, concat([panel.factor * table[series.column] for series in panel.series]))
    if panel.guide is not None:
        axis.axhline(panel.guide, color=style.INK, linewidth=1, zorder=1)
    axis.margins(x=0.06, y=0.1)
    axis.set_ylim(*panel.limits)


def places_of(values: Iterable[float]) -> dict[float, float]:
    """Where each value stands on a logarithmic axis; 0 a decade to the left of the smallest other."""
    positive = [math.log10(value) for value in values if value > 0]
    zero = min(positive, default=0.0) - 1
    return {value: math.log10(value) if value > 0 else zero for value in values}


def look_of(look: Mapping[str, Any], *, hollow: bool = False) -> dict[str, Any]:
    """How a line with markers is drawn, filled or hollow."""
    return marks.look_of(look["color"], look["marker"], hollow=hollow, linestyle=look["linestyle"])


def handle_of(series: Series) -> Line2D:
    """What the legend shows of ``series``."""
    return Line2D([], [], label=series.label, **look_of(series.look))
