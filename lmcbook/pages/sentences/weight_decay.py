"""Sentences about weight decay: what it does to barriers, conditions and ranks; every number is computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import (
    decay_label,
    mean_and_deviation,
    network_of,
    pair_count,
    recipe_label,
    width_label,
)
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.repairs import PLAIN, REPAIRED, RESCALED, ways_table
from lmcbook.pages.analysis.sweeps import FULL, SHORTER, SPARED, decay_cosine_table, decay_table
from lmcbook.pages.analysis.told import Told, change
from lmcbook.pages.analysis.vocabulary import ACCURACY, groups, paired
from lmcbook.pages.sentences.phrases import along

_SAME_PRODUCT = 1.25
"""Trainings whose decay products differ by no more than this factor are compared as equals."""


def decay_finding(records: Sequence[Record]) -> list[str]:
    """The accuracy barrier and the unmerged accuracy at each weight decay: a sentence for each network.

    Then what it changes to leave batch norm's own parameters alone, where that is measured.
    """
    sentences: list[str] = []
    for _, table in groups(_of(records, FULL), "recipe"):
        found = [
            {
                "network": network_of(table),
                "weight decay": decay_label(decay),
                "points lost by averaging": mean_and_deviation(rows[ACCURACY], 100, 1),
                "accuracy unmerged (%)": mean_and_deviation(rows["endpoint_accuracy"], 100, 1),
            }
            for decay, rows in _decays(table)
        ]
        means = {decay_label(decay): rows[ACCURACY].mean() for decay, rows in _decays(table)}
        if len(means) == 1:
            sentences.append(Told(f"{network_of(table)}: measured with weight decay {next(iter(means))} alone.", found))
            continue
        said = f"averaging costs least with weight decay {min(means, key=lambda each: means[each])} and most with "
        said += max(means, key=lambda each: means[each])
        sentences.append(Told(f"{network_of(table)}: {said} ({_pair_count(table)}).", found))
    return sentences + normalisation_finding(records)


def normalisation_finding(records: Sequence[Record]) -> list[str]:
    """What leaving batch norm's own parameters alone changes, at each weight decay; nothing where not measured."""
    sentences: list[str] = []
    spared = _of(records, SPARED)
    for (recipe,), table in groups(spared, "recipe"):
        full = _of(records, FULL)
        both = _together(table, full[full["recipe"] == recipe])
        moved = {decay_label(decay): mean_and_deviation(rows["difference"], 100, 1) for decay, rows in _decays(both)}
        found = [
            {"network": network_of(table), "weight decay": decay, "points moved by sparing batch norm": points}
            for decay, points in moved.items()
        ]
        lower = sum(rows["difference"].mean() < 0 for _, rows in _decays(both))
        said = (
            f"leaving batch norm's own parameters alone lowers the accuracy barrier with {lower} of {len(moved)} decays"
        )
        sentences.append(Told(f"{network_of(table)}: {said} ({_pair_count(table)}).", found))
    return sentences


def decay_condition_finding(records: Sequence[Record]) -> list[str]:
    """Conditions and ranks without decay, with the usual decay and with the paper's: a sentence for each network."""
    names = {
        "reciprocal_orthogonality": ("reciprocal orthogonality", 1, 2),
        "weak_additivity": ("weak additivity", 1, 3),
        "relative_effective_rank": ("relative effective rank", 1, 2),
        "active_share": ("share of active units", 1, 2),
    }
    sentences: list[str] = []
    for _, table in groups(_of(records, FULL), "recipe"):
        ends = {f"weight decay {decay_label(at)}": rows for at, rows in _decays(table) if at in _ends(table)}
        found, ways = along(network_of(table), ends, names)
        said = f"from the least weight decay to the most, {ways}"
        if len(ends) == 1:
            said = f"measured with {next(iter(ends))} alone"
        sentences.append(Told(f"{network_of(table)}: {said} ({_pair_count(table)}).", found))
    return sentences


def decay_after_repair(records: Sequence[Record]) -> list[str]:
    """Points lost with the paper's weight decay against the usual, plain and repaired: one for each network.

    At the widest width that was measured with both.
    """
    sentences: list[str] = []
    table = Measurements.of(records).table(ways_table)
    for (recipe, size), chosen in groups(table, "recipe", "batch_size"):
        strong, usual = (chosen[chosen["weight_decay"] == decay] for decay in (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY))
        widths = set(strong["width_multiplier"]) & set(usual["width_multiplier"])
        if not widths:
            continue
        both = paired(strong[strong["width_multiplier"] == max(widths)], usual, "way")
        where, parts, found = f"{recipe_label(recipe)} at {width_label(max(widths))}, batches of {size:g}", [], []
        for way in (PLAIN, REPAIRED, RESCALED):
            rows = both[both["way"] == way]
            less = (rows[ACCURACY] < rows[f"{ACCURACY}_second"]).sum()
            parts.append((len(rows), f"{less} ({way})"))
            columns = ((MAIN_WEIGHT_DECAY, ACCURACY), (USUAL_WEIGHT_DECAY, f"{ACCURACY}_second"))
            lost = {
                f"points lost, {decay_label(each)}": mean_and_deviation(rows[column], 100, 1)
                for each, column in columns
            }
            found.append({"network": where, "": way, **lost})
        said = f"less is lost with {decay_label(MAIN_WEIGHT_DECAY)} than with {decay_label(USUAL_WEIGHT_DECAY)} in "
        said += ", ".join(less for _, less in parts)
        sentences.append(Told(f"{where}: of {pair_count(*(count for count, _ in parts))}, {said}.", found))
    return sentences


def last_layer_finding(records: Sequence[Record]) -> list[str]:
    """LEWC's cosine at λ = ½ in the last hidden layer and at the logits: a sentence for each network.

    With the usual decay and the paper's. Where it rises, the classifier reads little of the hidden layer's error.
    """
    sentences: list[str] = []
    for _, rows in groups(Measurements.of(records).table(decay_cosine_table), "recipe"):
        last = rows["depth"].max()
        two = [
            (decay_label(decay), [chosen[chosen["depth"] == depth]["lewc_cosine"] for depth in (last - 1, last)])
            for decay, chosen in _decays(rows)
            if decay in (USUAL_WEIGHT_DECAY, MAIN_WEIGHT_DECAY)
        ]
        found = [
            {
                "network": network_of(rows),
                "weight decay": decay,
                "cosine in the last hidden layer": mean_and_deviation(hidden, 1, 3),
                "at the logits": mean_and_deviation(logits, 1, 3),
            }
            for decay, (hidden, logits) in two
        ]
        ways = ", ".join(
            f"{change(hidden.mean(), logits.mean(), digits=3)} with {decay}" for decay, (hidden, logits) in two
        )
        said = f"from the last hidden layer to the logits the cosine with LEWC's prediction {ways}"
        sentences += [Told(f"{network_of(rows)}: {said}.", found)] if two else []
    return sentences


def product_finding(records: Sequence[Record]) -> list[str]:
    """Trainings of different lengths and decays whose products are alike, beside each other; a sentence for two."""
    sentences: list[str] = []
    table = Measurements.of(records).table(decay_table)
    for (recipe, _), shorter in groups(table[table["kind"] == SHORTER], "recipe", "weight_decay"):
        product = shorter["decay_product"].iloc[0]
        full = table[(table["recipe"] == recipe) & (table["kind"] == FULL) & (table["decay_product"] > 0)]
        ratio = (full["decay_product"] / product).map(lambda each: max(each, 1 / each))
        alike = full[(ratio <= _SAME_PRODUCT) & (ratio == ratio.min())]
        if alike.empty:
            continue
        both = (shorter, alike)
        epochs = " and ".join(f"{rows['epochs'].iloc[0]}" for rows in both)
        decays = " and ".join(decay_label(rows["weight_decay"].iloc[0]) for rows in both)
        products = " and ".join(f"{rows['decay_product'].iloc[0]:.2g}" for rows in both)
        found = [
            {
                "network": network_of(shorter),
                "epochs": f"{rows['epochs'].iloc[0]}",
                "weight decay": decay_label(rows["weight_decay"].iloc[0]),
                "relative effective rank": mean_and_deviation(rows["relative_effective_rank"], 1, 3),
                "weak additivity": mean_and_deviation(rows["weak_additivity"], 1, 3),
                "reciprocal orthogonality": mean_and_deviation(rows["reciprocal_orthogonality"], 1, 2),
                "points lost": mean_and_deviation(rows[ACCURACY], 100, 1),
            }
            for rows in both
        ]
        said = f"{network_of(shorter)}, {epochs} epochs with weight decay {decays}: products {products}"
        sentences.append(Told(f"{said} ({_pair_count(shorter)} each).", found))
    return sentences


def decay_verdict(records: Sequence[Record]) -> str:
    """One sentence: where networks merge better with the paper's weight decay than with the usual, and where not.

    A direction is said only where all pairs agree on it.
    """
    parts = []
    for _, table in groups(_of(records, FULL), "recipe"):
        strong, weak = (table[table["weight_decay"] == decay] for decay in (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY))
        both = _together(weak, strong)
        if both.empty:
            continue
        gains = both["difference"]
        agree = bool((gains > 0).all() or (gains < 0).all())
        word = ("better" if gains.mean() > 0 else "worse") if agree else "neither better nor worse"
        against = {"better": ", as the paper says", "worse": ", against the paper"}.get(word, "")
        pairs = f" in all {len(gains)} pairs" if len(gains) > 1 else " in the one pair measured"
        difference = mean_and_deviation(gains if word != "worse" else -gains, 100, 1)
        disagree = f"for its {len(gains)} pairs disagree, with a mean difference of {difference} points"
        by = f"by {difference} points of accuracy" if agree else disagree
        parts.append(
            f"{network_of(table)} merges {word} with weight decay {decay_label(MAIN_WEIGHT_DECAY)} than with "
            f"{decay_label(USUAL_WEIGHT_DECAY)}{pairs if agree else ''}, {by}{against}{_conditions_meanwhile(table)}"
        )
    if not parts:
        return "**Verdict.** Without both weight decays at one width there is none."
    return f"**Verdict.** {'. '.join(parts)}."


def _conditions_meanwhile(table: DataFrame) -> str:
    """Which way the conditions go from the usual decay to the paper's."""
    strong, weak = (table[table["weight_decay"] == decay] for decay in (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY))
    parts = []
    for column, name, improves in (
        ("weak_additivity", "weak additivity", 1),
        ("reciprocal_orthogonality", "reciprocal orthogonality", -1),
        ("relative_effective_rank", "the relative effective rank", 0),
    ):
        before, after = weak[column].mean(), strong[column].mean()
        if before != before or after != after:
            continue
        verb = "improves" if improves * (after - before) > 0 else "worsens" if improves else change(before, after)
        parts.append(f"{name} {verb}")
    listed = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + "".join(parts[-1:])
    return f", while {listed}" if parts else ""


def _of(records: Sequence[Record], kind: str) -> DataFrame:
    table = Measurements.of(records).table(decay_table)
    return table[table["kind"] == kind]


def _together(first: DataFrame, second: DataFrame) -> DataFrame:
    """Pairs of the same seeds at the same width, with the first's accuracy barrier minus the second's."""
    several = any(each["weight_decay"].nunique() > 1 for each in (first, second))
    both = paired(first, second, *(["weight_decay"] if several else []))
    return both.assign(difference=both[ACCURACY] - both[f"{ACCURACY}_second"])


def _ends(table: DataFrame) -> set[float]:
    decays = table["weight_decay"]
    return {decays.min(), decays.max(), USUAL_WEIGHT_DECAY, MAIN_WEIGHT_DECAY} & set(decays)


def _decays(table: DataFrame) -> list[tuple[float, DataFrame]]:
    return [(float(decay), rows) for (decay,), rows in groups(table.sort_values("weight_decay"), "weight_decay")]


def _pair_count(table: DataFrame) -> str:
    return pair_count(*table.groupby("weight_decay").size())
