"""Whether the barriers of a network end on a floor: the fits through all its pairs, for each weight decay."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pandas import DataFrame

from lmcbook.data.datasets import DATASETS
from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.barriers import BARRIERS
from lmcbook.pages.analysis.floor_fit import CONFIDENCE, FloorFit, fit_floor
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import as_they_are, groups

FITTED_BARRIERS = ("midpoint_accuracy_barrier", "midpoint_calibrated_loss_barrier")
_ENSEMBLE = {
    "accuracy_below_ensemble": ("accuracy below the ensemble's (points)", 100.0),
    "calibrated_loss_above_ensemble": ("calibrated loss above the ensemble's (nats)", 1.0),
}
AGAINST_ENSEMBLE = tuple(_ENSEMBLE)
"""What the theory sends to 0: a merged network that obeys LEWC is the ensemble, which is better than its networks."""

Decision = Literal["a floor", "no such curve", "cannot be decided"]


class Fitted(NamedTuple):
    """The pairs of one network and weight decay, and the fit through one of their barriers."""

    recipe: str
    weight_decay: float
    column: str
    """Of `FITTED_BARRIERS` or `AGAINST_ENSEMBLE`."""
    pairs: DataFrame
    """Rows of unpermuted pairs."""
    fit: FloorFit | None
    """None where none is possible."""

    @property
    def label(self) -> str:
        """The barrier's name with the unit it is shown in."""
        return (BARRIERS | _ENSEMBLE)[self.column][0]

    @property
    def factor(self) -> float:
        """To the unit it is shown in."""
        return (BARRIERS | _ENSEMBLE)[self.column][1]


def floor_fits(records: Sequence[Record]) -> list[Fitted]:
    """The fits of all networks that are measured at enough widths; of all networks where none is."""
    return _fits(as_they_are(Measurements.of(records).table(barriers_table)), FITTED_BARRIERS)


def ensemble_fits(records: Sequence[Record]) -> list[Fitted]:
    """The same of what merged networks are worse than their ensemble, at λ = ½."""
    table = as_they_are(Measurements.of(records).table(barriers_table))
    gaps = {
        AGAINST_ENSEMBLE[0]: table["ensemble_accuracy"] - table["merged_accuracy"],
        AGAINST_ENSEMBLE[1]: table["merged_calibrated_loss"] - table["ensemble_calibrated_loss"],
    }
    return _fits(table.assign(**gaps), AGAINST_ENSEMBLE)


def decided(fit: FloorFit, *, num_fits: int) -> Decision:
    """What a fit says of a floor, when ``num_fits`` were made.

    A floor is there where the curve fits, and a fall to zero is rejected at 5 % divided by the number of fits
    (Bonferroni): among ten fits of networks without a floor, one that rejects at 5 % alone is no rarity. Where the
    curve does not fit, there is no such curve. All else cannot be decided: an interval that begins at 0 says that
    these widths do not tell a floor from none, not that there is none.
    """
    if fit.lack_of_fit < 1 - CONFIDENCE:
        return "no such curve"
    return "a floor" if fit.low > 0 and fit.p_value < (1 - CONFIDENCE) / num_fits else "cannot be decided"


def _fits(table: DataFrame, columns: Sequence[str]) -> list[Fitted]:
    found = []
    for (recipe, decay), chosen in groups(table, "recipe", "weight_decay"):
        for column in columns:
            pairs = chosen.dropna(subset=[column])
            if not pairs.empty:
                fit = fit_floor(list(pairs["width_multiplier"]), list(pairs[column]), ceiling=_ceiling(pairs, column))
                found.append(Fitted(recipe, decay, column, pairs, fit))
    fitted = {each.recipe for each in found if each.fit}
    return [each for each in found if each.recipe in fitted or not fitted]


def floor_table(fits: Sequence[Fitted]) -> DataFrame:
    """A row for each fit: the floor with its 95 % interval, in fractions and nats."""
    names = ["floor", "low", "high", "p_value", "lack_of_fit", "exponent", "half_width"]
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
    best = "ensemble" if column in AGAINST_ENSEMBLE else "endpoint"
    if column in (FITTED_BARRIERS[0], AGAINST_ENSEMBLE[0]):
        return max(float(pairs[f"{best}_accuracy"].mean()) - 1 / classes, 1e-9)
    return max(math.log(classes) - float(pairs[f"{best}_calibrated_loss"].mean()), 1e-9)
