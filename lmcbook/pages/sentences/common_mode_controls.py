"""Sentences about the controls of the common mode; numbers and verdicts are computed."""

import math
from collections.abc import Sequence
from statistics import fmean

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.common_mode_controls import (
    common_parts_table,
    controls_table,
    many_table,
    outcomes_table,
    placed_beside_trained,
    placement_table,
)
from lmcbook.pages.analysis.labels import enumerated, mean_and_deviation, pair_count, recipe_label, signed, width_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.predictions import STATISTICS
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.sentences.phrases import NO_VERDICT

_WORDS = ("held", "refuted", "undecided", "not trained")
_DIGITS = {"common_part": 2, "exponent_error": 2}


def control_sentences(records: Sequence[Record]) -> list[str]:
    """How many of the controls the repair helps, a sentence for each batch size; beside it what they lose."""
    table = Measurements.of(records).table(controls_table)
    table = table[~table["control"].str.endswith(" networks")] if len(table) else table
    sentences: list[str] = []
    for (size,), part in groups(table, "batch_size"):
        rows, helped = [], []
        for (name,), pairs in groups(part, "control"):
            is_trained = bool(pairs["trained"].all())
            lost = {
                kind: mean_and_deviation(pairs[kind], 1, 1) if is_trained else "–" for kind in ("plain", "lewc_mean")
            }
            rows.append(
                {
                    **_changed(name, size),
                    "networks are right (%)": f"{100 * pairs['network_accuracy'].mean():.1f}",
                    "points lost, plain": lost["plain"],
                    "repaired": lost["lewc_mean"],
                    "pairs": str(len(pairs)),
                }
            )
            if is_trained:
                helped.append(pairs["lewc_mean"].mean() < pairs["plain"].mean())
        untrained = len(rows) - len(helped)
        said = f"Batches of {size:g}: the repaired average loses less than the plain average in {sum(helped)} of"
        said += f" {len(helped)} trainings{f', and {untrained} did not train' if untrained else ''}."
        sentences.append(Told(said, rows))
    return sentences


def _changed(name: str, size: float) -> dict[str, str]:
    return {"batches": f"batches of {size:g}", "changed": "nothing" if name == f"batches of {size:g}" else name}


def placement_finding(records: Sequence[Record]) -> list[str]:
    """What networks at random places lose at the smallest and the largest share, and with all places of the widest."""
    table = Measurements.of(records).table(placement_table)
    sentences: list[str] = []
    for (recipe,), rows in groups(table, "recipe"):
        single, full = rows[rows["copies"] == 1], rows[rows["share"] == 1]
        ends = [single[single["share"] == share] for share in (single["share"].max(), single["share"].min())]
        split = full[full["units"] == full["units"].max()]
        few = 1 / ends[1]["share"].iloc[0]
        kinds = {
            "both use all places": ends[0],
            f"both use 1/{few:g} of them": ends[1],
            f"all of {split['units'].iloc[0]:g} places used, by split units": split,
        }
        found = [
            {
                "network": recipe_label(recipe),
                "placed": kind,
                "points lost": mean_and_deviation(of["plain"], 1, 1),
                "repaired": mean_and_deviation(of["lewc_mean"], 1, 1),
            }
            for kind, of in kinds.items()
        ]
        means = [of["plain"].mean() for of in kinds.values()]
        said = f"{'less' if means[1] < means[0] else 'more'} is lost where they use few places than where they use all"
        too = "less" if means[2] < means[0] else "more"
        said += f", and {too} where split units use all of many places ({pair_count(len(split))})"
        sentences.append(Told(f"{recipe_label(recipe)}: {said}.", found))
    return sentences


def placed_beside_trained_finding(placed: Sequence[Record], trained: Sequence[Record]) -> list[str]:
    """Whether placed networks lose more than trained networks with as few active units, a sentence for each network."""
    sentences: list[str] = []
    for (recipe,), table in groups(placed_beside_trained(placed, trained), "recipe"):
        rows = [
            {
                "network": recipe_label(recipe),
                "width": width_label(row["width_multiplier"]),
                "units that carry 90 % of the second moment": f"{100 * row['active']:.0f} %",
                "points lost by averaging": _points(row["lost"]),
                "at random places, with as few": _points(row["placed_lost"]),
            }
            for _, row in table.iterrows()
        ]
        more = sum(fmean(row["placed_lost"]) > fmean(row["lost"]) for _, row in table.iterrows())
        said = f"{recipe_label(recipe)}: placed networks lose more than trained networks with as few active units"
        sentences.append(Told(f"{said} at {more} of {len(rows)} widths.", rows))
    return sentences


def _points(values: list[float]) -> str:
    return f"{mean_and_deviation(values, 1, 1)} ({pair_count(len(values))})"


def common_parts_finding(records: Sequence[Record]) -> list[str]:
    """Which part of reciprocal orthogonality is larger, a sentence for each batch size; beside it both, by control.

    The parts are means over layers between hidden units.
    """
    table = Measurements.of(records).table(common_parts_table)
    sentences: list[str] = []
    for (size,), part in groups(table, "batch_size"):
        kinds = groups(part, "control")
        rows = [
            {
                **_changed(name, size),
                "common part": mean_and_deviation(pairs["common"]),
                "isotropic part": mean_and_deviation(pairs["isotropic"]),
                "pairs": str(len(pairs)),
            }
            for (name,), pairs in kinds
        ]
        larger = sum(pairs["common"].mean() > pairs["isotropic"].mean() for _, pairs in kinds)
        said = f"Batches of {size:g}: the common part is the larger in {larger} of {len(rows)} trainings."
        sentences.append(Told(said, rows))
    return sentences


def many_finding(records: Sequence[Record]) -> list[str]:
    """What repaired averages and ensembles of more and more networks lose: two sentences for each kind of network.

    Beside them points lost, calibrated losses and β for every number of networks: plain, repaired and of the ensemble.
    """
    table = Measurements.of(records).table(many_table)
    kinds = {"plain": "plain", "lewc_mean": "repaired", "ensemble": "ensemble"}
    sentences: list[str] = []
    for (recipe,), rows in groups(table, "recipe"):
        numbers = groups(rows.sort_values("networks", kind="stable"), "networks")
        found = [
            {
                "network": recipe_label(recipe),
                "networks": f"{count:g}",
                **{f"points lost, {said}": mean_and_deviation(of[kind], 1, 1) for kind, said in kinds.items()},
                **{
                    f"calibrated loss, {said}": mean_and_deviation(of[f"{kind}_loss"], 1, 2)
                    for kind, said in kinds.items()
                },
                **{
                    f"β over LEWC's, {kinds[kind]}": mean_and_deviation(2 ** of[f"{kind}_error"], 1, 2)
                    for kind in ("plain", "lewc_mean")
                },
            }
            for (count,), of in numbers
        ]
        means = {count: of[["plain", "lewc_mean", "ensemble"]].mean() for (count,), of in numbers}
        fewest, most = min(means), max(means)
        # 2, 4 and 8 rather than all of them
        told = [count for count in means if math.log2(count / fewest).is_integer()]
        lost = enumerated([signed(means[count]["lewc_mean"], 1) for count in told])
        name, of_most = recipe_label(recipe), rows[["seed_a", "seed_b"]].drop_duplicates()
        gap = signed(max(mean["ensemble"] for mean in means.values()), 1)
        said = (
            f"{name}: repaired averages of {enumerated([f'{count:g}' for count in told])} networks lose {lost} points"
        )
        sentences.append(Told(f"{said}, ensembles {gap} at most ({len(of_most)} groups of networks).", found))
        less = "less" if means[most]["plain"] > means[most]["lewc_mean"] else "no less"
        sentences.append(f"{name}: averages of the most networks lose {less} repaired than plain.")
    return sentences


def controls_verdict(records: Sequence[Record]) -> str:
    """How many predictions held, were refuted or are undecided; beside it every sentence and what became of it."""
    outcomes = Measurements.of(records).table(outcomes_table)
    if outcomes.empty:
        return NO_VERDICT
    counts = outcomes["verdict"].value_counts()
    counted = ", ".join(f"{counts[word]} {word}" for word in _WORDS if word in counts)
    rows = []
    for _, row in outcomes.iterrows():
        seen = predicted = "–"
        if row["pairs"]:
            mean, low, high = (signed(row[name], _DIGITS.get(row["statistic"], 1)) for name in ("mean", "low", "high"))
            seen = mean if row["pairs"] == 1 else f"{mean} ({low} to {high})"
            predicted = _range(row["predicted_low"], row["predicted_high"])
        rows.append(
            {
                "prediction": f"{row['statement']} Measured: {STATISTICS[row['statistic']]}.",
                "training": f"{row['control']}, batches of {row['batch_size']:g}",
                "bounds": predicted,
                "seen (95 % interval)": seen,
                "n": str(row["pairs"]),
                "verdict": str(row["verdict"]),
            }
        )
    return Told(f"**Verdict.** Of {len(outcomes)} predictions: {counted}.", rows)


def _range(low: float, high: float) -> str:
    low_text, high_text = (f"{bound:g}".replace("-", "−") for bound in (low, high))
    if low == float("-inf"):
        return f"at most {high_text}"
    return f"at least {low_text}" if high == float("inf") else f"between {low_text} and {high_text}"
