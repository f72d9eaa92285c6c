"""What most figures are made of: a row for each network, panels against width, every pair a dot and a line of means."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series

from lmcbook.pages.analysis.labels import recipe_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style


def draw_dots(
    axis: Axes, at: Series, values: Series, look: Mapping[str, Any], *, size: float = 4, alpha: float = 0.8
) -> None:
    """Every value a dot at its place, and a line through the means of those that share a place."""
    axis.plot(at, values, **{**look, "linestyle": "none", "markersize": size, "alpha": alpha}, zorder=3)
    mean = values.groupby(at).mean()
    axis.plot(mean.index, mean, **{**look, "marker": "none"}, zorder=2)


def network_rows(
    table: DataFrame,
    panels: int,
    draw: Callable[[list[Axes], DataFrame], Sequence[Line2D]],
    *,
    height: float | Callable[[DataFrame], float],
    narrow: bool,
    legend_lines: int,
    title: str | None = None,
    phone_columns: int = 1,
) -> Figure:
    """A row of panels for each network: ``draw`` gets its panels and its part of ``table``, and gives its legend.

    Args:
        height: of one panel in inches, or what gives it for a network's part of the table.
        title: of the legends.
        phone_columns: this many panels stand beside each other on a phone.
    """
    parts = [of_network for _, of_network in groups(table, "recipe")]
    with style.applied():
        heights = [height(each) if callable(height) else height for each in parts]
        figure, drawn = rows.rows(
            heights, panels, narrow=narrow, legend_lines=legend_lines, phone_columns=phone_columns
        )
        for of_network, (part, axes) in zip(parts, drawn, strict=True):
            rows.legend(part, draw(axes, of_network), title=title, narrow=narrow)
    return figure


def width_panels(
    table: DataFrame,
    panels: Sequence[tuple[str, Callable[[Axes, DataFrame], None]]],
    legend: Callable[[], Sequence[Line2D]],
    *,
    height: float,
    narrow: bool,
    columns: int = 2,
) -> Figure:
    """A row of panels against width for each network, with one legend of this many ``columns`` below all.

    Args:
        panels: their labels, and what draws a network's part of ``table`` in it.
        legend: gives what the legend shows.
    """
    networks = groups(table, "recipe")
    with style.applied():
        figure, axes = style.panels(len(networks), len(panels), height=height, narrow=narrow, share_y="none")
        shown = [(recipe, part, *panel) for (recipe,), part in networks for panel in panels]
        for index, (axis, (recipe, of_network, label, draw)) in enumerate(zip(axes, shown, strict=True)):
            axis.set_ylabel(label)
            draw(axis, of_network)
            if index % len(panels) == 0:
                axis.set_title(recipe_label(recipe))
            if narrow or recipe == networks[-1][0][0]:
                axis.set_xlabel("width multiplier")
        figure.legend(handles=list(legend()), loc="outside lower center", ncols=1 if narrow else columns)
    return figure
