"""Does the barrier end on a floor? The reviewers' question to the paper, asked of a fit through all pairs."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series, concat

from lmcbook.data.datasets import DATASETS
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.floor_fit import FloorFit, fit_floor
from lmcbook.pages.analysis.labels import decay_label, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.barriers import scale_values, scale_widths

METRICS = {
    "midpoint_accuracy_barrier": ("accuracy barrier (points)", 100.0),
    "midpoint_calibrated_loss_barrier": ("calibrated loss barrier (nats)", 1.0),
}


Fitted = tuple[str, float, str, DataFrame, FloorFit | None]
"""Recipe, weight decay, metric, the pairs merged as they are, and the fit through them, if one is possible."""


def floor_fits(records: Sequence[Record]) -> list[Fitted]:
    """The fits of all networks that are measured at enough widths; of all networks where none is."""
    table = barriers_table(records)
    table = table[table["alignment"] == "identity"]
    found: list[Fitted] = []
    for (recipe, decay), chosen in groups(table, "recipe", "weight_decay"):
        for column in METRICS:
            pairs = chosen.dropna(subset=[column])
            if not pairs.empty:
                fit = fit_floor(list(pairs["width_multiplier"]), list(pairs[column]), ceiling=_ceiling(pairs, column))
                found.append((recipe, decay, column, pairs, fit))
    fitted = {recipe for recipe, *_, fit in found if fit}
    return [each for each in found if each[0] in fitted or not fitted]


def floor_table(records: Sequence[Record]) -> DataFrame:
    """A row for each fit of `floor_against_width`: the floor with its 95 % interval, in fractions and nats."""
    names = ["floor", "low", "high", "p_value", "exponent", "half_width", "num_pairs", "num_widths"]
    rows = [
        [recipe, decay, column, *(getattr(fit, name) if fit else math.nan for name in names[:-2]), len(pairs), widths]
        for recipe, decay, column, pairs, fit in floor_fits(records)
        for widths in [pairs["width_multiplier"].nunique()]
    ]
    return DataFrame(rows, columns=["recipe", "weight_decay", "barrier", *names])


def floor_alt(records: Sequence[Record]) -> str:
    """`floor_against_width` for those who do not see it."""
    parts = []
    for recipe, decay, column, pairs, fit in floor_fits(records):
        label, factor = METRICS[column]
        widths = pairs["width_multiplier"]
        said = "no fit"
        if fit:
            floor, low, high = (factor * each for each in (fit.floor, fit.low, fit.high))
            said = f"floor {floor:.3g}, between {low:.3g} and {high:.3g}"
        parts.append(
            f"{recipe_label(recipe)}, weight decay {decay_label(decay)}, {label}, "
            f"{width_label(widths.min())} to {width_label(widths.max())}: {said}"
        )
    return f"Barriers at λ = ½ against the width multiplier on logarithmic axes with fitted curves. {'; '.join(parts)}."


def floor_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Barriers against width, every pair a point: the fit that may end on a floor (solid), and that without one.

    The band is the confidence interval of the floor, drawn where no network was: to the right of the widest.
    """
    found = floor_fits(records)
    recipes = list(dict.fromkeys(recipe for recipe, *_ in found))
    decays = sorted({decay for _, decay, *_ in found}, reverse=True)
    looks = {decay: _look(index) for index, decay in enumerate(decays)}
    with style.applied():
        figure, axes = style.panels(len(recipes), len(METRICS), height=2.9, narrow=narrow, share_y="none")
        for index, (axis, (recipe, column)) in enumerate(zip(axes, product(recipes, METRICS), strict=True)):
            label, factor = METRICS[column]
            axis.set_ylabel(label)
            here = [each for each in found if (each[0], each[2]) == (recipe, column)]
            drawn = concat([pairs for *_, pairs, _ in here])
            for _, decay, _, pairs, fit in here:
                colour, marker = looks[decay]
                points = axis.plot(pairs["width_multiplier"], factor * pairs[column], marker, color=colour, zorder=3)
                points[0].set(markersize=4.5, alpha=0.8)
                if fit:
                    _draw_fit(axis, fit, drawn["width_multiplier"], factor, colour)
            scale_widths(axis, drawn["width_multiplier"])
            scale_values(axis, factor * drawn[column])
            if index % len(METRICS) == 0:
                axis.set_title(recipe_label(recipe))
            if narrow or recipe == recipes[-1]:
                axis.set_xlabel("width multiplier")
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle="none", label=f"weight decay {decay_label(decay)}")
            for decay, (colour, marker) in looks.items()
        ]
        handles.append(Line2D([], [], color=style.INK, linestyle="-", label="fit with a floor"))
        handles.append(Line2D([], [], color=style.INK, linestyle=":", label="fit without one"))
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 2)
    return figure


def _look(index: int) -> tuple[str, str]:
    colours = (style.STRONG, style.WEAK, style.CONTROL)
    return colours[min(index, len(colours) - 1)], style.MARKERS[index % len(style.MARKERS)]


def _draw_fit(axis: Axes, fit: FloorFit, widths: Series, factor: float, colour: str) -> None:
    grid = np.geomspace(widths.min(), 2 * widths.max(), 60)
    axis.plot(grid, factor * fit.at(grid), color=colour, linestyle="-", linewidth=1.8, zorder=2)
    axis.plot(grid, factor * fit.at(grid, floor=False), color=colour, linestyle=":", linewidth=1.3, zorder=2)
    if fit.low > 0:
        ends = [1.15 * widths.max(), 2 * widths.max()]
        axis.fill_between(ends, factor * fit.low, factor * fit.high, color=colour, alpha=0.2, linewidth=0)


def _ceiling(pairs: DataFrame, column: str) -> float:
    # the barrier of a merged network that guesses; of an unknown dataset, the largest that was measured
    dataset = pairs["dataset"].iloc[0]
    if dataset not in DATASETS:
        return max(float(pairs[column].max()), 1e-9)
    classes = DATASETS[dataset].num_classes
    if column == "midpoint_accuracy_barrier":
        return max(float(pairs["endpoint_accuracy"].mean()) - 1 / classes, 1e-9)
    return max(math.log(classes) - float(pairs["endpoint_calibrated_loss"].mean()), 1e-9)
