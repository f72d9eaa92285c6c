"""Claims as data, and what the records say of them: verdicts and sentences are computed, never typed."""

from lmcbook.claims.catalogue import CLAIMS, of_chapter
from lmcbook.claims.claim import Claim, Range
from lmcbook.claims.findings import calibration_finding, control_finding, temperature_finding, width_finding
from lmcbook.claims.findings_layers import (
    additivity_finding,
    commutativity_finding,
    depth_finding,
    exponent_finding,
    histogram_finding,
    law_finding,
    lewc_finding,
    orthogonality_error_finding,
    orthogonality_finding,
    overlap_finding,
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
from lmcbook.claims.statistics import STATISTICS
from lmcbook.claims.verdict import VERDICTS, Verdict, count, judge, verdict_matrix, verdict_table

__all__ = [
    "CLAIMS",
    "STATISTICS",
    "VERDICTS",
    "Claim",
    "Range",
    "Verdict",
    "additivity_finding",
    "alignment_finding",
    "calibration_finding",
    "commutativity_finding",
    "control_finding",
    "count",
    "depth_finding",
    "exponent_finding",
    "gain_finding",
    "histogram_finding",
    "inside_finding",
    "judge",
    "law_finding",
    "lewc_finding",
    "matched_calibration_finding",
    "mechanism_finding",
    "of_chapter",
    "orthogonality_error_finding",
    "orthogonality_finding",
    "overlap_finding",
    "prediction_finding",
    "rank_finding",
    "signs_finding",
    "temperature_finding",
    "verdict_matrix",
    "verdict_table",
    "width_finding",
]
