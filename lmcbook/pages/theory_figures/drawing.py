"""The drawings of the chapters on theory, of tables of numbers that the theorems' checks have made."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from lmcbook.pages.figures import style

FLOOR = 1e-17
"""Where a logarithmic axis shows an error of exactly 0: below anything that float64 leaves of a number near 1."""

_LINES: tuple[str, ...] = ("-", "--", ":", "-.")
_COLOURS = (style.STRONG, style.WEAK, style.CONTROL)


def numbers_by_layer(table: DataFrame, *, label: str, logarithmic: bool = True, narrow: bool = False) -> Figure:
    """One panel for each ``panel`` of a `layer_table`, one line for each of its series, against the layer."""
    names, series = list(table["panel"].unique()), list(table["series"].unique())
    with style.applied():
        figure, axes = style.panels(1, len(names), height=2.7, narrow=narrow)
        looks = {name: _look(index, len(series)) for index, name in enumerate(series)}
        for axis, name in zip(axes, names, strict=True):
            for line in series:
                chosen = table[(table["panel"] == name) & (table["series"] == line)].dropna()
                values = chosen["value"].clip(lower=FLOOR) if logarithmic else chosen["value"]
                axis.plot(chosen["depth"], values, label=line, **looks[line])
            axis.set_title(name)
            axis.set_xlabel("layer ℓ")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            if logarithmic:
                axis.set_yscale("log")
        _label_left(axes, label, narrow=narrow)
        _legend(figure, axes[0], narrow=narrow)
    return figure


def errors_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Errors of a prediction relative to the layer itself, layer by layer; an error of exactly 0 stands at 10⁻¹⁷."""
    return numbers_by_layer(table, label="error, relative to the layer", narrow=narrow)


def bounds_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """An error and its bound, layer by layer."""
    return numbers_by_layer(table, label="root mean square error", logarithmic=False, narrow=narrow)


def exponents_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Decay exponents, layer by layer."""
    return numbers_by_layer(table, label="decay exponent", logarithmic=False, narrow=narrow)


def cosine_against_dimension(table: DataFrame, *, limit: float, spread: float, narrow: bool = False) -> Figure:
    """Simulated cosines of Theorem 5.4 against the number of units, with the limit and two standard deviations."""
    with style.applied():
        figure, axes = style.panels(1, 2, height=2.9, narrow=narrow, share_y="none")
        dimensions = sorted(table["dimension"].unique())
        finest = [dimensions[0] * (dimensions[-1] / dimensions[0]) ** (step / 60) for step in range(61)]
        for sign in (-1, 1):
            edge = [limit + sign * 2 * spread / math.sqrt(dimension) for dimension in finest]
            axes[0].plot(finest, edge, color=style.WEAK, linestyle="--", linewidth=1.2)
        axes[0].axhline(limit, color=style.WEAK, linewidth=1.6)
        axes[0].plot(table["dimension"], table["cosine"], "o", color=style.STRONG, markersize=3, alpha=0.4, mew=0)
        axes[0].set_title("the cosine")
        measured = table.groupby("dimension")["cosine"].std()
        axes[1].plot(finest, [spread / math.sqrt(each) for each in finest], color=style.WEAK, linewidth=1.6)
        axes[1].plot(measured.index, measured, "o", color=style.STRONG, markersize=5)
        axes[1].set_yscale("log")
        axes[1].set_title("its standard deviation")
        for axis in axes:
            axis.set_xscale("log")
            axis.set_xlabel("number of units n")
    return figure


def cosine_against_correlation(table: DataFrame, *, narrow: bool = False) -> Figure:
    """The limit of the cosine against the correlation of the two models' pre-activations, with simulated points.

    One line for each ratio of standard deviations. The table has the columns ratio, correlation, limit and simulated
    (empty where nothing was simulated).
    """
    with style.applied():
        figure, axes = style.panels(1, 1, height=3.1, narrow=narrow)
        _lines_and_points(axes[0], table, "ratio", "correlation", line="limit", points="simulated", label="ratio {:g}")
        axes[0].set_xlabel("correlation of the two models' pre-activations")
        axes[0].set_ylabel("cosine")
        _legend(figure, axes[0], narrow=narrow)
    return figure


def temperature_against_coefficient(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Fitted inverse temperatures (points) over predicted temperatures (lines), against λ.

    One line for each number of layers. The table has the columns layers, coefficient, predicted and fitted.
    """
    with style.applied():
        figure, axes = style.panels(1, 1, height=3.1, narrow=narrow)
        _lines_and_points(axes[0], table, "layers", "coefficient", line="predicted", points="fitted", label="{} layers")
        axes[0].set_yscale("log", base=2)
        axes[0].set_xlabel("λ (share of model a)")
        axes[0].set_ylabel("inverse temperature")
        _legend(figure, axes[0], narrow=narrow)
    return figure


def orthogonality_against_units(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Reciprocal orthogonality of randomly placed units (points), as expected, and its two parts (lines).

    One panel for each ``panel``. The table has the columns panel, units, drawn, expected, isotropic and common.
    """
    names = list(table["panel"].unique())
    with style.applied():
        figure, axes = style.panels(1, len(names), height=2.7, narrow=narrow)
        for axis, name in zip(axes, names, strict=True):
            chosen = table[table["panel"] == name]
            for index, part in enumerate(("expected", "isotropic", "common")):
                axis.plot(
                    chosen["units"],
                    chosen[part].where(chosen[part] > FLOOR**0.5),
                    label=part,
                    **_look(index, 3, marked=False),
                )
            axis.plot(chosen["units"], chosen["drawn"], "o", color=style.STRONG, markersize=5, label="drawn")
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_title(name)
            axis.set_xlabel("number of units n")
        _label_left(axes, "reciprocal orthogonality", narrow=narrow)
        _legend(figure, axes[0], narrow=narrow)
    return figure


def _lines_and_points(axis: Axes, table: DataFrame, by: str, x: str, *, line: str, points: str, label: str) -> None:
    """For each value of the column ``by`` a line of one column, and the points of another where it has any."""
    series = list(table[by].unique())
    for index, name in enumerate(series):
        chosen = table[table[by] == name]
        look = _look(index, len(series), marked=False)
        axis.plot(chosen[x], chosen[line], label=label.format(name), **look)
        drawn = chosen.dropna(subset=[points])
        axis.plot(drawn[x], drawn[points], style.MARKERS[index % len(style.MARKERS)], color=look["color"], markersize=5)


def _look(index: int, count: int, *, marked: bool = True) -> dict[str, Any]:
    """The look of one series: three colours for few, the palette of widths for many; markers and lines differ too."""
    if count <= len(_COLOURS):
        look: dict[str, Any] = {"color": _COLOURS[index]}
    else:
        look = {"color": list(style.width_colours(range(count)).values())[index]}
    look |= {"linestyle": _LINES[index % len(_LINES)], "linewidth": 1.6}
    return look | ({"marker": style.MARKERS[index % len(style.MARKERS)], "markersize": 5} if marked else {})


def _legend(figure: Figure, axis: Axes, *, narrow: bool) -> None:
    """One legend for all panels: beside them, or below on a phone."""
    handles, labels = axis.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": 2} if narrow else {"loc": "outside right center"}
    figure.legend(handles, labels, **place)


def _label_left(axes: list[Axes], label: str, *, narrow: bool) -> None:
    for axis in axes if narrow else axes[:1]:
        axis.set_ylabel(label)
