"""Lines from one network: what was measured along them, and in one number for each pair."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records.frames import _IDENTITY, _identity, _of, _table
from lmcbook.lab.records.record import Record

LINES: tuple[str, ...] = ("pair", "global", "layer", "filter", "untrained")
"""Kinds of lines from network a: to network b; along random directions as long, as a whole, in each tensor or in the
weights of each output unit; to untrained networks."""

FLATNESS: dict[str, str] = {
    "excess": "calibrated loss halfway, mean over the lines, minus that halfway to network b (nats)",
    "accuracy_deficit": "accuracy halfway to network b minus that halfway along the lines, mean over them",
    "rise": "calibrated loss at the end of the line minus that of network a, mean over the lines (nats)",
    "above": "share of the lines whose calibrated loss halfway lies above that halfway to network b",
}
"""What each kind of line but the pair's own is summarised in; the columns are ``global_excess`` and so on."""


def lines_table(records: Sequence[Record]) -> DataFrame:
    """One row for each flatness record, line and distance: ``kind``, ``line`` (its number), ``distance``, measurements.

    ``distance`` is the share of the way: ½ is the merge on the line of the pair. ``length`` is that of the whole way
    relative to the norm of network a. Losses in nats, accuracies as fractions, on the test split.
    """
    names = ("loss", "accuracy", "inverse_temperature", "calibrated_loss")
    rows: list[dict[str, Any]] = []
    for record in _of(records, "flatness"):
        for line, curve in enumerate(record.data["curves"]):
            place = _identity(record) | {"kind": curve["kind"], "line": line}
            place["length"] = curve["length"] / record.data["norm"]
            values = zip(record.data["distances"], *(curve[name] for name in names), strict=True)
            rows += [place | dict(zip(("distance", *names), each, strict=True)) for each in values]
    return _table(rows, [*_IDENTITY, "kind", "line", "length", "distance", *names])


def flatness_summary(record: Record) -> dict[str, float]:
    """The numbers of `FLATNESS` for each kind of line, of one flatness record; empty kinds are not a number."""
    half, end = record.data["distances"].index(0.5), record.data["distances"].index(1.0)
    [pair] = [curve for curve in record.data["curves"] if curve["kind"] == "pair"]
    found: dict[str, float] = {}
    for kind in LINES[1:]:
        curves = [curve for curve in record.data["curves"] if curve["kind"] == kind]
        losses = [curve["calibrated_loss"] for curve in curves]
        values = {
            "excess": [loss[half] - pair["calibrated_loss"][half] for loss in losses],
            "accuracy_deficit": [pair["accuracy"][half] - curve["accuracy"][half] for curve in curves],
            "rise": [loss[end] - loss[0] for loss in losses],
            "above": [float(loss[half] > pair["calibrated_loss"][half]) for loss in losses],
        }
        found |= {f"{kind}_{name}": fmean(each) if each else math.nan for name, each in values.items()}
    return found
