"""Barriers against width, with every pair as a point, and whether they end on a floor: the reviewers' questions."""

from collections.abc import Sequence
from functools import partial

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series, concat

from lmcbook.pages.analysis.barriers import BARRIERS
from lmcbook.pages.analysis.floor_fit import FloorFit
from lmcbook.pages.analysis.floors import FITTED_BARRIERS, Fitted
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import as_they_are, groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import draw_dots, width_panels
from lmcbook.pages.figures.marks import decay_looks, handle, point_of
from lmcbook.pages.figures.scales import scale_values, scale_widths


def barrier_alt(table: DataFrame) -> str:
    """`barrier_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: "
        f"{ends_in_words(chosen, 'midpoint_accuracy_barrier', 100)}"
        for (recipe, decay), chosen in groups(as_they_are(table), "recipe", "weight_decay")
    ]
    return (
        "Barriers in accuracy, loss and calibrated loss against the width multiplier, a point for each pair of "
        f"networks and a line through the means. Points of accuracy lost at λ = ½, {'; '.join(parts)}."
    )


def barrier_against_width(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ against the width multiplier: a point for each pair, a line through the means.

    Colours are weight decays; hollow markers on dotted lines are the control, model b under a random permutation.
    Where a barrier is not above 0, the vertical axis is linear near 0 and logarithmic beyond, and says so.
    """
    looks = {
        (alignment, decay): look
        for alignment in ("identity", "random")
        for decay, look in decay_looks(table["weight_decay"], hollow=alignment == "random").items()
        if ((table["alignment"] == alignment) & (table["weight_decay"] == decay)).any()
    }
    suffixes = {"identity": "", "random": ", b randomly permuted"}

    def legend() -> list[Line2D]:
        return [
            handle(f"weight decay {decay_label(decay)}{suffixes[alignment]}", look)
            for (alignment, decay), look in looks.items()
        ]

    def draw(axis: Axes, of_recipe: DataFrame, column: str, factor: float) -> None:
        for (alignment, decay), look in looks.items():
            chosen = of_recipe[(of_recipe["weight_decay"] == decay) & (of_recipe["alignment"] == alignment)]
            # the control a little to the right, where its points do not cover those it is compared with
            shift = 1.0 if alignment == "identity" else 1.1
            draw_dots(axis, shift * chosen["width_multiplier"], factor * chosen[column], look)
        scale_values(axis, factor * of_recipe[column])
        scale_widths(axis, of_recipe["width_multiplier"])

    panels = [(label, partial(draw, column=column, factor=factor)) for column, (label, factor) in BARRIERS.items()]
    return width_panels(table, panels, legend, height=2.9, narrow=narrow)


def floor_alt(fits: Sequence[Fitted]) -> str:
    """`floor_against_width` for those who do not see it."""
    parts = []
    for each in fits:
        widths, said = each.pairs["width_multiplier"], "no fit"
        if each.fit:
            floor, low, high = (each.factor * value for value in (each.fit.floor, each.fit.low, each.fit.high))
            said = f"floor {floor:.3g}, between {low:.3g} and {high:.3g}"
        parts.append(
            f"{recipe_label(each.recipe)}, weight decay {decay_label(each.weight_decay)}, {each.label}, "
            f"{width_label(widths.min())} to {width_label(widths.max())}: {said}"
        )
    return f"Barriers at λ = ½ against the width multiplier on logarithmic axes with fitted curves. {'; '.join(parts)}."


def floor_against_width(fits: Sequence[Fitted], *, narrow: bool = False) -> Figure:
    """Barriers against width, every pair a point: the fit that may end on a floor (solid), and the fit without a floor.

    The band is the confidence interval of the floor, drawn where no network was: to the right of the widest.
    """
    looks = {
        decay: point_of(look["color"], look["marker"], size=4.5)
        for decay, look in decay_looks([each.weight_decay for each in fits]).items()
    }

    def draw(axis: Axes, pairs: DataFrame, column: str, factor: float) -> None:
        for each in fits:
            if (each.recipe, each.column) != (pairs["recipe"].iloc[0], column):
                continue
            look, widths = looks[each.weight_decay], each.pairs["width_multiplier"]
            axis.plot(widths, factor * each.pairs[column], **look, alpha=0.8, zorder=3)
            if each.fit:
                _draw_fit(axis, each.fit, pairs["width_multiplier"], factor, look["color"])
        scale_widths(axis, pairs["width_multiplier"])
        scale_values(axis, factor * pairs[column])

    def legend() -> list[Line2D]:
        of_pairs = [handle(f"weight decay {decay_label(decay)}", look) for decay, look in looks.items()]
        fits = {"fit with a floor": "-", "fit without one": ":"}
        return [
            *of_pairs,
            *(handle(name, {"color": style.INK, "linestyle": linestyle}) for name, linestyle in fits.items()),
        ]

    panels = [
        (BARRIERS[column][0], partial(draw, column=column, factor=BARRIERS[column][1])) for column in FITTED_BARRIERS
    ]
    pairs = concat([each.pairs for each in fits if each.column == FITTED_BARRIERS[0]])
    return width_panels(pairs, panels, legend, height=2.9, narrow=narrow)


def _draw_fit(axis: Axes, fit: FloorFit, widths: Series, factor: float, colour: str) -> None:
    grid = numpy.geomspace(widths.min(), 2 * widths.max(), 60)
    axis.plot(grid, factor * fit.at(grid), color=colour, linestyle="-", linewidth=1.8, zorder=2)
    axis.plot(grid, factor * fit.at(grid, floor=False), color=colour, linestyle=":", linewidth=1.3, zorder=2)
    if fit.low > 0:
        ends = [1.15 * widths.max(), 2 * widths.max()]
        axis.fill_between(ends, factor * fit.low, factor * fit.high, color=colour, alpha=0.2, linewidth=0)
