"""The tables that are derived from records, each in one place, for figures, sentences and verdicts alike.

Imports neither matplotlib nor torch. A function ``…_table(records)`` gives one table; `measurements.Measurements` holds
the records of a chapter and derives each table once.
"""

from lmcbook.pages.analysis.measurements import Measurements

__all__ = ["Measurements"]
