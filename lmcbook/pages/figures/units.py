"""Which units are active, and how many directions the weights use: Fig. 5, 6, 7 and 11 of the paper."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.units import in_both_models
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.against_width import Line, decay_lines, draw_lines, handles_of
from lmcbook.pages.figures.kit import width_panels
from lmcbook.pages.figures.layers import layer_handles


def histograms_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Histograms of root second moments of pre-activations, a panel for each hidden layer: the paper's Fig. 5, 11."""
    recipes = list(table["recipe"].unique())
    counts = [table[table["recipe"] == recipe]["depth"].nunique() for recipe in recipes]
    with style.applied():
        heights = [(1.5 if narrow else 1.45) + 0.8 / -(-count // (2 if narrow else 4)) for count in counts]
        figure, drawn = rows.rows(
            heights, counts, narrow=narrow, columns=4, phone_columns=2, legend_lines=2, share=True
        )
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            colours = style.width_colours(of_recipe["width_multiplier"])
            for axis, ((_, layer), of_layer) in zip(axes, of_recipe.groupby(["depth", "layer"]), strict=True):
                for index, (width, colour) in enumerate(colours.items()):
                    chosen = of_layer[of_layer["width_multiplier"] == width].sort_values("low")
                    middles, shares = (chosen["low"] + chosen["high"]) / 2, 100 * chosen["share"]
                    look: dict[str, Any] = {
                        "marker": style.MARKERS[index % len(style.MARKERS)],
                        "markersize": 3,
                        "mew": 0,
                    }
                    axis.plot(middles, shares, color=colour, linewidth=1.2, **look)
                axis.set_title(layer, fontsize="small")
                axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            axes[0].set_ylim(bottom=0)
            decay = decay_label(of_recipe["weight_decay"].iloc[0])
            part.suptitle(
                f"{recipe_label(recipe)}, weight decay {decay}",
                x=0.01,
                ha="left",
                fontsize="medium",
                weight="bold",
            )
            part.supylabel("share of units (%)", fontsize="medium")
            if narrow:
                axes[-1].set_xlabel("root second moment,\nrelative to the largest")
            else:
                part.supxlabel("root second moment, relative to the layer's largest", fontsize="medium")
            rows.legend(part, layer_handles(colours), title="width", narrow=narrow)
    return figure


def histogram_alt(table: DataFrame) -> str:
    """`histograms_by_layer` for those who do not see it."""
    lowest = table[table["low"] == 0].assign(per_cent=100 * table["share"])
    parts = []
    for (recipe,), chosen in groups(lowest, "recipe"):
        means = chosen.groupby("width_multiplier")["per_cent"].mean().reset_index()
        parts.append(f"{recipe_label(recipe)}: {ends_in_words(means, 'per_cent')}")
    return (
        "Histograms of root second moments, one panel for each hidden layer, one line for each width. Per cent of "
        f"units in the lowest tenth, mean over layers, {'; '.join(parts)}."
    )


def units_of_both_models(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Units of the second hidden layer by their root second moments in both models: the paper's Fig. 6 or 7."""
    recipes = list(table["recipe"].unique())
    widths = [sorted(table[table["recipe"] == recipe]["width_multiplier"].unique()) for recipe in recipes]
    with style.applied():
        drawn_of = list(zip(recipes, widths, strict=True))
        panels = [(recipe, width) for recipe, of_recipe in drawn_of for width in of_recipe]
        if not narrow and len(recipes) > 1:
            # the narrowest above the widest, one column for each network
            panels = [
                (recipe, width) for place in (0, -1) for recipe, of_recipe in drawn_of for width in [of_recipe[place]]
            ]
        columns = 2 if narrow or len(recipes) == 1 else len(recipes)
        height = 2.15 if narrow else min(2.7, style.WIDE / columns + 0.3)
        figure, [(_, axes)] = rows.rows(
            [height], len(panels), narrow=narrow, columns=columns, phone_columns=2, share=True
        )
        for index, (axis, (recipe, width)) in enumerate(zip(axes, panels, strict=True)):
            chosen = table[(table["recipe"] == recipe) & (table["width_multiplier"] == width)]
            few = len(chosen) < 100
            axis.plot([0, 1], [0, 1], color=style.INK, linewidth=0.8, linestyle=":", zorder=1)
            axis.plot(
                chosen["root_second_moment_a"],
                chosen["root_second_moment_b"],
                "o",
                color=style.STRONG,
                markersize=4 if few else 2.6,
                alpha=0.75 if few else 0.45,
                mew=0,
            )
            axis.set_title(f"{recipe_label(recipe)},\n{width_label(width)}", fontsize="small")
            axis.set_aspect("equal")
            axis.set_xlim(-0.03, 1.05)
            axis.set_ylim(-0.03, 1.05)
            axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            axis.set_yticks([0, 0.5, 1], ["0", "½", "1"])
            if index % columns == 0 or narrow:
                axis.set_ylabel("in model b")
            axis.set_xlabel("in model a")
        same = Line2D([], [], color=style.INK, linewidth=0.8, linestyle=":", label="equally active in both models")
        unit = Line2D([], [], color=style.STRONG, marker="o", linestyle="none", markersize=4, label="a unit")
        figure.legend(handles=[unit, same], loc="outside lower center", ncols=2)
    return figure


def both_models_alt(table: DataFrame) -> str:
    """`units_of_both_models` for those who do not see it."""
    parts = []
    for (recipe, width), chosen in groups(in_both_models(table), "recipe", "width_multiplier"):
        name = f"{recipe_label(recipe)} {width_label(width)}"
        parts.append(f"{name}, {chosen['both'].sum()} of {chosen['either'].sum()}")
    return (
        "Scatter plots of the units of the second hidden layer by their root second moments in the two models of a "
        f"pair. Of the units above half of the largest in either model, in both: {'; '.join(parts)}."
    )


def active_units_against_width(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Overlap of the two models' active units, measured and expected by chance, and how many are active."""
    overlaps = [
        *decay_lines(table, "overlap", label="measured"),
        *decay_lines(table, "expected_overlap", label="independent", hollow=True),
    ]
    panels = [
        ("overlap of active units", partial(_draw_plain, lines=overlaps)),
        ("share of active units", partial(_draw_plain, lines=decay_lines(table, "active_share"))),
    ]
    return width_panels(table, panels, partial(handles_of, overlaps), height=2.6, narrow=narrow)


def active_alt(table: DataFrame) -> str:
    """`active_units_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: overlap "
        f"{ends_in_words(chosen, 'overlap')}, expected {ends_in_words(chosen, 'expected_overlap')}, share of "
        f"active units {ends_in_words(chosen, 'active_share')}"
        for (recipe, decay), chosen in groups(table, "recipe", "weight_decay")
    ]
    return f"Overlap and share of active units against width, a point for each pair. {'; '.join(parts)}."


def ranks_against_width(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Effective and stable rank of the weights against width, absolute and relative: the paper's Fig. 6 or 7."""
    absolute, relative = (
        [
            *decay_lines(table, f"{prefix}effective_rank", label="effective rank"),
            *decay_lines(table, f"{prefix}stable_rank", label="stable rank", hollow=True),
        ]
        for prefix in ("", "relative_")
    )
    panels = [
        ("rank", partial(_draw_logarithmic, lines=absolute)),
        ("rank relative to the size", partial(_draw_logarithmic, lines=relative)),
    ]
    return width_panels(table, panels, partial(handles_of, absolute), height=2.6, narrow=narrow)


def rank_alt(table: DataFrame) -> str:
    """`ranks_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: effective rank "
        f"{ends_in_words(chosen, 'effective_rank')}, relative {ends_in_words(chosen, 'relative_effective_rank')}"
        for (recipe, decay), chosen in groups(table, "recipe", "weight_decay")
    ]
    return f"Ranks of the weights of the layers 2 to L − 1 against width, a point for each pair. {'; '.join(parts)}."


def _draw_plain(axis: Axes, table: DataFrame, lines: Sequence[Line]) -> None:
    draw_lines(axis, table, lines)
    axis.margins(y=0.1)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(5))


def _draw_logarithmic(axis: Axes, table: DataFrame, lines: Sequence[Line]) -> None:
    draw_lines(axis, table, lines)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
