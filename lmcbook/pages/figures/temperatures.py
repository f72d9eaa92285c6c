"""How much hangs on the inverse temperature: the loss at other values, and what the prediction's error rests on."""

from collections.abc import Mapping
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label, recipe_label, width_label, width_of
from lmcbook.pages.analysis.temperatures import TOLERANCE, Sensitivity
from lmcbook.pages.analysis.vocabulary import groups, widest
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.kit import network_rows
from lmcbook.pages.figures.marks import Look, decay_looks, draw_curves, handle, point_of, width_handles, width_looks
from lmcbook.pages.figures.scales import fractions, plain_octaves, scale_values


def loss_against_temperature(table: Sensitivity, *, narrow: bool = False) -> Figure:
    """The loss barrier against β, and for each width the range of β that costs at most 0.02 nats; one row per network.

    On the left every pair is a thin line and the mean over pairs a bold line; on the right every pair is a bar, with
    its fitted and its predicted β.
    """
    losses, intervals = table

    def draw(axes: list[Axes], of_network: DataFrame) -> list[Line2D]:
        recipe, looks = of_network["recipe"].iloc[0], width_looks(of_network)
        _draw_losses(axes[0], of_network, looks)
        axes[0].set_title(f"{recipe_label(recipe)}: loss")
        _draw_intervals(axes[1], intervals[intervals["recipe"] == recipe], looks)
        axes[1].set_title(f"within {TOLERANCE:g} nats of the least")
        uncalibrated = {"color": style.INK, "linewidth": 1, "linestyle": ":"}
        marks = [handle("fitted β", _FITTED), handle("predicted β", _PREDICTED), handle("uncalibrated", uncalibrated)]
        return [*width_handles(looks), *marks]

    def height(of_network: DataFrame) -> float:
        return 2.3 + 0.12 * of_network["width_multiplier"].nunique()

    return network_rows(losses, 2, draw, height=height, narrow=narrow, legend_lines=5, title="width")


def _draw_losses(axis: Axes, table: DataFrame, looks: Mapping[float, Look]) -> None:
    table = table.assign(factor=(table["inverse_temperature"] / table["fitted_inverse_temperature"]).round(3))
    for width, look in looks.items():
        draw_curves(axis, table[table["width_multiplier"] == width], "factor", "loss_barrier", look, marks=3)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: width_label(value)))
    axis.set_xlabel("β, relative to the fitted")
    axis.set_ylabel("loss barrier (nats)")
    scale_values(axis, table["loss_barrier"])


def _draw_intervals(axis: Axes, table: DataFrame, looks: Mapping[float, Look]) -> None:
    names = ["fitted_inverse_temperature", "predicted_inverse_temperature", "low", "high"]
    for place, (width, look) in enumerate(looks.items()):
        of_width = table[table["width_multiplier"] == width]
        for index, (fitted, predicted, low, high) in enumerate(of_width[names].to_numpy(float)):
            height = place + 0.26 * (index - (len(of_width) - 1) / 2)
            axis.plot([fitted * low, fitted * high], [height] * 2, color=look["color"], linewidth=3.4, alpha=0.55)
            axis.plot([fitted], [height], **_FITTED)
            axis.plot([predicted], [height], **_PREDICTED)
    axis.axvline(1, color=style.INK, linewidth=1, linestyle=":", zorder=1)
    axis.set_yticks(range(len(looks)), [width_label(width) for width in looks])
    axis.set_ylim(-0.6, len(looks) - 0.4)
    axis.grid(visible=False, axis="y")
    axis.set_ylabel("width multiplier")
    axis.set_xlabel("inverse temperature β")
    plain_octaves(axis)


def loss_against_temperature_alt(table: Sensitivity) -> str:
    """`loss_against_temperature` for those who do not see it."""
    parts = []
    for (recipe,), of_recipe in groups(table.intervals, "recipe"):
        chosen = widest(of_recipe)
        parts.append(
            f"{recipe_label(recipe)} {width_of(chosen)}: from {chosen['low'].mean():.2g} to "
            f"{chosen['high'].mean():.2g} times the fitted"
        )
    return (
        "Curves of the loss barrier against the inverse temperature, one for each width, and bars of the inverse "
        f"temperatures that keep it within {TOLERANCE:g} nats of its least. At the widest, {'; '.join(parts)}."
    )


def temperature_error_against_conditions(table: DataFrame, *, narrow: bool = False) -> Figure:
    """The fitted over the predicted β against both conditions of Theorem 5.3: each pair a point, larger when wider."""
    recipes = list(table["recipe"].unique())
    colours = {decay: look["color"] for decay, look in decay_looks(table["weight_decay"]).items()}
    markers = {recipe: style.MARKERS[index % len(style.MARKERS)] for index, recipe in enumerate(recipes)}
    shown = {
        "reciprocal_orthogonality": "reciprocal orthogonality (0: holds)",
        "weak_additivity": "weak additivity (1: holds)",
    }
    with style.applied():
        figure, [(part, axes)] = rows.rows([3.2], 2, narrow=narrow, legend_lines=5)
        for index, (axis, (column, label)) in enumerate(zip(axes, shown.items(), strict=True)):
            for (recipe, width, decay), points in groups(table, "recipe", "width_multiplier", "weight_decay"):
                widths = sorted(table[table["recipe"] == recipe]["width_multiplier"].unique())
                size = 3 + 5 * widths.index(width) / max(len(widths) - 1, 1)
                look = point_of(colours[decay], markers[recipe], size=size)
                axis.plot(points[column], points["ratio"], **look, alpha=0.75)
            axis.axhline(1, color=style.INK, linewidth=1.1, linestyle="--", zorder=1)
            axis.set_xlabel(label)
            axis.set_yscale("log", base=2)
            fractions(axis.yaxis)
            if index == 0 or narrow:
                axis.set_ylabel("fitted β / predicted β")
        handles = [
            *(handle(recipe_label(recipe), point_of(style.INK, marker)) for recipe, marker in markers.items()),
            *(handle(f"decay {decay_label(decay)}", point_of(colour)) for decay, colour in colours.items()),
        ]
        rows.legend(part, handles, title=None, narrow=narrow)
    return figure


def temperature_conditions_alt(table: DataFrame) -> str:
    """`temperature_error_against_conditions` for those who do not see it."""
    parts = []
    for (recipe, decay), of_decay in groups(table, "recipe", "weight_decay"):
        chosen = widest(of_decay)
        ratio = 2 ** numpy.log2(chosen["ratio"]).mean()
        parts.append(
            f"{recipe_label(recipe)} {width_of(chosen)} with weight decay {decay_label(decay)}: {ratio:.2g}, "
            f"with orthogonality {chosen['reciprocal_orthogonality'].mean():.2g} and additivity "
            f"{chosen['weak_additivity'].mean():.3g}"
        )
    return (
        "Two scatter plots of the fitted over the predicted inverse temperature, against reciprocal orthogonality and "
        f"against weak additivity. {'; '.join(parts)}."
    )


_FITTED: dict[str, Any] = {"marker": "o", "color": style.INK, "markersize": 3.6, "linestyle": "none", "zorder": 4}
_PREDICTED: dict[str, Any] = {
    **{"marker": "D", "markersize": 4.2, "linestyle": "none", "zorder": 3},
    **{"markerfacecolor": style.GROUND, "color": style.INK, "markeredgewidth": 1},
}
