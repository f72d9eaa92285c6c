"""What calibration gives and needs, of the widest networks: reliability, one temperature for all λ, few examples."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy
from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.vocabulary import PAIR, groups, paper_decay, widest

NETWORKS = {"unmerged": ("a", "b"), "merged": ("merged",), "ensemble": ("ensemble",)}
"""Panel of the reliability diagrams → the networks of the record that it pools."""

LEAST_SHARE = 0.005
"""Bins that hold less than this share of the examples are not drawn: one or two images decide there."""

CHOICES = {
    "raw": "none: β = 1",
    "midpoint": "that of λ = ½",
    "single": "one for all λ",
    "predicted": "predicted",
    "fitted": "fitted for each λ",
}
"""Ways to choose the inverse temperature, worst informed first → their names."""


def reliability_table(records: Sequence[Record]) -> DataFrame:
    """Confidence and accuracy by bins of confidence, of the widest networks, λ = ½.

    One row for each recipe, network (both unmerged together), state (``raw`` or ``calibrated``) and bin that holds
    an example, over all pairs; ``expected_calibration_error`` is the mean over pairs and networks.
    """
    found = []
    for (recipe, width, decay), chosen in _widest(records):
        for network, members in NETWORKS.items():
            for state in ("raw", "calibrated"):
                diagrams = [record.data["reliability"][member][state] for record in chosen for member in members]
                error = numpy.mean([diagram["expected_calibration_error"] for diagram in diagrams])
                names = {"recipe": recipe, "width_multiplier": width, "weight_decay": decay}
                names |= {"network": network, "state": state, "expected_calibration_error": float(error)}
                found += [names | each for each in _pooled(diagrams)]
    columns = ["recipe", "width_multiplier", "weight_decay", "network", "state"]
    return DataFrame(found, columns=[*columns, "expected_calibration_error", "confidence", "accuracy", "share"])


def _pooled(diagrams: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Bins of several diagrams together: mean confidence, accuracy and share of the examples, empty bins left out."""
    total = sum(sum(diagram["counts"]) for diagram in diagrams)
    bins = []
    for index in range(len(diagrams[0]["counts"])):
        filled = [diagram for diagram in diagrams if diagram["counts"][index]]
        count = sum(diagram["counts"][index] for diagram in filled)
        if count:
            means = {
                name: sum(diagram["counts"][index] * diagram[name][index] for diagram in filled) / count
                for name in ("confidence", "accuracy")
            }
            bins.append(means | {"share": count / total})
    return bins


def choices_table(records: Sequence[Record]) -> DataFrame:
    """β and test loss (nats) at each λ for each way to choose β."""
    found = []
    for (recipe, width, decay), chosen in _widest(records):
        for record in chosen:
            names = dict(zip(PAIR, (recipe, width, decay, *record.config.seeds), strict=True))
            for choice in CHOICES:
                along = record.data["along"][choice]
                values = zip(record.data["coefficients"], along["inverse_temperature"], along["loss"], strict=True)
                found += [
                    names | {"choice": choice, "coefficient": at, "inverse_temperature": beta, "loss": loss}
                    for at, beta, loss in values
                ]
    return DataFrame(found, columns=[*PAIR, "choice", "coefficient", "inverse_temperature", "loss"])


def examples_table(records: Sequence[Record]) -> DataFrame:
    """What samples of the calibration split give, at λ = ½.

    ``excess_loss`` (nats) is the test loss with the β of a sample above that with the β of all examples; ``ratio`` is
    the sample's β over that of all.
    """
    found = []
    for (recipe, width, decay), chosen in _widest(records):
        for record in chosen:
            names = dict(zip(PAIR, (recipe, width, decay, *record.config.seeds), strict=True))
            *samples, everything = record.data["few"]
            [beta], [loss] = everything["inverse_temperature"], everything["loss"]
            for entry in samples:
                values = zip(entry["inverse_temperature"], entry["loss"], strict=True)
                found += [
                    names | {"examples": entry["examples"], "ratio": each / beta, "excess_loss": value - loss}
                    for each, value in values
                ]
    return DataFrame(found, columns=[*PAIR, "examples", "ratio", "excess_loss"])


def _widest(records: Sequence[Record]) -> Iterator[tuple[tuple[str, float, float], list[Record]]]:
    """The calibration records of each recipe at its widest, with the paper's weight decay or the largest there is."""
    known = [record for record in records if record.measurement == "calibration"]
    named = [
        {
            "recipe": record.recipe,
            "width_multiplier": record.config.training.width_multiplier,
            "weight_decay": record.config.training.weight_decay,
            "record": record,
        }
        for record in known
    ]
    table = paper_decay(DataFrame(named, columns=[*PAIR[:3], "record"]))
    for (recipe,), of_recipe in groups(table, "recipe"):
        chosen = widest(of_recipe)
        yield (recipe, *chosen.iloc[0][PAIR[1:3]]), list(chosen["record"])
