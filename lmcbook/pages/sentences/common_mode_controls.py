"""Sentences about the controls of the common mode; numbers and verdicts are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.common_mode_controls import (
    common_parts_table,
    controls_table,
    many_table,
    outcomes_table,
    placed_beside_trained,
    placement_table,
)
from lmcbook.pages.analysis.labels import pair_count, recipe_label, signed, spread, width_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.claims.predictions import STATISTICS

_WORDS = ("held", "refuted", "undecided", "not trained")
_DIGITS = {"common_part": 2, "exponent_error": 2}


def control_sentences(records: Sequence[Record]) -> list[str]:
    """Each control in a sentence: points lost plain and repaired for each batch size, and over how many pairs."""
    table = Measurements.of(records).table(controls_table)
    table = table[~table["control"].str.endswith(" networks")] if len(table) else table
    return [
        f"{_with_size(name, size)}: {_lost(rows)} ({pair_count(len(rows))})."
        for (name, size), rows in groups(table, "control", "batch_size")
    ]


def _with_size(name: str, size: float) -> str:
    return name if name == f"batches of {size:g}" else f"{name}, batches of {size:g}"


def _lost(rows: DataFrame) -> str:
    if not rows["trained"].all():
        return f"the networks themselves are right on {100 * rows['network_accuracy'].mean():.0f} % only"
    return f"{spread(rows['plain'], 1, 1)} points lost plain, {spread(rows['lewc_mean'], 1, 1)} repaired"


def placement_finding(records: Sequence[Record]) -> list[str]:
    """What networks at random places lose at the smallest and the largest share, and with all places of the widest."""
    table = Measurements.of(records).table(placement_table)
    sentences = []
    for (recipe,), rows in groups(table, "recipe"):
        single, full = rows[rows["copies"] == 1], rows[rows["share"] == 1]
        ends = [single[single["share"] == share] for share in (single["share"].max(), single["share"].min())]
        split = full[full["units"] == full["units"].max()]
        few = 1 / ends[1]["share"].iloc[0]
        sentences.append(
            f"{recipe_label(recipe)}: {spread(ends[0]['plain'], 1, 1)} points lost where both use all places and "
            f"{spread(ends[1]['plain'], 1, 1)} where each uses 1/{few:g} of them; with all of "
            f"{split['units'].iloc[0]:g} places used by split units {spread(split['plain'], 1, 1)}, repaired "
            f"{spread(split['lewc_mean'], 1, 1)} ({pair_count(len(split))})."
        )
    return sentences


def placed_beside_trained_finding(placed: Sequence[Record], trained: Sequence[Record]) -> list[str]:
    """Each width: units that carry the features, points lost, and what placed networks lose with as few of them."""
    return [
        f"{recipe_label(row['recipe'])} {width_label(row['width_multiplier'])}: {100 * row['active']:.0f} % of the "
        f"units carry 90 % of a layer's second moment, and averaging costs {_points(row['lost'])}; networks at "
        f"random places with as few lose {_points(row['placed_lost'])}."
        for _, row in placed_beside_trained(placed, trained).iterrows()
    ]


def _points(values: list[float]) -> str:
    return f"{spread(values, 1, 1)} points ({pair_count(len(values))})"


def common_parts_finding(records: Sequence[Record]) -> list[str]:
    """Both parts of reciprocal orthogonality in each control, means over layers between hidden units."""
    table = Measurements.of(records).table(common_parts_table)
    return [
        f"{_with_size(name, size)}: common part {spread(rows['common'])}, isotropic part {spread(rows['isotropic'])} "
        f"({pair_count(len(rows))})."
        for (name, size), rows in groups(table, "control", "batch_size")
    ]


def many_finding(records: Sequence[Record]) -> list[str]:
    """Points lost by averages of the fewest and the most networks, plain and repaired, beside what β should be."""
    table = Measurements.of(records).table(many_table)
    sentences: list[str] = []
    for (recipe,), rows in groups(table, "recipe"):
        parts, found = [], []
        for count in (rows["networks"].min(), rows["networks"].max()):
            chosen = rows[rows["networks"] == count]
            lost, repaired = (spread(chosen[kind], 1, 1) for kind in ("plain", "lewc_mean"))
            parts.append(f"of {count:g} networks {lost} points lost plain and {repaired} repaired")
            errors = {
                f"β over LEWC's, {said}": spread(2 ** chosen[f"{kind}_error"], 1, 2)
                for kind, said in (("plain", "plain"), ("lewc_mean", "repaired"))
            }
            names = {"network": recipe_label(recipe), "networks": f"{count:g}"}
            found.append({**names, "points lost, plain": lost, "repaired": repaired, **errors})
        groups_of = rows[["seed_a", "seed_b"]].drop_duplicates()
        said = f"{recipe_label(recipe)}: {'; '.join(parts)} ({len(groups_of)} groups of networks)."
        sentences.append(Told(said, found))
    return sentences


def controls_verdict(records: Sequence[Record]) -> str:
    """How many predictions held, were refuted or are undecided, and every sentence with what became of it."""
    outcomes = Measurements.of(records).table(outcomes_table)
    if outcomes.empty:
        return "**Verdict.** Nothing is measured that could tell."
    counts = outcomes["verdict"].value_counts()
    counted = ", ".join(f"{counts[word]} {word}" for word in _WORDS if word in counts)
    lines = []
    for _, row in outcomes.iterrows():
        said = f"- **{row['verdict']}**: {row['control']}, batches of {row['batch_size']:g}. {row['statement']} "
        if row["pairs"]:
            mean, low, high = (signed(row[name], _DIGITS.get(row["statistic"], 1)) for name in ("mean", "low", "high"))
            interval = "" if row["pairs"] == 1 else f", 95 % interval {low} to {high}"
            said += (
                f"Seen: {STATISTICS[row['statistic']]}: {mean}{interval} "
                f"(predicted {_range(row['predicted_low'], row['predicted_high'])}; n = {row['pairs']})."
            )
        lines.append(said.rstrip())
    return f"**Verdict.** Of {len(outcomes)} predictions: {counted}.\n\n" + "\n".join(lines)


def _range(low: float, high: float) -> str:
    low_text, high_text = (f"{bound:g}".replace("-", "−") for bound in (low, high))
    if low == float("-inf"):
        return f"at most {high_text}"
    return f"at least {low_text}" if high == float("inf") else f"between {low_text} and {high_text}"
