"""How far the layers of merged networks are from what each law says of them."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import coefficient_label, recipe_label, width_label
from lmcbook.pages.analysis.layers import BATCH_NORM, LEWC, LLFC
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.figures import style
from lmcbook.pages.figures.kit import draw_dots, network_rows
from lmcbook.pages.figures.layers import label_room, name_layers

_LAWS: dict[str, dict[str, Any]] = {
    LEWC: {"color": style.STRONG, "marker": "o", "linestyle": "-"},
    LLFC: {"color": style.WEAK, "marker": "s", "linestyle": "--"},
    BATCH_NORM: {"color": style.CONTROL, "marker": "D", "linestyle": ":"},
}


def law_errors_by_layer(table: DataFrame, *, narrow: bool = False) -> Figure:
    """How far each layer of the widest merged networks is from what each law says, at λ = ¼, ½ and ¾."""
    coefficients = sorted(table["coefficient"].unique())

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        laws = [law for law in _LAWS if law in set(of_recipe["law"])]
        for index, (axis, coefficient) in enumerate(zip(axes, coefficients, strict=True)):
            axis.sharey(axes[0])
            for law in laws:
                chosen = of_recipe[(of_recipe["law"] == law) & (of_recipe["coefficient"] == coefficient)]
                look = {**_LAWS[law], "markeredgecolor": style.GROUND, "mew": 0.5, "linewidth": 1.6}
                draw_dots(axis, chosen["depth"], chosen["error"], look, alpha=1)
            name_layers(axis, of_recipe, panels=1 if narrow else len(coefficients))
            width = width_label(of_recipe["width_multiplier"].iloc[0])
            name = recipe_label(of_recipe["recipe"].iloc[0])
            title = f"{name}, {width}\n" if index == 0 or narrow else "\n"
            axis.set_title(f"{title}λ = {coefficient_label(coefficient)}")
            if index == 0 or narrow:
                axis.set_ylabel("distance / layer's norm")
        axes[0].set_ylim(0, None)
        return _law_handles(laws)

    def height(of_recipe: DataFrame) -> float:
        return 2.2 + label_room(of_recipe, panels=len(coefficients))

    return network_rows(table, len(coefficients), draw, height=height, narrow=narrow, legend_lines=2)


def _law_handles(laws: Sequence[str]) -> list[Line2D]:
    return [
        Line2D([], [], label=law.replace(" ", "\n", 1), markeredgecolor=style.GROUND, mew=0.5, **_LAWS[law])
        for law in laws
    ]


def law_errors_alt(table: DataFrame) -> str:
    """`law_errors_by_layer` for those who do not see it."""
    parts = []
    for (recipe, width), chosen in groups(table, "recipe", "width_multiplier"):
        last = chosen[(chosen["depth"] == chosen["depth"].max()) & (chosen["coefficient"] == 0.5)]
        values = ", ".join(f"{law} {mean:.3g}" for law, mean in last.groupby("law", sort=False)["error"].mean().items())
        parts.append(f"{recipe_label(recipe)} {width_label(width)}: {values}")
    return f"Distances from the laws in units of the layer, layer by layer. Of the logits at λ = ½, {'; '.join(parts)}."
