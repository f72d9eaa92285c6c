"""The figures of the chapters on theory, by name: their drawing, their table, their chapter and what they show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from lmcbook.errors import check_choice
from lmcbook.pages.theory_figures import drawing, page, tables


@dataclass(frozen=True, slots=True)
class Described:
    """What a figure of a theorem has beside its numbers."""

    draw: page.Draw
    chapter: str
    """The notebook whose cells compute its numbers, without ``.ipynb``."""
    alt: str
    """What it shows, for those who do not see it."""
    table: Callable[[Any], DataFrame] = DataFrame
    """What it draws, of the numbers that the chapter computes."""

    @property
    def command(self) -> str:
        """What makes the figure again."""
        return f"papermill notebooks/{self.chapter}.ipynb out.ipynb"


FIGURES: Mapping[str, Described] = {
    "theorem-lewc": Described(
        drawing.errors_by_layer,
        "20_lewc_theorem",
        "Three panels of errors against the layer: rounding throughout, and twice a jump at the broken layer.",
    ),
    "theorem-gaussian": Described(
        drawing.cosine_against_dimension,
        "21_weak_additivity_theorem",
        "Cosines scattered around 0.93, in a band that narrows with the number of units; its width follows a line.",
        tables.cosine_table,
    ),
    "theorem-gaussian-general": Described(
        drawing.cosine_against_correlation,
        "21_weak_additivity_theorem",
        "Four curves of the cosine against the correlation, ending at 1; larger ratios of deviations lie higher.",
    ),
    "theorem-llfc": Described(
        drawing.errors_by_layer,
        "22_commutativity_theorem",
        "Two panels of errors against the layer: each pair has one law at rounding and the other off from layer 2.",
        tables.layer_table,
    ),
    "theorem-shared": Described(
        drawing.exponents_by_layer,
        "22_commutativity_theorem",
        "Lines of the decay exponent against the layer: straight up without shared units, flatter the more are shared.",
        tables.layer_table,
    ),
    "theorem-approximate": Described(
        drawing.bounds_by_layer,
        "23_approximate_theorem",
        "Two panels: bound and error start in the broken layer, for additivity at one height; then the bound rises.",
        tables.layer_table,
    ),
    "theorem-temperature": Described(
        drawing.temperature_against_coefficient,
        "23_approximate_theorem",
        "Curves of the inverse temperature, one per depth, all highest at the midpoint; points lie on the curves.",
    ),
    "theorem-batch-norm": Described(
        drawing.errors_by_layer,
        "24_beyond_theorem",
        "Two panels of errors against the layer: one law at rounding throughout, LEWC growing from layer 2 on.",
        tables.layer_table,
    ),
    "theorem-common-mode": Described(
        drawing.orthogonality_against_units,
        "25_common_mode_theorem",
        "Two panels against the number of units: with a common part the points end on a floor, without it they fall.",
    ),
    "theorem-one-law": Described(
        drawing.exponents_by_layer,
        "25_common_mode_theorem",
        "Four straight lines of the decay exponent against the layer, steepest for κ = 0 and flat for κ = 1.",
        tables.layer_table,
    ),
}
"""Every figure of the chapters on theory; a new figure is one more entry."""


def show_theorem(name: str, numbers: Any, finding: str = "", **options: Any) -> None:
    """Show the figure ``name`` of ``numbers`` in a notebook and in the book, with its data as CSV.

    Args:
        name: one of `FIGURES`.
        numbers: what the figure's own ``table`` takes: a table, its rows, or panel → series → a number for each layer.
        finding: what the numbers say, computed from them.
        options: further arguments of the drawing.

    Raises:
        InputError: ``name`` is not one of `FIGURES`, or there is nothing to draw.
    """
    check_choice("name", name, FIGURES)
    figure = FIGURES[name]
    table = figure.table(numbers)
    page.show(figure.draw, table, finding, name=name, alt=figure.alt, command=figure.command, **options)
