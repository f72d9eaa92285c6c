"""The figures of the book, one function each, drawn from tables of records; no torch.

Each function takes a table of `lmcbook.pages.analysis` and returns a matplotlib figure; ``narrow=True`` draws it for a
phone. `show` derives the table from records and puts the figure on a page with its finding, its data and where they
come from.
"""

from lmcbook.pages.figures.additivity import weak_additivity_explained
from lmcbook.pages.figures.barriers import barrier_against_width, floor_against_width
from lmcbook.pages.figures.batch_size import against_batch_size, barrier_by_batch_size
from lmcbook.pages.figures.calibrating import calibration_examples, reliability_diagrams, temperature_choices
from lmcbook.pages.figures.chain import chain_by_network
from lmcbook.pages.figures.common_mode_controls import lost_by_control, lost_by_number, lost_by_placement
from lmcbook.pages.figures.costs import cost_against_width, search_cost_against_units
from lmcbook.pages.figures.curves import (
    accuracy_against_coefficient,
    inverse_temperature_against_coefficient,
    loss_against_coefficient,
)
from lmcbook.pages.figures.laws import law_errors_by_layer
from lmcbook.pages.figures.layers import (
    commutativity_by_layer,
    decay_exponent_by_layer,
    lewc_cosine_by_layer,
    opposite_signs_by_layer,
    reciprocal_orthogonality_by_layer,
    weak_additivity_by_layer,
)
from lmcbook.pages.figures.lines import halfway_against_width, loss_along_lines
from lmcbook.pages.figures.low_rank import against_penalty
from lmcbook.pages.figures.one_network import lost_told, orthogonality_told
from lmcbook.pages.figures.page import FIGURES, show, show_any, to_html
from lmcbook.pages.figures.parts import parts_of_orthogonality
from lmcbook.pages.figures.permutations import (
    barrier_by_alignment,
    matching_conditions,
    matching_gain,
    matching_laws,
    two_mechanisms,
)
from lmcbook.pages.figures.predictions import (
    temperature_against_depth,
    temperature_against_width,
    temperature_error_against_orthogonality,
)
from lmcbook.pages.figures.repairs import beyond_ensemble, lost_by_repair, repaired_curves
from lmcbook.pages.figures.schematic import disjoint_units, two_halves
from lmcbook.pages.figures.spawned import barriers_by_start, mechanisms_by_start
from lmcbook.pages.figures.svg import to_svg
from lmcbook.pages.figures.temperatures import loss_against_temperature, temperature_error_against_conditions
from lmcbook.pages.figures.units import (
    active_units_against_width,
    histograms_by_layer,
    ranks_against_width,
    units_of_both_models,
)
from lmcbook.pages.figures.weight_decay import (
    against_decay_product,
    barriers_against_decay,
    conditions_against_decay,
)
from lmcbook.pages.origin import number_of_pairs, origin

__all__ = [
    "FIGURES",
    "accuracy_against_coefficient",
    "active_units_against_width",
    "against_batch_size",
    "against_decay_product",
    "against_penalty",
    "barrier_against_width",
    "barrier_by_alignment",
    "barrier_by_batch_size",
    "barriers_against_decay",
    "barriers_by_start",
    "beyond_ensemble",
    "calibration_examples",
    "chain_by_network",
    "commutativity_by_layer",
    "conditions_against_decay",
    "cost_against_width",
    "decay_exponent_by_layer",
    "disjoint_units",
    "floor_against_width",
    "halfway_against_width",
    "histograms_by_layer",
    "inverse_temperature_against_coefficient",
    "law_errors_by_layer",
    "lewc_cosine_by_layer",
    "loss_against_coefficient",
    "loss_against_temperature",
    "loss_along_lines",
    "lost_by_control",
    "lost_by_number",
    "lost_by_placement",
    "lost_by_repair",
    "lost_told",
    "matching_conditions",
    "matching_gain",
    "matching_laws",
    "mechanisms_by_start",
    "number_of_pairs",
    "opposite_signs_by_layer",
    "origin",
    "orthogonality_told",
    "parts_of_orthogonality",
    "ranks_against_width",
    "reciprocal_orthogonality_by_layer",
    "reliability_diagrams",
    "repaired_curves",
    "search_cost_against_units",
    "show",
    "show_any",
    "temperature_against_depth",
    "temperature_against_width",
    "temperature_choices",
    "temperature_error_against_conditions",
    "temperature_error_against_orthogonality",
    "to_html",
    "to_svg",
    "two_halves",
    "two_mechanisms",
    "units_of_both_models",
    "weak_additivity_by_layer",
    "weak_additivity_explained",
]
