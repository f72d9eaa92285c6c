"""What a figure is drawn and told from, and what it makes of records."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis import Measurements
from lmcbook.pages.figures import FIGURES


def drawn_from(draw: Any, records: Sequence[Record]) -> Any:
    """What ``draw`` and its alt text take: the figure's table."""
    return Measurements.of(records).table(FIGURES[draw].table)


def drawn(draw: Any, records: Sequence[Record], *, narrow: bool = False) -> Figure:
    return draw(drawn_from(draw, records), narrow=narrow)


def alt_of(draw: Any, records: Sequence[Record]) -> str:
    return FIGURES[draw].alt(drawn_from(draw, records))


def data_of(draw: Any, records: Sequence[Record]) -> DataFrame:
    """What readers can take away."""
    return FIGURES[draw].data(drawn_from(draw, records))
