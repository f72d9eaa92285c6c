"""Claims as data, and what the records say of them: verdicts and sentences are computed, never typed."""

from lmcbook.claims.catalogue import CLAIMS, of_chapter
from lmcbook.claims.claim import Claim, Range
from lmcbook.claims.findings import calibration_finding, control_finding, temperature_finding, width_finding
from lmcbook.claims.findings_layers import (
    activity_finding,
    additivity_finding,
    commutativity_finding,
    depth_finding,
    explained_finding,
    exponent_finding,
    histogram_finding,
    law_finding,
    lewc_finding,
    orthogonality_error_finding,
    orthogonality_finding,
    overlap_finding,
    places_finding,
    prediction_finding,
    rank_finding,
    signs_finding,
)
from lmcbook.claims.findings_permutations import (
    alignment_finding,
    gain_finding,
    inside_finding,
    matched_calibration_finding,
    mechanism_finding,
)
from lmcbook.claims.findings_temperature import (
    choice_finding,
    condition_finding,
    examples_finding,
    reliability_finding,
    sensitivity_finding,
    temperature_verdict,
)
from lmcbook.claims.findings_weight_decay import (
    decay_condition_finding,
    decay_finding,
    decay_verdict,
    normalisation_finding,
    product_finding,
)
from lmcbook.claims.sentences import verdict_sentence
from lmcbook.claims.statistics import STATISTICS
from lmcbook.claims.verdict import VERDICTS, Verdict, count, judge, verdict_matrix, verdict_table

__all__ = [
    "CLAIMS",
    "STATISTICS",
    "VERDICTS",
    "Claim",
    "Range",
    "Verdict",
    "activity_finding",
    "additivity_finding",
    "alignment_finding",
    "calibration_finding",
    "choice_finding",
    "commutativity_finding",
    "condition_finding",
    "control_finding",
    "count",
    "decay_condition_finding",
    "decay_finding",
    "decay_verdict",
    "depth_finding",
    "examples_finding",
    "explained_finding",
    "exponent_finding",
    "gain_finding",
    "histogram_finding",
    "inside_finding",
    "judge",
    "law_finding",
    "lewc_finding",
    "matched_calibration_finding",
    "mechanism_finding",
    "normalisation_finding",
    "of_chapter",
    "orthogonality_error_finding",
    "orthogonality_finding",
    "overlap_finding",
    "places_finding",
    "prediction_finding",
    "product_finding",
    "rank_finding",
    "reliability_finding",
    "sensitivity_finding",
    "signs_finding",
    "temperature_finding",
    "temperature_verdict",
    "verdict_matrix",
    "verdict_sentence",
    "verdict_table",
    "width_finding",
]
