"""Sentences about repaired merges; numbers are computed."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from pandas import DataFrame

from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.falls import Fall
from lmcbook.pages.analysis.intervals import Interval, mean_interval
from lmcbook.pages.analysis.labels import (
    enumerated,
    mean_and_deviation,
    network_of,
    pair_count,
    recipe_label,
    signed,
    width_label,
    width_of,
)
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.predictions import word_of
from lmcbook.pages.analysis.repairs import (
    AVERAGED,
    BOTH,
    ENSEMBLE,
    MATCHED,
    PLAIN,
    REPAIRED,
    RESCALED,
    TRIAL_RECIPE,
    TRIALS,
    Excess,
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
                "pairs": str(_pairs(table)),
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

    Beside it the points lost plain and repaired for each batch size of each network, with their intervals over
    pairs, and the fitted inverse temperature over LEWC's.
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
            {
                "network": network_of(part),
                "batches of": f"{size:g}",
                "pairs": str(_pairs(rows)),
                **_with_intervals(rows),
            }
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

    Beside it every setting, with the exponent and what the test says of it; once more without the widths of which there
    is a single pair, and whether the answer is another one then.
    """
    rows: list[dict[str, str]] = []
    words: dict[str, list[str]] = {}
    singles, changed = 0, 0
    for each in Measurements.of(records).table(excesses):
        place = {"network": f"{recipe_label(each.recipe)}, {each.setting}"}
        told = _of_fall(each.fall, each.pairs)
        rows.append(place | {"merge": each.way} | told)
        words.setdefault(each.way, []).append(told["one power"])
        if each.singles:
            without = enumerated([width_label(width) for width in each.singles])
            others = each.pairs[~each.pairs["width_multiplier"].isin(each.singles)]
            rest = _of_fall(each.without_singles, others)
            rows.append(place | {"merge": f"{each.way}, without {without}"} | rest)
            singles += 1
            changed += rest["one power"] != told["one power"]
    sentences: list[str] = []
    for way, found in words.items():
        holds, others_of = found.count(_HOLDS), found.count(_DOES_NOT_HOLD)
        said = f"one power of the width is rejected in {found.count(_REJECTED)} of {len(found)} settings and not in"
        text = f"{way[0].upper()}{way[1:]}: {said} {holds + others_of}, where {holds} of the intervals hold −½."
        sentences.append(text if sentences else Told(text, rows))  # one table for all ways, network by network
    if singles:
        sentences.append(f"Without widths of a single pair the answer differs in {changed} of {singles} fits.")
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


def repair_predictions(records: Sequence[Record]) -> list[str]:
    """What became of the predictions on batches and on the fall with width, which no claim judges: a sentence each."""
    records = Measurements.of(records)
    said = [_alike_after_repair(records.table(ways_table)), *_falls_as_predicted(records.table(excesses))]
    return [sentence for sentence in said if sentence]


_APART = 2.0
"""Points that batches of 500 and of 125 differ by at most after the repair: prediction 3, of MNIST at ×1."""


def _alike_after_repair(table: DataFrame) -> str:
    chosen = (table["recipe"] == "mlp-mnist") & (table["width_multiplier"] == 1) & (table["way"] == REPAIRED)
    chosen &= table["weight_decay"] == MAIN_WEIGHT_DECAY
    large, small = (table[chosen & (table["batch_size"] == size)].set_index(PAIR)[ACCURACY] for size in (500, 125))
    apart = [100 * float(value) for value in (large - small).dropna()]
    if len(apart) < 2:
        return ""
    word = word_of(mean_interval(apart), -_APART, _APART)
    said = f"at ×1 on MNIST repaired averages of batches of 500 lose {_mean(apart, 1)} points more than those of 125"
    return f"Prediction 3 {_WORDS[word]}: {said} ({pair_count(len(apart))})."


def _falls_as_predicted(found: Sequence[Excess]) -> list[str]:
    strong = [
        each for each in found if each.fall is not None and (each.pairs["weight_decay"] == MAIN_WEIGHT_DECAY).all()
    ]
    falls = {way: {(each.recipe, each.setting): each.fall for each in strong if each.way == way} for way in _BOTH_WAYS}
    plain, repaired = falls[PLAIN], falls[REPAIRED]
    if not repaired:
        return []
    off = [fall.slope for fall in repaired.values() if fall and not fall.interval.low <= -0.5 <= fall.interval.high]
    said = f"the interval of the repaired average's exponent leaves −½ out in {len(off)} of {len(repaired)} settings"
    exponents = f" with exponents of {signed(min(off), 2)} to {signed(max(off), 2)}" if off else ""
    both = [(fall, repaired.get(key)) for key, fall in plain.items()]
    slower = [fall.slope > after.slope for fall, after in both if fall and after]
    levels = [fall.is_power is False and fall.last_slope > fall.slope for fall in plain.values() if fall]
    return [
        f"Prediction 4 {_WORDS['refuted' if off else 'undecided']}: {said}{exponents}.",
        f"The plain average's loss falls more slowly than after the repair in {sum(slower)} of {len(slower)}. That "
        f"it levels off (one power rejected, flatter between the two widest) is seen in {sum(levels)}.",
    ]


_BOTH_WAYS = (PLAIN, REPAIRED)
_WORDS = {"held": "holds", "refuted": "does not hold", "undecided": "is undecided"}


def trials_finding(records: Sequence[Record]) -> list[str]:
    """Whether trials before the records had the same numbers: `TRIALS` beside means and intervals over pairs."""
    table = Measurements.of(records).table(ways_table)
    table = table[(table["recipe"] == TRIAL_RECIPE) & (table["weight_decay"] == MAIN_WEIGHT_DECAY)]
    rows, near, within = [], 0, []
    for trial in TRIALS:
        chosen = table[
            (table["width_multiplier"] == trial.width_multiplier) & (table["batch_size"] == trial.batch_size)
        ]
        lost = {way: [*(100 * chosen[chosen["way"] == way][ACCURACY])] for way in _BOTH_WAYS}
        if not all(len(values) > 1 for values in lost.values()):
            continue
        for way, seen in ((PLAIN, trial.as_it_is), (REPAIRED, trial.repaired)):
            interval = mean_interval(lost[way])
            within.append(interval.low <= seen <= interval.high)
        near += abs(fmean(lost[REPAIRED]) - trial.repaired) <= _ASKED
        rows.append(
            {
                "network": f"{network_of(chosen)}, batches of {trial.batch_size}",
                "plain: trials": signed(trial.as_it_is, 1),
                "records (95 % interval)": _mean(lost[PLAIN], 1),
                "repaired: trials": signed(trial.repaired, 1),
                "records, repaired": _mean(lost[REPAIRED], 1),
            }
        )
    if not rows:
        return []
    said = f"the records' means are within {_ASKED} points of those of trials in {near} of {len(rows)} settings"
    inside = f"{sum(within)} of the trials' {len(within)} numbers lie in the records' 95 % intervals over pairs"
    return [Told(f"After the repair, {said}; {inside}.", rows)]


_ASKED = 0.2
"""Points to which trials and records were asked to agree after the repair."""


def repair_verdict(records: Sequence[Record]) -> str:
    """How many points one bias for each hidden layer brings, where it does not, and what matching brings on top."""
    rows: list[dict[str, str]] = []
    brought: dict[str, list[float]] = {"gain": [], "harm": [], "undecided": []}
    where: dict[str, dict[str, list[str]]] = {word: {} for word in brought}
    matched, on_top = 0, []
    for _, table in groups(Measurements.of(records).table(ways_table), "recipe", "setting", "width_multiplier"):
        change, top = _paired(table, PLAIN, REPAIRED), _paired(table, REPAIRED, BOTH)
        if len(change) < 2:
            continue
        word, setting = _decided(change), f"{recipe_label(table['recipe'].iloc[0])}, {table['setting'].iloc[0]}"
        brought[word].append(fmean(change))
        where[word].setdefault(setting, []).append(width_of(table))
        if len(top) > 1:
            matched += 1
            on_top += [fmean(top)] if _decided(top) == "gain" else []
        rows.append(
            {
                "network": setting,
                "width": width_of(table),
                "points brought": _points(change),
                "verdict": word,
                "matching with REPAIR on top": _points(top) if len(top) > 1 else "–",
            }
        )
    if not rows:
        return NO_VERDICT
    gains = brought["gain"]
    middle = f" ({signed(median(gains), 1)} in the median)" if len(gains) > 2 else ""
    lines = [
        f"It brings {_from_to(gains)} points{middle} in {len(gains)} of {len(rows)} settings and widths."
        if gains
        else f"It brings points in none of {len(rows)} settings and widths.",
        f"It costs {_from_to([-each for each in brought['harm']])} points in {len(brought['harm'])}:"
        f"{_places(where['harm'])}"
        if brought["harm"]
        else "It does harm in none.",
        f"The pairs cannot tell in {len(brought['undecided'])}:{_places(where['undecided'])}"
        if brought["undecided"]
        else "",
        f"Weight matching with REPAIR behind it brings {_from_to(on_top)} points on top in {len(on_top)} of {matched}."
        if on_top
        else "",
    ]
    said = "**Verdict.** One bias for each hidden layer, set to LEWC's means, against the plain average"
    told = "\n".join(f"- {line}" for line in lines if line)
    return Told(f"{said} (95 % intervals over pairs):\n\n{told}", rows)


def _from_to(values: Sequence[float]) -> str:
    """``0.7 to 22.3``, from the least to the most; a number of its own where there is one."""
    return " to ".join(dict.fromkeys(signed(value, 1) for value in (min(values), max(values))))


def _places(where: Mapping[str, Sequence[str]]) -> str:
    """A list inside a list: ``MLP on digits, weight decay 1e-4, batches of 32, at ×1 and ×2.`` and so on."""
    return "".join(f"\n  - {setting}, at {enumerated(widths)}." for setting, widths in where.items())


def _decided(change: Sequence[float]) -> str:
    """Whether the 95 % interval over pairs lies above 0 (a gain), below it (harm) or over it."""
    interval = mean_interval(change)
    return "gain" if interval.low > 0 else "harm" if interval.high < 0 else "undecided"


def _pairs(table: DataFrame) -> int:
    """How many pairs there are of the way with the most."""
    return max(len(each) for _, each in groups(table, "way"))


def _by_way(table: DataFrame) -> dict[str, str]:
    found = {way: table[table["way"] == way][ACCURACY] for way in _SHOWN}
    return {way: signed(100 * values.mean(), 1) for way, values in found.items() if len(values)}


def _with_intervals(table: DataFrame) -> dict[str, str]:
    """Points lost with their 95 % t intervals over pairs, and β over LEWC's: plain, and repaired."""
    found = {way: table[table["way"] == way] for way in (PLAIN, REPAIRED)}
    lost = {f"points lost, {way} (95 % interval)": _mean([*(100 * rows[ACCURACY])], 1) for way, rows in found.items()}
    ratios = {
        f"β over LEWC's, {way}": mean_and_deviation(
            rows["inverse_temperature_midpoint"] / rows["predicted_inverse_temperature"]
        )
        for way, rows in found.items()
    }
    return {name.replace(REPAIRED, "repaired"): cell for name, cell in {**lost, **ratios}.items()}


def _paired(table: DataFrame, first: str, second: str) -> list[float]:
    """What ``second`` loses less than ``first``, pair by pair, in points."""
    one, other = (table[table["way"] == way].set_index(PAIR)[ACCURACY] for way in (first, second))
    return [100 * float(value) for value in (one - other).dropna()]


def _points(values: Sequence[float]) -> str:
    return f"{signed(fmean(values), 1)} points ({_interval(mean_interval(values), 1)}; {pair_count(len(values))})"


def _mean(values: Sequence[float], digits: int) -> str:
    """``11.6 (6.4 to 16.8)``: a mean and its interval; a single pair has none."""
    interval = f" ({_interval(mean_interval(values), digits)})" if len(values) > 1 else ""
    return f"{signed(fmean(values), digits)}{interval}" if values else "–"


def _interval(interval: Interval, digits: int) -> str:
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"
