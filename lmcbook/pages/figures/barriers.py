"""Barriers against width: the reviewers' numeric question to the paper, with every pair as a point."""

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from pandas import DataFrame, Series

from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style

_METRICS = (
    ("midpoint_accuracy_barrier", "accuracy barrier (points)", 100.0),
    ("midpoint_loss_barrier", "loss barrier (nats)", 1.0),
    ("midpoint_calibrated_loss_barrier", "calibrated loss barrier (nats)", 1.0),
)


def barrier_table(records: Sequence[Record]) -> DataFrame:
    """What `barrier_against_width` draws: barriers at λ = ½, accuracies as fractions, losses in nats."""
    names = ["recipe", "width_multiplier", "weight_decay", "alignment", "seed_a", "seed_b"]
    return barriers_table(records)[[*names, *(column for column, _, _ in _METRICS)]]


def barrier_alt(records: Sequence[Record]) -> str:
    """`barrier_against_width` for those who do not see it."""
    table = barrier_table(records)
    table = table[table["alignment"] == "identity"]
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: "
        f"{ends_in_words(chosen, 'midpoint_accuracy_barrier', 100)}"
        for (recipe, decay), chosen in groups(table, "recipe", "weight_decay")
    ]
    return (
        "Barriers in accuracy, loss and calibrated loss against the width multiplier, a point for each pair of "
        f"networks and a line through the means. Points of accuracy lost at λ = ½, {'; '.join(parts)}."
    )


def barrier_against_width(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ against the width multiplier: a point for each pair, a line through the means.

    Colours are weight decays; hollow markers on dotted lines are the control, model b under a random permutation.
    Where a barrier is not above 0, the vertical axis is linear near 0 and logarithmic beyond, and says so.
    """
    table = barrier_table(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, axes = style.panels(len(recipes), len(_METRICS), height=2.9, narrow=narrow, share_y="none")
        looks = _looks(table)
        shown = [(recipe, *metric) for recipe in recipes for metric in _METRICS]
        for index, (axis, (recipe, column, label, factor)) in enumerate(zip(axes, shown, strict=True)):
            chosen = table[table["recipe"] == recipe]
            axis.set_ylabel(label)
            draw_points(axis, chosen, column, looks, factor=factor)
            scale_widths(axis, chosen["width_multiplier"].unique())
            if index % len(_METRICS) == 0:
                axis.set_title(recipe_label(recipe))
            if narrow or recipe == recipes[-1]:
                axis.set_xlabel("width multiplier")
        handles = [Line2D([], [], label=name, **look) for name, look in looks.values()]
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 2)
    return figure


def draw_points(axis: Axes, table: DataFrame, column: str, looks: dict, *, factor: float = 1) -> None:
    """Draw ``column`` against width on the narrowest honest scale: each pair a point, the means a line."""
    for (decay, alignment), (_, look) in looks.items():
        chosen = table[(table["weight_decay"] == decay) & (table["alignment"] == alignment)]
        if chosen.empty:
            continue
        points = {**look, "linestyle": "none", "alpha": 0.8, "markersize": 4.5}
        # the control a little to the right, where its points do not cover those it is compared with
        shift = 1.0 if alignment == "identity" else 1.1
        axis.plot(shift * chosen["width_multiplier"], factor * chosen[column], **points, zorder=3)
        mean = factor * chosen.groupby("width_multiplier")[column].mean()
        axis.plot(shift * mean.index, mean, **{**look, "marker": "none"}, zorder=2)
    scale_values(axis, factor * table[column])


def scale_values(axis: Axes, drawn: Series) -> None:
    """A logarithmic vertical axis for the values that are ``drawn``, linear near 0 where they are not all above it."""
    values = drawn.dropna()
    if values.empty or values.max() <= 0:
        return
    if values.min() > 0:
        axis.set_yscale("log")
        decades = math.log10(values.max() / values.min())
        ticks = ((2.5, (1,)), (1.2, (1, 3)), (0.7, (1, 2, 5)), (0, (1, 1.5, 2, 3, 5, 7)))
        axis.yaxis.set_major_locator(LogLocator(subs=next(steps for least, steps in ticks if decades >= least)))
    else:
        # linear up to about a fiftieth of the largest value: what is 0 or below is seen, and so is the fall
        threshold = 10.0 ** math.floor(math.log10(values.max() / 20))
        axis.set_yscale("symlog", linthresh=threshold, linscale=0.7)
        axis.axhspan(-threshold, threshold, color=style.FAINT, alpha=0.4, linewidth=0, zorder=0)
        axis.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        axis.set_ylabel(f"{axis.get_ylabel()}\nlinear where shaded", linespacing=1.3)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axis.yaxis.set_minor_locator(NullLocator())


def scale_widths(axis: Axes, widths: Iterable[float]) -> None:
    """Width multipliers on a logarithmic axis, each with its name."""
    widths = sorted(set(widths))
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(widths))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(widths, [width_label(width) for width in widths])
    axis.margins(x=0.08)


def _looks(table: DataFrame) -> dict[tuple[float, str], tuple[str, dict]]:
    """(Weight decay, alignment) → its name in the legend and how it is drawn; strongest decay first."""
    colours = (style.STRONG, style.WEAK, style.CONTROL)
    looks: dict[tuple[float, str], tuple[str, dict]] = {}
    for alignment, suffix in (("identity", ""), ("random", ", b randomly permuted")):
        for index, decay in enumerate(sorted(table["weight_decay"].unique(), reverse=True)):
            if table[(table["weight_decay"] == decay) & (table["alignment"] == alignment)].empty:
                continue
            colour = colours[min(index, len(colours) - 1)]
            as_is = alignment == "identity"
            looks[decay, alignment] = (
                f"weight decay {decay_label(decay)}{suffix}",
                {
                    "color": colour,
                    "marker": style.MARKERS[index % len(style.MARKERS)],
                    "markersize": 5,
                    "markerfacecolor": colour if as_is else style.GROUND,
                    "markeredgecolor": style.GROUND if as_is else colour,
                    "markeredgewidth": 0.5 if as_is else 1,
                    "linestyle": "-" if as_is else ":",
                    "linewidth": 2 if as_is else 1.3,
                },
            )
    return looks
