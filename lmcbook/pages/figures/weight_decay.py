"""Against weight decay, at one width: barriers, the conditions of Theorem 5.3, ranks and sparsity (Fig. 9)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from pandas import DataFrame

from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY
from lmcbook.pages.analysis.labels import decay_label, recipe_label, width_of
from lmcbook.pages.analysis.sweeps import FULL, SHORTER, SPARED
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.panels import (
    ACCURACY_BARRIER,
    FOURTH,
    LOSS_BARRIERS,
    MAIN,
    OTHER,
    THIRD,
    Panel,
    Series,
    draw_panel,
    look_of,
    places_of,
)
from lmcbook.pages.figures.sweeps import draw_sweep, means_in_words

_BARRIER_PANELS = (
    ACCURACY_BARRIER,
    LOSS_BARRIERS,
    Panel(label="unmerged accuracy (%)", series=(Series(column="endpoint_accuracy", look=MAIN),), factor=100),
)
_CONDITION_PANELS = (
    Panel(
        label="reciprocal orthogonality",
        series=(Series(column="reciprocal_orthogonality", look=MAIN),),
        guide=0,
        limits=(0, None),
    ),
    Panel(
        label="weak additivity",
        series=(Series(column="weak_additivity", look=MAIN),),
        guide=1,
        limits=(None, 1.01),
    ),
    Panel(
        label="relative rank",
        series=(
            Series(column="relative_effective_rank", label="effective rank", look=MAIN),
            Series(column="relative_stable_rank", label="stable rank", look=OTHER),
        ),
        limits=(0, None),
    ),
    Panel(
        label="share of units",
        series=(
            Series(column="active_share", label="active units", look=THIRD),
            Series(column="lowest_bin_share", label="lowest bin", look=FOURTH),
        ),
        limits=(0, None),
    ),
)
_PRODUCT_PANELS = (
    replace(_CONDITION_PANELS[2], label="relative effective rank", series=_CONDITION_PANELS[2].series[:1]),
    _CONDITION_PANELS[1],
    _CONDITION_PANELS[0],
    _BARRIER_PANELS[0],
)


def barriers_against_decay(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ and the accuracy of the unmerged networks against weight decay, at one width: Fig. 9.

    Every pair is a point, lines join means. Hollow: batch norm's own parameters are left alone by the decay.
    """
    return _against_decay(table, _BARRIER_PANELS, narrow=narrow, height=2.5, columns=3)


def conditions_against_decay(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Both conditions of Theorem 5.3, the rank of the weights and the share of active units against weight decay."""
    return _against_decay(table, _CONDITION_PANELS, narrow=narrow, height=2.3, columns=2)


def _against_decay(table: DataFrame, panels: Sequence[Panel], *, narrow: bool, height: float, columns: int) -> Figure:
    def more(of_recipe: DataFrame) -> list[Line2D]:
        spared = [Line2D([], [], label="batch norm\nnot decayed", **look_of(MAIN, hollow=True))]
        paper = Line2D([], [], label="the paper's 3e-3", **_PAPER)
        return [*(spared if SPARED in set(of_recipe["kind"]) else []), paper]

    shown = table[table["kind"] != SHORTER].assign(hollow=lambda drawn: drawn["kind"] != FULL)
    return draw_sweep(
        shown,
        "weight_decay",
        scale_decays,
        narrow=narrow,
        panels=panels,
        columns=columns,
        height=height,
        legend_lines=3,
        more=more,
    )


def scale_decays(axis: Axes, places: Mapping[float, float]) -> None:
    """Weight decays on a logarithmic axis that has a place for 0, with the paper's marked."""
    named: list[float] = []
    # powers of ten first; whatever stands too close to a name that is there gets a tick without one
    for decay in sorted(places, key=lambda each: (not float(places[each]).is_integer(), -places[each])):
        if all(abs(places[decay] - places[other]) > 0.7 for other in named):
            named.append(decay)
    axis.xaxis.set_major_locator(FixedLocator([places[decay] for decay in sorted(named)]))
    axis.set_xticklabels([decay_label(decay) for decay in sorted(named)])
    axis.xaxis.set_minor_locator(FixedLocator(sorted(places.values())))
    axis.set_xlabel("weight decay")
    if MAIN_WEIGHT_DECAY in places:
        axis.axvline(places[MAIN_WEIGHT_DECAY], **_PAPER, zorder=1)


def against_decay_product(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Rank, conditions and barrier against learning rate × weight decay × steps / (1 − momentum).

    Filled: the recipe's schedule; hollow: fewer epochs. Where hollow and filled points lie on one curve, it is this
    product that counts. A colour and a marker for each network.
    """
    table = table[table["kind"] != SPARED].assign(hollow=lambda drawn: drawn["kind"] != FULL)
    recipes = list(table["recipe"].unique())
    looks = {
        recipe: {"color": _COLOURS[index % 4], "marker": style.MARKERS[index % 8], "linestyle": "-"}
        for index, recipe in enumerate(recipes)
    }
    with style.applied():
        figure, axes = style.panels(2, 2, height=2.5, narrow=narrow, share_y="none")
        places = places_of(table["decay_product"].unique())
        for axis, panel in zip(axes, _PRODUCT_PANELS, strict=True):
            for recipe, look in looks.items():
                chosen = table[table["recipe"] == recipe]
                series = tuple(replace(each, look=look) for each in panel.series)
                draw_panel(axis, replace(panel, series=series), chosen, "decay_product", places)
            _scale_products(axis, places)
        handles = [Line2D([], [], label=recipe_label(recipe), **look_of(look)) for recipe, look in looks.items()]
        if SHORTER in set(table["kind"]):
            handles.append(Line2D([], [], label="fewer epochs", **look_of(MAIN | {"color": style.INK}, hollow=True)))
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 4)
    return figure


def barriers_against_decay_alt(table: DataFrame) -> str:
    """`barriers_against_decay` for those who do not see it."""
    columns = {"midpoint_accuracy_barrier": 100.0, "endpoint_accuracy": 100.0}
    return (
        "Accuracy barrier, loss barrier and unmerged accuracy against weight decay. Points of accuracy lost at λ = ½, "
        f"and unmerged accuracy in per cent: {_in_words(table, columns)}."
    )


def conditions_against_decay_alt(table: DataFrame) -> str:
    """`conditions_against_decay` for those who do not see it."""
    columns = {"reciprocal_orthogonality": 1.0, "weak_additivity": 1.0, "relative_effective_rank": 1.0}
    return (
        "Reciprocal orthogonality, weak additivity, relative ranks and shares of active units against weight decay. "
        f"Orthogonality, additivity and effective rank: {_in_words(table, columns)}."
    )


def against_decay_product_alt(table: DataFrame) -> str:
    """`against_decay_product` for those who do not see it."""
    parts = []
    for (recipe, kind), chosen in groups(table, "recipe", "kind"):
        if kind != SPARED:
            names = ["relative_effective_rank", "midpoint_accuracy_barrier"]
            means = chosen.groupby("decay_product")[names].mean()
            values = ", ".join(
                f"{rank:.2g} and {100 * barrier:.3g} at {product:.2g}"
                for product, rank, barrier in means.itertuples(name=None)
            )
            shorter = ", fewer epochs" if kind == SHORTER else ""
            parts.append(f"{recipe_label(recipe)}, {width_of(chosen)}{shorter}: {values}")
    return (
        "Rank, conditions and accuracy barrier against the decay product. Effective rank and points of accuracy lost: "
        f"{'; '.join(parts)}."
    )


def _in_words(table: DataFrame, columns: Mapping[str, float]) -> str:
    parts = []
    for (recipe, kind), chosen in groups(table, "recipe", "kind"):
        if kind != SHORTER:
            values = means_in_words(chosen, "weight_decay", columns, lambda decay: f"with {decay_label(decay)}")
            spared = ", batch norm not decayed" if kind == SPARED else ""
            parts.append(f"{recipe_label(recipe)}, {width_of(chosen)}{spared}: {values}")
    return "; ".join(parts)


def _scale_products(axis: Axes, places: Mapping[float, float]) -> None:
    decades = range(math.floor(min(places.values())) + 1, math.ceil(max(places.values())) + 1)
    ticks = {float(decade): f"{10.0**decade:g}" for decade in decades}
    if 0.0 in places:
        ticks = {places[0.0]: "0"} | {at: name for at, name in ticks.items() if at > places[0.0] + 0.5}
    axis.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_xticklabels(list(ticks.values()))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("rate × decay × steps / (1 − momentum)")


_COLOURS = (style.STRONG, style.WEAK, style.FOURTH, style.CONTROL)
_PAPER: dict[str, Any] = {"color": style.CONTROL, "linestyle": "--", "linewidth": 1}
