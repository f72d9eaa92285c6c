"""Against a penalty on low rank, at one width: ranks, the conditions of Theorem 5.3, barriers, unmerged accuracy."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from pandas import DataFrame

from lmcbook.figures import rows, style
from lmcbook.figures.curves import groups
from lmcbook.figures.panels import MAIN, OTHER, Panel, Series, draw_panel, look_of, places_of
from lmcbook.records import Record, pairs_table

_PAIR = ["recipe", "width_multiplier", "weight_decay", "spread_penalty", "seed_a", "seed_b"]
_COLUMNS = (
    *("relative_effective_rank", "relative_stable_rank", "reciprocal_orthogonality", "weak_additivity"),
    *("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier", "endpoint_accuracy"),
)
_PANELS = (
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
    Panel(
        label="accuracy barrier (points)",
        series=(Series(column="midpoint_accuracy_barrier", look=MAIN),),
        factor=100,
        guide=0,
    ),
    Panel(
        label="loss barrier (nats)",
        series=(
            Series(column="midpoint_loss_barrier", label="as it is", look=OTHER),
            Series(column="midpoint_calibrated_loss_barrier", label="calibrated", look=MAIN),
        ),
        logarithmic=True,
    ),
    Panel(
        label="unmerged accuracy (%)",
        series=(Series(column="endpoint_accuracy", look=MAIN),),
        factor=100,
        limits=(None, 100),
    ),
)
_IN_A_LINE = 3


def penalty_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent pair merged as it is: its penalty, ranks, conditions, barriers, unmerged accuracy.

    Barriers are those at λ = ½; the others are means over layers, or over the two networks.
    """
    table = pairs_table(records)
    table = table[(table["alignment"] == "identity") & (table["shared"] == "nothing")]
    return table[[*_PAIR, *_COLUMNS]].astype(dict.fromkeys(_COLUMNS, float)).reset_index(drop=True)


def against_penalty(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Ranks, both conditions, barriers and unmerged accuracy against the size of a penalty against low rank.

    Every pair is a point, lines join means; 0 is training without the penalty.
    """
    table = penalty_table(records).assign(hollow=False)
    recipes = list(table["recipe"].unique())
    lines = len(_PANELS) // _IN_A_LINE
    with style.applied():
        figure, drawn = rows.rows([2.2] * lines * len(recipes), _IN_A_LINE, narrow=narrow, legend_lines=2)
        for index, (part, axes) in enumerate(drawn):
            of_recipe = table[table["recipe"] == recipes[index // lines]]
            of_line = _PANELS[(index % lines) * _IN_A_LINE :][:_IN_A_LINE]
            places = places_of(of_recipe["spread_penalty"].unique())
            for axis, panel in zip(axes, of_line, strict=True):
                draw_panel(axis, panel, of_recipe, "spread_penalty", places)
                scale_penalties(axis, places)
            if index % lines == 0:
                axes[0].set_title(f"{style.recipe_label(of_recipe['recipe'].iloc[0])}, {_width_of(of_recipe)}")
            named = [series for panel in of_line for series in panel.series if series.label]
            handles = [Line2D([], [], label=each.label, **look_of(each.look)) for each in named]
            rows.legend(part, handles, title=None, narrow=narrow)
    return figure


def scale_penalties(axis: Axes, places: Mapping[float, float]) -> None:
    """Penalties on a logarithmic axis that has a place for 0."""
    axis.xaxis.set_major_locator(FixedLocator(sorted(places.values())))
    axis.set_xticklabels([f"{penalty:g}" for penalty in sorted(places)])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("penalty against low rank")


def against_penalty_alt(records: Sequence[Record]) -> str:
    """`against_penalty` for those who do not see it."""
    columns = {"relative_stable_rank": 1.0, "reciprocal_orthogonality": 1.0, "midpoint_accuracy_barrier": 100.0}
    parts = []
    for (recipe,), chosen in groups(penalty_table(records), "recipe"):
        means = chosen.groupby("spread_penalty")[list(columns)].mean() * list(columns.values())
        values = ", ".join(
            f"{' and '.join(f'{value:.3g}' for value in row)} at {penalty:g}"
            for penalty, row in zip(means.index, means.to_numpy(), strict=True)
        )
        parts.append(f"{style.recipe_label(recipe)}, {_width_of(chosen)}: {values}")
    return (
        "Ranks, both conditions, barriers and unmerged accuracy against a penalty on low rank. Relative stable rank, "
        f"reciprocal orthogonality and points of accuracy lost: {'; '.join(parts)}."
    )


def _width_of(table: DataFrame) -> str:
    return style.width_label(table["width_multiplier"].iloc[0])
