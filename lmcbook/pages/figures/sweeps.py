"""One thing in training varied at one width: ranks, the conditions of Theorem 5.3, barriers, unmerged accuracy."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import recipe_label, width_label
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
    look_of,
    places_of,
)

PAIR = ("recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b")
COLUMNS = (
    *("relative_effective_rank", "relative_stable_rank", "reciprocal_orthogonality", "weak_additivity"),
    *("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier", "endpoint_accuracy"),
)
"""What the panels show, as `lmcbook.lab.records.pairs_table` calls it."""

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
_IN_A_LINE = 3


def draw_sweep(
    table: DataFrame,
    varied: str,
    scale: Callable[[Axes, Mapping[float, float]], None],
    *,
    narrow: bool,
    panels: Sequence[Panel] = PANELS,
) -> Figure:
    """Every pair of ``table`` a point against its column ``varied``, lines through the means; two lines of panels each.

    Args:
        table: one row for each pair, with `PAIR` and `COLUMNS`; of each recipe a single width.
        varied: the column of what was varied.
        scale: labels the horizontal axis, given the place of each value.
        narrow: whether to draw for a phone.
        panels: three to a line.
    """
    table = table.assign(hollow=False)
    recipes = list(table["recipe"].unique())
    lines = len(panels) // _IN_A_LINE
    with style.applied():
        figure, drawn = rows.rows([2.2] * lines * len(recipes), _IN_A_LINE, narrow=narrow, legend_lines=2)
        for index, (part, axes) in enumerate(drawn):
            of_recipe = table[table["recipe"] == recipes[index // lines]]
            of_line = panels[(index % lines) * _IN_A_LINE :][:_IN_A_LINE]
            places = places_of(of_recipe[varied].unique())
            for axis, panel in zip(axes, of_line, strict=True):
                draw_panel(axis, panel, of_recipe, varied, places)
                scale(axis, places)
            if index % lines == 0:
                axes[0].set_title(f"{recipe_label(of_recipe['recipe'].iloc[0])}, {width_of(of_recipe)}")
            named = [series for panel in of_line for series in panel.series if series.label]
            handles = [Line2D([], [], label=each.label, **look_of(each.look)) for each in named]
            rows.legend(part, handles, title=None, narrow=narrow)
    return figure


def sweep_words(table: DataFrame, varied: str) -> str:
    """Rank, orthogonality and points of accuracy lost at each value, for those who do not see the figure."""
    columns = {"relative_stable_rank": 1.0, "reciprocal_orthogonality": 1.0, "midpoint_accuracy_barrier": 100.0}
    parts = []
    for (recipe,), chosen in groups(table, "recipe"):
        means = chosen.groupby(varied)[list(columns)].mean() * list(columns.values())
        values = ", ".join(
            f"{' and '.join(f'{value:.3g}' for value in row)} at {each:g}"
            for each, row in zip(means.index, means.to_numpy(), strict=True)
        )
        parts.append(f"{recipe_label(recipe)}, {width_of(chosen)}: {values}")
    return f"Relative stable rank, reciprocal orthogonality and points of accuracy lost: {'; '.join(parts)}."


def width_of(table: DataFrame) -> str:
    """The width that all rows have, as figures write it."""
    return width_label(table["width_multiplier"].iloc[0])
