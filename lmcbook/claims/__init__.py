"""Claims as data, and what the records say of them: verdicts and sentences are computed, never typed."""

from lmcbook.claims.catalogue import CLAIMS
from lmcbook.claims.claim import Claim, Range
from lmcbook.claims.findings import calibration_finding, control_finding, temperature_finding, width_finding
from lmcbook.claims.statistics import STATISTICS
from lmcbook.claims.verdict import VERDICTS, Verdict, count, judge, verdict_matrix, verdict_table

__all__ = [
    "CLAIMS",
    "STATISTICS",
    "VERDICTS",
    "Claim",
    "Range",
    "Verdict",
    "calibration_finding",
    "control_finding",
    "count",
    "judge",
    "temperature_finding",
    "verdict_matrix",
    "verdict_table",
    "width_finding",
]
