"""Barriers at λ = ½: what merging two networks costs in accuracy, loss and calibrated loss."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR

BARRIERS = {
    "midpoint_accuracy_barrier": ("accuracy barrier (points)", 100.0),
    "midpoint_loss_barrier": ("loss barrier (nats)", 1.0),
    "midpoint_calibrated_loss_barrier": ("calibrated loss barrier (nats)", 1.0),
}
"""Column → its name with the unit it is shown in, and the factor to that unit."""


def barrier_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair and alignment: barriers at λ = ½, accuracies as fractions, losses in nats."""
    names = [*PAIR[:3], "alignment", *PAIR[3:], *BARRIERS]
    return Measurements.of(records).table(barriers_table)[names]
