"""Against batch size, at one width and at several: what the noise of the gradient has to do with merging."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from pandas import DataFrame

from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY
from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.analysis.labels import recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import rows, style
from lmcbook.pages.figures.barriers import scale_values, scale_widths
from lmcbook.pages.figures.panels import FOURTH, MAIN, OTHER, THIRD, Series, handle_of, look_of
from lmcbook.pages.figures.sweeps import COLUMNS, PAIR, PANELS, draw_sweep, sweep_words

_METRICS = (
    ("midpoint_accuracy_barrier", "accuracy barrier (points)", 100.0),
    ("midpoint_calibrated_loss_barrier", "calibrated loss barrier (nats)", 1.0),
)
# ranks stay low whatever the batches are, and their changes would not be seen against a full rank
_SWEEP = (replace(PANELS[0], limits=(0, None)), *PANELS[1:])
_LOOKS = (MAIN, OTHER, THIRD, FOURTH)


def batch_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent pair merged as it is, at the paper's weight decay (or at the only one there is).

    Its batch size, ranks, conditions, barriers at λ = ½, and unmerged accuracy.
    """
    table = pairs_table(records)
    plain = (table["alignment"] == "identity") & (table["shared"] == "nothing") & (table["spread_penalty"] == 0)
    table = table[plain]
    if (table["weight_decay"] == MAIN_WEIGHT_DECAY).any():
        table = table[table["weight_decay"] == MAIN_WEIGHT_DECAY]
    numbers = dict.fromkeys(("batch_size", *COLUMNS), float)
    return table[[*PAIR, "batch_size", *COLUMNS]].astype(numbers).reset_index(drop=True)


def one_width(records: Sequence[Record]) -> DataFrame:
    """`batch_table`, of each recipe the width that was trained with the most batch sizes, the widest of several."""
    table = batch_table(records)
    kept = []
    for (recipe,), chosen in groups(table, "recipe"):
        sizes = chosen.groupby("width_multiplier")["batch_size"].nunique()
        kept.append((recipe, sizes[sizes == sizes.max()].index.max()))
    here = table[["recipe", "width_multiplier"]].apply(tuple, axis=1)
    return table[here.isin(kept)].sort_values("batch_size", kind="stable").reset_index(drop=True)


def several_widths(records: Sequence[Record]) -> DataFrame:
    """`batch_table`, of each recipe the batch sizes that were trained at more than one width."""
    table = batch_table(records)
    widths = table.groupby(["recipe", "batch_size"])["width_multiplier"].transform("nunique")
    return table[widths > 1].reset_index(drop=True)


def against_batch_size(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Ranks, both conditions, barriers and unmerged accuracy against the batch size, at one width.

    Every pair is a point, lines join means.
    """
    return draw_sweep(one_width(records), "batch_size", scale_batches, narrow=narrow, panels=_SWEEP)


def scale_batches(axis: Axes, places: Mapping[float, float]) -> None:
    """Batch sizes on a logarithmic axis, each with its name."""
    axis.xaxis.set_major_locator(FixedLocator(sorted(places.values())))
    axis.set_xticklabels([f"{size:g}" for size in sorted(places)])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("examples in a batch")


def against_batch_size_alt(records: Sequence[Record]) -> str:
    """`against_batch_size` for those who do not see it."""
    said = sweep_words(one_width(records), "batch_size")
    return f"Ranks, both conditions, barriers and unmerged accuracy against the batch size. {said}"


def barrier_by_batch_size(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ against the width multiplier: every pair a point, a line through the means of each size."""
    table = several_widths(records)
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, drawn = rows.rows([2.7] * len(recipes), len(_METRICS), narrow=narrow, legend_lines=3)
        for recipe, (part, axes) in zip(recipes, drawn, strict=True):
            of_recipe = table[table["recipe"] == recipe]
            sizes = sorted(of_recipe["batch_size"].unique(), reverse=True)
            looks = {size: _LOOKS[index % len(_LOOKS)] for index, size in enumerate(sizes)}
            for axis, (column, label, factor) in zip(axes, _METRICS, strict=True):
                for size, look in looks.items():
                    chosen = of_recipe[of_recipe["batch_size"] == size]
                    points = {**look_of(look), "linestyle": "none", "markersize": 4, "alpha": 0.8}
                    axis.plot(chosen["width_multiplier"], factor * chosen[column], **points, zorder=3)
                    mean = factor * chosen.groupby("width_multiplier")[column].mean()
                    axis.plot(mean.index, mean, **{**look_of(look), "marker": "none"}, zorder=2)
                axis.set_ylabel(label)
                scale_values(axis, factor * of_recipe[column])
                scale_widths(axis, of_recipe["width_multiplier"])
                axis.set_xlabel("width multiplier")
            axes[0].set_title(recipe_label(recipe))
            handles = [
                handle_of(Series(column="", label=f"batches\nof {size:g}", look=look)) for size, look in looks.items()
            ]
            rows.legend(part, handles, title=None, narrow=narrow)
    return figure


def barrier_by_batch_size_alt(records: Sequence[Record]) -> str:
    """`barrier_by_batch_size` for those who do not see it."""
    parts = []
    for (recipe, size), chosen in groups(several_widths(records), "recipe", "batch_size"):
        means = 100 * chosen.groupby("width_multiplier")["midpoint_accuracy_barrier"].mean()
        ends = ", ".join(f"{means[width]:.1f} at {width_label(width)}" for width in (means.index[0], means.index[-1]))
        parts.append(f"{recipe_label(recipe)}, batches of {size:g}: {ends}")
    return (
        "Barriers in accuracy and calibrated loss against the width multiplier, a line for each batch size. "
        f"Points of accuracy lost at λ = ½, {'; '.join(parts)}."
    )
