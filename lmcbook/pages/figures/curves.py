"""Fig. 1 and Fig. 2 of the paper: accuracy and loss of the merged model against the interpolation coefficient."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.lab.records import Record, curves_table
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import PAPER_DECAY, groups
from lmcbook.pages.figures import style

COEFFICIENT_LABEL = "λ (share of model a)"
_PAIR = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b", "coefficient"]


def accuracy_table(records: Sequence[Record]) -> DataFrame:
    """What `accuracy_against_coefficient` draws: accuracies as fractions, of pairs merged as they are."""
    return _unaligned(records)[[*_PAIR, "accuracy"]]


def accuracy_alt(records: Sequence[Record]) -> str:
    """`accuracy_against_coefficient` for those who do not see it."""
    table = accuracy_table(records)
    table = table[table["coefficient"] == 0.5]
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: {ends_in_words(chosen, 'accuracy', 100)}"
        for (recipe, decay), chosen in groups(table, "recipe", "weight_decay")
    ]
    return f"Curves of test accuracy in per cent against λ, one for each width. At λ = ½, {'; '.join(parts)}."


def accuracy_against_coefficient(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Test accuracy of λθ_a + (1−λ)θ_b against λ, no permutation: a thin line for each pair, a bold one for the mean.

    One row for each network, one panel for each weight decay. The paper's Fig. 1.
    """
    table = accuracy_table(records)
    decays = sorted(table["weight_decay"].unique(), reverse=True)
    panels = [(decay, "accuracy", f"weight decay {decay_label(decay)}") for decay in decays]
    return curve_panels(table, panels, "test accuracy (%)", narrow=narrow, factor=100, top=101)


def loss_table(records: Sequence[Record]) -> DataFrame:
    """What `loss_against_coefficient` draws: losses in nats and inverse temperatures, of pairs merged as they are.

    Of several weight decays, the paper's, or the largest where that is not among them.
    """
    table = _unaligned(records)
    decays = table["weight_decay"].unique()
    if len(decays):
        table = table[table["weight_decay"] == (PAPER_DECAY if PAPER_DECAY in decays else max(decays))]
    return table[[*_PAIR, "loss", "calibrated_loss", "inverse_temperature"]]


def loss_alt(records: Sequence[Record]) -> str:
    """`loss_against_coefficient` for those who do not see it."""
    table = loss_table(records)
    table = table[table["coefficient"] == 0.5]
    parts = [
        f"{recipe_label(recipe)}: as it is {ends_in_words(chosen, 'loss')}, "
        f"calibrated {ends_in_words(chosen, 'calibrated_loss')}"
        for (recipe,), chosen in groups(table, "recipe")
    ]
    return f"Curves of test loss in nats against λ, one for each width. At λ = ½, {'; '.join(parts)}."


def loss_against_coefficient(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    """Test loss of λθ_a + (1−λ)θ_b against λ: as it is, and with the inverse temperature fitted for each λ.

    One row for each network, two panels on one scale. The paper's Fig. 2.
    """
    table = loss_table(records)
    panels = [(None, "loss", "as it is"), (None, "calibrated_loss", "calibrated")]
    return curve_panels(table, panels, "test loss (nats)", narrow=narrow)


def curve_panels(
    table: DataFrame,
    columns: Sequence[tuple[float | None, str, str]],
    label: str,
    *,
    narrow: bool,
    factor: float = 1,
    top: float | None = None,
) -> Figure:
    """One row of panels for each recipe; each of ``columns`` is (weight decay or all, what to draw, title)."""
    recipes = list(table["recipe"].unique())
    with style.applied():
        figure, axes = style.panels(len(recipes), len(columns), height=2.9, narrow=narrow)
        for row, recipe in enumerate(recipes):
            of_recipe = table[table["recipe"] == recipe]
            colours = style.width_colours(of_recipe["width_multiplier"])
            row_axes = axes[row * len(columns) : (row + 1) * len(columns)]
            for axis, (decay, column, title) in zip(row_axes, columns, strict=True):
                chosen = of_recipe if decay is None else of_recipe[of_recipe["weight_decay"] == decay]
                draw_curves(axis, chosen, column, colours, factor=factor)
                axis.set_title(f"{recipe_label(recipe)}, {title}")
            # between the two panels of a phone nobody looks for a legend; it stands below the last
            label_panels(row_axes, label, narrow=narrow)
            style.legend(row_axes[-1], width_handles(colours), title="width", narrow=narrow)
        axes[0].set_ylim(0, top)
    return figure


def draw_curves(axis: Axes, table: DataFrame, column: str, colours: dict[float, str], *, factor: float = 1) -> None:
    """Draw ``column`` against the coefficient: each pair thin, the mean of each width bold with markers."""
    for index, (width, colour) in enumerate(colours.items()):
        of_width = table[table["width_multiplier"] == width]
        if of_width.empty:
            continue
        for _, pair in of_width.groupby(["seed_a", "seed_b"]):
            axis.plot(pair["coefficient"], factor * pair[column], color=colour, linewidth=0.7, alpha=0.55, zorder=2)
        mean = factor * of_width.groupby("coefficient")[column].mean()
        quarters = [round(quarter * (len(mean) - 1) / 4) for quarter in (1, 2, 3)]
        axis.plot(mean.index, mean, color=colour, zorder=3 + index, **_marker(index), markevery=quarters)


def width_handles(colours: dict[float, str]) -> list[Line2D]:
    """What the legend shows for each width, widest first, as the curves stand from top to bottom."""
    handles = [
        Line2D([], [], color=colour, label=width_label(width), **_marker(index))
        for index, (width, colour) in enumerate(colours.items())
    ]
    return handles[::-1]


def label_panels(axes: Sequence[Axes], label: str, *, narrow: bool) -> None:
    """Name the axes of one row of panels: the vertical one where it is read, λ below each."""
    for index, axis in enumerate(axes):
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
        axis.set_xlim(-0.02, 1.02)
        if index == 0 or narrow:
            axis.set_ylabel(label)
        axis.set_xlabel(COEFFICIENT_LABEL)


def _marker(index: int) -> dict[str, Any]:
    return {
        "marker": style.MARKERS[index % len(style.MARKERS)],
        "markersize": 4.5,
        "markeredgecolor": style.GROUND,
        "markeredgewidth": 0.6,
    }


def _unaligned(records: Sequence[Record]) -> DataFrame:
    table = curves_table(records)
    return table[table["alignment"] == "identity"]
