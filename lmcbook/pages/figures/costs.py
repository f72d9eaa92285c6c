"""What a search for a permutation costs beside the training of the networks, and how that grows with width."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from pandas import DataFrame

from lmcbook.pages.analysis.labels import ends_in_words, recipe_label
from lmcbook.pages.analysis.permutations import ACTIVATIONS, TRAINING, WEIGHTS
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.against_width import Line, draw_lines, handles_of

_LOOKS: dict[str, dict[str, Any]] = {
    WEIGHTS: {"colour": style.STRONG, "marker": "o"},
    ACTIVATIONS: {"colour": style.WEAK, "marker": "s"},
    TRAINING: {"colour": style.CONTROL, "marker": "D", "hollow": True},
}


def cost_against_width(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Seconds of the searches and of one training against the width multiplier, both axes logarithmic."""
    networks = groups(table, "recipe")
    lines = [
        Line(label=what, where={"what": what}, column="seconds", **look)
        for what, look in _LOOKS.items()
        if what in set(table["what"])
    ]
    with style.applied():
        columns = min(len(networks), 3)
        figure, axes = style.panels(-(-len(networks) // columns), columns, height=2.8, narrow=narrow)
        for index, (axis, ((recipe,), of_recipe)) in enumerate(zip(axes, networks, strict=False)):
            draw_lines(axis, of_recipe, lines)
            axis.set_yscale("log")
            axis.set_title(recipe_label(recipe))
            axis.set_xlabel("width multiplier")
            if narrow or index % columns == 0:
                axis.set_ylabel("seconds")
        for unused in axes[len(networks) :]:
            unused.remove()
        figure.legend(handles=handles_of(lines), loc="outside lower center", ncols=1 if narrow else 3)
    return figure


def cost_alt(table: DataFrame) -> str:
    """`cost_against_width` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)} {what}: {ends_in_words(chosen, 'seconds')}"
        for (recipe, what), chosen in groups(table, "recipe", "what")
    ]
    return f"Seconds against width. {'; '.join(parts)}."


def search_cost_against_units(table: DataFrame, *, narrow: bool = False) -> Figure:
    """CPU seconds and peak memory of weight matching against the number of units, both axes logarithmic."""
    quantities = {"cpu_seconds": ("CPU seconds, one thread", 1.0), "peak_memory_bytes": ("peak memory (GiB)", 2**-30)}
    looks = {"fast": (style.STRONG, "o", "-"), "best": (style.WEAK, "s", "--")}
    with style.applied():
        figure, axes = style.panels(1, 2, height=2.9, narrow=narrow, share_y="none")
        for axis, (column, (label, factor)) in zip(axes, quantities.items(), strict=True):
            for starts, (colour, marker, line) in looks.items():
                chosen = table[table["starts"] == starts].sort_values("units")
                look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line, "mec": style.GROUND}
                axis.plot(chosen["units"], factor * chosen[column], label=f'starts="{starts}"', markersize=5, **look)
            units = sorted(table["units"].unique())
            axis.set_xscale("log", base=2)
            axis.set_xticks(units, [f"{each:g}" for each in units])
            axis.minorticks_off()
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_xlabel("units of a hidden layer")
            axis.set_ylabel(label)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
