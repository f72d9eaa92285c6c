"""Accuracy, loss and inverse temperature along the line between the two networks of a pair."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record, curves_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, paper_decay, predicted_inverse_temperature


def accuracy_table(records: Sequence[Record]) -> DataFrame:
    """Accuracies as fractions, of unpermuted pairs, at each λ."""
    return _along_the_line(records)[[*PAIR, "coefficient", "accuracy"]]


def loss_table(records: Sequence[Record]) -> DataFrame:
    """Losses in nats and inverse temperatures of unpermuted pairs, at each λ; of the paper's weight decay."""
    return paper_decay(_along_the_line(records))[
        [*PAIR, "coefficient", "loss", "calibrated_loss", "inverse_temperature"]
    ]


def along_the_line_table(records: Sequence[Record]) -> DataFrame:
    """Accuracies, losses in nats and fitted inverse temperatures at each λ, of all records."""
    measured = ("accuracy", "loss", "calibrated_loss", "inverse_temperature")
    return Measurements.of(records).table(curves_table)[[*PAIR, "coefficient", *measured]]


def inverse_temperature_table(records: Sequence[Record]) -> DataFrame:
    """The inverse temperature fitted at each λ and predicted by LEWC, of unpermuted pairs.

    ``predicted_inverse_temperature`` is empty where the ensemble that LEWC merges to was not measured.
    """
    table = _predicted(_along_the_line(records))
    return table[[*PAIR, "coefficient", "inverse_temperature", "predicted_inverse_temperature"]]


def temperature_depth_table(records: Sequence[Record]) -> DataFrame:
    """The inverse temperature fitted and predicted at every λ, of unpermuted multilayer perceptrons of all depths."""
    table = _along_the_line(records)
    table = _predicted(table[table["num_layers"].notna()]).rename(
        columns={"inverse_temperature": "fitted_inverse_temperature"}
    )
    names = ["num_layers", "coefficient", "fitted_inverse_temperature", "predicted_inverse_temperature"]
    return table[[*PAIR, *names]].astype({"fitted_inverse_temperature": float}).reset_index(drop=True)


def _along_the_line(records: Sequence[Record]) -> DataFrame:
    return as_they_are(Measurements.of(records).table(curves_table))


def _predicted(table: DataFrame) -> DataFrame:
    predicted = predicted_inverse_temperature(
        table["lewc_ensemble_inverse_temperature"], table["lewc_exponent"], table["coefficient"].astype(float)
    )
    return table.assign(predicted_inverse_temperature=predicted)
