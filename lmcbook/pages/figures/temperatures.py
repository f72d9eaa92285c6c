"""How much hangs on the inverse temperature: the loss at other ones, and what the prediction's error rests on."""

from collections.abc import Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy import ndarray
from pandas import DataFrame

from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.analysis.labels import decay_label, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups, paper_decay
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.barriers import scale_values
from lmcbook.pages.figures.curves import width_handles

TOLERANCE = 0.02
"""Nats: so much of the loss is given away for a temperature that is not the best."""

_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]


def sensitivity_table(records: Sequence[Record]) -> DataFrame:
    r"""What `loss_against_temperature` draws: the loss barrier at λ = ½ at multiples of the fitted inverse temperature.

    ``loss_barrier`` (nats) is the merged network's test loss at ``inverse_temperature`` minus the mean calibrated loss
    of its two parents; ``predicted`` and ``fitted_inverse_temperature`` are those of the whole record.
    """
    found = []
    for record in records:
        if record.measurement != "interpolation" or "temperatures" not in record.data:
            continue
        training, (seed_a, seed_b) = record.config.training, record.config.seeds
        curve = record.data["curve"]
        middle = curve["coefficients"].index(0.5)
        ends = (curve["calibrated_loss"][0] + curve["calibrated_loss"][-1]) / 2
        exponent = 2 if training.num_layers is None else training.num_layers
        names = {
            "recipe": record.recipe,
            "width_multiplier": training.width_multiplier,
            "weight_decay": training.weight_decay,
            "seed_a": seed_a,
            "seed_b": seed_b,
            "fitted_inverse_temperature": curve["inverse_temperature"][middle],
            "predicted_inverse_temperature": curve["ensemble_inverse_temperature"][middle] * 2 ** (exponent - 1),
        }
        for entry in record.data["temperatures"]["merged"]:
            at = {"inverse_temperature": entry["inverse_temperature"], "loss_barrier": entry["loss"] - ends}
            found.append(names | at)
    fitted = ["fitted_inverse_temperature", "predicted_inverse_temperature"]
    return paper_decay(DataFrame(found, columns=[*_PAIR, *fitted, "inverse_temperature", "loss_barrier"]))


def intervals_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair: its least loss barrier over β, and the multiples of the fitted β between which it is kept.

    From ``low`` to ``high`` the barrier is within `TOLERANCE` of its least, from ``low_absolute`` to ``high_absolute``
    under `TOLERANCE` itself; empty where no β does that. Between the measured β a cubic spline in log β is taken.
    """
    found = []
    for _, pair in sensitivity_table(records).groupby(_PAIR, sort=False):
        relative = (pair["inverse_temperature"] / pair["fitted_inverse_temperature"]).to_numpy()
        barrier = pair["loss_barrier"].to_numpy()
        least, (low, high) = _interval(relative, barrier, None)
        _, (low_absolute, high_absolute) = _interval(relative, barrier, TOLERANCE)
        first = pair.iloc[0][[*_PAIR, "fitted_inverse_temperature", "predicted_inverse_temperature"]]
        bounds = {"low": low, "high": high, "low_absolute": low_absolute, "high_absolute": high_absolute}
        found.append(first.to_dict() | {"least_barrier": least} | bounds)
    names = ["least_barrier", "low", "high", "low_absolute", "high_absolute"]
    return DataFrame(found, columns=[*_PAIR, "fitted_inverse_temperature", "predicted_inverse_temperature", *names])


def _interval(relative: ndarray, barrier: ndarray, bound: float | None) -> tuple[float, tuple[float, float]]:
    """The least barrier, and the multiples of β that keep it under ``bound``, by default the least and `TOLERANCE`."""
    from scipy.interpolate import CubicSpline  # slow to import, and most pages need none of it

    octaves = numpy.linspace(numpy.log2(relative[0]), numpy.log2(relative[-1]), 2401)
    values = CubicSpline(numpy.log2(relative), barrier)(octaves)
    best = int(values.argmin())
    inside = values <= (values[best] + TOLERANCE if bound is None else bound)
    if not inside[best]:
        return float(values[best]), (float("nan"), float("nan"))
    outside = numpy.flatnonzero(~inside)
    low = max(outside[outside < best], default=-1) + 1
    high = min(outside[outside > best], default=len(octaves)) - 1
    return float(values[best]), (float(2 ** octaves[low]), float(2 ** octaves[high]))


def loss_against_temperature(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """The loss barrier against β, and for each width the range of β that costs at most 0.02 nats; one row per network.

    On the left every pair is a thin line and the mean over pairs a bold one; on the right every pair is a bar, with its
    fitted and its predicted β.
    """
    table, intervals = sensitivity_table(records), intervals_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        heights = [2.3 + 0.12 * table[table["recipe"] == recipe]["width_multiplier"].nunique() for recipe in recipes]
        figure, drawn = rows.rows(heights, 2, narrow=narrow, legend_lines=5)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            chosen = table[table["recipe"] == recipe]
            colours = style.width_colours(chosen["width_multiplier"])
            _draw_losses(axes[0], chosen, colours)
            axes[0].set_title(f"{recipe_label(recipe)}: loss")
            bars = intervals[intervals["recipe"] == recipe]
            _draw_intervals(axes[1], bars, colours)
            axes[1].set_title(f"within {TOLERANCE:g} nats of the least")
            rows.legend(part, [*width_handles(colours), *_MARKS], title="width", narrow=narrow)
    return figure


def _draw_losses(axis: Axes, table: DataFrame, colours: dict[float, str]) -> None:
    table = table.assign(factor=(table["inverse_temperature"] / table["fitted_inverse_temperature"]).round(3))
    for index, (width, colour) in enumerate(colours.items()):
        of_width = table[table["width_multiplier"] == width]
        for _, pair in of_width.groupby(["seed_a", "seed_b"]):
            axis.plot(pair["factor"], pair["loss_barrier"], color=colour, linewidth=0.7, alpha=0.55)
        mean = of_width.groupby("factor")["loss_barrier"].mean()
        marker = style.MARKERS[index % len(style.MARKERS)]
        look: dict[str, Any] = {"marker": marker, "markersize": 4.5, "mec": style.GROUND, "mew": 0.6, "markevery": 3}
        axis.plot(mean.index, mean, color=colour, zorder=3 + index, **look)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: width_label(value)))
    axis.set_xlabel("β, relative to the fitted")
    axis.set_ylabel("loss barrier (nats)")
    scale_values(axis, table["loss_barrier"])


def _draw_intervals(axis: Axes, table: DataFrame, colours: dict[float, str]) -> None:
    for place, (width, colour) in enumerate(colours.items()):
        of_width = table[table["width_multiplier"] == width]
        names = ["fitted_inverse_temperature", "predicted_inverse_temperature", "low", "high"]
        for index, (fitted, predicted, low, high) in enumerate(of_width[names].to_numpy(float)):
            height = place + 0.26 * (index - (len(of_width) - 1) / 2)
            axis.plot([fitted * low, fitted * high], [height] * 2, color=colour, linewidth=3.4, alpha=0.55)
            axis.plot([fitted], [height], **_FITTED)
            axis.plot([predicted], [height], **_PREDICTED)
    axis.axvline(1, color=style.INK, linewidth=1, linestyle=":", zorder=1)
    axis.set_yticks(range(len(colours)), [width_label(width) for width in colours])
    axis.set_ylim(-0.6, len(colours) - 0.4)
    axis.grid(visible=False, axis="y")
    axis.set_ylabel("width multiplier")
    axis.set_xlabel("inverse temperature β")
    plain_octaves(axis)


def plain_octaves(axis: Axes) -> None:
    """A horizontal axis in powers of two, written as plain numbers, so many that they do not touch."""
    axis.set_xscale("log", base=2)
    low, high = axis.get_xlim()
    octaves = numpy.arange(numpy.ceil(numpy.log2(low)), numpy.floor(numpy.log2(high)) + 1)
    octaves = octaves[:: max(1, -(-len(octaves) // 7))]
    axis.xaxis.set_major_locator(FixedLocator(list(2.0**octaves)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else width_label(value)[1:])
    )


def loss_against_temperature_alt(records: Sequence[Record]) -> str:
    """`loss_against_temperature` for those who do not see it."""
    parts = []
    for (recipe,), chosen in groups(intervals_table(records), "recipe"):
        widest = chosen[chosen["width_multiplier"] == chosen["width_multiplier"].max()]
        width = width_label(widest["width_multiplier"].iloc[0])
        parts.append(
            f"{recipe_label(recipe)} {width}: from {widest['low'].mean():.2g} to {widest['high'].mean():.2g} "
            "times the fitted"
        )
    return (
        "Curves of the loss barrier against the inverse temperature, one for each width, and bars of the inverse "
        f"temperatures that keep it within {TOLERANCE:g} nats of its least. At the widest, {'; '.join(parts)}."
    )


def temperature_conditions_table(records: Sequence[Record]) -> DataFrame:
    r"""What `temperature_error_against_conditions` draws, of pairs merged as they are.

    ``ratio`` is the fitted over the predicted inverse temperature at λ = ½; ``reciprocal_orthogonality`` and
    ``weak_additivity`` are means over layers. The prediction is $2^{L-1}$ times the ensemble's β, and twice that with
    batch norm.
    """
    table = pairs_table(records)
    table = table[table["alignment"] == "identity"]
    predicted = table["ensemble_inverse_temperature"].astype(float) * 2 ** (table["num_layers"].fillna(2) - 1)
    table = table.assign(ratio=table["inverse_temperature_midpoint"].astype(float) / predicted)
    names = ["num_layers", "reciprocal_orthogonality", "weak_additivity", "ratio"]
    return table[[*_PAIR, *names]].dropna(subset=names[1:]).reset_index(drop=True)


def temperature_error_against_conditions(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """The fitted over the predicted β against both conditions of Theorem 5.3: each pair a point, larger when wider."""
    table = temperature_conditions_table(records)
    recipes = list(table["recipe"].unique())
    decays = sorted(table["weight_decay"].unique(), reverse=True)
    colours = {decay: DECAYS[min(index, len(DECAYS) - 1)] for index, decay in enumerate(decays)}
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
                look = _point(style.MARKERS[recipes.index(recipe) % len(style.MARKERS)], colours[decay], size)
                axis.plot(points[column], points["ratio"], **look, alpha=0.75)
            axis.axhline(1, color=style.INK, linewidth=1.1, linestyle="--", zorder=1)
            axis.set_xlabel(label)
            axis.set_yscale("log", base=2)
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(
                FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else width_label(value)[1:])
            )
            if index == 0 or narrow:
                axis.set_ylabel("fitted β / predicted β")
        handles = [
            *(
                Line2D([], [], label=recipe_label(recipe), **_point(style.MARKERS[index], style.INK, 5))
                for index, recipe in enumerate(recipes)
            ),
            *(
                Line2D([], [], label=f"decay {decay_label(decay)}", **_point("o", colour, 5))
                for decay, colour in colours.items()
            ),
        ]
        rows.legend(part, handles, title=None, narrow=narrow)
    return figure


def temperature_conditions_alt(records: Sequence[Record]) -> str:
    """`temperature_error_against_conditions` for those who do not see it."""
    parts = []
    for (recipe, decay), chosen in groups(temperature_conditions_table(records), "recipe", "weight_decay"):
        widest = chosen[chosen["width_multiplier"] == chosen["width_multiplier"].max()]
        ratio = 2 ** numpy.log2(widest["ratio"]).mean()
        width = width_label(widest["width_multiplier"].iloc[0])
        parts.append(
            f"{recipe_label(recipe)} {width} with weight decay {decay_label(decay)}: {ratio:.2g}, "
            f"with orthogonality {widest['reciprocal_orthogonality'].mean():.2g} and additivity "
            f"{widest['weak_additivity'].mean():.3g}"
        )
    return (
        "Two scatter plots of the fitted over the predicted inverse temperature, against reciprocal orthogonality and "
        f"against weak additivity. {'; '.join(parts)}."
    )


def _point(marker: str, colour: str, size: float) -> dict[str, Any]:
    look = {"marker": marker, "color": colour, "markersize": size, "linestyle": "none"}
    return look | {"markeredgecolor": style.GROUND, "markeredgewidth": 0.5}


DECAYS = (style.STRONG, style.WEAK, style.CONTROL, style.FOURTH)
"""Colours of weight decays, the largest first."""

_FITTED: dict[str, Any] = {"marker": "o", "color": style.INK, "markersize": 3.6, "linestyle": "none", "zorder": 4}
_PREDICTED: dict[str, Any] = {
    **{"marker": "D", "markersize": 4.2, "linestyle": "none", "zorder": 3},
    **{"markerfacecolor": style.GROUND, "color": style.INK, "markeredgewidth": 1},
}
_MARKS = [
    Line2D([], [], label="fitted β", **_FITTED),
    Line2D([], [], label="predicted β", **_PREDICTED),
    Line2D([], [], label="as it is", color=style.INK, linewidth=1, linestyle=":"),
]
