"""Is it flatness? A network on the way to another, in random directions as long, and towards untrained networks."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import ends_in_words, recipe_label, width_of
from lmcbook.pages.analysis.lines import KINDS, MIDDLE
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import draw_dots, network_rows
from lmcbook.pages.figures.scales import scale_values, scale_widths

_LOOKS: dict[str, dict[str, Any]] = {
    "pair": {"color": style.STRONG, "marker": "o", "linestyle": "-", "linewidth": 2.2},
    "global": {"color": style.WEAK, "marker": "s", "linestyle": "-", "linewidth": 1.5},
    "layer": {"color": style.FOURTH, "marker": "^", "linestyle": "--", "linewidth": 1.5},
    "filter": {"color": style.CONTROL, "marker": "D", "linestyle": "-.", "linewidth": 1.5},
    "untrained": {"color": style.INK, "marker": "v", "linestyle": ":", "linewidth": 1.5},
}


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


def loss_along_lines(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Loss, calibrated loss and accuracy on the way from network a, along each kind of line, at the widest.

    A line through the means over all lines of a kind; shaded, where eight of ten of them lie. ½ is the merge.
    """

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        for axis, quantity in zip(axes, _ALONG, strict=True):
            _draw_along(axis, of_recipe, quantity)
        axes[0].set_title(f"{recipe_label(of_recipe['recipe'].iloc[0])}, {width_of(of_recipe)}")
        return _handles(of_recipe)

    return network_rows(table, len(_ALONG), draw, height=2.6, narrow=narrow, legend_lines=3, title="from network a")


def _draw_along(axis: Axes, table: DataFrame, quantity: _Quantity) -> None:
    for kind, look in _LOOKS.items():
        chosen = table[table["kind"] == kind].groupby("distance")[quantity.column]
        mean = quantity.factor * chosen.mean()
        if mean.empty:
            continue
        if kind != "pair":
            low, high = (quantity.factor * chosen.quantile(each) for each in MIDDLE)
            axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.14, linewidth=0, zorder=1)
        axis.plot(mean.index, mean, **_marked(look), markevery=2, zorder=4 if kind == "pair" else 3)
    axis.axvline(0.5, color=style.FAINT, linewidth=1, zorder=0)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    axis.set_xlabel("share of the way")
    axis.set_ylabel(quantity.label)
    if quantity.logarithmic:
        scale_values(axis, quantity.factor * table[quantity.column])


def along_lines_alt(table: DataFrame) -> str:
    """`loss_along_lines` for those who do not see it."""
    parts = []
    for (recipe,), chosen in groups(table, "recipe"):
        means = chosen.groupby(["kind", "distance"])["calibrated_loss"].mean()
        values = ", ".join(
            f"{KINDS[kind]} {means[kind, 0.5]:.3g} and {means[kind, 1.0]:.3g}"
            for kind in KINDS
            if kind in means.index.get_level_values(0)
        )
        parts.append(f"{recipe_label(recipe)}, {width_of(chosen)}: {values}")
    return (
        "Curves of loss, calibrated loss and accuracy on the way from network a. Calibrated losses in nats, halfway "
        f"and at the end: {'; '.join(parts)}."
    )


_HALFWAY = (
    _Quantity(column="loss", label="loss halfway (nats)", logarithmic=True),
    _Quantity(column="calibrated_loss", label="calibrated (nats)", logarithmic=True),
    _Quantity(column="accuracy", label="accuracy halfway (%)", factor=100),
)


def halfway_against_width(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Loss, calibrated loss and accuracy halfway along each kind of line against the width multiplier.

    Every pair is a point, the mean over its lines; whiskers hold eight of ten of them; lines join means over pairs.
    """

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        for axis, quantity in zip(axes, _HALFWAY, strict=True):
            _draw_halfway(axis, of_recipe, quantity)
        axes[0].set_title(recipe_label(of_recipe["recipe"].iloc[0]))
        return _handles(of_recipe)

    return network_rows(table, len(_HALFWAY), draw, height=2.6, narrow=narrow, legend_lines=3, title="from network a")


def _draw_halfway(axis: Axes, table: DataFrame, quantity: _Quantity) -> None:
    column, factor = quantity.column, quantity.factor
    for index, (kind, look) in enumerate(_LOOKS.items()):
        chosen = table[table["kind"] == kind]
        if chosen.empty:
            continue
        at = 2 ** (0.09 * (index - (len(_LOOKS) - 1) / 2)) * chosen["width_multiplier"]
        if kind != "pair":
            low, high = (factor * chosen[f"{column}_{side}"] for side in ("low", "high"))
            axis.vlines(at, low, high, color=look["color"], linewidth=0.9, alpha=0.5, zorder=2)
        draw_dots(axis, at, factor * chosen[column], _marked(look), size=4.5, alpha=0.85)
    axis.set_ylabel(quantity.label)
    if quantity.logarithmic:
        scale_values(axis, factor * table[column])
    scale_widths(axis, table["width_multiplier"])
    axis.set_xlabel("width multiplier")


def halfway_alt(table: DataFrame) -> str:
    """`halfway_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} {KINDS[kind]}: {ends_in_words(chosen, 'accuracy', 100)}"
        for (recipe, kind), chosen in groups(table, "recipe", "kind")
    ]
    return (
        "Loss, calibrated loss and accuracy halfway along five kinds of lines against the width multiplier. "
        f"Accuracies in per cent: {'; '.join(parts)}."
    )


def _marked(look: dict[str, Any]) -> dict[str, Any]:
    return {**look, "markersize": 4.5, "markeredgecolor": style.GROUND, "markeredgewidth": 0.5}


def _handles(table: DataFrame) -> list[Line2D]:
    shown = set(table["kind"])
    names = {kind: name.replace(", ", ",\n").replace("untrained ", "untrained\n") for kind, name in KINDS.items()}
    return [Line2D([], [], label=names[kind], **_marked(look)) for kind, look in _LOOKS.items() if kind in shown]
