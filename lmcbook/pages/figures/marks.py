"""How points and curves look, by width and by weight decay; curves of single pairs under their mean; legends."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import width_label
from lmcbook.pages.analysis.vocabulary import SEEDS
from lmcbook.pages.figures import style

Look = dict[str, Any]
"""How a line with markers is drawn."""

DECAY_COLOURS = (style.STRONG, style.WEAK, style.CONTROL, style.FOURTH)
"""Colours of weight decays, the strongest first."""


def look_of(colour: str, marker: str = "o", *, hollow: bool = False, linestyle: str = "-") -> Look:
    """A line with filled markers, or with hollow markers and dotted: what the others are compared with."""
    return {
        "color": colour,
        "marker": marker,
        "markersize": 5,
        "markerfacecolor": style.GROUND if hollow else colour,
        "markeredgecolor": colour if hollow else style.GROUND,
        "markeredgewidth": 1 if hollow else 0.5,
        "linestyle": ":" if hollow else linestyle,
        "linewidth": 1.3 if hollow else 1.8,
    }


def point_of(colour: str, marker: str = "o", *, hollow: bool = False, size: float = 5) -> Look:
    """The markers of `look_of` without a line."""
    return {**look_of(colour, marker, hollow=hollow), "markersize": size, "linestyle": "none"}


def handle(label: str, look: Mapping[str, Any]) -> Line2D:
    """What the legend shows of a look."""
    return Line2D([], [], label=label, **look)


def draw_curves(
    axis: Axes,
    table: DataFrame,
    across: str,
    column: str,
    look: Mapping[str, Any],
    *,
    factor: float = 1,
    marks: Any = None,
) -> None:
    """``column`` against ``across``: a thin line for each pair and a bold line for the mean, with ``marks`` on it.

    ``marks`` is matplotlib's ``markevery``; by default a marker stands at each quarter of the line.
    """
    thin = {"linewidth": 0.7, "alpha": 0.55, "marker": "none", "zorder": 2}
    for _, pair in table.groupby(SEEDS):
        axis.plot(pair[across], factor * pair[column], **{**look, **thin})
    mean = factor * table.groupby(across)[column].mean()
    quarters = [round(quarter * (len(mean) - 1) / 4) for quarter in (1, 2, 3)]
    axis.plot(mean.index, mean, **look, markevery=marks or quarters)


def width_looks(table: DataFrame) -> dict[float, Look]:
    """Width multiplier → its look: colours from faint to strong, markers in turn, the widest on top."""
    colours = style.width_colours(table["width_multiplier"])
    return {
        width: {
            "color": colour,
            "marker": style.MARKERS[index % len(style.MARKERS)],
            "markersize": 4.5,
            "markeredgecolor": style.GROUND,
            "markeredgewidth": 0.6,
            "zorder": 3 + index,
        }
        for index, (width, colour) in enumerate(colours.items())
    }


def width_handles(looks: Mapping[float, Look]) -> list[Line2D]:
    """What the legend shows for each width, widest first, as the curves stand from top to bottom."""
    return [handle(width_label(width), look) for width, look in looks.items()][::-1]


def decay_looks(decays: Iterable[float], *, marker: str | None = None, hollow: bool = False) -> dict[float, Look]:
    """Weight decay → its look, in the book's colours; strongest first."""
    strongest_first = sorted(set(decays), reverse=True)
    return {
        decay: look_of(
            DECAY_COLOURS[min(index, len(DECAY_COLOURS) - 1)],
            marker or style.MARKERS[index % len(style.MARKERS)],
            hollow=hollow,
        )
        for index, decay in enumerate(strongest_first)
    }
