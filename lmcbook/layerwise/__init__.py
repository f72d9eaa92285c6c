"""Inside two networks and their merge, layer by layer: LEWC, LLFC, their conditions, active units, ranks."""

from lmcbook.layerwise.accumulator import MAX_UNITS, METRICS, LayerAccumulator
from lmcbook.layerwise.additivity import (
    opposite_signs,
    weak_additivity,
    weak_additivity_error,
    weak_additivity_sides,
)
from lmcbook.layerwise.lewc import (
    cosines,
    decay_exponent,
    lewc_prediction,
    llfc_prediction,
    mean_cosine,
    relative_error,
)
from lmcbook.layerwise.measure import MEASURED_COEFFICIENTS, measure_layers
from lmcbook.layerwise.measuring_common_mode import COMMON_MODE_METRICS, measure_common_mode, symmetry_of
from lmcbook.layerwise.orthogonality import commutativity, reciprocal_orthogonality, weight_norm_ratio
from lmcbook.layerwise.ranks import effective_rank, rank_measures, singular_values, stable_rank
from lmcbook.layerwise.unit_moments import (
    active_share,
    expected_overlap,
    histogram,
    overlap,
    quantiles,
    second_moments,
)

__all__ = [
    "COMMON_MODE_METRICS",
    "MAX_UNITS",
    "MEASURED_COEFFICIENTS",
    "METRICS",
    "LayerAccumulator",
    "active_share",
    "commutativity",
    "cosines",
    "decay_exponent",
    "effective_rank",
    "expected_overlap",
    "histogram",
    "lewc_prediction",
    "llfc_prediction",
    "mean_cosine",
    "measure_common_mode",
    "measure_layers",
    "opposite_signs",
    "overlap",
    "quantiles",
    "rank_measures",
    "reciprocal_orthogonality",
    "relative_error",
    "second_moments",
    "singular_values",
    "stable_rank",
    "symmetry_of",
    "weak_additivity",
    "weak_additivity_error",
    "weak_additivity_sides",
    "weight_norm_ratio",
]
