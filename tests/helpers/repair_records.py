"""Made-up records of repairs: falls with width that are powers of it, with or without a floor."""

import math
from dataclasses import replace
from typing import Any

from lmcbook.lab.records import Record
from tests.helpers.control_records import changed
from tests.helpers.synthetic_records import SEED_PAIRS, make_record

COEFFICIENTS = [0.0, 0.25, 0.5, 0.75, 1.0]
SHARES = {"none": 1.0, "mean": 1.2, "lewc_mean": 0.25, "mean_and_variance": 0.2}
"""Repair → what it leaves of the barrier."""


def make_repair_record(
    width: float = 1.0, *, lost: float = 0.2, shares: dict[str, float] | None = None, **options
) -> Record:
    """A record in which a fraction ``lost`` of the accuracy is lost at λ = ½, and as many nats; the ensemble gains."""
    record = make_record(width, **options)
    left = {**SHARES, **(shares or {}), "ensemble": -0.01 / lost}
    curves, barriers = {}, {}
    for kind, share in left.items():
        dip = [share * lost * math.sin(math.pi * at) ** 2 for at in COEFFICIENTS]
        curves[kind] = {
            "accuracy": [0.96 - each for each in dip],
            "calibrated_loss": [0.15 + each for each in dip],
            "inverse_temperature": [1.1 if kind == "ensemble" else 1 + 20 * each for each in dip],
        }
        middle = {"inverse_temperature_midpoint": curves[kind]["inverse_temperature"][2]}
        names = ("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier")
        barriers[kind] = middle | dict.fromkeys(names, dip[2])
    data = {"coefficients": COEFFICIENTS, "layers": {}, "curves": curves, "barriers": barriers}
    config = replace(record.config, measurement="repair", num_coefficients=5)
    return replace(record, config=config, measurement="repair", digest="", data=data)


def repair_sweep(
    recipe: str = "mlp-digits",
    widths: tuple[float, ...] = (1, 2, 4, 8, 16),
    *,
    pairs: int = 3,
    floor: float = 0.05,
    batch_size: int | None = None,
) -> list[Record]:
    """At 3e-3 the plain average ends on a floor and the repaired one falls as width^−½; at 1e-4 the repair harms.

    Matched pairs at 3e-3 as well, and the interpolation record of each pair.
    """
    records = []
    for width in widths:
        for index, seeds in enumerate(SEED_PAIRS[:pairs]):
            wiggle = 1 + 0.02 * math.sin(3 * index + width)
            strong = wiggle * (floor + 0.2 / width)
            repaired = wiggle * (0.1 * width**-0.5 - 0.01) / strong
            options: dict[str, Any] = {"recipe": recipe, "seeds": seeds}
            weak = options | {"weight_decay": 1e-4}
            found = [
                make_repair_record(width, lost=strong, shares={"lewc_mean": repaired}, **options),
                make_repair_record(width, lost=0.1 * wiggle / width, alignment="weight_matching", **options),
                make_repair_record(width, lost=0.1 * wiggle, shares={"lewc_mean": 2.0, "mean": 0.5}, **weak),
            ]
            curves = [
                make_record(width, depth_of_dip=strong, **options),
                make_record(width, depth_of_dip=0.1 * wiggle, **weak),
            ]
            records += [each if batch_size is None else changed(each, batch_size=batch_size) for each in found + curves]
    return records
