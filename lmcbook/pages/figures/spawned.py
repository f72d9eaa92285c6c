"""Pairs that share nothing, the order of the examples, or their start: barriers, laws and conditions as it moves."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, concat

from lmcbook.pages.analysis.labels import recipe_label, width_of
from lmcbook.pages.analysis.starts import NOTHING, ORDER, name_of
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import network_rows
from lmcbook.pages.figures.layers import label_room, name_layers
from lmcbook.pages.figures.panels import (
    ACCURACY_BARRIER,
    LOSS_BARRIERS,
    MAIN,
    OTHER,
    Panel,
    Series,
    handle_of,
    look_of,
)
from lmcbook.pages.figures.scales import scale_values

_BARRIER_PANELS = (
    ACCURACY_BARRIER,
    replace(LOSS_BARRIERS, guide=0, logarithmic=False),
)
_MECHANISM_PANELS = (
    Panel(
        label="error of the law (logits)",
        series=(
            Series(column="orthogonal_error", label="if orthogonal", look=MAIN),
            Series(column="alike_error", label="if alike (LLFC)", look=OTHER),
        ),
        logarithmic=True,
    ),
    Panel(
        label="condition (0: it holds)",
        series=(
            Series(column="reciprocal_orthogonality", look=MAIN),
            Series(column="commutativity", look=OTHER),
        ),
        guide=0,
        limits=(-0.03, None),
    ),
)


def barriers_by_start(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ of pairs that share nothing, the order of the examples, or ever more of their training.

    Every pair is a point; the line joins means over pairs that share their start.
    """

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        for axis, panel in zip(axes, _BARRIER_PANELS, strict=True):
            _draw_starts(axis, panel, of_recipe)
        axes[0].set_title(_title(of_recipe))
        return _handles(_BARRIER_PANELS)

    return network_rows(table, len(_BARRIER_PANELS), draw, height=2.9, narrow=narrow, legend_lines=2)


def mechanisms_by_start(table: DataFrame, *, narrow: bool = False) -> Figure:
    r"""The mechanisms changing places: exponents $e_\ell$ of every layer, errors of both laws, and both conditions.

    On the left a line for each kind of pair, with what the two laws say. In the middle and on the right every pair is
    a point, and lines join means over pairs that share their start.
    """

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        looks = _draw_exponents(axes[0], _values(of_recipe, "decay_exponent"), narrow=narrow)
        for axis, panel in zip(axes[1:], _MECHANISM_PANELS, strict=True):
            _draw_starts(axis, panel, of_recipe)
        axes[0].set_title(_title(of_recipe))
        handles = [Line2D([], [], label=name_of(kind), **look) for kind, look in looks.items()]
        return handles + _handles(_MECHANISM_PANELS)

    def height(of_recipe: DataFrame) -> float:
        return 2.5 + label_room(_values(of_recipe, "decay_exponent"), panels=3)

    return network_rows(table, 3, draw, height=height, narrow=narrow, legend_lines=5)


def _values(table: DataFrame, column: str) -> DataFrame:
    """The rows that have this ``column``, in a table with a column or with rows for each quantity."""
    if "quantity" in table:
        table = table[table["quantity"] == column].rename(columns={"value": column})
    return table.dropna(subset=[column])


def _draw_exponents(axis: Axes, table: DataFrame, *, narrow: bool) -> dict[str, dict[str, Any]]:
    kinds = list(table["in_common"].unique())
    starts = [kind for kind in kinds if kind not in (NOTHING, ORDER)]
    colours = style.width_colours(range(len(starts)))
    looks: dict[str, dict[str, Any]] = {
        NOTHING: {"color": style.INK, "linestyle": "-", "marker": "o"},
        ORDER: {"color": style.CONTROL, "linestyle": "--", "marker": "s"},
        **{kind: {"color": colours[index], "linestyle": "-", "marker": "^"} for index, kind in enumerate(starts)},
    }
    looks = {kind: {**looks[kind], "linewidth": 1.4, "markersize": 3.6} for kind in kinds}
    for kind, look in looks.items():
        mean = table[table["in_common"] == kind].groupby("depth")["decay_exponent"].mean()
        axis.plot(mean.index, mean, **look)
    last, normalised = int(table["depth"].max()), table["batch_norm"].any()
    for depth in range(1, last + 1):
        # under recomputed batch norm orthogonal networks lose nothing but half of their logits
        orthogonal = (2 if depth == last else 1) if normalised else depth
        for value, line in ((orthogonal, "--"), (1, ":")):
            axis.plot([depth - 0.42, depth + 0.42], [value] * 2, color=style.INK, linestyle=line, linewidth=1, zorder=1)
    name_layers(axis, table, panels=1 if narrow else 3)
    axis.set_ylabel("decay exponent")
    axis.set_ylim(0, None)
    return looks


def _draw_starts(axis: Axes, panel: Panel, table: DataFrame) -> None:
    kinds = list(table["in_common"].unique())
    places = {kind: place for place, kind in enumerate(kinds)}
    for series in panel.series:
        look, chosen = look_of(series.look), _values(table, series.column)
        at, values = chosen["in_common"].map(places), panel.factor * chosen[series.column]
        axis.plot(at, values, **{**look, "linestyle": "none", "markersize": 4, "alpha": 0.8}, zorder=3)
        mean = values.groupby(at).mean()
        starts = [places[kind] for kind in kinds if kind not in (NOTHING, ORDER) and places[kind] in mean.index]
        axis.plot(starts, mean[starts], **{**look, "marker": "none"}, zorder=2)
        for place in set(mean.index) - set(starts):  # nothing lies between these, so no line may join them
            axis.plot([place - 0.3, place + 0.3], [mean[place]] * 2, **{**look, "marker": "none"}, zorder=2)
    axis.set_ylabel(panel.label)
    if panel.logarithmic:
        drawn = [panel.factor * _values(table, series.column)[series.column] for series in panel.series]
        scale_values(axis, concat(drawn))
    if panel.guide is not None:
        axis.axhline(panel.guide, color=style.INK, linewidth=1, zorder=1)
    axis.set_ylim(*panel.limits)
    axis.set_xticks(range(len(kinds)), kinds, rotation=90)
    axis.set_xlim(-0.6, len(kinds) - 0.4)
    axis.set_xlabel("in common")


def barriers_by_start_alt(table: DataFrame) -> str:
    """`barriers_by_start` for those who do not see it."""
    return (
        "Accuracy and loss barriers against what the two networks have in common. Points of accuracy lost at λ = ½: "
        f"{_in_words(table, ('midpoint_accuracy_barrier',), 100)}."
    )


def mechanisms_by_start_alt(table: DataFrame) -> str:
    """`mechanisms_by_start` for those who do not see it."""
    last = table.groupby("recipe")["depth"].transform("max")
    logits = table[table["depth"].isna() | (table["depth"] == last)]
    return (
        "Decay exponents of every layer, errors of the two laws and both conditions against what the two networks have "
        "in common. Decay exponent of the logits, reciprocal orthogonality and commutativity: "
        f"{_in_words(logits, ('decay_exponent', 'reciprocal_orthogonality', 'commutativity'), 1)}."
    )


def _in_words(table: DataFrame, columns: Sequence[str], factor: float) -> str:
    parts = []
    for _, chosen in groups(table, "recipe"):
        means = {column: factor * _values(chosen, column).groupby("in_common")[column].mean() for column in columns}
        values = ", ".join(
            f"{' and '.join(f'{means[column].get(kind, math.nan):.3g}' for column in columns)} ({name_of(kind)})"
            for kind in chosen["in_common"].unique()
        )
        parts.append(f"{_title(chosen)}: {values}")
    return "; ".join(parts)


def _handles(panels: Sequence[Panel]) -> list[Line2D]:
    return [handle_of(series) for panel in panels for series in panel.series if series.label]


def _title(table: DataFrame) -> str:
    return f"{recipe_label(table['recipe'].iloc[0])}, {width_of(table)}"
