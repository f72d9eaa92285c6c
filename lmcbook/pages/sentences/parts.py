"""Sentences about the two parts of reciprocal orthogonality; numbers are computed."""

from collections.abc import Mapping, Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.falls import fit_fall
from lmcbook.pages.analysis.intervals import difference_interval
from lmcbook.pages.analysis.labels import mean_and_deviation, network_of, pair_count, recipe_label, signed, width_of
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.parts import MADE_OF, against_batches, made_of_table, parts_table
from lmcbook.pages.analysis.told import Told, change
from lmcbook.pages.analysis.vocabulary import ends, groups
from lmcbook.pages.sentences.split import split_by_batch

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


def split_finding(records: Sequence[Record]) -> list[str]:
    """`parts_finding`, `parts_predictions`, and what the parts are made of by width and by batch size."""
    return [
        *parts_finding(records),
        *parts_predictions(records),
        *made_of_by_width(records),
        *made_of_by_batch(records),
    ]


def by_batch(records: Sequence[Record]) -> list[str]:
    """`split_by_batch`, and what goes with the common part, for the same batch sizes."""
    return [*split_by_batch(records), *made_of_by_batch(records)]


def parts_predictions(records: Sequence[Record]) -> list[str]:
    """What became of the predictions 2 and 3 of the chapter of theorems, a sentence each.

    Beside the first the exponents of both parts against width, with their intervals.
    """
    table = Measurements.of(records).table(parts_table)
    rows, held = [], dict.fromkeys(_PARTS, 0)
    for (recipe,), own in groups(table[table["own_batches"]], "recipe") if len(table) else []:
        row = {"network": recipe_label(recipe)}
        for part, exponent in zip(_PARTS, (-0.5, 0.0), strict=True):
            fall = fit_fall(list(own["width_multiplier"]), list(own[part]))
            if fall is not None:
                low, high = (signed(end, 3) for end in fall.interval)
                row[f"exponent of the {part} part (95 % interval)"] = f"{signed(fall.slope, 3)} ({low} to {high})"
                held[part] += fall.interval.low <= exponent <= fall.interval.high
        rows += [row] if len(row) > 1 else []
    raised = []
    for _, of_width in groups(table, "recipe", "width_multiplier"):
        sizes = of_width["batch_size"]
        small, large = ([*of_width[sizes == size]["common"]] for size in (sizes.min(), sizes.max()))
        if sizes.nunique() > 1 and min(len(small), len(large)) > 1:
            raised.append(difference_interval(large, small).low > 0)
    sentences: list[str] = []
    if rows:
        said = f"the isotropic part's exponent has −½ in its interval in {held['isotropic']} of {len(rows)} networks"
        also = f"the common part's has 0 in {held['common']}"
        sentences.append(Told(f"Prediction 2 of the theorems, a fall of one part alone: {said}, {also}.", rows))
    if raised:
        said = f"the largest batches raise the common part over the smallest in {sum(raised)} of {len(raised)} networks"
        sentences.append(f"Prediction 3 of the theorems: {said} and widths, by the interval of the difference.")
    return sentences


def made_of_by_width(records: Sequence[Record]) -> list[str]:
    """How the shares of cross-talk alike for all images and of units always on go from the narrowest to the widest.

    A sentence for each network with the recipe's batches; beside it what the common part is made of.
    """
    table = Measurements.of(records).table(made_of_table)
    sentences: list[str] = []
    for (recipe,), rows in groups(table[table["own_batches"]], "recipe") if len(table) else []:
        shown = {width_of(part): part for part in ends(rows)}
        if len(shown) > 1:
            sentences.append(_made_of(recipe_label(recipe), shown))
    return sentences


def made_of_by_batch(records: Sequence[Record]) -> list[str]:
    """The same from the smallest batches to the largest, at the width that was trained with the most batch sizes."""
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(made_of_table), "recipe"):
        rows = against_batches(table).sort_values("batch_size", kind="stable")
        shown = {f"batches of {size:g}": part for (size,), part in groups(rows, "batch_size")}
        if len(shown) > 1:
            sentences.append(_made_of(network_of(rows), shown))
    return sentences


def _made_of(where: str, shown: Mapping[str, DataFrame]) -> Told:
    first, *_, last = shown.items()
    shares = [rows["constant_share"].mean() for _, rows in (first, last)]
    places = f"from {first[0]} to {last[0]}"
    said = f"{where}, {places}: the share of cross-talk alike for all images goes from {shares[0]:.2f} to "
    said += f"{shares[1]:.2f}, that of units always on from " + " to ".join(
        f"{rows['always_on'].mean():.2f}" for _, rows in (first, last)
    )
    found = [
        {"network": where, "": place, **{name: mean_and_deviation(rows[column]) for column, name in MADE_OF.items()}}
        for place, rows in shown.items()
    ]
    return Told(f"{said} ({pair_count(*map(len, shown.values()))} each).", found)


def _told(where: str, shown: Mapping[str, DataFrame]) -> Told:
    first, *_, last = shown.values() if len(shown) > 1 else [*shown.values()] * 2
    ways = ", ".join(f"the {part} part {change(first[part].mean(), last[part].mean())}" for part in _PARTS)
    parts = {
        place: {f"{part} part": mean_and_deviation(rows[part]) for part in _PARTS} for place, rows in shown.items()
    }
    found = [{"network": where.split(",")[0], "": place, **of} for place, of in parts.items()]
    return Told(f"{where}: {ways} ({pair_count(*map(len, shown.values()))} each).", found)
