"""Whether the barriers of a network end on a floor: the fits through all its pairs, for each weight decay."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pandas import DataFrame

from lmcbook.data.datasets import DATASETS
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.barriers import BARRIERS
from lmcbook.pages.analysis.floor_fit import FloorFit, fit_floor
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import as_they_are, groups

FITTED_BARRIERS = ("midpoint_accuracy_barrier", "midpoint_calibrated_loss_barrier")


class Fitted(NamedTuple):
    """The pairs of one network and weight decay, and the fit through one of their barriers."""

    recipe: str
    weight_decay: float
    column: str
    """Of `FITTED_BARRIERS`."""
    pairs: DataFrame
    """Rows of pairs merged as they are."""
    fit: FloorFit | None
    """None where none is possible."""

    @property
    def label(self) -> str:
        """The barrier's name with the unit it is shown in."""
        return BARRIERS[self.column][0]

    @property
    def factor(self) -> float:
        """To the unit it is shown in."""
        return BARRIERS[self.column][1]


def floor_fits(records: Sequence[Record]) -> list[Fitted]:
    """The fits of all networks that are measured at enough widths; of all networks where none is."""
    found = []
    for (recipe, decay), chosen in groups(
        as_they_are(Measurements.of(records).table(barriers_table)), "recipe", "weight_decay"
    ):
        for column in FITTED_BARRIERS:
            pairs = chosen.dropna(subset=[column])
            if not pairs.empty:
                fit = fit_floor(list(pairs["width_multiplier"]), list(pairs[column]), ceiling=_ceiling(pairs, column))
                found.append(Fitted(recipe, decay, column, pairs, fit))
    fitted = {each.recipe for each in found if each.fit}
    return [each for each in found if each.recipe in fitted or not fitted]


def floor_table(fits: Sequence[Fitted]) -> DataFrame:
    """A row for each fit: the floor with its 95 % interval, in fractions and nats."""
    names = ["floor", "low", "high", "p_value", "exponent", "half_width"]
    rows = [
        [
            *(each.recipe, each.weight_decay, each.column),
            *(getattr(each.fit, name) if each.fit else math.nan for name in names),
            *(len(each.pairs), each.pairs["width_multiplier"].nunique()),
        ]
        for each in fits
    ]
    return DataFrame(rows, columns=["recipe", "weight_decay", "barrier", *names, "num_pairs", "num_widths"])


def _ceiling(pairs: DataFrame, column: str) -> float:
    # the barrier of a merged network that guesses; of an unknown dataset, the largest that was measured
    dataset = pairs["dataset"].iloc[0]
    if dataset not in DATASETS:
        return max(float(pairs[column].max()), 1e-9)
    classes = DATASETS[dataset].num_classes
    if column == "midpoint_accuracy_barrier":
        return max(float(pairs["endpoint_accuracy"].mean()) - 1 / classes, 1e-9)
    return max(math.log(classes) - float(pairs["endpoint_calibrated_loss"].mean()), 1e-9)
