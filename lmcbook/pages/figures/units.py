"""Which units are active, and how many directions the weights use: Fig. 5, 6, 7 and 11 of the paper."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from pandas import DataFrame, concat

from lmcbook.lab.records import Record, histograms_table, summaries_table, units_table
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import PAPER_DECAY, groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.against_width import Line, decay_lines, draw_lines, handles_of
from lmcbook.pages.figures.layers import layer_handles

_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b"]
_BINS = 10


def histogram_table(records: Sequence[Record]) -> DataFrame:
    """What `histograms_by_layer` draws: the share of units in each bin, mean over pairs and models.

    Bins are tenths of the layer's largest root second moment. Pairs as they are, of the paper's weight decay, or of
    the largest where that is not among them.
    """
    table = histograms_table(records)
    names = ["recipe", "width_multiplier", "weight_decay", "layer", "depth"]
    table = _main_decay(table[table["alignment"] == "identity"])
    if table.empty:
        return DataFrame(columns=[*names, "low", "high", "share"])
    table = table.assign(bin=(table["low"] * _BINS + 1e-9).astype(int), share=(table["share_a"] + table["share_b"]) / 2)
    summed = table.groupby([*names, "seed_a", "seed_b", "bin"], sort=False)["share"].sum()
    mean = summed.groupby([*names, "bin"], sort=False).mean().reset_index()
    return mean.assign(low=mean["bin"] / _BINS, high=(mean["bin"] + 1) / _BINS)[[*names, "low", "high", "share"]]


def histograms_by_layer(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Histograms of root second moments of pre-activations, a panel for each hidden layer: the paper's Fig. 5, 11."""
    table = histogram_table(records)
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


def histogram_alt(records: Sequence[Record]) -> str:
    """`histograms_by_layer` for those who do not see it."""
    table = histogram_table(records)
    lowest = table[table["low"] == 0].assign(per_cent=100 * table["share"])
    parts = []
    for (recipe,), chosen in groups(lowest, "recipe"):
        means = chosen.groupby("width_multiplier")["per_cent"].mean().reset_index()
        parts.append(f"{recipe_label(recipe)}: {ends_in_words(means, 'per_cent')}")
    return (
        "Histograms of root second moments, one panel for each hidden layer, one line for each width. Per cent of "
        f"units in the lowest tenth, mean over layers, {'; '.join(parts)}."
    )


def both_models_table(records: Sequence[Record]) -> DataFrame:
    """What `units_of_both_models` draws: units of the second hidden layer of one pair, at the narrowest and the widest.

    Root second moments relative to the largest of the layer in either model.
    """
    table = units_table(records)
    table = _main_decay(table[(table["alignment"] == "identity") & (table["depth"] == 2)])
    names = [*_PAIR, "layer", "root_second_moment_a", "root_second_moment_b"]
    parts = []
    for _, of_recipe in table.groupby("recipe", sort=False):
        widths = of_recipe["width_multiplier"]
        chosen = of_recipe[widths.isin([widths.min(), widths.max()])]
        parts.append(chosen[chosen["seed_a"] == chosen["seed_a"].min()])
    if not parts:
        return DataFrame(columns=names)
    chosen = concat(parts, ignore_index=True)
    moments = ["root_second_moment_a", "root_second_moment_b"]
    largest = chosen.groupby(["recipe", "width_multiplier"])[moments].transform("max").max(axis=1)
    return chosen.assign(**{name: chosen[name] / largest for name in moments})[names]


def units_of_both_models(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Units of the second hidden layer by their root second moments in either model of a pair: the paper's Fig. 6."""
    table = both_models_table(records)
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


def both_models_alt(records: Sequence[Record]) -> str:
    """`units_of_both_models` for those who do not see it."""
    table = both_models_table(records)
    moments = table["root_second_moment_a"], table["root_second_moment_b"]
    table = table.assign(both=(moments[0] > 0.5) & (moments[1] > 0.5), either=(moments[0] > 0.5) | (moments[1] > 0.5))
    parts = []
    for (recipe, width), chosen in groups(table, "recipe", "width_multiplier"):
        name = f"{recipe_label(recipe)} {width_label(width)}"
        parts.append(f"{name}, {chosen['both'].sum()} of {chosen['either'].sum()}")
    return (
        "Scatter plots of the units of the second hidden layer by their root second moments in the two models of a "
        f"pair. Of the units above half of the largest in either model, so many are so in both: {'; '.join(parts)}."
    )


def active_table(records: Sequence[Record]) -> DataFrame:
    """What `active_units_against_width` draws: means over hidden layers of each pair merged as it is."""
    table = summaries_table(records)
    table = table[table["alignment"] == "identity"]
    return table[[*_PAIR, "overlap", "expected_overlap", "active_share"]].reset_index(drop=True)


def active_units_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Overlap of the two models' active units, measured and expected of independent ones, and how many are active."""
    table = active_table(records)
    overlaps = [
        *decay_lines(table, "overlap", label="measured"),
        *decay_lines(table, "expected_overlap", label="independent", hollow=True),
    ]
    panels = [(overlaps, "overlap of active units"), (decay_lines(table, "active_share"), "share of active units")]
    return _two_panels(table, panels, overlaps, narrow=narrow)


def active_alt(records: Sequence[Record]) -> str:
    """`active_units_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: overlap "
        f"{ends_in_words(chosen, 'overlap')}, expected {ends_in_words(chosen, 'expected_overlap')}, share of "
        f"active units {ends_in_words(chosen, 'active_share')}"
        for (recipe, decay), chosen in groups(active_table(records), "recipe", "weight_decay")
    ]
    return f"Overlap and share of active units against width, a point for each pair. {'; '.join(parts)}."


def rank_table(records: Sequence[Record]) -> DataFrame:
    """What `ranks_against_width` draws: means over the layers 2…L−1 and the two models of each pair."""
    table = summaries_table(records)
    table = table[table["alignment"] == "identity"]
    ranks = ["effective_rank", "relative_effective_rank", "stable_rank", "relative_stable_rank"]
    return table[[*_PAIR, *ranks]].dropna().reset_index(drop=True)


def ranks_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Effective and stable rank of the weights against width, absolute and relative to the size: the paper's Fig. 7."""
    table = rank_table(records)
    panels = []
    for prefix, label in (("", "rank"), ("relative_", "rank relative to the size")):
        effective = decay_lines(table, f"{prefix}effective_rank", label="effective rank")
        stable = decay_lines(table, f"{prefix}stable_rank", label="stable rank", hollow=True)
        panels.append(([*effective, *stable], label))
    return _two_panels(table, panels, panels[0][0], narrow=narrow, logarithmic=True)


def rank_alt(records: Sequence[Record]) -> str:
    """`ranks_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: effective rank "
        f"{ends_in_words(chosen, 'effective_rank')}, relative {ends_in_words(chosen, 'relative_effective_rank')}"
        for (recipe, decay), chosen in groups(rank_table(records), "recipe", "weight_decay")
    ]
    return f"Ranks of the weights of the layers 2 to L − 1 against width, a point for each pair. {'; '.join(parts)}."


def _two_panels(
    table: DataFrame,
    panels: Sequence[tuple[Sequence[Line], str]],
    named: Sequence[Line],
    *,
    narrow: bool,
    logarithmic: bool = False,
) -> Figure:
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, axes = style.panels(len(recipes), len(panels), height=2.6, narrow=narrow, share_y="none")
        shown = [(recipe, panel) for recipe in recipes for panel in panels]
        for index, (axis, (recipe, (lines, label))) in enumerate(zip(axes, shown, strict=True)):
            draw_lines(axis, table[table["recipe"] == recipe], lines)
            axis.set_ylabel(label)
            if logarithmic:
                axis.set_yscale("log")
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.yaxis.set_minor_locator(NullLocator())
                axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            else:
                axis.margins(y=0.1)
                axis.set_ylim(bottom=0)
                axis.yaxis.set_major_locator(MaxNLocator(5))
            if index % len(panels) == 0:
                axis.set_title(recipe_label(recipe))
            if narrow or recipe == recipes[-1]:
                axis.set_xlabel("width multiplier")
        figure.legend(handles=handles_of(named), loc="outside lower center", ncols=1 if narrow else 2)
    return figure


def _main_decay(table: DataFrame) -> DataFrame:
    decays = set(table["weight_decay"])
    return table[table["weight_decay"] == (PAPER_DECAY if PAPER_DECAY in decays else max(decays, default=0.0))]
