"""Sentences about the two parts of reciprocal orthogonality; numbers are computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import pair_count, recipe_label, spread, width_of
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.parts import against_batches, parts_table
from lmcbook.pages.analysis.vocabulary import ends, groups

_NAMES = {"isotropic": "isotropic part", "common": "common part"}


def parts_finding(records: Sequence[Record]) -> list[str]:
    """Both parts at the narrowest and the widest, and for each batch size at one width: two for each network."""
    sentences = []
    for (recipe,), table in groups(Measurements.of(records).table(parts_table), "recipe"):
        own = table[table["own_batches"]]
        if len(own):  # not of a recipe that was measured with smaller batches alone
            shown = ends(own)
            parts = [f"{said} {' → '.join(spread(rows[name]) for rows in shown)}" for name, said in _NAMES.items()]
            where = f"{recipe_label(recipe)}, {' → '.join(width_of(rows) for rows in shown)}"
            sentences.append(f"{where}: {'; '.join(parts)} ({pair_count(*map(len, shown))} each).")
        one_width = against_batches(table).sort_values("batch_size", kind="stable")
        sizes = groups(one_width, "batch_size")
        if len(sizes) > 1:
            parts = [f"{said} {' → '.join(spread(rows[name]) for _, rows in sizes)}" for name, said in _NAMES.items()]
            told = " → ".join(f"{size:g}" for (size,), _ in sizes)
            counts = pair_count(*(len(rows) for _, rows in sizes))
            where = f"{recipe_label(recipe)} {width_of(one_width)}, batches of {told}"
            sentences.append(f"{where}: {'; '.join(parts)} ({counts} each).")
    return sentences
