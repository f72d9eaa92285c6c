"""What a figure is drawn and told from."""

from collections.abc import Sequence
from typing import Any

from lmcbook.lab.records import Record
from lmcbook.pages.figures import FIGURES


def drawn_from(draw: Any, records: Sequence[Record]) -> Any:
    """What ``draw`` and its alt text take: the figure's table, or the records of a figure that still derives it."""
    companions = FIGURES[draw]
    return companions.table(records) if companions.by_table else records
