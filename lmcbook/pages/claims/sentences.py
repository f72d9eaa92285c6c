"""Parts of the sentences that say what records say."""

from collections.abc import Sequence

from pandas import DataFrame, Series

from lmcbook.pages.claims import statistics
from lmcbook.pages.claims.verdict import VERDICTS, Verdict, count
from lmcbook.pages.figures.style import width_label
from lmcbook.pages.tables import mean_and_spread


def main_decay(table: DataFrame) -> DataFrame:
    """The rows of the paper's weight decay, or of the largest where that is not among them."""
    decays = list(table["weight_decay"].unique())
    return table[table["weight_decay"] == (statistics.MAIN_DECAY if statistics.MAIN_DECAY in decays else max(decays))]


def widest(table: DataFrame) -> DataFrame:
    """The rows of the largest width multiplier."""
    return table[table["width_multiplier"] == table["width_multiplier"].max()]


def at_width(table: DataFrame, column: str, factor: float, digits: int) -> str:
    """``3.5 ± 1.5 at ×32``: mean and standard deviation of a column of rows of one width."""
    return f"{spread(table[column], factor, digits)} at {width_label(table['width_multiplier'].iloc[0])}"


def spread(values: Sequence[float] | Series, factor: float, digits: int) -> str:
    """``3.5 ± 1.5``: mean and standard deviation, without their number."""
    return mean_and_spread(values, factor=factor, digits=digits, count=False)


def number_of_pairs(table: DataFrame) -> str:
    """``3 pairs of networks``: how many there are at each width, weight decay and alignment."""
    counts = table.groupby(["width_multiplier", "weight_decay", "alignment"]).size()
    least, most = int(counts.min()), int(counts.max())
    return f"{least if least == most else f'{least} to {most}'} {'pair' if most == 1 else 'pairs'} of networks"


def verdict_sentence(verdicts: Sequence[Verdict]) -> str:
    """How many of the claims that could be judged are reproduced, for the caption of a table of verdicts."""
    if not verdicts:
        return "No claim could be judged"
    counted = count(verdicts)
    words = ", ".join(f"{counted[word]} {word}" for word in VERDICTS[:3])
    return f"Of {len(verdicts)} claims that could be judged: {words}. In brackets the number of pairs"
