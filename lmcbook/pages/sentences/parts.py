"""Sentences about the two parts of reciprocal orthogonality; numbers are computed."""

from collections.abc import Mapping, Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.labels import pair_count, recipe_label, spread, width_of
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.parts import against_batches, parts_table
from lmcbook.pages.analysis.told import Told, change
from lmcbook.pages.analysis.vocabulary import ends, groups

_PARTS = ("isotropic", "common")


def parts_finding(records: Sequence[Record]) -> list[str]:
    """Both parts at the narrowest and the widest, and for each batch size at one width: two for each network."""
    sentences: list[str] = []
    for (recipe,), table in groups(Measurements.of(records).table(parts_table), "recipe"):
        own = table[table["own_batches"]]
        if len(own):  # not of a recipe that was measured with smaller batches alone
            shown = ends(own)
            where = f"{recipe_label(recipe)}, {' → '.join(width_of(rows) for rows in shown)}"
            sentences.append(_told(where, {width_of(rows): rows for rows in shown}))
        one_width = against_batches(table).sort_values("batch_size", kind="stable")
        sizes = groups(one_width, "batch_size")
        if len(sizes) > 1:
            told = " → ".join(f"{size:g}" for (size,), _ in sizes)
            where = f"{recipe_label(recipe)} {width_of(one_width)}, batches of {told}"
            sentences.append(_told(where, {f"batches of {size:g}": rows for (size,), rows in sizes}))
    return sentences


def _told(where: str, shown: Mapping[str, DataFrame]) -> Told:
    first, *_, last = shown.values() if len(shown) > 1 else [*shown.values()] * 2
    ways = ", ".join(f"the {part} part {change(first[part].mean(), last[part].mean())}" for part in _PARTS)
    parts = {place: {f"{part} part": spread(rows[part]) for part in _PARTS} for place, rows in shown.items()}
    found = [{"network": where.split(",")[0], "": place, **of} for place, of in parts.items()]
    return Told(f"{where}: {ways} ({pair_count(*map(len, shown.values()))} each).", found)
