"""The two parts of reciprocal orthogonality against width and against the batch size; numbers are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.recipes import recipe
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.common_mode import split_table
from lmcbook.pages.analysis.labels import network_of, pair_count, recipe_label, width_of
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.told import Told, change
from lmcbook.pages.analysis.vocabulary import ends, groups, paper_decay, with_most_batch_sizes


def split_by_width(records: Sequence[Record]) -> list[str]:
    """Both parts at the narrowest and the widest, layer by layer: a sentence for each network and batch size."""
    sentences: list[str] = []
    for (name, size), table in groups(_hidden(records), "recipe", "batch_size"):
        if table["width_multiplier"].nunique() > 1:
            widths = ends(table)
            names = [width_of(rows) for rows in widths]
            network = f"{recipe_label(name)}, batches of {size:g}"
            sentences.append(_told(network, "from narrow to wide", "width", names, widths))
    return sentences


def split_by_batch(records: Sequence[Record]) -> list[str]:
    """Both parts for each batch size, layer by layer, at the width with the most: a sentence for each network."""
    sentences: list[str] = []
    for _, table in groups(with_most_batch_sizes(_hidden(records)), "recipe"):
        found = [rows for _, rows in groups(table.sort_values("batch_size", kind="stable"), "batch_size")]
        if len(found) > 1:
            names = [f"{rows['batch_size'].iloc[0]:g}" for rows in found]
            network = network_of(table)
            sentences.append(_told(network, "from the smallest batches to the largest", "batches of", names, found))
    return sentences


def _hidden(records: Sequence[Record]) -> DataFrame:
    """Layers between hidden units, of perceptrons as deep as their recipe says, at the paper's weight decay."""
    table = paper_decay(Measurements.of(records).table(split_table))
    own = {name: recipe(name).training.num_layers for name in table["recipe"].unique()}
    layers = table["recipe"].map(own).astype(float)
    chosen = table[(table["num_layers"].astype(float) == layers) & (table["depth"] < layers)]
    return chosen.dropna(subset=["isotropic", "common"])


def _told(network: str, way: str, by: str, names: Sequence[str], found: Sequence[DataFrame]) -> Told:
    """In how many layers each part falls; as rows what ``by`` is, a column for each part of each layer."""
    depths = sorted(set.intersection(*(set(rows["depth"]) for rows in found)))
    rows = [{"network": network, by: name} for name in names]
    falls = dict.fromkeys(("isotropic", "common"), 0)
    for depth in depths:
        for part in falls:
            means = [each[each["depth"] == depth][part].mean() for each in found]
            falls[part] += change(means[0], means[-1], digits=2) == "falls"
            for row, mean in zip(rows, means, strict=True):
                row[f"layer {depth}, {part}"] = f"{mean:.2f}"
    counts = [len(each[each["depth"] == each["depth"].min()]) for each in found]
    words = {0: "no layer", len(depths): "every layer"}
    said = " and ".join(
        f"the {part} part falls in {words.get(number, f'{number} of {len(depths)} layers')}"
        for part, number in falls.items()
    )
    return Told(f"{network}, {way}: {said} ({pair_count(*counts)} each).", rows)
