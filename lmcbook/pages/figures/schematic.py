"""A drawing of the idea: two networks that use different units, and their average."""

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.pages.figures import style

_LAYERS = ((4, ()), (6, (0, 1, 4)), (6, (1, 3, 4)), (3, ()))
"""Of each layer the number of units, and the hidden units that network a uses; b uses the others."""


def disjoint_units() -> DataFrame:
    """One row for each unit that the drawing shows: its layer, its number, and who uses it: a, b or both."""
    rows = [
        {"layer": layer, "unit": unit, "used by": ("a" if unit in of_a else "b") if of_a else "both"}
        for layer, (units, of_a) in enumerate(_LAYERS)
        for unit in range(units)
    ]
    return DataFrame(rows)


def two_halves(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Network a, network b and the average of their weights, which holds both with each weight halved."""
    titles = {"a": "network a", "b": "network b", "both": "the average"}
    with style.applied():
        figure, axes = style.panels(1, len(titles), height=1.9, narrow=narrow)
        for axis, (shown, title) in zip(axes, titles.items(), strict=True):
            for name, colour in (("a", style.STRONG), ("b", style.WEAK)):
                if shown in (name, "both"):
                    _draw_weights(axis, table, name, colour, halved=shown == "both")
            _draw_units(axis, table, shown)
            axis.set_title(title)
            axis.set_axis_off()
            axis.annotate("image", (0, -0.1), xycoords=("data", "axes fraction"), ha="center", fontsize="small")
            axis.annotate("logits", (3, -0.1), xycoords=("data", "axes fraction"), ha="center", fontsize="small")
    return figure


def _place(row: Mapping[Any, Any], table: DataFrame) -> tuple[float, float]:
    units = int((table["layer"] == row["layer"]).sum())
    return float(row["layer"]), (units - 1) / 2 - float(row["unit"])


def _draw_weights(axis: Axes, table: DataFrame, name: str, colour: str, *, halved: bool) -> None:
    own = table[table["used by"].isin([name, "both"])]
    layers = [of_layer.to_dict("records") for _, of_layer in own.groupby("layer")]
    lines = [
        [_place(left, table), _place(right, table)]
        for before, after in pairwise(layers)
        for left, right in product(before, after)
    ]
    axis.add_collection(LineCollection(lines, colors=colour, linewidths=0.6 if halved else 1.2, zorder=1))


def _draw_units(axis: Axes, table: DataFrame, shown: str) -> None:
    for name, colour in (("a", style.STRONG), ("b", style.WEAK), ("both", style.CONTROL)):
        of_name = table[table["used by"] == name].to_dict("records")
        silent = name not in (shown, "both") and shown != "both"
        look: dict[str, Any] = {
            "markerfacecolor": style.GROUND if silent else colour,
            "markeredgecolor": style.FAINT if silent else colour,
        }
        places = [_place(row, table) for row in of_name]
        axis.plot(*zip(*places, strict=True), linestyle="none", marker="o", markersize=7, zorder=2, **look)
