"""The inverse temperature that LEWC predicts with nothing fitted, beside the fitted."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label, width_of
from lmcbook.pages.analysis.temperatures import rank_correlations
from lmcbook.pages.analysis.vocabulary import decays, groups, widest
from lmcbook.pages.figures import style
from lmcbook.pages.figures.against_width import decay_lines, draw_lines, handles_of
from lmcbook.pages.figures.kit import network_rows
from lmcbook.pages.figures.marks import handle, point_of
from lmcbook.pages.figures.scales import binary_scale, plain_log, scale_coefficients


def temperature_against_width(table: DataFrame, *, narrow: bool = False) -> Figure:
    """The inverse temperature at λ = ½ against width: fitted on the merged network, and predicted without it."""
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


def temperature_width_alt(table: DataFrame) -> str:
    """`temperature_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: fitted "
        f"{ends_in_words(chosen, 'fitted_inverse_temperature')}, "
        f"predicted {ends_in_words(chosen, 'predicted_inverse_temperature')}"
        for (recipe, decay), chosen in groups(table, "recipe", "weight_decay")
    ]
    return f"Fitted and predicted inverse temperatures at λ = ½ against width. {'; '.join(parts)}."


def temperature_against_depth(table: DataFrame, *, narrow: bool = False) -> Figure:
    """The inverse temperature against the number of layers at λ = ½, and against λ for each number of layers.

    Points are fitted on the merged networks, each pair one; lines are predicted without them. Of the widest.
    """

    def draw(axes: list[Axes], of_network: DataFrame) -> list[Line2D]:
        chosen = widest(of_network)
        colours = style.width_colours(chosen["num_layers"])
        looks = {
            depth: {**_FITTED, "marker": style.MARKERS[index % len(style.MARKERS)], "color": colour}
            for index, (depth, colour) in enumerate(colours.items())
        }
        middle = chosen[chosen["coefficient"] == 0.5].groupby("num_layers")["predicted_inverse_temperature"].mean()
        axes[0].plot(middle.index, middle, **_PREDICTED)
        for depth, look in looks.items():
            deep = chosen[chosen["num_layers"] == depth]
            at_middle = deep[deep["coefficient"] == 0.5]
            axes[0].plot(at_middle["num_layers"], at_middle["fitted_inverse_temperature"], **look, zorder=3)
            mean = deep.groupby("coefficient")["predicted_inverse_temperature"].mean()
            axes[1].plot(mean.index, mean, **{**_PREDICTED, "color": look["color"]})
            # every other λ, or the points would hide the line
            sparse = deep[deep["coefficient"].isin(sorted(deep["coefficient"].unique())[::2])]
            axes[1].plot(sparse["coefficient"], sparse["fitted_inverse_temperature"], **look, zorder=3)
        axes[0].set_title(f"{recipe_label(chosen['recipe'].iloc[0])}, {width_of(chosen)}, λ = ½")
        axes[0].set_xticks(sorted(looks))
        axes[0].set_xlabel("number of layers L")
        axes[1].set_title("along the line")
        scale_coefficients(axes[1])
        for index, axis in enumerate(axes):
            binary_scale(axis)
            if index == 0 or narrow:
                axis.set_ylabel("inverse temperature β")
        handles = [handle(f"L = {depth:g}", look) for depth, look in looks.items()][::-1]
        return [*handles, handle("predicted", _PREDICTED)]

    return network_rows(table, 2, draw, height=3.1, narrow=narrow, legend_lines=3)


def temperature_depth_alt(table: DataFrame) -> str:
    """`temperature_against_depth` for those who do not see it."""
    parts = []
    for (recipe,), of_recipe in groups(table[table["coefficient"] == 0.5], "recipe"):
        chosen = widest(of_recipe)
        names = ["fitted_inverse_temperature", "predicted_inverse_temperature"]
        values = "; ".join(
            f"{layers:g} layers, fitted {fitted:.3g}, predicted {predicted:.3g}"
            for layers, fitted, predicted in chosen.groupby("num_layers")[names].mean().itertuples()
        )
        parts.append(f"{recipe_label(recipe)} {width_of(chosen)}, at λ = ½: {values}")
    return f"Fitted and predicted inverse temperatures against depth and λ. {'. '.join(parts)}."


def temperature_error_against_orthogonality(table: DataFrame, *, narrow: bool = False) -> Figure:
    """How far off the predicted β is, against how far the pair is from reciprocal orthogonality; each pair a point."""
    strongest, depths = float(table["weight_decay"].max()), sorted(table["num_layers"].unique())
    markers = {depth: style.MARKERS[index % len(style.MARKERS)] for index, depth in enumerate(depths)}

    def draw(axes: list[Axes], of_network: DataFrame) -> list[Line2D]:
        [axis] = axes
        colours = style.width_colours(of_network["width_multiplier"])
        for (width, decay, depth), points in groups(of_network, "width_multiplier", "weight_decay", "num_layers"):
            look = point_of(colours[width], markers[depth], hollow=bool(decay < strongest), size=5.5)
            axis.plot(points["reciprocal_orthogonality"], points["error"], **look)
        axis.set_title(recipe_label(of_network["recipe"].iloc[0]))
        axis.set_xlabel("mean reciprocal orthogonality of layers 2…L")
        axis.set_ylabel("error of log₂ β")
        plain_log(axis.xaxis, (0.2, 0.3, 0.5, 0.7, 1, 1.5))
        plain_log(axis.yaxis, (0.01, 0.03, 0.1, 0.3, 1, 3, 10))
        return [
            *(handle(width_label(width), point_of(colour, size=5.5)) for width, colour in colours.items()),
            *(handle(f"L = {depth:g}", point_of(style.INK, mark, size=5.5)) for depth, mark in markers.items()),
            *(
                handle(f"decay {decay_label(decay)}", point_of(style.INK, hollow=bool(decay < strongest), size=5.5))
                for decay, _ in decays(table)
            ),
        ]

    title = "width, layers, weight decay"
    return network_rows(table, 1, draw, height=3.4, narrow=narrow, legend_lines=6, title=title)


def temperature_error_alt(table: DataFrame) -> str:
    """`temperature_error_against_orthogonality` for those who do not see it."""
    parts = []
    for (recipe,), chosen in groups(table, "recipe"):
        ranks = [found.value for found in rank_correlations(chosen)]
        told = ""
        if ranks:
            told = f", rank correlations within depth and weight decay from {min(ranks):.2f} to {max(ranks):.2f}"
        parts.append(
            f"{recipe_label(recipe)}, {len(chosen)} pairs up to {width_of(widest(chosen))}: errors from "
            f"{chosen['error'].min():.2g} to {chosen['error'].max():.2g}{told}"
        )
    return f"A scatter plot of the error of log₂ β against the mean reciprocal orthogonality. {'; '.join(parts)}."


_PREDICTED: dict[str, Any] = {"color": style.INK, "linestyle": "--", "linewidth": 1.3}
_FITTED: dict[str, Any] = {"markersize": 4, "linestyle": "none", "alpha": 0.85, "mew": 0}
