"""Is it flatness? A network on the way to another, in random directions as long, and towards untrained networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.lab.records import Record, lines_table
from lmcbook.pages.analysis.labels import recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.barriers import scale_values, scale_widths

_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]
_MIDDLE = (0.1, 0.9)
"""Eight of ten lines lie between these quantiles."""

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pair": ("to network b", {"color": style.STRONG, "marker": "o", "linestyle": "-", "linewidth": 2.2}),
    "global": ("random", {"color": style.WEAK, "marker": "s", "linestyle": "-", "linewidth": 1.5}),
    "layer": ("random,\nby layer", {"color": style.FOURTH, "marker": "^", "linestyle": "--", "linewidth": 1.5}),
    "filter": ("random,\nby filter", {"color": style.CONTROL, "marker": "D", "linestyle": "-.", "linewidth": 1.5}),
    "untrained": ("to untrained\nnetworks", {"color": style.INK, "marker": "v", "linestyle": ":", "linewidth": 1.5}),
}
"""Kind of line → its name in legends, and how it is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity:
    column: str
    label: str
    factor: float = 1.0
    logarithmic: bool = False


_ALONG = (
    _Quantity(column="loss", label="test loss (nats)", logarithmic=True),
    _Quantity(column="calibrated_loss", label="calibrated (nats)", logarithmic=True),
    _Quantity(column="accuracy", label="test accuracy (%)", factor=100),
)


def along_lines_table(records: Sequence[Record]) -> DataFrame:
    """What `loss_along_lines` draws, of the widest of each network: losses (nats) and accuracies along every line."""
    table = lines_table(records)
    widest = table.groupby("recipe")["width_multiplier"].transform("max")
    names = [*_PAIR, "kind", "line", "length", "distance", *(each.column for each in _ALONG), "inverse_temperature"]
    return table[table["width_multiplier"] == widest][names].reset_index(drop=True)


def loss_along_lines(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Loss, calibrated loss and accuracy on the way from network a, along each kind of line, at the widest.

    A line through the means over all lines of a kind; shaded, where eight of ten of them lie. ½ is the merge.
    """
    table = along_lines_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, drawn = rows.rows([2.6] * len(recipes), len(_ALONG), narrow=narrow, legend_lines=3)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            for axis, quantity in zip(axes, _ALONG, strict=True):
                _draw_along(axis, of_recipe, quantity)
            axes[0].set_title(f"{recipe_label(recipe)}, {_width_of(of_recipe)}")
            rows.legend(part, _handles(of_recipe), title="from network a", narrow=narrow)
    return figure


def _draw_along(axis: Axes, table: DataFrame, quantity: _Quantity) -> None:
    for kind, (_, look) in KINDS.items():
        chosen = table[table["kind"] == kind].groupby("distance")[quantity.column]
        mean = quantity.factor * chosen.mean()
        if mean.empty:
            continue
        if kind != "pair":
            low, high = (quantity.factor * chosen.quantile(each) for each in _MIDDLE)
            axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.14, linewidth=0, zorder=1)
        axis.plot(mean.index, mean, **_marked(look), markevery=2, zorder=4 if kind == "pair" else 3)
    axis.axvline(0.5, color=style.FAINT, linewidth=1, zorder=0)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    axis.set_xlabel("share of the way")
    axis.set_ylabel(quantity.label)
    if quantity.logarithmic:
        scale_values(axis, quantity.factor * table[quantity.column])


def along_lines_alt(records: Sequence[Record]) -> str:
    """`loss_along_lines` for those who do not see it."""
    table = along_lines_table(records)
    parts = []
    for (recipe,), chosen in groups(table, "recipe"):
        means = chosen.groupby(["kind", "distance"])["calibrated_loss"].mean()
        values = ", ".join(
            f"{_plain(kind)} {means[kind, 0.5]:.3g} and {means[kind, 1.0]:.3g}"
            for kind in KINDS
            if kind in means.index.get_level_values(0)
        )
        parts.append(f"{recipe_label(recipe)}, {_width_of(chosen)}: {values}")
    return (
        "Curves of loss, calibrated loss and accuracy on the way from network a. Calibrated losses in nats, halfway "
        f"and at the end: {'; '.join(parts)}."
    )


_HALFWAY = (
    _Quantity(column="loss", label="loss halfway (nats)", logarithmic=True),
    _Quantity(column="calibrated_loss", label="calibrated (nats)", logarithmic=True),
    _Quantity(column="accuracy", label="accuracy halfway (%)", factor=100),
)


def halfway_table(records: Sequence[Record]) -> DataFrame:
    """What `halfway_against_width` draws: of each pair and kind of line, means over the lines at the distance ½.

    Of each quantity also the quantiles between which eight of ten lines lie; ``length`` is relative to the norm of
    network a.
    """
    table = lines_table(records)
    halfway = table[table["distance"] == 0.5].groupby([*_PAIR, "kind"], sort=False)
    names = [each.column for each in _HALFWAY]
    found = halfway[["length", *names]].mean()
    for name in names:
        found[f"{name}_low"], found[f"{name}_high"] = (halfway[name].quantile(each) for each in _MIDDLE)
    return found.reset_index()


def halfway_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Loss, calibrated loss and accuracy halfway along each kind of line against the width multiplier.

    Every pair is a point, the mean over its lines; whiskers hold eight of ten of them; lines join means over pairs.
    """
    table = halfway_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, drawn = rows.rows([2.6] * len(recipes), len(_HALFWAY), narrow=narrow, legend_lines=3)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            for axis, quantity in zip(axes, _HALFWAY, strict=True):
                _draw_halfway(axis, of_recipe, quantity)
            axes[0].set_title(recipe_label(recipe))
            rows.legend(part, _handles(of_recipe), title="from network a", narrow=narrow)
    return figure


def _draw_halfway(axis: Axes, table: DataFrame, quantity: _Quantity) -> None:
    column, factor = quantity.column, quantity.factor
    for index, (kind, (_, look)) in enumerate(KINDS.items()):
        chosen = table[table["kind"] == kind]
        if chosen.empty:
            continue
        at = 2 ** (0.09 * (index - (len(KINDS) - 1) / 2)) * chosen["width_multiplier"]
        if kind != "pair":
            low, high = (factor * chosen[f"{column}_{side}"] for side in ("low", "high"))
            axis.vlines(at, low, high, color=look["color"], linewidth=0.9, alpha=0.5, zorder=2)
        axis.plot(at, factor * chosen[column], **{**_marked(look), "linestyle": "none"}, alpha=0.85, zorder=3)
        mean = factor * chosen.groupby(at)[column].mean()
        axis.plot(mean.index, mean, **{**look, "marker": "none"}, zorder=2)
    axis.set_ylabel(quantity.label)
    if quantity.logarithmic:
        scale_values(axis, factor * table[column])
    scale_widths(axis, table["width_multiplier"])
    axis.set_xlabel("width multiplier")


def halfway_alt(records: Sequence[Record]) -> str:
    """`halfway_against_width` for those who do not see it."""
    parts = []
    for (recipe, kind), chosen in groups(halfway_table(records), "recipe", "kind"):
        means = 100 * chosen.groupby("width_multiplier")["accuracy"].mean()
        ends = dict.fromkeys([means.index.min(), means.index.max()])
        values = " and ".join(f"{means[width]:.3g} at {width_label(width)}" for width in ends)
        parts.append(f"{recipe_label(recipe)} {_plain(kind)}: {values}")
    return (
        "Loss, calibrated loss and accuracy halfway along five kinds of lines against the width multiplier. "
        f"Accuracies in per cent: {'; '.join(parts)}."
    )


def _marked(look: dict[str, Any]) -> dict[str, Any]:
    return {**look, "markersize": 4.5, "markeredgecolor": style.GROUND, "markeredgewidth": 0.5}


def _handles(table: DataFrame) -> list[Line2D]:
    shown = set(table["kind"])
    return [Line2D([], [], label=name, **_marked(look)) for kind, (name, look) in KINDS.items() if kind in shown]


def _plain(kind: str) -> str:
    return KINDS[kind][0].replace("\n", " ")


def _width_of(table: DataFrame) -> str:
    return width_label(table["width_multiplier"].iloc[0])
