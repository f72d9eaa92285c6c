"""Why weak additivity holds as far as it does: the sizes of the units, or signs that agree."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import decay_label, recipe_label, width_label
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.scales import plain_log
from lmcbook.theory.gaussian import INDEPENDENT_COSINE


def weak_additivity_explained(table: DataFrame, *, narrow: bool = False) -> Figure:
    """What the cosine of weak additivity lacks to 1, against what it would lack for Gaussians of the units' sizes.

    On the diagonal the sizes alone explain it; below, the two models' signs agree more than by chance; above, they
    clash, or the pre-activations are far from centred Gaussians.
    """
    recipes = list(table["recipe"].unique())
    decays = sorted(table["weight_decay"].unique(), reverse=True)
    with style.applied():
        figure, axes = style.panels(1, len(recipes), height=3.3, narrow=narrow, share_y="none")
        for index, (axis, recipe) in enumerate(zip(axes, recipes, strict=True)):
            chosen = table[table["recipe"] == recipe]
            for place, decay in enumerate(decays):
                points = chosen[chosen["weight_decay"] == decay]
                axis.plot(1 - points["gaussian"], 1 - points["weak_additivity"], **_decay_point(place))
            axis.axline((1e-2, 1e-2), (1e-1, 1e-1), **_SIZES, zorder=1)
            axis.axvline(1 - INDEPENDENT_COSINE, **_EQUAL, zorder=1)
            plain_log(axis.xaxis, (1e-4, 1e-3, 0.01, 0.1))
            plain_log(axis.yaxis, (1e-4, 1e-3, 0.01, 0.1, 1))
            axis.set_xlim(right=0.12)
            axis.set_title(recipe_label(recipe))
            axis.set_xlabel("1 − cosine of Gaussians\nof these sizes")
            if index == 0 or narrow:
                axis.set_ylabel("1 − measured cosine")
        handles = [
            *(
                Line2D([], [], label=f"weight decay {decay_label(decay)}", **_decay_point(place))
                for place, decay in enumerate(decays)
            ),
            Line2D([], [], label="the sizes alone", **_SIZES),
            Line2D([], [], label="independent and of equal size", **_EQUAL),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 2)
    return figure


def gaussian_alt(table: DataFrame) -> str:
    """`weak_additivity_explained` for those who do not see it."""
    parts = []
    for (recipe, decay), chosen in groups(table, "recipe", "weight_decay"):
        name = f"{recipe_label(recipe)} with weight decay {decay_label(decay)}"
        widest = width_label(chosen["width_multiplier"].max())
        values = (
            f"{chosen['weak_additivity'].mean():.3f} measured, {chosen['gaussian'].mean():.3f} from the sizes alone"
        )
        parts.append(f"{name}, widths up to {widest}: {values}")
    said = "Measured cosines of weak additivity against those of Gaussians, a point for each pair and layer"
    return f"{said}. {'; '.join(parts)}."


def _decay_point(place: int) -> dict[str, Any]:
    colours = (style.STRONG, style.WEAK, style.CONTROL)
    colour, marker = colours[min(place, 2)], style.MARKERS[place % len(style.MARKERS)]
    return {"color": colour, "marker": marker, "linestyle": "none", "markersize": 4, "alpha": 0.6, "mew": 0}


_SIZES: dict[str, Any] = {"color": style.INK, "linestyle": ":", "linewidth": 1.0}
_EQUAL: dict[str, Any] = {"color": style.INK, "linestyle": "--", "linewidth": 1.0}
