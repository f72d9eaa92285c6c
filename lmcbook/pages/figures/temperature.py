"""The fitted inverse temperature along the line, beside what LEWC predicts without a free parameter."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.lab.records import Record, curves_table
from lmcbook.pages.analysis.labels import decay_label, ends_in_words, recipe_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.curves import curve_panels, width_handles


def inverse_temperature_table(records: Sequence[Record]) -> DataFrame:
    """What `inverse_temperature_against_coefficient` draws: fitted and predicted β of pairs merged as they are.

    ``predicted_inverse_temperature`` is empty where not the layers alone scale the logits: under batch norm.
    """
    table = curves_table(records)
    table = table[table["alignment"] == "identity"]
    layers = {record.recipe: record.config.training.num_layers for record in records}
    depth = table["recipe"].map(layers).astype(float)
    coefficient = table["coefficient"].astype(float)
    scale = coefficient**depth + (1 - coefficient) ** depth
    table = table.assign(predicted_inverse_temperature=table["lewc_ensemble_inverse_temperature"].astype(float) / scale)
    names = ["recipe", "width_multiplier", "weight_decay", "seed_a", "seed_b", "coefficient"]
    return table[[*names, "inverse_temperature", "predicted_inverse_temperature"]]


def inverse_temperature_against_coefficient(records: Sequence[Record], *, narrow: bool = False) -> Figure:
    r"""The inverse temperature β fitted at each λ, on a logarithmic axis; one panel for each network and weight decay.

    The dashed line is LEWC's prediction for the widest networks, with no free parameter:
    $\beta^*(\mu) / (\lambda^L + (1-\lambda)^L)$ with $\beta^*(\mu)$ fitted on the two models' ensemble.
    """
    table = inverse_temperature_table(records)
    decays = sorted(table["weight_decay"].unique(), reverse=True)
    columns = [(decay, "inverse_temperature", f"weight decay {decay_label(decay)}") for decay in decays]
    figure = curve_panels(table, columns, "inverse temperature β", narrow=narrow)
    with style.applied():
        shown = [(recipe, decay) for recipe in table["recipe"].unique() for decay in decays]
        for axis, (recipe, decay) in zip(figure.axes, shown, strict=True):
            chosen = table[(table["recipe"] == recipe) & (table["weight_decay"] == decay)]
            widest = chosen[chosen["width_multiplier"] == chosen["width_multiplier"].max()]
            predicted = widest.groupby("coefficient")["predicted_inverse_temperature"].mean().dropna()
            if not predicted.empty:
                axis.plot(predicted.index, predicted, **_PREDICTION, zorder=20)
            legend = axis.get_legend()
            if legend is not None and chosen["predicted_inverse_temperature"].notna().any():
                handles = [*width_handles(style.width_colours(chosen["width_multiplier"]))]
                style.legend(
                    axis, [*handles, Line2D([], [], label="predicted", **_PREDICTION)], title="width", narrow=narrow
                )
        figure.axes[0].set_yscale("log", base=2)
        figure.axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        figure.axes[0].autoscale(axis="y")
    return figure


def inverse_temperature_alt(records: Sequence[Record]) -> str:
    """`inverse_temperature_against_coefficient` for those who do not see it."""
    table = inverse_temperature_table(records)
    parts = [
        f"{recipe_label(recipe)} with weight decay {decay_label(decay)}: {ends_in_words(chosen, 'inverse_temperature')}"
        for (recipe, decay), chosen in groups(table[table["coefficient"] == 0.5], "recipe", "weight_decay")
    ]
    return f"Curves of the fitted inverse temperature against λ, one for each width. At λ = ½, {'; '.join(parts)}."


_PREDICTION: dict[str, Any] = {"color": style.INK, "linestyle": "--", "linewidth": 1.3}
