"""Sentences about batch size; numbers are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import mean_and_spread, recipe_label, width_label
from lmcbook.pages.analysis.sweeps import one_width, several_widths
from lmcbook.pages.analysis.vocabulary import groups
from lmcbook.pages.claims.statistics import ACCURACY, CALIBRATED

_SAID = {
    ACCURACY: ("points of accuracy lost", 100, 1),
    CALIBRATED: ("calibrated loss barrier in nats", 1, 3),
    "relative_effective_rank": ("relative effective rank", 1, 2),
    "reciprocal_orthogonality": ("reciprocal orthogonality", 1, 2),
    "endpoint_accuracy": ("unmerged accuracy in %", 100, 1),
}


def batch_finding(records: Sequence[Record]) -> list[str]:
    """Barriers, rank, orthogonality and unmerged accuracy for each batch size at one width: one for each network."""
    sentences = []
    for (recipe,), table in groups(one_width(records), "recipe"):
        sizes = [rows for _, rows in groups(table, "batch_size")]
        parts = [
            f"{name} {' → '.join(_spread(rows, column, factor, digits) for rows in sizes)}"
            for column, (name, factor, digits) in _SAID.items()
        ]
        said = " → ".join(f"{rows['batch_size'].iloc[0]:g}" for rows in sizes)
        width = width_label(table["width_multiplier"].iloc[0])
        sentences.append(f"{recipe_label(recipe)} at {width}, batches of {said}: {'; '.join(parts)} ({_pairs(sizes)}).")
    return sentences


def batch_width_finding(records: Sequence[Record]) -> list[str]:
    """What averaging costs at the narrowest and the widest networks for each batch size: one for each network."""
    sentences = []
    for (recipe,), table in groups(several_widths(records), "recipe"):
        parts, counted = [], []
        for (size,), rows in groups(table, "batch_size"):
            ends = [rows[rows["width_multiplier"] == each] for each in _ends(rows)]
            counted += ends
            costs = " and ".join(f"{_spread(each, ACCURACY, 100, 1)} at {_width(each)}" for each in ends)
            parts.append(f"{costs} with batches of {size:g}")
        sentences.append(
            f"{recipe_label(recipe)}: averaging costs {'; '.join(parts)} (points of accuracy, {_pairs(counted)})."
        )
    return sentences


def batch_verdict(records: Sequence[Record]) -> str:
    """Whether the smallest batches merge better than the largest, by which condition, and how many pairs say so."""
    parts = []
    for (recipe,), table in groups(one_width(records), "recipe"):
        sizes = table["batch_size"]
        small, large = (table[sizes == each] for each in (sizes.min(), sizes.max()))
        both = small.merge(large, on=["seed_a", "seed_b"], suffixes=("_small", "_large"))
        if both.empty or sizes.min() == sizes.max():
            continue
        means = [100 * both[f"{ACCURACY}_{each}"].mean() for each in ("small", "large")]
        changes = [
            f"{name} {word} in {(both[f'{column}_small'] < both[f'{column}_large']).sum()}"
            for column, name, word in (
                (ACCURACY, "the loss of accuracy is", "smaller"),
                ("reciprocal_orthogonality", "reciprocal orthogonality is", "closer to 0"),
                ("relative_stable_rank", "the relative stable rank is", "lower"),
            )
        ]
        parts.append(
            f"{recipe_label(recipe)} {_width(table)} loses {means[0]:.1f} points with batches of {sizes.min():g} and "
            f"{means[1]:.1f} with batches of {sizes.max():g}; with the smaller ones {', '.join(changes)} "
            f"of {len(both)} pair{'s' if len(both) > 1 else ''}"
        )
    if not parts:
        return "**Verdict.** Nothing is measured that could tell."
    said = "\n".join(f"- {part}." for part in parts)
    return f"**Verdict.** With as many steps at the same learning rate and weight decay:\n\n{said}"


def _ends(rows: DataFrame) -> list[float]:
    return sorted({rows["width_multiplier"].min(), rows["width_multiplier"].max()})


def _width(rows: DataFrame) -> str:
    return width_label(rows["width_multiplier"].iloc[0])


def _spread(rows: DataFrame, column: str, factor: float, digits: int) -> str:
    return mean_and_spread(rows[column], factor=factor, digits=digits, count=False)


def _pairs(kinds: Sequence[DataFrame]) -> str:
    least, most = min(map(len, kinds)), max(map(len, kinds))
    count = f"{most}" if least == most else f"{least} to {most}"
    return f"{count} pair{'s' if most > 1 else ''} each"
