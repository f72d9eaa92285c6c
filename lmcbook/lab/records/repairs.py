"""Repairs of merged networks: barriers of each repair and of the ensemble, one row or one number for each pair."""

from collections.abc import Sequence
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records.frames import _DEPTH, _IDENTITY, _NETWORK, _depth, _identity, _of, _table, _typed
from lmcbook.lab.records.record import Record

REPAIRED: tuple[str, ...] = ("none", "mean", "lewc_mean", "mean_and_variance")
"""The repairs, as `lmcbook.merging.REPAIRS` names them."""

_BARRIERS = ("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier")
_NUMBERS = (*_BARRIERS, "inverse_temperature_midpoint", "ensemble_inverse_temperature", "endpoint_accuracy")


def repairs_table(records: Sequence[Record]) -> DataFrame:
    """One row for each repair record and ``kind``: those of `REPAIRED`, and ``ensemble``.

    Barriers at λ = ½, accuracies as fractions, losses in nats; the inverse temperature fitted there, that of the
    ensemble, and the mean accuracy of the two networks.
    """
    rows: list[dict[str, Any]] = []
    for record in _of(records, "repair"):
        middle = record.data["coefficients"].index(0.5)
        curves = record.data["curves"]
        shared = {
            "ensemble_inverse_temperature": curves["ensemble"]["inverse_temperature"][middle],
            "endpoint_accuracy": (curves["none"]["accuracy"][0] + curves["none"]["accuracy"][-1]) / 2,
        }
        for kind, barriers in record.data["barriers"].items():
            found = {name: barriers[name] for name in (*_BARRIERS, "inverse_temperature_midpoint")}
            rows.append(_identity(record) | {"kind": kind, "short": record.short} | _depth(record) | found | shared)
    return _typed(_table(rows, [*_IDENTITY, "kind", "short", *_NETWORK, *_NUMBERS]), *_DEPTH, *_NUMBERS)


def repair_curves_table(records: Sequence[Record]) -> DataFrame:
    """One row for each repair record, ``kind`` (as in `repairs_table`) and interpolation coefficient.

    Accuracies as fractions, losses in nats, on the test split.
    """
    names = ("accuracy", "calibrated_loss")
    rows: list[dict[str, Any]] = []
    for record in _of(records, "repair"):
        for kind, curve in record.data["curves"].items():
            place = _identity(record) | {"kind": kind}
            values = zip(record.data["coefficients"], *(curve[name] for name in names), strict=True)
            rows += [place | dict(zip(("coefficient", *names), each, strict=True)) for each in values]
    return _table(rows, [*_IDENTITY, "kind", "coefficient", *names])


def repair_summary(record: Record) -> dict[str, float]:
    """``lewc_mean_accuracy_barrier`` and its like of one repair record: what is lost at λ = ½ after each repair.

    ``none_accuracy_barrier`` is of the same two networks, which those of another record of the pair need not be:
    another processor trains others.
    """
    barriers = record.data["barriers"]
    return {f"{kind}_accuracy_barrier": barriers[kind]["midpoint_accuracy_barrier"] for kind in REPAIRED}
