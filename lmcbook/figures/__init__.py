"""The figures of the book, one function each, drawn from records alone; no torch.

Each function takes records and returns a matplotlib figure; ``narrow=True`` draws it for a phone. `show` puts one on a
page with its finding, its data and where they come from.
"""

from lmcbook.figures.additivity import weak_additivity_explained
from lmcbook.figures.barriers import barrier_against_width, barrier_table
from lmcbook.figures.batch_size import against_batch_size, barrier_by_batch_size
from lmcbook.figures.calibrating import calibration_examples, reliability_diagrams, temperature_choices
from lmcbook.figures.costs import cost_against_width, read_search_costs, search_cost_against_units
from lmcbook.figures.curves import accuracy_against_coefficient, accuracy_table, loss_against_coefficient, loss_table
from lmcbook.figures.floors import floor_against_width
from lmcbook.figures.laws import law_errors_by_layer
from lmcbook.figures.layers import (
    commutativity_by_layer,
    decay_exponent_by_layer,
    lewc_cosine_by_layer,
    opposite_signs_by_layer,
    reciprocal_orthogonality_by_layer,
    weak_additivity_by_layer,
)
from lmcbook.figures.lines import halfway_against_width, loss_along_lines
from lmcbook.figures.low_rank import against_penalty
from lmcbook.figures.origin import number_of_pairs, origin
from lmcbook.figures.page import FIGURES, show, to_html, to_svg
from lmcbook.figures.permutations import (
    barrier_by_alignment,
    matching_gain,
    matching_inside,
    matching_laws,
    two_mechanisms,
)
from lmcbook.figures.predictions import (
    temperature_against_depth,
    temperature_against_width,
    temperature_error_against_orthogonality,
)
from lmcbook.figures.spawned import barriers_by_start, mechanisms_by_start
from lmcbook.figures.temperature import inverse_temperature_against_coefficient, inverse_temperature_table
from lmcbook.figures.temperatures import loss_against_temperature, temperature_error_against_conditions
from lmcbook.figures.units import (
    active_units_against_width,
    histograms_by_layer,
    ranks_against_width,
    units_of_both_models,
)
from lmcbook.figures.weight_decay import (
    against_decay_product,
    barriers_against_decay,
    conditions_against_decay,
)

__all__ = [
    "FIGURES",
    "accuracy_against_coefficient",
    "accuracy_table",
    "active_units_against_width",
    "against_batch_size",
    "against_decay_product",
    "against_penalty",
    "barrier_against_width",
    "barrier_by_alignment",
    "barrier_by_batch_size",
    "barrier_table",
    "barriers_against_decay",
    "barriers_by_start",
    "calibration_examples",
    "commutativity_by_layer",
    "conditions_against_decay",
    "cost_against_width",
    "decay_exponent_by_layer",
    "floor_against_width",
    "halfway_against_width",
    "histograms_by_layer",
    "inverse_temperature_against_coefficient",
    "inverse_temperature_table",
    "law_errors_by_layer",
    "lewc_cosine_by_layer",
    "loss_against_coefficient",
    "loss_against_temperature",
    "loss_along_lines",
    "loss_table",
    "matching_gain",
    "matching_inside",
    "matching_laws",
    "mechanisms_by_start",
    "number_of_pairs",
    "opposite_signs_by_layer",
    "origin",
    "ranks_against_width",
    "read_search_costs",
    "reciprocal_orthogonality_by_layer",
    "reliability_diagrams",
    "search_cost_against_units",
    "show",
    "temperature_against_depth",
    "temperature_against_width",
    "temperature_choices",
    "temperature_error_against_conditions",
    "temperature_error_against_orthogonality",
    "to_html",
    "to_svg",
    "two_mechanisms",
    "units_of_both_models",
    "weak_additivity_by_layer",
    "weak_additivity_explained",
]
