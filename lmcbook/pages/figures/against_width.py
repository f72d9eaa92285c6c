"""Quantities of pairs against the width multiplier: every pair a point, a line through the means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label
from lmcbook.pages.figures.kit import draw_dots
from lmcbook.pages.figures.marks import Look, decay_looks, handle, look_of
from lmcbook.pages.figures.scales import scale_widths


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of such a figure."""

    label: str
    colour: str
    where: Mapping[str, Any]
    """Column → the value that the rows of this line have there."""
    column: str
    """What is drawn of them."""
    marker: str = "o"
    hollow: bool = False
    """Hollow markers on a dotted line: what the other lines are compared with."""

    @property
    def look(self) -> Look:
        return look_of(self.colour, self.marker, hollow=self.hollow)

    def rows(self, table: DataFrame) -> DataFrame:
        for name, value in self.where.items():
            table = table[table[name] == value]
        return table.dropna(subset=[self.column])


def draw_lines(axis: Axes, table: DataFrame, lines: Sequence[Line], *, factor: float = 1.0) -> None:
    """Draw each of ``lines`` of ``table`` against width, their points a little beside each other."""
    widths = table["width_multiplier"]
    span = math.log2(widths.max() / widths.min()) or 1.0
    for index, line in enumerate(lines):
        chosen = line.rows(table)
        if chosen.empty:
            continue
        shift = 2 ** (0.018 * span * (index - (len(lines) - 1) / 2))
        draw_dots(axis, shift * chosen["width_multiplier"], factor * chosen[line.column], line.look)
    scale_widths(axis, table["width_multiplier"])


def handles_of(lines: Sequence[Line]) -> list[Line2D]:
    """What the legend shows of ``lines``."""
    return [handle(line.label, line.look) for line in lines]


def decay_lines(
    table: DataFrame, column: str, *, label: str = "", marker: str | None = None, hollow: bool = False
) -> list[Line]:
    """A line of ``column`` for each weight decay, strongest first, in the book's colours for them."""
    return [
        Line(
            label=f"{label}{', ' if label else ''}weight decay {decay_label(decay)}",
            colour=look["color"],
            where={"weight_decay": decay},
            column=column,
            marker=look["marker"],
            hollow=hollow,
        )
        for decay, look in decay_looks(table["weight_decay"], marker=marker).items()
    ]
