"""Fig. 1 and Fig. 2 of the paper, and the inverse temperature: curves along the line between two networks."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label
from lmcbook.pages.analysis.vocabulary import decays, groups, widest
from lmcbook.pages.figures import style
from lmcbook.pages.figures.marks import draw_curves, handle, width_handles, width_looks
from lmcbook.pages.figures.scales import scale_coefficients

_PREDICTION: dict[str, Any] = {"color": style.INK, "linestyle": "--", "linewidth": 1.3}


def accuracy_against_coefficient(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Test accuracy of λθᵃ + (1−λ)θᵇ against λ, no permutation: a thin line for each pair, a bold line for the mean.

    One row for each network, one panel for each weight decay. The paper's Fig. 1.
    """
    return _curves(table, _by_decay(table, "accuracy"), "test accuracy (%)", narrow=narrow, factor=100, top=101)


def accuracy_alt(table: DataFrame) -> str:
    """`accuracy_against_coefficient` for those who do not see it."""
    parts = _halfway(table, "accuracy", 100)
    return f"Curves of test accuracy in per cent against λ, one for each width. At λ = ½, {parts}."


def loss_against_coefficient(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Test loss of λθᵃ + (1−λ)θᵇ against λ: uncalibrated, and with the inverse temperature fitted for each λ.

    One row for each network, two panels on one scale. The paper's Fig. 2.
    """
    panels = [(None, "loss", "uncalibrated"), (None, "calibrated_loss", "calibrated")]
    return _curves(table, panels, "test loss (nats)", narrow=narrow)


def loss_alt(table: DataFrame) -> str:
    """`loss_against_coefficient` for those who do not see it."""
    parts = [
        f"{recipe_label(recipe)}: uncalibrated {ends_in_words(chosen, 'loss')}, "
        f"calibrated {ends_in_words(chosen, 'calibrated_loss')}"
        for (recipe,), chosen in groups(table[table["coefficient"] == 0.5], "recipe")
    ]
    return f"Curves of test loss in nats against λ, one for each width. At λ = ½, {'; '.join(parts)}."


def inverse_temperature_against_coefficient(table: DataFrame, *, narrow: bool = False) -> Figure:
    r"""The inverse temperature β fitted at each λ, on a logarithmic axis; one panel for each network and weight decay.

    The dashed line is LEWC's prediction for the widest networks, with no free parameter:
    $\beta^\star(\mu) / (\lambda^L + (1-\lambda)^L)$ with $\beta^\star(\mu)$ fitted on the two models' ensemble.
    """
    panels = _by_decay(table, "inverse_temperature")
    figure = _curves(table, panels, "inverse temperature β", narrow=narrow)
    with style.applied():
        shown = [(recipe, decay) for recipe in table["recipe"].unique() for decay, *_ in panels]
        for axis, (recipe, decay) in zip(figure.axes, shown, strict=True):
            chosen = table[(table["recipe"] == recipe) & (table["weight_decay"] == decay)]
            if widest(chosen)["predicted_inverse_temperature"].isna().any():
                continue
            predicted = widest(chosen).groupby("coefficient")["predicted_inverse_temperature"].mean()
            axis.plot(predicted.index, predicted, **_PREDICTION, zorder=20)
            if axis.get_legend() is not None:
                handles = [*width_handles(width_looks(chosen)), handle("predicted", _PREDICTION)]
                style.legend(axis, handles, title="width", narrow=narrow)
        figure.axes[0].set_yscale("log", base=2)
        figure.axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        figure.axes[0].autoscale(axis="y")
    return figure


def inverse_temperature_alt(table: DataFrame) -> str:
    """`inverse_temperature_against_coefficient` for those who do not see it."""
    parts = _halfway(table, "inverse_temperature")
    return f"Curves of the fitted inverse temperature against λ, one for each width. At λ = ½, {parts}."


def _halfway(table: DataFrame, column: str, factor: float = 1) -> str:
    middle = table[table["coefficient"] == 0.5]
    return "; ".join(
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: {ends_in_words(chosen, column, factor)}"
        for (recipe, decay), chosen in groups(middle, "recipe", "weight_decay")
    )


def _by_decay(table: DataFrame, column: str) -> list[tuple[float | None, str, str]]:
    return [(decay, column, f"weight decay {decay_label(decay)}") for decay, _ in decays(table)]


def _curves(
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
            looks = width_looks(of_recipe)
            row_axes = axes[row * len(columns) : (row + 1) * len(columns)]
            for axis, (decay, column, title) in zip(row_axes, columns, strict=True):
                chosen = of_recipe if decay is None else of_recipe[of_recipe["weight_decay"] == decay]
                for width, look in looks.items():
                    of_width = chosen[chosen["width_multiplier"] == width]
                    if not of_width.empty:
                        draw_curves(axis, of_width, "coefficient", column, look, factor=factor)
                axis.set_title(f"{recipe_label(recipe)}, {title}")
            label_panels(row_axes, label, narrow=narrow)
            # between the two panels of a phone nobody looks for a legend; it stands below the last
            style.legend(row_axes[-1], width_handles(looks), title="width", narrow=narrow)
        axes[0].set_ylim(0, top)
    return figure


def label_panels(axes: Sequence[Axes], label: str, *, narrow: bool) -> None:
    """Name the axes of one row of panels: the vertical axis where it is read, λ below each."""
    for index, axis in enumerate(axes):
        scale_coefficients(axis)
        if index == 0 or narrow:
            axis.set_ylabel(label)
