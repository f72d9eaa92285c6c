"""Sentences about repaired merges; numbers are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.falls import Fall
from lmcbook.pages.analysis.intervals import Interval, mean_interval
from lmcbook.pages.analysis.labels import enumerated, network_of, pair_count, recipe_label, signed, width_of
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.repairs import (
    AVERAGED,
    BOTH,
    ENSEMBLE,
    MATCHED,
    PLAIN,
    REPAIRED,
    RESCALED,
    against_width_table,
    curves_of_ways,
    excesses,
    ways_table,
)
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.analysis.vocabulary import ACCURACY, PAIR, ends, groups
from lmcbook.pages.sentences.phrases import NO_VERDICT

_SHOWN = (PLAIN, AVERAGED, REPAIRED, RESCALED, MATCHED, BOTH, ENSEMBLE)


def repair_finding(records: Sequence[Record]) -> list[str]:
    """At how many widths the repair loses less, a sentence for each network and setting.

    Beside it the points lost at the narrowest and the widest in each way of merging.
    """
    sentences: list[str] = []
    for (recipe, setting), part in groups(Measurements.of(records).table(against_width_table), "recipe", "setting"):
        network = f"{recipe_label(recipe)}, {setting}"
        rows = [
            {
                "network": network,
                "width": width_of(table),
                "pairs": str(max(len(each) for _, each in groups(table, "way"))),
                **_by_way(table),
            }
            for table in ends(part)
        ]
        means = part.groupby(["width_multiplier", "way"])[ACCURACY].mean().unstack().reindex(columns=[PLAIN, REPAIRED])
        means = means.dropna()  # widths that have both
        less = int((means[REPAIRED] < means[PLAIN]).sum())
        said = f"LEWC's means lose less than the plain average at {less} of {len(means)} widths"
        sentences.append(Told(f"{network}: {said}.", rows))
    return sentences


def repair_curve_finding(records: Sequence[Record]) -> list[str]:
    """The highest calibrated loss along λ above the line between the ends, in each way: one for each network."""
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(curves_of_ways), "recipe"):
        means = table.groupby(["way", "coefficient"])["calibrated_loss"].mean()
        ends_of = [means[PLAIN, at] for at in (0.0, 1.0)]
        found = []
        for way in _SHOWN:
            if way in means.index.get_level_values("way"):
                excess = means[way] - [ends_of[0] + at * (ends_of[1] - ends_of[0]) for at in means[way].index]
                most, at = signed(excess.max(), 3), f"{excess.idxmax():.2f}"
                found.append({"network": network_of(table), "": way, "most above the chord (nats)": most, "at λ": at})
        said = "; ".join(
            f"{each['']} {each['most above the chord (nats)']}" for each in found if each[""] in (PLAIN, REPAIRED)
        )
        sentences.append(Told(f"{network_of(table)}, most calibrated loss above the chord, in nats: {said}.", found))
    return sentences


def repair_by_batch(records: Sequence[Record]) -> list[str]:
    """With how many batch sizes one bias for each hidden layer lowers what is lost, and with which it does not.

    Beside it the points lost plain and repaired for each batch size of each network.
    """
    rows_of_all, helped, not_with, counted = [], 0, [], []
    table = Measurements.of(records).table(ways_table)
    for _, part in groups(table, "recipe", "weight_decay", "width_multiplier"):
        sizes = groups(part.sort_values("batch_size", kind="stable"), "batch_size")
        if len(sizes) < 2:
            continue
        means = [[rows[rows["way"] == way][ACCURACY].mean() for way in (PLAIN, REPAIRED)] for _, rows in sizes]
        counted += [int((rows["way"] == REPAIRED).sum()) for _, rows in sizes]
        rows_of_all += [
            {"network": network_of(part), "batches of": f"{size:g}", **_by_way(rows, (PLAIN, REPAIRED))}
            for (size,), rows in sizes
        ]
        helped += sum(before > after for before, after in means)
        not_with += [
            f"{network_of(part)} with batches of {size:g}"
            for ((size,), _), (before, after) in zip(sizes, means, strict=True)
            if before <= after
        ]
    if not counted:
        return []
    said = f"One bias for each hidden layer lowers the loss of accuracy in {helped} of {len(counted)} settings"
    but = f", not for {enumerated(not_with)}" if not_with else ""
    return [Told(f"{said}{but} ({pair_count(*counted)} each).", rows_of_all)]


def excess_finding(records: Sequence[Record]) -> list[str]:
    """Whether what is lost beyond the ensemble falls with width as one power: a sentence for each way of merging.

    Beside it every setting, with the exponent and what the test says of it.
    """
    rows = [
        {"network": f"{recipe_label(each.recipe)}, {each.setting}", "merge": each.way} | _of_fall(each.fall, each.pairs)
        for each in Measurements.of(records).table(excesses)
    ]
    sentences: list[str] = []
    for way in dict.fromkeys(row["merge"] for row in rows):
        words = [row["one power"] for row in rows if row["merge"] == way]
        holds, others = words.count(_HOLDS), words.count(_DOES_NOT_HOLD)
        said = f"one power of the width is rejected in {words.count(_REJECTED)} of {len(words)} settings and not in"
        text = f"{way[0].upper()}{way[1:]}: {said} {holds + others}, where {holds} of the intervals hold −½."
        sentences.append(text if sentences else Told(text, rows))  # one table for all ways, network by network
    return sentences


_REJECTED, _HOLDS, _DOES_NOT_HOLD = "rejected", "not rejected, holds −½", "not rejected, does not hold −½"


def _of_fall(fall: Fall | None, pairs: DataFrame) -> dict[str, str]:
    """What a fit of one power says, or why there is none."""
    if fall is None:
        lost = (pairs["excess"] <= 0).sum()
        reason = f"{lost} of {len(pairs)} pairs lose nothing" if lost else "too few widths or pairs"
        return {"one power": f"undecided: {reason}"}
    half = _HOLDS if fall.interval.low <= -0.5 <= fall.interval.high else _DOES_NOT_HOLD
    return {
        "one power": {True: half, False: _REJECTED, None: "undecided: too few widths"}[fall.is_power],
        "exponent (95 % interval)": f"{signed(fall.slope, 2)} ({_interval(fall.interval, 2)})",
        "p, lack of fit": f"{fall.lack_of_fit:.2g}",
        "between the two widest": signed(fall.last_slope, 2),
        "pairs, widths": f"{fall.num_pairs}, {fall.num_widths}",
    }


def repair_verdict(records: Sequence[Record]) -> str:
    """What one bias for each hidden layer brings, where it does not, and what matching would bring on top of it."""
    words: list[str] = []
    rows, on_top = [], 0
    for _, table in groups(Measurements.of(records).table(ways_table), "recipe", "setting", "width_multiplier"):
        change, top = _paired(table, PLAIN, REPAIRED), _paired(table, REPAIRED, BOTH)
        if len(change) > 1:
            words.append(_decided(change))
            on_top += len(top) > 1 and _decided(top) == "gain"
            rows.append(
                {
                    "network": f"{recipe_label(table['recipe'].iloc[0])}, {table['setting'].iloc[0]}",
                    "width": width_of(table),
                    "points brought": _points(change),
                    "verdict": words[-1],
                    "matching with REPAIR on top": _points(top) if len(top) > 1 else "–",
                }
            )
    if not rows:
        return NO_VERDICT
    lines = [
        f"- It brings points in {words.count('gain')} of {len(rows)} settings and widths, does harm in "
        f"{words.count('harm')}, and the pairs cannot tell in {words.count('undecided')} (95 % intervals over pairs).",
        f"- Weight matching with REPAIR behind it brings more on top in {on_top}." if on_top else "",
    ]
    text = "\n".join(line for line in lines if line)
    said = "**Verdict.** One bias for each hidden layer, set to LEWC's means, against the plain average"
    return Told(f"{said}:\n\n{text}", rows)


def _decided(change: Sequence[float]) -> str:
    """Whether the 95 % interval over pairs lies above 0 (a gain), below it (harm) or over it."""
    interval = mean_interval(change)
    return "gain" if interval.low > 0 else "harm" if interval.high < 0 else "undecided"


def _by_way(table: DataFrame, shown: Sequence[str] = _SHOWN) -> dict[str, str]:
    found = {way: table[table["way"] == way][ACCURACY] for way in shown}
    return {way: signed(100 * values.mean(), 1) for way, values in found.items() if len(values)}


def _paired(table: DataFrame, first: str, second: str) -> list[float]:
    """What ``second`` loses less than ``first``, pair by pair, in points."""
    one, other = (table[table["way"] == way].set_index(PAIR)[ACCURACY] for way in (first, second))
    return [100 * float(value) for value in (one - other).dropna()]


def _points(values: Sequence[float]) -> str:
    mean, interval = sum(values) / len(values), mean_interval(values)
    return f"{signed(mean, 1)} points ({_interval(interval, 1)}; {pair_count(len(values))})"


def _interval(interval: Interval, digits: int) -> str:
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"
