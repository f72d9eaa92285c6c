"""One thing in training varied at one width: ranks, the conditions of Theorem 5.3, barriers, unmerged accuracy."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from pandas import DataFrame

from lmcbook.pages.analysis.labels import recipe_label, width_of
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.panels import (
    ACCURACY_BARRIER,
    LOSS_BARRIERS,
    MAIN,
    OTHER,
    Panel,
    Series,
    draw_panel,
    handle_of,
    places_of,
)

PANELS = (
    Panel(
        label="relative rank",
        series=(
            Series(column="relative_effective_rank", label="effective\nrank", look=MAIN),
            Series(column="relative_stable_rank", label="stable\nrank", look=OTHER),
        ),
        limits=(0, 1.05),
    ),
    Panel(
        label="reciprocal\northogonality",
        series=(Series(column="reciprocal_orthogonality", look=MAIN),),
        guide=0,
        limits=(0, None),
    ),
    Panel(
        label="weak additivity", series=(Series(column="weak_additivity", look=MAIN),), guide=1, limits=(None, 1.005)
    ),
    ACCURACY_BARRIER,
    LOSS_BARRIERS,
    Panel(
        label="unmerged accuracy (%)",
        series=(Series(column="endpoint_accuracy", look=MAIN),),
        factor=100,
        limits=(None, 100),
    ),
)


def draw_sweep(
    table: DataFrame,
    varied: str,
    scale: Callable[[Axes, Mapping[float, float]], None],
    *,
    narrow: bool,
    panels: Sequence[Panel] = PANELS,
    columns: int = 3,
    height: float = 2.2,
    legend_lines: int = 2,
    more: Callable[[DataFrame], Sequence[Line2D]] = lambda _: (),
) -> Figure:
    """Every pair of ``table`` a point against its column ``varied``, lines through the means.

    Args:
        table: one row for each pair; of each recipe a single width.
        varied: the column of what was varied.
        scale: labels the horizontal axis, given the place of each value.
        narrow: whether to draw for a phone.
        panels: this many ``columns`` of them stand in a line, as many lines as they need for each network.
        height: of a panel, in inches.
        legend_lines: on a phone, room for this many lines of a legend below each line of panels.
        more: what the legends show beside the series of their panels, of a network's part of the table.
    """
    networks = [part for _, part in groups(table, "recipe")]
    lines = len(panels) // columns
    with style.applied():
        heights = [height] * lines * len(networks)
        figure, drawn = rows.rows(heights, columns, narrow=narrow, legend_lines=legend_lines)
        for index, (part, axes) in enumerate(drawn):
            of_network = networks[index // lines]
            of_line = panels[(index % lines) * columns :][:columns]
            places = places_of(of_network[varied].unique())
            for axis, panel in zip(axes, of_line, strict=True):
                draw_panel(axis, panel, of_network, varied, places)
                scale(axis, places)
            if index % lines == 0:
                axes[0].set_title(f"{recipe_label(of_network['recipe'].iloc[0])}, {width_of(of_network)}")
            handles = [handle_of(series) for panel in of_line for series in panel.series if series.label]
            rows.legend(part, [*handles, *more(of_network)], title=None, narrow=narrow)
    return figure


def name_places(axis: Axes, places: Mapping[float, float], label: str) -> None:
    """Each value at its place, on an axis that is called ``label``."""
    axis.xaxis.set_major_locator(FixedLocator(sorted(places.values())))
    axis.set_xticklabels([f"{value:g}" for value in sorted(places)])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(label)


def means_in_words(table: DataFrame, varied: str, columns: Mapping[str, float], label: Callable[[float], str]) -> str:
    """``0.1 and 2.5 at 0, 0.2 and 3.1 at 10``: means of ``columns``, column → factor, for each value of ``varied``."""
    means = table.groupby(varied)[list(columns)].mean() * list(columns.values())
    return ", ".join(
        f"{' and '.join(f'{value:.3g}' for value in row)} {label(each)}"
        for each, row in zip(means.index, means.to_numpy(), strict=True)
    )


def sweep_words(table: DataFrame, varied: str) -> str:
    """Rank, orthogonality and points of accuracy lost at each value, for those who do not see the figure."""
    columns = {"relative_stable_rank": 1.0, "reciprocal_orthogonality": 1.0, "midpoint_accuracy_barrier": 100.0}
    parts = [
        f"{recipe_label(recipe)}, {width_of(chosen)}: {means_in_words(chosen, varied, columns, 'at {:g}'.format)}"
        for (recipe,), chosen in groups(table, "recipe")
    ]
    return f"Relative stable rank, reciprocal orthogonality and points of accuracy lost: {'; '.join(parts)}."
