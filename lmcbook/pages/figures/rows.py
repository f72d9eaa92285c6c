"""Figures of one row for each network, each with its own panels, height and legend."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from lmcbook.pages.figures import style

_LINE = 0.19
"""Inches of one line of a legend."""


def rows(
    heights: Sequence[float],
    panels: int | Sequence[int],
    *,
    narrow: bool,
    columns: int | None = None,
    phone_columns: int = 1,
    legend_lines: int = 0,
    share: bool = False,
) -> tuple[Figure, list[tuple[SubFigure, list[Axes]]]]:
    """A figure of rows of panels; what finds no room beside the others of its row stands below them.

    Args:
        heights: of one panel of each row, in inches.
        panels: how many each row has.
        narrow: whether to draw for a phone.
        columns: this many panels beside each other, by default all of a row.
        phone_columns: the same on a phone.
        legend_lines: on a phone, room below each row for a legend of this many lines.
        share: whether the panels of a row have the same axes.
    """
    counts = [panels] * len(heights) if isinstance(panels, int) else list(panels)
    beside = [min(count, phone_columns if narrow else columns or count) for count in counts]
    stacked = [-(-count // most) for count, most in zip(counts, beside, strict=True)]
    room = _LINE * legend_lines if narrow else 0.0
    inches = [height * lines + room for height, lines in zip(heights, stacked, strict=True)]
    figure = Figure(figsize=(style.NARROW if narrow else style.WIDE, sum(inches)), layout="constrained")
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(h_pad=0.06, w_pad=0.06)
    made = []
    parts = figure.subfigures(len(inches), 1, height_ratios=inches, squeeze=False).flat
    for part, count, lines, most in zip(parts, counts, stacked, beside, strict=True):
        axes = list(part.subplots(lines, most, squeeze=False, sharex=share, sharey=share).flat)
        for unused in axes[count:]:
            unused.remove()
        made.append((part, axes[:count]))
    return figure, made


def legend(part: SubFigure | Figure, handles: Sequence[Line2D], *, title: str | None, narrow: bool) -> None:
    """A legend outside the panels of ``part``: to their right, or below them on a phone."""
    longest = max(len(line) for handle in handles for line in str(handle.get_label()).split("\n"))
    columns = (4 if longest < 6 else 3 if longest < 13 else 2 if longest < 22 else 1) if narrow else 1
    part.legend(
        handles=list(handles),
        title=title,
        loc="outside lower left" if narrow else "outside right center",
        ncols=columns,
        alignment="left",
        columnspacing=1.2,
    )
