"""Sentences about what one network tells of a merge; numbers are computed."""

from collections.abc import Sequence

from pandas import Series

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import decay_label, recipe_label, signed, width_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.one_network import (
    DIGITS,
    LOST,
    ORTHOGONALITY,
    REPAIRED,
    agreement_table,
    told_table,
)
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.sentences.phrases import NO_VERDICT


def orthogonality_told_finding(records: Sequence[Record]) -> list[str]:
    """How far reciprocal orthogonality of one network is from the pair's, for each group of trainings."""
    return _findings(records, (ORTHOGONALITY,))


def lost_told_finding(records: Sequence[Record]) -> list[str]:
    """How far the points lost with shuffled copies are from those of the pair, for each group of trainings."""
    return _findings(records, (LOST, REPAIRED))


def worst_told_finding(records: Sequence[Record]) -> list[str]:
    """Where one network is most wrong, for each recipe: the pair, and what was predicted and found."""
    sentences: list[str] = []
    table = Measurements.of(records).table(told_table)
    for quantity in (ORTHOGONALITY, LOST):
        for (recipe,), chosen in groups(table[table["quantity"] == quantity], "recipe"):
            worst = chosen.iloc[int((chosen["told"] - chosen["found"]).abs().argmax())]
            row = {
                "network": recipe_label(recipe),
                "": quantity,
                "told": signed(worst["told"], DIGITS[quantity]),
                "found": signed(worst["found"], DIGITS[quantity]),
                **_where(worst),
            }
            way = "too high" if worst["told"] > worst["found"] else "too low"
            said = f"in the largest error of {quantity}, the prediction is {way}"
            sentences.append(Told(f"{recipe_label(recipe)}: {said}.", [row]))
    return sentences


def wrong_order_finding(records: Sequence[Record]) -> list[str]:
    """How many times the order of pairs is predicted worse than by chance; beside it which, and with which training."""
    ranked = Measurements.of(records).table(agreement_table).dropna(subset=["rank"])
    if ranked.empty:
        return []
    wrong = ranked[ranked["rank_high"] < 0]
    rows = [{"network": recipe_label(row["recipe"])} | _agreement(row) for _, row in wrong.iterrows()]
    said = "Rank correlations over five pairs or more whose interval lies below 0, worse than chance"
    return [Told(f"{said}: {len(wrong)} of {len(ranked)}.", rows)]


def one_network_verdict(records: Sequence[Record]) -> str:
    """Of how many groups one network tells points lost without bias, and with the right order of pairs."""
    table = Measurements.of(records).table(agreement_table)
    lost = table[(table["quantity"] == LOST) & (table["pairs"] > 1)]
    if lost.empty:
        return NO_VERDICT
    unbiased = int(((lost["low"] <= 0) & (lost["high"] >= 0)).sum())
    ranked = lost.dropna(subset=["rank"])
    ordered = int((ranked["rank_low"] > 0).sum())
    return (
        f"**Verdict.** Points lost, told by one network with {len(lost)} kinds of training (data, network, batch size, "
        f"weight decay): the 95 % interval of the mean difference from the pairs holds 0 for {unbiased} of them; where "
        f"there are five pairs or more, the order of the pairs is predicted better than by chance for {ordered} of "
        f"{len(ranked)}. The mean error is {signed(lost['error'].median(), 1)} points in the median of these kinds, "
        f"{signed(lost['error'].max(), 1)} at most."
    )


def _findings(records: Sequence[Record], quantities: Sequence[str]) -> list[str]:
    table = Measurements.of(records).table(agreement_table)
    sentences: list[str] = []
    for (recipe,), of_recipe in groups(table[table["quantity"].isin(quantities)], "recipe"):
        rows = [{"network": recipe_label(recipe)} | _agreement(row) for _, row in of_recipe.iterrows()]
        several = of_recipe[of_recipe["pairs"] > 1]
        unbiased = int(((several["low"] <= 0) & (several["high"] >= 0)).sum())
        shown = f"the pairs show no bias in {unbiased} of {len(several)} kinds of training and quantities"
        said = shown if len(several) else "a single pair cannot show a bias"
        sentences.append(Told(f"{recipe_label(recipe)}: {said}.", rows))
    return sentences


def _agreement(row: Series) -> dict[str, str]:
    digits = DIGITS[row["quantity"]]
    interval = f" ({signed(row['low'], digits)} to {signed(row['high'], digits)})" if row["pairs"] > 1 else ""
    rank = f"{signed(row['rank'], 2)} ({signed(row['rank_low'], 2)} to {signed(row['rank_high'], 2)})"
    return {
        "": row["quantity"],
        "batches of": f"{row['batch_size']:g}",
        "decay": decay_label(row["weight_decay"]),
        "pairs": f"{row['pairs']:g}",
        "mean error": signed(row["error"], digits),
        "bias": signed(row["bias"], digits) + interval,
        "rank correlation": rank if row["rank"] == row["rank"] else "–",
    }


def _where(row: Series) -> dict[str, str]:
    return {
        "width": width_label(row["width_multiplier"]),
        "batches of": f"{row['batch_size']:g}",
        "decay": decay_label(row["weight_decay"]),
        "seeds": f"{row['seed_a']}, {row['seed_b']}",
        "layer": row["layer"] or "–",
    }
