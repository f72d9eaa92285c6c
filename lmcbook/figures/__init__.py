"""The figures of the book, one function each, drawn from records alone; no torch.

Each function takes records and returns a matplotlib figure; ``narrow=True`` draws it for a phone. `show` puts one on a
page with its finding, its data and where they come from.
"""

from lmcbook.figures.barriers import barrier_against_width, barrier_table
from lmcbook.figures.curves import accuracy_against_coefficient, accuracy_table, loss_against_coefficient, loss_table
from lmcbook.figures.origin import number_of_pairs, origin
from lmcbook.figures.page import FIGURES, show, to_html, to_svg
from lmcbook.figures.temperature import inverse_temperature_against_coefficient, inverse_temperature_table

__all__ = [
    "FIGURES",
    "accuracy_against_coefficient",
    "accuracy_table",
    "barrier_against_width",
    "barrier_table",
    "inverse_temperature_against_coefficient",
    "inverse_temperature_table",
    "loss_against_coefficient",
    "loss_table",
    "number_of_pairs",
    "origin",
    "show",
    "to_html",
    "to_svg",
]
