"""Sentences about the two parts of reciprocal orthogonality; numbers are computed."""

from collections.abc import Mapping, Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.falls import fit_fall
from lmcbook.pages.analysis.intervals import difference_interval
from lmcbook.pages.analysis.labels import mean_and_deviation, pair_count, recipe_label, signed, width_of
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
    """`parts_finding`, `parts_predictions`, and what the parts are made of."""
    return [*parts_finding(records), *parts_predictions(records), *made_of(records)]


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


def made_of(records: Sequence[Record]) -> list[str]:
    """In how many networks the shares of constant cross-talk and of units always on rise: with width, with batches.

    Beside it what the common part is made of, at the narrowest and the widest, and for each batch size at one width.
    """
    table = Measurements.of(records).table(made_of_table)
    places = {"From narrow to wide": _widths(table), "From the smallest batches to the largest": _batches(table)}
    rows = [row for shown in places.values() for where, of in shown.items() for row in _made_of(where, of)]
    sentences: list[str] = []
    for way, shown in places.items():
        ends_of = [(first, last) for first, *_, last in (list(of.values()) for of in shown.values())]
        rises = {
            column: sum(
                change(first[column].mean(), last[column].mean(), digits=2) == "rises" for first, last in ends_of
            )
            for column in ("constant_share", "always_on")
        }
        if shown:
            said = f"{way}, the share of cross-talk alike for all images rises in {rises['constant_share']} of"
            said += f" {len(shown)} networks, that of units always on in {rises['always_on']}."
            sentences.append(said if sentences else Told(said, rows))  # one table for both
    return sentences


def made_of_by_batch(records: Sequence[Record]) -> list[str]:
    """How these shares go from the smallest batches to the largest, at the width with the most: one for each network.

    Beside it what the common part is made of.
    """
    sentences: list[str] = []
    for where, shown in _batches(Measurements.of(records).table(made_of_table)).items():
        (small, first), *_, (large, last) = shown.items()
        shares, units = (
            " to ".join(f"{rows[column].mean():.2f}" for rows in (first, last))
            for column in ("constant_share", "always_on")
        )
        said = f"{where}, from {small} to {large}: the share of cross-talk alike for all images goes from {shares}"
        counted = pair_count(*map(len, shown.values()))
        sentences.append(
            Told(f"{said}, that of units always on from {units} ({counted} each).", _made_of(where, shown))
        )
    return sentences


def _widths(table: DataFrame) -> dict[str, dict[str, DataFrame]]:
    """Network → the narrowest and the widest with the recipe's batches, where there are two widths."""
    own = groups(table[table["own_batches"]], "recipe") if len(table) else []
    found = {recipe_label(recipe): {width_of(part): part for part in ends(rows)} for (recipe,), rows in own}
    return {where: shown for where, shown in found.items() if len(shown) > 1}


def _batches(table: DataFrame) -> dict[str, dict[str, DataFrame]]:
    """Network and width → each batch size, at the width with the most, where there are two sizes."""
    found = {}
    for (recipe,), of_recipe in groups(table, "recipe"):
        rows = against_batches(of_recipe).sort_values("batch_size", kind="stable")
        shown = {f"batches of {size:g}": part for (size,), part in groups(rows, "batch_size")}
        if len(shown) > 1:
            found[f"{recipe_label(recipe)} {width_of(rows)}"] = shown
    return found


def _made_of(where: str, shown: Mapping[str, DataFrame]) -> list[dict[str, str]]:
    return [
        {"network": where, "": place, **{name: mean_and_deviation(rows[column]) for column, name in MADE_OF.items()}}
        for place, rows in shown.items()
    ]


def _told(where: str, shown: Mapping[str, DataFrame]) -> Told:
    first, *_, last = shown.values() if len(shown) > 1 else [*shown.values()] * 2
    ways = ", ".join(f"the {part} part {change(first[part].mean(), last[part].mean(), digits=2)}" for part in _PARTS)
    parts = {
        place: {f"{part} part": mean_and_deviation(rows[part]) for part in _PARTS} for place, rows in shown.items()
    }
    found = [{"network": where.split(",")[0], "": place, **of} for place, of in parts.items()]
    return Told(f"{where}: {ways} ({pair_count(*map(len, shown.values()))} each).", found)
