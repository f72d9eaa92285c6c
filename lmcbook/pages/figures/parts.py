"""The two parts of reciprocal orthogonality, against width and against batch size."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from lmcbook.pages.analysis.labels import recipe_label, width_of
from lmcbook.pages.analysis.parts import against_batches
from lmcbook.pages.analysis.vocabulary import ends, groups
from lmcbook.pages.figures.kit import draw_dots, network_rows
from lmcbook.pages.figures.panels import FOURTH, MAIN, OTHER, look_of
from lmcbook.pages.figures.scales import plain_log, scale_widths

_LOOKS = {
    "isotropic": ("isotropic part", look_of(OTHER)),
    "common": ("common part", look_of(MAIN)),
    "reciprocal_orthogonality": ("measured", look_of(FOURTH, hollow=True)),
}


def parts_of_orthogonality(table: DataFrame, *, narrow: bool = False) -> Figure:
    """Both parts and what is measured against width with the recipe's batches, and against batch size at one width."""

    def draw(axes: list[Axes], of_recipe: DataFrame) -> list[Line2D]:
        own, one_width = of_recipe[of_recipe["own_batches"]], against_batches(of_recipe)
        for axis, rows, column in ((axes[0], own, "width_multiplier"), (axes[1], one_width, "batch_size")):
            for name, (_, look) in _LOOKS.items():
                draw_dots(axis, rows[column], rows[name], look, size=3)
            axis.set_ylim(0, None)
        axes[0].set_ylabel("relative to ‖W z‖")
        scale_widths(axes[0], own["width_multiplier"])
        axes[0].set_xlabel("width multiplier")
        axes[0].set_title(recipe_label(of_recipe["recipe"].iloc[0]), fontsize="small")
        plain_log(axes[1].xaxis, sorted({float(size) for size in one_width["batch_size"]}))
        axes[1].set_xlabel(f"examples in a batch, at {width_of(one_width)}")
        return [Line2D([], [], label=label, **look) for label, look in _LOOKS.values()]

    return network_rows(table, 2, draw, height=2.4, narrow=narrow, legend_lines=3)


def parts_alt(table: DataFrame) -> str:
    """`parts_of_orthogonality` for those who do not see it."""
    said = []
    for _, rows in groups(table[table["own_batches"]], "recipe"):
        for part in ends(rows):
            parts = ", ".join(f"{name} {part[name].mean():.2f}" for name in ("isotropic", "common"))
            said.append(f"{recipe_label(part['recipe'].iloc[0])} {width_of(part)}: {parts}")
    return f"The two parts of reciprocal orthogonality against width and batch size. {'; '.join(said)}."
