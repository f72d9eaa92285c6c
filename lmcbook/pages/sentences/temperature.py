"""Sentences about inverse temperatures: what they cost, what they need, what predicts them; numbers are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.calibrating import CHOICES, NETWORKS, choices_table, examples_table, reliability_table
from lmcbook.pages.analysis.labels import (
    decay_label,
    enumerated,
    mean_and_deviation,
    network_of,
    pair_count,
    recipe_label,
    width_label,
)
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.temperatures import TOLERANCE, sensitivity, temperature_conditions_table
from lmcbook.pages.analysis.told import Told, with_decays
from lmcbook.pages.analysis.vocabulary import PAIR, SEEDS, decays, groups, widest


def condition_finding(records: Sequence[Record]) -> list[str]:
    """Fitted over predicted β beside both conditions, at the widest, for each decay: a sentence for each network."""
    sentences: list[str] = []
    for _, of_recipe in groups(Measurements.of(records).table(temperature_conditions_table), "recipe"):
        chosen = widest(of_recipe)
        found = [
            {
                "network": network_of(chosen),
                "weight decay": decay_label(decay),
                "fitted over predicted β": mean_and_deviation(rows["ratio"], 1, 2),
                "reciprocal orthogonality": mean_and_deviation(rows["reciprocal_orthogonality"], 1, 2),
                "weak additivity": mean_and_deviation(rows["weak_additivity"], 1, 3),
            }
            for decay, rows in decays(chosen)
        ]
        sides = {decay_label(decay): _side(rows["ratio"].mean()) for decay, rows in decays(chosen)}
        sentences.append(Told(f"{network_of(chosen)}: the fitted β is {with_decays(sides)}.", found))
    return sentences


def _side(ratio: float) -> str:
    return f"{'above' if ratio > 1 else 'below'} the prediction"


def sensitivity_finding(records: Sequence[Record]) -> list[str]:
    """Which β keep the loss near its least, and whether any keeps the barrier itself that low, at the widest."""
    sentences: list[str] = []
    for _, of_recipe in groups(Measurements.of(records).table(sensitivity).intervals, "recipe"):
        chosen = widest(of_recipe)
        low, high = (mean_and_deviation(chosen[name], 1, 2) for name in ("low", "high"))
        under = int(chosen["low_absolute"].notna().sum())
        which = "no pair has a β that keeps" if under == 0 else f"{under} of {len(chosen)} pairs have a β that keeps"
        row = {
            "network": network_of(chosen),
            f"least β within {TOLERANCE:g} nats, over the fitted": low,
            "largest": high,
            "barrier at best (nats)": mean_and_deviation(chosen["least_barrier"], 1, 3),
        }
        said = f"{which} the barrier under {TOLERANCE:g} nats ({pair_count(len(chosen))} of networks)"
        sentences.append(Told(f"{network_of(chosen)}: {said}.", [row]))
    return sentences


def reliability_finding(records: Sequence[Record]) -> list[str]:
    """Expected calibration errors before and after, at the widest: a sentence for each network."""
    sentences: list[str] = []
    table = Measurements.of(records).table(reliability_table)
    for (recipe, width), chosen in groups(table, "recipe", "width_multiplier"):
        errors = chosen.groupby(["network", "state"])["expected_calibration_error"].first()
        network = f"{recipe_label(recipe)} at {width_label(width)}"
        rows = [
            {
                "network": network,
                "expected calibration error": name,
                "uncalibrated": f"{errors[name, 'raw']:.3f}",
                "calibrated": f"{errors[name, 'calibrated']:.3f}",
            }
            for name in NETWORKS
        ]
        lower = [f"the {name}" for name in NETWORKS if errors[name, "calibrated"] < errors[name, "raw"]]
        most = max(NETWORKS, key=lambda name: errors[name, "raw"])
        said = f"calibration lowers the error of {enumerated(lower) if lower else 'none'} at λ = ½"
        sentences.append(Told(f"{network}: {said}; before it, that of the {most} is the largest.", rows))
    return sentences


def choice_finding(records: Sequence[Record]) -> list[str]:
    """What each way to choose β costs, beside fitting it at each λ, in the mean over λ: a sentence for each network."""
    sentences: list[str] = []
    for _, chosen in groups(Measurements.of(records).table(choices_table), "recipe"):
        cost = _costs(chosen)
        names = {"predicted": "predicted", "single": CHOICES["single"], "midpoint": CHOICES["midpoint"], "raw": "none"}
        row = {"network": network_of(chosen)} | {
            name: mean_and_deviation(cost[choice], 1, 3) for choice, name in names.items()
        }
        least = min(names, key=lambda choice: cost[choice].mean())
        said = (
            f"of the ways to choose β in the table, “{names[least]}” costs least, in nats above fitting it at each λ, "
        )
        said += "in the mean over λ"
        sentences.append(Told(f"{network_of(chosen)}: {said} ({pair_count(len(cost))} of networks).", [row]))
    return sentences


def examples_finding(records: Sequence[Record]) -> list[str]:
    """What few calibration examples cost, nine times of ten: a sentence for each network."""
    sentences: list[str] = []
    for _, chosen in groups(Measurements.of(records).table(examples_table), "recipe"):
        nine = chosen.groupby("examples")["excess_loss"].quantile(0.9)
        found = [
            {"network": network_of(chosen), "calibration images": f"{size:,}", "nats, nine of ten": f"{value:.3f}"}
            for size, value in nine.items()
        ]
        smallest = int(nine.index.min())
        few = [
            entry
            for record in records
            if record.measurement == "calibration" and _key(record) in set(_keys(chosen))
            for entry in record.data["few"]
            if entry["examples"] == smallest
        ]
        right = sum(entry["smoothed"] for entry in few) / sum(len(entry["loss"]) for entry in few)
        enough = next((size for size, value in nine.items() if value <= TOLERANCE), None)
        said = f"with {enough:,} images" if enough else "at no size measured do"
        text = (
            f"{network_of(chosen)}: {said} nine of ten samples cost at most {TOLERANCE:g} nats. In {100 * right:.0f} % "
        )
        text += f"of the samples of {smallest} images every label was right, so that they set no bound to β."
        sentences.append(Told(text, found))
    return sentences


def temperature_verdict(records: Sequence[Record]) -> str:
    """One sentence: for which networks the predicted β, and one β for all λ, do as well as fitting each."""
    table = Measurements.of(records).table(choices_table)
    if table.empty:
        return "Verdict: nothing is measured."
    found: dict[str, tuple[list[str], list[str]]] = {"predicted": ([], []), "single": ([], [])}
    for _, chosen in groups(table, "recipe"):
        costs = _costs(chosen)
        for choice, (does, does_not) in found.items():
            (does if costs[choice].mean() <= TOLERANCE else does_not).append(network_of(chosen))
    said = {"predicted": "The β that theory predicts without the merged network", "single": "one β for all λ"}
    parts = [f"{said[choice]} {_does(*lists)}" for choice, lists in found.items()]
    tolerance = f"at most {TOLERANCE:g} nats worse in the mean over λ"
    return f"**Verdict.** {'; '.join(parts)} ({tolerance})."


def _does(does: Sequence[str], does_not: Sequence[str]) -> str:
    if not does:
        return f"does as well as one fitted at each λ for none of {', '.join(does_not)}"
    not_for = f", and does not for {' and '.join(does_not)}" if does_not else ""
    return f"does as well as one fitted at each λ for {' and '.join(does)}{not_for}"


def _costs(table: DataFrame) -> DataFrame:
    """One row for each pair: the mean over λ of the loss with each choice of β, above that with the fitted β."""
    means = table.groupby([*SEEDS, "choice"])["loss"].mean().unstack()
    return means.sub(means["fitted"], axis=0)


def _keys(table: DataFrame) -> list[tuple]:
    return [tuple(row) for row in table[PAIR].drop_duplicates().to_numpy(dtype=object)]


def _key(record: Record) -> tuple:
    training = record.config.training
    return (record.recipe, training.width_multiplier, training.weight_decay, *record.config.seeds)
