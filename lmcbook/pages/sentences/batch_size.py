"""Sentences about batch size; numbers are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import at_width, network_of, pair_count, recipe_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.sweeps import one_width, rank_bounds, several_widths
from lmcbook.pages.analysis.told import Told, change
from lmcbook.pages.analysis.vocabulary import ACCURACY, CALIBRATED, ends, groups, paired
from lmcbook.pages.sentences.phrases import NO_VERDICT, along

_SAID = {
    ACCURACY: ("accuracy lost by averaging in points", 100, 1),
    CALIBRATED: ("calibrated loss barrier in nats", 1, 3),
    "relative_effective_rank": ("relative effective rank", 1, 2),
    "reciprocal_orthogonality": ("reciprocal orthogonality", 1, 2),
    "endpoint_accuracy": ("unmerged accuracy in %", 100, 1),
    "training_loss": ("training loss in nats", 1, 3),
}


def batch_finding(records: Sequence[Record]) -> list[str]:
    """Barriers, rank, orthogonality, unmerged accuracy and training loss for each batch size at one width."""
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(one_width), "recipe"):
        sizes = {f"batches of {size:g}": rows for (size,), rows in groups(table, "batch_size")}
        found, ways = along(network_of(table), sizes, _SAID)
        said = f"{network_of(table)}, from the smallest batches to the largest: {ways}"
        sentences.append(Told(f"{said} ({pair_count(*map(len, sizes.values()))} each).", found))
    return sentences


def batch_width_finding(records: Sequence[Record]) -> list[str]:
    """What averaging costs at the narrowest and the widest networks for each batch size: one for each network."""
    sentences: list[str] = []
    for (recipe,), table in groups(Measurements.of(records).table(several_widths), "recipe"):
        found, counted, falls = [], [], []
        for (size,), rows in groups(table, "batch_size"):
            counted += ends(rows)
            costs = [at_width(each, ACCURACY, 100, 1) for each in ends(rows)]
            names = {"network": recipe_label(recipe), "batches of": f"{size:g}"}
            found.append(names | {"points lost, narrowest": costs[0], "widest": costs[-1]})
            means = [each[ACCURACY].mean() for each in ends(rows)]
            falls.append(change(means[0], means[-1], factor=100, digits=1) == "falls")
        said = f"averaging costs less at the widest than at the narrowest with {sum(falls)} of {len(falls)} batch sizes"
        said = f"{recipe_label(recipe)}: {said} ({pair_count(*map(len, counted))} each)."
        sentences.append(Told(said + _in_the_same_pairs(table), found))
    return sentences


def _in_the_same_pairs(table: DataFrame) -> str:
    """In how many pairs of the same seeds and width the smallest batches lose less than the largest, at all widths."""
    sizes = table["batch_size"]
    small, large = (table[sizes == each] for each in (sizes.min(), sizes.max()))
    both = paired(small, large)
    if sizes.nunique() < 2 or both.empty:
        return ""
    less = (both[ACCURACY] < both[f"{ACCURACY}_second"]).sum()
    return f" Over all widths, the smaller batches lose less in {less} of {len(both)} pairs of the same seeds."


def rank_bound_finding(records: Sequence[Record]) -> list[str]:
    """What rank the bound of Galanti et al. allows at each batch size, beside what the matrices can have."""
    sentences: list[str] = []
    for _, table in groups(rank_bounds(Measurements.of(records)), "recipe"):
        table = table.sort_values("batch_size")
        network = network_of(table)
        rows = [
            {
                "network": network,
                "batches of": f"{row['batch_size']:,.0f}",
                "rank at most": f"{row['bound']:,.0f}",
                "rows and columns": f"{row['full_rank']:,}",
            }
            for _, row in table.iterrows()
        ]
        says = (table["bound"] < table["full_rank"]).sum()
        verdict = f"says something for {says} of {len(table)} batch sizes" if says else "says nothing"
        sentences.append(Told(f"{network}: the bound {verdict}.", rows))
    return sentences


def batch_verdict(records: Sequence[Record]) -> str:
    """In how many pairs the smallest batches merge better than the largest, and are nearer to which condition.

    Beside it the points lost and the same counts for each network. The stable rank is that of the layers 2 to L−1;
    those of layer 1 and the classifier are counted by themselves, since they need not go the same way.
    """
    rows, counted, pairs = [], dict.fromkeys(_BETTER, 0), 0
    for _, table in groups(Measurements.of(records).table(one_width), "recipe"):
        sizes = table["batch_size"]
        small, large = (table[sizes == each] for each in (sizes.min(), sizes.max()))
        both = paired(small, large)
        if both.empty or sizes.min() == sizes.max():
            continue
        found = {column: int((both[column] < both[f"{column}_second"]).sum()) for column in _BETTER}
        pairs += len(both)
        counted = {column: counted[column] + number for column, number in found.items()}
        rows.append(
            {
                "network": network_of(table),
                "batches of": f"{sizes.min():g} and {sizes.max():g}",
                "points lost": " and ".join(
                    f"{100 * both[column].mean():.1f}" for column in (ACCURACY, f"{ACCURACY}_second")
                ),
            }
            | {title: f"{found[column]} of {len(both)}" for column, title in _BETTER.items()}
        )
    if not rows:
        return NO_VERDICT
    lost, orthogonal, rank, first, last = counted.values()
    return Told(
        "**Verdict.** With as many steps at the same learning rate and weight decay, the smallest batches lose less "
        f"than the largest in {lost} of {pairs} pairs; reciprocal orthogonality is closer to 0 in {orthogonal}, and "
        f"the stable rank is lower in {rank} as the mean of the layers 2 to L−1, in {first} in layer 1, and in {last} "
        "in the classifier.",
        rows,
    )


_BETTER = {
    ACCURACY: "less lost in",
    "reciprocal_orthogonality": "orthogonality closer to 0 in",
    "relative_stable_rank": "stable rank lower in layers 2 to L−1",
    "stable_rank_first": "in layer 1",
    "stable_rank_last": "in the classifier",
}
"""What smaller batches may lower, with the title of its column."""
