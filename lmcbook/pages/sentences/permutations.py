"""Sentences about merging after a permutation; every number in them is computed."""

import math
from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import (
    at_width,
    mean_and_deviation,
    number_of_pairs,
    pair_count,
    recipe_label,
    signed,
    width_label,
    width_of,
)
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.permutations import (
    ALIGNMENTS,
    TRAINING,
    WEIGHTS,
    alignment_table,
    before_and_after_table,
    cost_table,
    gain_table,
    plain_and_matched_table,
)
from lmcbook.pages.analysis.told import Told, change
from lmcbook.pages.analysis.vocabulary import ACCURACY, CALIBRATED, LOSS, ends, paper_decay, widest
from lmcbook.pages.sentences.phrases import along, by_recipe


def alignment_finding(records: Sequence[Record]) -> list[str]:
    """The accuracy barrier at the widest after each alignment of model b: a sentence for each network."""
    sentences: list[str] = []
    for recipe, table in _recipes(Measurements.of(records).table(alignment_table)):
        chosen = widest(table)
        network = f"{recipe_label(recipe)} at {width_of(chosen)}"
        lost = {
            name: of[ACCURACY]
            for alignment, name in ALIGNMENTS.items()
            if not (of := chosen[chosen["alignment"] == alignment]).empty
        }
        row = {"network": network} | {name: mean_and_deviation(values, 100, 1) for name, values in lost.items()}
        least = min(lost, key=lambda name: lost[name].mean())
        least = f"with {least}" if least.startswith("b ") else least
        said = f"averaging costs the fewest points of accuracy {least} ({number_of_pairs(chosen)})"
        sentences.append(Told(f"{network}: {said}.", [row]))
    return sentences


def gain_finding(records: Sequence[Record]) -> list[str]:
    """What weight matching gains over a random permutation, narrowest and widest: a sentence for each network."""
    sentences: list[str] = []
    for recipe, table in _recipes(Measurements.of(records).table(gain_table)):
        chosen = table[table["alignment"] == "weight_matching"]
        parts = ends(chosen)
        gains = [at_width(rows, ACCURACY, 100, 1) for rows in parts]
        row = {
            "network": recipe_label(recipe),
            "points gained over a random order, narrowest": gains[0],
            "widest": gains[-1] if len(gains) > 1 else "–",
        }
        way = change(*(rows[ACCURACY].mean() for rows in parts), factor=100, digits=1) if len(parts) > 1 else ""
        said = f"{way} from narrow to wide" if way else "was measured at one width"
        said = f"what weight matching gains over a random permutation {said} ({number_of_pairs(chosen)})"
        sentences.append(Told(f"{recipe_label(recipe)}: {said}.", [row]))
    return sentences


def plain_against_matched(records: Sequence[Record]) -> str:
    """In how many pairs weight matching loses less accuracy than the plain average, and by how much at each width.

    Of everything that was measured, whatever its weight decay, batches and depth; pairs trained apart.
    """
    rows, better, counted = [], 0, 0
    for recipe, table in _recipes(Measurements.of(records).table(plain_and_matched_table)):
        gains = table["gain"]
        better, counted = better + int((gains > 0).sum()), counted + len(gains)
        means = gains.groupby(table["width_multiplier"]).mean()
        saved = {width_label(width): signed(100 * means[width], 1) for width in sorted(means.index)}
        rows += [
            {"network": recipe_label(recipe), "width": at, "points saved by matching": by} for at, by in saved.items()
        ]
    if not counted:
        return "No pair was merged both ways."
    everywhere = "In everything measured here" if better == counted else "In most of what is measured here"
    least = "" if better == counted else f"; in {counted - better} it does not"
    said = f"{everywhere}, weight matching beats the plain average: in {better} of {counted} pairs{least}."
    return Told(f"{said} The table has the points of accuracy that it saves, on average.", rows)


def search_finding(records: Sequence[Record]) -> list[str]:
    """What a search gains at each width, and in how many pairs it beats the plain average."""
    return [*gain_finding(records), plain_against_matched(records)]


def matched_calibration_finding(records: Sequence[Record]) -> list[str]:
    """What calibrating the matched model changes, narrowest and widest: a sentence for each network."""
    sentences: list[str] = []
    for recipe, table in _recipes(Measurements.of(records).table(alignment_table)):
        matched = table[table["alignment"] == "weight_matching"]
        shown = ends(matched) if not matched.empty else []
        found = [
            {
                "network": f"{recipe_label(recipe)} at {width_of(chosen)}",
                "loss barrier, matched (nats)": mean_and_deviation(chosen[LOSS], 1, 3),
                "calibrated": mean_and_deviation(chosen[CALIBRATED], 1, 3),
                "β": mean_and_deviation(chosen["inverse_temperature_midpoint"], 1, 2),
            }
            for chosen in shown
        ]
        lower = [width_of(chosen) for chosen in shown if chosen[CALIBRATED].mean() < chosen[LOSS].mean()]
        said = f"calibration lowers the loss barrier that weight matching leaves at {' and '.join(lower) or 'no width'}"
        if shown:
            sentences.append(Told(f"{recipe_label(recipe)}: {said} ({number_of_pairs(matched)}).", found))
    return sentences


def conditions_finding(records: Sequence[Record]) -> list[str]:
    """What weight matching does inside the widest networks: a sentence for each network."""
    names = {"overlap": "overlap", "reciprocal_orthogonality": "orthogonality", "commutativity": "commutativity"}
    return _before_and_after(records, names)


def mechanism_finding(records: Sequence[Record]) -> list[str]:
    """What weight matching does to the widest merged networks' logits: a sentence for each network."""
    names = {"lewc_cosine": "cosine", "alike_error": "LLFC's error", "decay_exponent": "decay exponent"}
    return _before_and_after(records, names, where="of the logits")


def cost_finding(records: Sequence[Record]) -> list[str]:
    """What weight matching costs at the widest, beside one training: a sentence for each network."""
    sentences: list[str] = []
    table = Measurements.of(records).table(cost_table)
    for recipe in table["recipe"].unique():
        chosen = widest(table[table["recipe"] == recipe])
        searching, training = (chosen[chosen["what"] == what]["seconds"] for what in (WEIGHTS, TRAINING))
        if searching.empty or training.empty:
            continue
        width = width_label(chosen["width_multiplier"].iloc[0])
        network = f"{recipe_label(recipe)} at {width}"
        row = {
            "network": network,
            "CPU seconds of one search": mean_and_deviation(searching, 1, 2),
            "seconds of one training": f"{training.mean():.3g}",
        }
        said = f"one search takes {100 * searching.mean() / training.mean():.2g} % of the time of one training"
        sentences.append(Told(f"{network}: {said} ({pair_count(len(searching))}).", [row]))
    return sentences


def search_cost_finding(table: DataFrame) -> str:
    """How the CPU time of one search grows between the two widest networks, and what the widest takes."""
    fast = table[table["starts"] == "fast"].sort_values("units")
    before, last = fast.iloc[-2], fast.iloc[-1]
    power = math.log(last["cpu_seconds"] / before["cpu_seconds"]) / math.log(last["units"] / before["units"])
    return (
        f'With {last["units"]:.0f} units in each of three hidden layers one search (starts="fast") takes '
        f"{last['cpu_seconds'] / 60:.1f} CPU minutes and {last['peak_memory_bytes'] / 2**30:.1f} GiB; between the two "
        f"widest its time grows like the {power:.1f}th power of the width."
    )


def _before_and_after(records: Sequence[Record], names: dict[str, str], where: str = "mean over layers") -> list[str]:
    sentences: list[str] = []
    for recipe, table in _recipes(Measurements.of(records).table(before_and_after_table)):
        chosen = widest(table)
        before, after = (chosen[chosen["alignment"] == each] for each in ("identity", "weight_matching"))
        width = width_label(chosen["width_multiplier"].iloc[0])
        network = f"{recipe_label(recipe)} at {width}"
        parts = {"unpermuted": before, "after weight matching": after}
        found, ways = along(network, parts, {column: (name, 1, 2) for column, name in names.items()}, where)
        said = f"{network}, {where}: with weight matching {ways} ({number_of_pairs(before)})."
        sentences.append(Told(said, found))
    return sentences


def _recipes(table: DataFrame) -> list[tuple[str, DataFrame]]:
    return [(recipe, paper_decay(rows)) for recipe, rows in by_recipe(table, alignment=None)]
