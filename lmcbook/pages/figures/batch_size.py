"""Against batch size, at one width and at several: what the noise of the gradient has to do with merging."""

from dataclasses import replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures.kit import draw_dots, network_rows
from lmcbook.pages.figures.panels import FOURTH, MAIN, OTHER, THIRD, look_of
from lmcbook.pages.figures.scales import scale_values, scale_widths
from lmcbook.pages.figures.sweeps import PANELS, draw_sweep, name_places, sweep_words

_METRICS = (
    ("midpoint_accuracy_barrier", "accuracy barrier (points)", 100.0),
    ("midpoint_calibrated_loss_barrier", "calibrated loss barrier (nats)", 1.0),
)
# ranks stay low whatever the batches are, and their changes would not be seen against a full rank
_SWEEP = (replace(PANELS[0], limits=(0, None)), *PANELS[1:])
_LOOKS = (MAIN, OTHER, THIRD, FOURTH)


def against_batch_size(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Ranks, both conditions, barriers and unmerged accuracy against the batch size, at one width.

    Every pair is a point, lines join means.
    """
    return draw_sweep(
        table, "batch_size", partial(name_places, label="examples in a batch"), narrow=narrow, panels=_SWEEP
    )


def against_batch_size_alt(table: DataFrame) -> str:
    """`against_batch_size` for those who do not see it."""
    said = sweep_words(table, "batch_size")
    return f"Ranks, both conditions, barriers and unmerged accuracy against the batch size. {said}"


def barrier_by_batch_size(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Barriers at λ = ½ against the width multiplier: every pair a point, a line through the means of each size."""

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        sizes = sorted(of_recipe["batch_size"].unique(), reverse=True)
        looks = {size: look_of(_LOOKS[index % len(_LOOKS)]) for index, size in enumerate(sizes)}
        for axis, (column, label, factor) in zip(axes, _METRICS, strict=True):
            for size, look in looks.items():
                chosen = of_recipe[of_recipe["batch_size"] == size]
                draw_dots(axis, chosen["width_multiplier"], factor * chosen[column], look)
            axis.set_ylabel(label)
            scale_values(axis, factor * of_recipe[column])
            scale_widths(axis, of_recipe["width_multiplier"])
            axis.set_xlabel("width multiplier")
        axes[0].set_title(recipe_label(of_recipe["recipe"].iloc[0]))
        return [Line2D([], [], label=f"batches\nof {size:g}", **look) for size, look in looks.items()]

    return network_rows(table, len(_METRICS), draw, height=2.7, narrow=narrow, legend_lines=3)


def barrier_by_batch_size_alt(table: DataFrame) -> str:
    """`barrier_by_batch_size` for those who do not see it."""
    parts = []
    for (recipe, size), chosen in groups(table, "recipe", "batch_size"):
        means = 100 * chosen.groupby("width_multiplier")["midpoint_accuracy_barrier"].mean()
        ends = ", ".join(f"{means[width]:.1f} at {width_label(width)}" for width in (means.index[0], means.index[-1]))
        parts.append(f"{recipe_label(recipe)}, batches of {size:g}: {ends}")
    return (
        "Barriers in accuracy and calibrated loss against the width multiplier, a line for each batch size. "
        f"Points of accuracy lost at λ = ½, {'; '.join(parts)}."
    )
