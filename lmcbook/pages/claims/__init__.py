"""Claims as data, and the verdicts that the records give on them: computed, never typed."""

from lmcbook.pages.claims.catalogue import (
    CLAIMS,
    PAPER_TABLE_1,
    about,
    of_chapter,
    read_claims,
)
from lmcbook.pages.claims.claim import (
    GROUPS,
    Claim,
    PaperRow,
    Range,
)
from lmcbook.pages.claims.statistics import (
    STATISTICS,
)
from lmcbook.pages.claims.verdict import (
    VERDICTS,
    Verdict,
    by_statement,
    count,
    count_table,
    judge,
    verdict_matrix,
    verdict_sentence,
    verdict_table,
)

__all__ = [
    "CLAIMS",
    "GROUPS",
    "PAPER_TABLE_1",
    "STATISTICS",
    "VERDICTS",
    "Claim",
    "PaperRow",
    "Range",
    "Verdict",
    "about",
    "by_statement",
    "count",
    "count_table",
    "judge",
    "of_chapter",
    "read_claims",
    "verdict_matrix",
    "verdict_sentence",
    "verdict_table",
]
