"""The figures and tables of the chapters on theory, of numbers that the theorems' checks have made; no torch.

`show_theorem` puts a figure on the page by its name; `show` serves any figure whose numbers are in no record.
"""

from lmcbook.pages.theory_figures.drawing import (
    bounds_by_layer,
    cosine_against_correlation,
    cosine_against_dimension,
    errors_by_layer,
    exponents_by_layer,
    numbers_by_layer,
    orthogonality_against_units,
    temperature_against_coefficient,
)
from lmcbook.pages.theory_figures.page import show, to_html
from lmcbook.pages.theory_figures.tables import (
    coefficient_table,
    cosine_table,
    layer_table,
    rise_table,
    share_table,
    worst_table,
)
from lmcbook.pages.theory_figures.theorems import FIGURES, show_theorem

__all__ = [
    "FIGURES",
    "bounds_by_layer",
    "coefficient_table",
    "cosine_against_correlation",
    "cosine_against_dimension",
    "cosine_table",
    "errors_by_layer",
    "exponents_by_layer",
    "layer_table",
    "numbers_by_layer",
    "orthogonality_against_units",
    "rise_table",
    "share_table",
    "show",
    "show_theorem",
    "temperature_against_coefficient",
    "to_html",
    "worst_table",
]
