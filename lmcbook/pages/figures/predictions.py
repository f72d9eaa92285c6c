"""The inverse temperature that LEWC predicts with nothing fitted, beside the fitted one."""

from collections.abc import Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from pandas import DataFrame, concat

from lmcbook.lab.records import Record, curves_table, pairs_table
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.against_width import decay_lines, draw_lines, handles_of
from lmcbook.pages.figures.curves import COEFFICIENT_LABEL

_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]
_FITTED: dict[str, Any] = {"markersize": 4, "linestyle": "none", "alpha": 0.85, "mew": 0}


def temperature_width_table(records: Sequence[Record]) -> DataFrame:
    """What `temperature_against_width` draws: β at λ = ½, fitted and predicted, of pairs merged as they are.

    The prediction is $2^{L-1}$ times the β of the averaged logits, and twice that β for networks with batch norm.
    """
    table = pairs_table(records)
    table = table[table["alignment"] == "identity"]
    exponent = table["num_layers"].fillna(2)
    predicted = table["ensemble_inverse_temperature"].astype(float) * 2 ** (exponent - 1)
    fitted = table["inverse_temperature_midpoint"].astype(float)
    table = table.assign(fitted_inverse_temperature=fitted, predicted_inverse_temperature=predicted)
    names = ["num_layers", "fitted_inverse_temperature", "predicted_inverse_temperature"]
    return table[[*_PAIR, *names]].reset_index(drop=True)


def temperature_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """The inverse temperature at λ = ½ against width: fitted on the merged network, and predicted without it."""
    table = temperature_width_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, axes = style.panels(1, len(recipes), height=3.2, narrow=narrow, share_y="none")
        lines = [
            *decay_lines(table, "fitted_inverse_temperature", label="fitted"),
            *decay_lines(table, "predicted_inverse_temperature", label="predicted", hollow=True),
        ]
        for index, (axis, recipe) in enumerate(zip(axes, recipes, strict=True)):
            draw_lines(axis, table[table["recipe"] == recipe], lines)
            binary_scale(axis)
            axis.set_title(recipe_label(recipe))
            axis.set_xlabel("width multiplier")
            if index == 0 or narrow:
                axis.set_ylabel("inverse temperature β")
        figure.legend(handles=handles_of(lines), loc="outside lower center", ncols=1 if narrow else 2)
    return figure


def temperature_width_alt(records: Sequence[Record]) -> str:
    """`temperature_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: fitted "
        f"{ends_in_words(chosen, 'fitted_inverse_temperature')}, "
        f"predicted {ends_in_words(chosen, 'predicted_inverse_temperature')}"
        for (recipe, decay), chosen in groups(temperature_width_table(records), "recipe", "weight_decay")
    ]
    return f"Fitted and predicted inverse temperatures at λ = ½ against width. {'; '.join(parts)}."


def temperature_depth_table(records: Sequence[Record]) -> DataFrame:
    """What `temperature_against_depth` draws: β fitted and predicted for every λ, of MLPs as they are."""
    layers = {_key(record): record.config.training.num_layers for record in records}
    curves = [
        curves_table([record]).assign(num_layers=layers[_key(record)])
        for record in records
        if record.measurement == "interpolation" and layers[_key(record)] and record.config.alignment == "identity"
    ]
    names = [*_PAIR, "num_layers", "coefficient", "fitted_inverse_temperature", "predicted_inverse_temperature"]
    if not curves:
        return DataFrame(columns=names)
    table = concat(curves, ignore_index=True)
    scale = table["coefficient"] ** table["num_layers"] + (1 - table["coefficient"]) ** table["num_layers"]
    predicted = table["lewc_ensemble_inverse_temperature"].astype(float) / scale
    table = table.assign(
        fitted_inverse_temperature=table["inverse_temperature"].astype(float), predicted_inverse_temperature=predicted
    )
    return table[names]


def temperature_against_depth(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """The inverse temperature against the number of layers at λ = ½, and against λ for each number of layers.

    Points are fitted on the merged networks, each pair one; lines are predicted without them. Of the widest.
    """
    table = temperature_depth_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, drawn = rows.rows([3.1] * len(recipes), 2, narrow=narrow, legend_lines=3)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            chosen = table[table["recipe"] == recipe]
            chosen = chosen[chosen["width_multiplier"] == chosen["width_multiplier"].max()]
            colours = style.width_colours(chosen["num_layers"])
            middle = chosen[chosen["coefficient"] == 0.5].groupby("num_layers")["predicted_inverse_temperature"].mean()
            axes[0].plot(middle.index, middle, **_PREDICTED)
            for index, (num_layers, colour) in enumerate(colours.items()):
                deep = chosen[chosen["num_layers"] == num_layers]
                point = {**_FITTED, "marker": style.MARKERS[index % len(style.MARKERS)], "color": colour}
                at_middle = deep[deep["coefficient"] == 0.5]
                axes[0].plot(at_middle["num_layers"], at_middle["fitted_inverse_temperature"], **point, zorder=3)
                mean = deep.groupby("coefficient")["predicted_inverse_temperature"].mean()
                axes[1].plot(mean.index, mean, **{**_PREDICTED, "color": colour})
                # every other λ, or the points would hide the line
                sparse = deep[deep["coefficient"].isin(sorted(deep["coefficient"].unique())[::2])]
                axes[1].plot(sparse["coefficient"], sparse["fitted_inverse_temperature"], **point, zorder=3)
            width = width_label(chosen["width_multiplier"].iloc[0])
            axes[0].set_title(f"{recipe_label(recipe)}, {width}, λ = ½")
            axes[0].set_xticks(sorted(colours))
            axes[0].set_xlabel("number of layers L")
            axes[1].set_title("along the line")
            axes[1].set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
            axes[1].set_xlabel(COEFFICIENT_LABEL)
            for index, axis in enumerate(axes):
                binary_scale(axis)
                if index == 0 or narrow:
                    axis.set_ylabel("inverse temperature β")
            rows.legend(part, _depth_handles(colours), title=None, narrow=narrow)
    return figure


def _depth_handles(colours: dict[float, str]) -> list[Line2D]:
    points = [
        Line2D(
            [], [], color=colour, marker=style.MARKERS[index % len(style.MARKERS)], label=f"L = {layers:g}", **_FITTED
        )
        for index, (layers, colour) in enumerate(colours.items())
    ]
    return [*points[::-1], Line2D([], [], label="predicted", **_PREDICTED)]


def temperature_depth_alt(records: Sequence[Record]) -> str:
    """`temperature_against_depth` for those who do not see it."""
    table = temperature_depth_table(records)
    parts = []
    for (recipe,), of_recipe in groups(table[table["coefficient"] == 0.5], "recipe"):
        widest = of_recipe[of_recipe["width_multiplier"] == of_recipe["width_multiplier"].max()]
        names = ["fitted_inverse_temperature", "predicted_inverse_temperature"]
        values = "; ".join(
            f"{layers:g} layers, fitted {fitted:.3g}, predicted {predicted:.3g}"
            for layers, fitted, predicted in widest.groupby("num_layers")[names].mean().itertuples()
        )
        width = width_label(widest["width_multiplier"].iloc[0])
        parts.append(f"{recipe_label(recipe)} {width}, at λ = ½: {values}")
    return f"Fitted and predicted inverse temperatures against depth and λ. {'. '.join(parts)}."


def temperature_error_table(records: Sequence[Record]) -> DataFrame:
    r"""What `temperature_error_against_orthogonality` draws, of pairs merged as they are that have no batch norm.

    ``error`` is $|\log_2(\beta_{\text{fitted}} / \beta_{\text{predicted}})|$ at λ = ½; ``reciprocal_orthogonality`` the
    mean over the layers 2…L.
    """
    table = pairs_table(records)
    table = table[(table["alignment"] == "identity") & table["num_layers"].notna()]
    names = [*_PAIR, "num_layers", "reciprocal_orthogonality", "error"]
    if table.empty or "predicted_inverse_temperature_midpoint" not in table:
        return DataFrame(columns=names)
    ratio = table["inverse_temperature_midpoint"].astype(float) / table["predicted_inverse_temperature_midpoint"]
    return table.assign(error=abs(numpy.log2(ratio)))[names].dropna().reset_index(drop=True)


def temperature_error_against_orthogonality(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """How far off the predicted β is, against how far the pair is from reciprocal orthogonality; each pair a point."""
    table = temperature_error_table(records)
    recipes = list(table["recipe"].unique())
    decays = sorted(table["weight_decay"].unique(), reverse=True)
    depths = sorted(table["num_layers"].unique())
    with style.applied():
        figure, drawn = rows.rows([3.4] * len(recipes), 1, narrow=narrow, legend_lines=6)
        for recipe, (part, (axis,)) in zip(recipes, drawn, strict=True):
            chosen = table[table["recipe"] == recipe]
            colours = style.width_colours(chosen["width_multiplier"])
            for (width, decay, layers), points in groups(chosen, "width_multiplier", "weight_decay", "num_layers"):
                look = _point(colours[width], depths.index(layers), hollow=decays.index(decay) > 0)
                axis.plot(points["reciprocal_orthogonality"], points["error"], **look)
            axis.set_title(recipe_label(recipe))
            axis.set_xlabel("mean reciprocal orthogonality of layers 2…L")
            axis.set_ylabel("error of log₂ β")
            for direction, ticks in (
                (axis.xaxis, (0.2, 0.3, 0.5, 0.7, 1, 1.5)),
                (axis.yaxis, (0.01, 0.03, 0.1, 0.3, 1, 3, 10)),
            ):
                plain_log(direction, ticks)
            handles = [
                *(Line2D([], [], label=width_label(width), **_point(colour, 0)) for width, colour in colours.items()),
                *(Line2D([], [], label=f"L = {each:g}", **_point(style.INK, depths.index(each))) for each in depths),
                *(
                    Line2D([], [], label=f"decay {decay_label(each)}", **_point(style.INK, 0, hollow=index > 0))
                    for index, each in enumerate(decays)
                ),
            ]
            rows.legend(part, handles, title="width, layers, weight decay", narrow=narrow)
    return figure


def temperature_error_alt(records: Sequence[Record]) -> str:
    """`temperature_error_against_orthogonality` for those who do not see it."""
    parts = []
    for (recipe,), chosen in groups(temperature_error_table(records), "recipe"):
        rank = chosen["error"].rank().corr(chosen["reciprocal_orthogonality"].rank())
        widest = width_label(chosen["width_multiplier"].max())
        parts.append(
            f"{recipe_label(recipe)}, {len(chosen)} pairs up to {widest}: errors from "
            f"{chosen['error'].min():.2g} to {chosen['error'].max():.2g}, rank correlation {rank:.2f}"
        )
    return f"A scatter plot of the error of log₂ β against the mean reciprocal orthogonality. {'; '.join(parts)}."


def plain_log(direction: Axis, ticks: Sequence[float]) -> None:
    """A logarithmic axis with these ticks, written as plain numbers."""
    (direction.axes.set_xscale if direction is direction.axes.xaxis else direction.axes.set_yscale)("log")
    direction.set_major_locator(FixedLocator(ticks))
    direction.set_minor_locator(NullLocator())
    direction.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def binary_scale(axis: Axes) -> None:
    """A vertical axis in powers of two, written as plain numbers."""
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_locator(LogLocator(base=2))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _point(colour: str, shape: int, *, hollow: bool = False) -> dict[str, Any]:
    look = {
        "marker": style.MARKERS[shape % len(style.MARKERS)],
        "linestyle": "none",
        "markersize": 5.5,
        "color": colour,
    }
    face = style.GROUND if hollow else colour
    return look | {
        "markerfacecolor": face,
        "markeredgecolor": colour if hollow else style.GROUND,
        "mew": 1 if hollow else 0.5,
    }


def _key(record: Record) -> tuple[Any, ...]:
    return record.address, record.scale


_PREDICTED: dict[str, Any] = {"color": style.INK, "linestyle": "--", "linewidth": 1.3}
