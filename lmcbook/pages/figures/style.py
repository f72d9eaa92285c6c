"""How figures look: sizes, fonts and colours, each colour with its counterpart on a dark page.

Figures are drawn for a light page. In the book they stand as SVG inside the page, where every colour below is a CSS
variable with a second value for dark pages, text takes the page's own colour and font, and the ground is the page's.
Lightness runs one way in the palette of widths, and markers and line styles differ too, so that figures can be read in
grey and by the colour-blind.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy
import seaborn
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

INK, FAINT, GROUND = "#1f2a37", "#d9dee4", "#fefefe"
"""Text and axes; grid and guides; the page."""

# Okabe and Ito's blue and vermilion, darkened on light pages and lightened on dark pages for a contrast of 4.5 or more.
STRONG, WEAK, CONTROL, FOURTH = "#0067a5", "#b84a00", "#5c6773", "#7a3fa0"
"""The paper's weight decay; the field's usual one; a control; one more, where four things are compared."""

_STEPS = 256
_CREST = [to_hex(each) for each in seaborn.color_palette("crest", 4 * _STEPS)]
# the palette's pale end is too faint for a white page, its deep end for a black page
_LIGHT = [_CREST[round(position)] for position in numpy.linspace(0.12, 1, _STEPS) * (len(_CREST) - 1)]
_DARK = [_CREST[round(position)] for position in numpy.linspace(0.6, 0, _STEPS) * (len(_CREST) - 1)]

DARK: dict[str, str] = {
    **dict(zip(_LIGHT, _DARK, strict=True)),
    STRONG: "#6cb8f0",
    WEAK: "#f2a469",
    CONTROL: "#aab4bf",
    FOURTH: "#c9a0e8",
    FAINT: "#3a444f",
}
"""Colour on a light page → colour on a dark page."""

MARKERS = ("o", "s", "^", "D", "v", "p", "h", "8")

_SETTINGS: Any = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.titley": 1.0,  # where it stands anyway; without it every layout measures all ticks once more
    "axes.unicode_minus": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",  # matplotlib's own, there on every machine; on a page it gives way to the page's
    "font.size": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": "small",
    "legend.title_fontsize": "small",
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "lmcbook",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}

WIDE, NARROW = 7.4, 3.75
"""Inches: a figure beside a page's contents; a figure on a phone."""


@contextmanager
def applied() -> Iterator[None]:
    """Draw in the book's style inside the ``with`` block; the reader's own settings are back after it."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def panels(
    rows: int, columns: int, *, height: float, narrow: bool, share_y: Literal["all", "none"] = "all"
) -> tuple[Figure, list[Axes]]:
    """A figure and its panels, row by row; ``height`` in inches of one row. On a phone all stand in one column."""
    if narrow:
        rows, columns = rows * columns, 1
    figure = Figure(figsize=(NARROW if narrow else WIDE, height * rows), layout="constrained")
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(h_pad=0.06, w_pad=0.06)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    for each in axes.flat:
        each.tick_params(labelleft=True)
    return figure, list(axes.flat)


def width_colours(width_multipliers: Iterable[float]) -> dict[float, str]:
    """Width multiplier → colour, from faint (narrow) to strong (wide)."""
    widths = sorted(set(width_multipliers))
    last = max(len(widths) - 1, 1)
    return {width: _LIGHT[round(index / last * (_STEPS - 1))] for index, width in enumerate(widths)}


def legend(axis: Axes, handles: Sequence[Line2D], *, title: str, narrow: bool) -> None:
    """A legend outside ``axis``: to its right, or below it on a phone, where panels need the whole width."""
    if narrow:
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": min(4, len(handles))}
    else:
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "alignment": "left"}
    axis.legend(handles=list(handles), title=title, borderaxespad=0, **place)
