"""Parts of the sentences that say what records say."""

from collections.abc import Sequence

from lmcbook.pages.claims.verdict import VERDICTS, Verdict, count


def verdict_sentence(verdicts: Sequence[Verdict]) -> str:
    """How many of the claims that could be judged are reproduced, for the caption of a table of verdicts."""
    if not verdicts:
        return "No claim could be judged"
    counted = count(verdicts)
    words = ", ".join(f"{counted[word]} {word}" for word in VERDICTS[:3])
    return f"Of {len(verdicts)} claims that could be judged: {words}. In brackets the number of pairs"
