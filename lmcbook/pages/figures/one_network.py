"""What one network tells of a merge with a sibling against what is found: a point for each pair, on a diagonal."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label, recipe_label
from lmcbook.pages.analysis.one_network import LOST, REPAIRED
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.marks import DECAY_COLOURS, handle, point_of


def orthogonality_told(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Reciprocal orthogonality of each layer as one network tells it, against the pair's; colours are weight decays."""
    colours = _decay_colours(table)

    def draw(axis: Axes, of_recipe: DataFrame) -> None:
        marked = of_recipe.assign(last=of_recipe["layer"] == "classifier")
        for (decay, is_last), part in groups(marked, "weight_decay", "last"):
            look = point_of(colours[decay], "s" if is_last else "o", hollow=bool(is_last), size=3.5)
            axis.plot(part["found"], part["told"], **{**look, "alpha": 0.7})

    handles = [handle(f"decay {decay_label(decay)}", point_of(colour)) for decay, colour in colours.items()]
    handles += [handle("classifier", point_of(style.INK, "s", hollow=True))]
    return _diagonals(table, draw, "reciprocal orthogonality", handles, narrow=narrow)


def orthogonality_told_alt(table: DataFrame) -> str:
    """`orthogonality_told` for those who do not see it."""
    return f"Reciprocal orthogonality told by one network against that of the pair. {_said(table, 1, 2)}"


def lost_told(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Points that a network loses with its own shuffled copies, against those that the pair loses; hollow: repaired."""
    colours = _decay_colours(table)

    def draw(axis: Axes, of_recipe: DataFrame) -> None:
        for (decay, quantity), part in groups(of_recipe, "weight_decay", "quantity"):
            look = point_of(colours[decay], "o" if quantity == LOST else "s", hollow=quantity == REPAIRED, size=4)
            axis.plot(part["found"], part["told"], **{**look, "alpha": 0.8})

    handles = [handle(f"decay {decay_label(decay)}", point_of(colour)) for decay, colour in colours.items()]
    handles += [handle("repaired", point_of(style.INK, "s", hollow=True))]
    return _diagonals(table, draw, "points lost", handles, narrow=narrow)


def lost_told_alt(table: DataFrame) -> str:
    """`lost_told` for those who do not see it."""
    return f"Points of accuracy lost with shuffled copies against those that the pair loses. {_said(table, 1, 1)}"


def _diagonals(table: DataFrame, draw: Any, name: str, handles: list[Line2D], *, narrow: bool) -> Figure:
    """A square panel for each network, in which what is predicted right lies on the diagonal."""
    networks = groups(table, "recipe")
    beside = 3
    lines = [networks[start : start + beside] for start in range(0, len(networks), beside)]
    with style.applied():
        figure, drawn = rows.rows([2.7] * len(lines), [len(line) for line in lines], narrow=narrow, legend_lines=3)
        for line, (part, axes) in zip(lines, drawn, strict=True):
            for axis, ((recipe,), of_recipe) in zip(axes, line, strict=True):
                draw(axis, of_recipe)
                ends = of_recipe[["told", "found"]].to_numpy()
                low, high = min(0.0, float(ends.min())), 1.05 * float(ends.max())
                axis.plot([low, high], [low, high], color=style.INK, linewidth=1, zorder=1)
                axis.set_title(recipe_label(recipe))
                axis.set_xlabel(f"{name}, pair")
                axis.set_ylabel("told by one network")
            rows.legend(part, handles, title=None, narrow=narrow)
    return figure


def _decay_colours(table: DataFrame) -> Mapping[float, str]:
    strongest_first = sorted(table["weight_decay"].unique(), reverse=True)
    return {decay: DECAY_COLOURS[min(index, len(DECAY_COLOURS) - 1)] for index, decay in enumerate(strongest_first)}


def _said(table: DataFrame, factor: float, digits: int) -> str:
    parts = []
    for (recipe, quantity), part in groups(table, "recipe", "quantity"):
        ends = [f"{factor * part['found'].min():.{digits}f}", f"{factor * part['found'].max():.{digits}f}"]
        error = factor * (part["told"] - part["found"]).abs().mean()
        parts.append(f"{recipe_label(recipe)}, {quantity}: from {ends[0]} to {ends[1]}, mean error {error:.{digits}f}")
    return f"{'; '.join(parts)}."
