"""Repaired merges against width: points lost in every way of merging, and what is lost beyond the ensemble."""

from collections.abc import Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, concat

from lmcbook.pages.analysis.labels import network_of, recipe_label, width_label
from lmcbook.pages.analysis.repairs import BOTH, ENSEMBLE, MATCHED, PLAIN, REPAIRED, RESCALED, Excess
from lmcbook.pages.analysis.vocabulary import ACCURACY, groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import draw_dots, network_rows
from lmcbook.pages.figures.panels import FOURTH, MAIN, OTHER, THIRD, look_of
from lmcbook.pages.figures.scales import scale_coefficients, scale_values, scale_widths

_LOOKS: dict[str, dict[str, Any]] = {
    PLAIN: look_of(OTHER),
    REPAIRED: look_of(MAIN),
    RESCALED: look_of(MAIN, hollow=True),
    MATCHED: look_of(THIRD),
    BOTH: look_of(THIRD, hollow=True),
    ENSEMBLE: look_of(FOURTH),
}


def lost_by_repair(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Points of accuracy lost at λ = ½ against width, a panel for each setting, a line for each way of merging."""

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        settings = groups(of_recipe, "setting")
        for axis, ((setting,), part) in zip(axes, settings, strict=False):
            for way, look in _LOOKS.items():
                chosen = part[part["way"] == way]
                if not chosen.empty:
                    draw_dots(axis, chosen["width_multiplier"], 100 * chosen[ACCURACY], look, size=3.5)
            axis.set_title(f"{recipe_label(of_recipe['recipe'].iloc[0])},\n{setting}", fontsize="small")
            axis.set_ylabel("accuracy barrier (points)")
            axis.set_xlabel("width multiplier")
            scale_values(axis, 100 * part[part["way"].isin(_LOOKS)][ACCURACY])
            scale_widths(axis, part["width_multiplier"])
        for unused in axes[len(settings) :]:
            unused.set_visible(False)
        ways = [way for way in _LOOKS if way in set(of_recipe["way"])]
        return [Line2D([], [], label=way.replace(", ", ",\n"), **_LOOKS[way]) for way in ways]

    return network_rows(table, _most_settings(table), draw, height=2.6, narrow=narrow, legend_lines=4)


def lost_by_repair_alt(table: DataFrame) -> str:
    """`lost_by_repair` for those who do not see it."""
    parts = []
    for (recipe, setting), of_setting in groups(table, "recipe", "setting"):
        widths = of_setting["width_multiplier"]
        for width in dict.fromkeys([widths.min(), widths.max()]):
            means = 100 * of_setting[widths == width].groupby("way")[ACCURACY].mean()
            said = ", ".join(f"{way} {means[way]:.1f}" for way in _LOOKS if way in means)
            parts.append(f"{recipe_label(recipe)} {width_label(width)}, {setting}: {said}")
    return f"Points of accuracy lost at λ = ½ against width, by way of merging. {'; '.join(parts)}."


def repaired_curves(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Calibrated loss along λ at one width: every pair a point, a line through the means of each way of merging."""

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        shown = [way for way in _LOOKS if way in set(of_recipe["way"])]
        for way in shown:
            chosen = of_recipe[of_recipe["way"] == way]
            draw_dots(axes[0], chosen["coefficient"], chosen["calibrated_loss"], _LOOKS[way], size=2)
        axes[0].set_title(network_of(of_recipe), fontsize="small")
        axes[0].set_ylabel("calibrated loss (nats)")
        scale_coefficients(axes[0])
        return [Line2D([], [], label=way.replace(", ", ",\n"), **_LOOKS[way]) for way in shown]

    return network_rows(table, 1, draw, height=2.6, narrow=narrow, legend_lines=4)


def repaired_curves_alt(table: DataFrame) -> str:
    """`repaired_curves` for those who do not see it."""
    parts = []
    for _, of_recipe in groups(table[table["coefficient"] == 0.5], "recipe"):
        means = of_recipe.groupby("way")["calibrated_loss"].mean()
        parts.append(
            f"{network_of(of_recipe)}: {', '.join(f'{way} {means[way]:.3f}' for way in _LOOKS if way in means)}"
        )
    return f"Calibrated loss along λ for each way of merging. At λ = ½, in nats, {'; '.join(parts)}."


def _most_settings(table: DataFrame) -> int:
    return int(table.groupby("recipe")["setting"].nunique().max())


def beyond_ensemble(found: Sequence[Excess], *, narrow: bool = False) -> Figure:
    """Calibrated loss beyond the ensemble's against width, plain and repaired, with a fall as width^−½ (dotted)."""
    table = concat([each.pairs.assign(way=each.way) for each in found])

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        settings = groups(of_recipe, "setting")
        for axis, ((setting,), part) in zip(axes, settings, strict=False):
            for (way,), chosen in groups(part, "way"):
                draw_dots(axis, chosen["width_multiplier"], chosen["excess"], _LOOKS[way], size=3.5)
            widths = numpy.array(sorted(part["width_multiplier"].unique()))
            narrowest = part[part["width_multiplier"] == widths[0]]["excess"].mean()
            axis.plot(widths, narrowest * (widths / widths[0]) ** -0.5, color=style.INK, linestyle=":", linewidth=1.2)
            axis.set_title(f"{recipe_label(of_recipe['recipe'].iloc[0])},\n{setting}", fontsize="small")
            axis.set_ylabel("calibrated loss beyond\nthe ensemble's (nats)")
            axis.set_xlabel("width multiplier")
            scale_values(axis, part["excess"])
            scale_widths(axis, part["width_multiplier"])
        for unused in axes[len(settings) :]:
            unused.set_visible(False)
        handles = [Line2D([], [], label=way, **_LOOKS[way]) for way in (PLAIN, REPAIRED)]
        return [*handles, Line2D([], [], label="a fall\nas 1/√width", color=style.INK, linestyle=":")]

    return network_rows(table, _most_settings(table), draw, height=2.6, narrow=narrow, legend_lines=3)


def beyond_ensemble_alt(found: Sequence[Excess]) -> str:
    """`beyond_ensemble` for those who do not see it."""
    parts = []
    for each in found:
        means = each.pairs.groupby("width_multiplier")["excess"].mean()
        ends = ", ".join(f"{means[width]:.3f} at {width_label(width)}" for width in means.index[[0, -1]].unique())
        parts.append(f"{recipe_label(each.recipe)}, {each.setting}, {each.way}: {ends}")
    return f"Calibrated loss at λ = ½ beyond that of the ensemble against width. {'; '.join(parts)} (nats)."
