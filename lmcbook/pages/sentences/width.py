"""Sentences about barriers and width; every number and every direction in them is computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record, barriers_table
from lmcbook.pages.analysis.labels import at_width, mean_and_deviation, number_of_pairs, recipe_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.told import Told, by_decay, from_narrow_to_wide
from lmcbook.pages.analysis.vocabulary import (
    ACCURACY,
    CALIBRATED,
    LOSS,
    paper_decay,
    widest,
)
from lmcbook.pages.claims.statistics import permutation_effect
from lmcbook.pages.sentences.phrases import by_recipe


def width_finding(records: Sequence[Record]) -> list[str]:
    """What averaging costs at λ = ½, narrowest and widest, at each weight decay: a sentence for each network."""
    sentences: list[str] = []
    for recipe, table in by_recipe(Measurements.of(records).table(barriers_table)):
        found = by_decay(table, ACCURACY, 100, 1)
        rows = [
            {"network": recipe_label(recipe), "weight decay": decay, "points lost, narrowest": narrow, "widest": wide}
            for decay, narrow, wide, _ in found
        ]
        said = f"{recipe_label(recipe)}: what averaging costs {from_narrow_to_wide(found)} ({number_of_pairs(table)})."
        sentences.append(Told(said, rows))
    return sentences


def calibration_finding(records: Sequence[Record]) -> list[str]:
    """What is left of the loss barrier at λ = ½ after calibration, at the widest: a sentence for each network."""
    sentences = []
    for recipe, table in by_recipe(Measurements.of(records).table(barriers_table)):
        chosen = widest(paper_decay(table))
        raw, calibrated = chosen[LOSS].mean(), chosen[CALIBRATED].mean()
        text = (
            f"{recipe_label(recipe)}: the loss barrier is {at_width(chosen, LOSS, 1, 3)} uncalibrated and "
            f"{mean_and_deviation(chosen[CALIBRATED], 1, 3)} calibrated (nats, {number_of_pairs(chosen)})"
        )
        removes = raw > 0 and calibrated < raw
        sentences.append(f"{text}: one number removes {100 * (1 - calibrated / raw):.0f} %." if removes else f"{text}.")
    return sentences


def control_finding(records: Sequence[Record]) -> list[str]:
    """What a random permutation of model b changes at the widest; nothing for networks without that control."""
    sentences = []
    for recipe, table in by_recipe(Measurements.of(records).table(barriers_table), alignment=None):
        main = paper_decay(table)
        effect = permutation_effect(table, weight_decay=main["weight_decay"].iloc[0]).values
        if effect:
            sentences.append(
                f"{recipe_label(recipe)}: a random permutation of model b moves the accuracy barrier of the widest by "
                f"{mean_and_deviation(effect, 100, 1)} points "
                f"({number_of_pairs(widest(main[main['alignment'] == 'random']))})."
            )
    return sentences


def temperature_finding(records: Sequence[Record]) -> list[str]:
    """The fitted inverse temperature at λ = ½ beside LEWC's prediction, if any: a sentence for each network."""
    sentences = []
    for recipe, table in by_recipe(Measurements.of(records).table(barriers_table)):
        chosen = widest(paper_decay(table))
        text = f"{recipe_label(recipe)}: at λ = ½, β is {at_width(chosen, 'inverse_temperature_midpoint', 1, 2)}"
        # with batch norm the prediction is that of a theorem of ours, which the chapter on temperatures is about
        if not chosen["batch_norm"].any() and "predicted_inverse_temperature_midpoint" in chosen:
            text += (
                f", and the prediction is {mean_and_deviation(chosen['predicted_inverse_temperature_midpoint'], 1, 2)}"
            )
        sentences.append(f"{text} ({number_of_pairs(chosen)}).")
    return sentences
