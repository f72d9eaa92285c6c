"""Sentences about three controls: a penalty on low rank, other lines as long, a common start; numbers are computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import LINES, Record, pairs_table
from lmcbook.pages.analysis.labels import mean_and_deviation, network_of, pair_count, recipe_label, signed, width_of
from lmcbook.pages.analysis.lines import KINDS, along_lines_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.starts import NOTHING, ORDER, name_of, spawned_table
from lmcbook.pages.analysis.sweeps import penalty_table
from lmcbook.pages.analysis.told import Told
from lmcbook.pages.analysis.vocabulary import ACCURACY, CALIBRATED, SEEDS, ends, groups, paired, widest
from lmcbook.pages.sentences.phrases import along


def penalty_finding(records: Sequence[Record]) -> list[str]:
    """Ranks, conditions, barrier and unmerged accuracy for each penalty: a sentence for each network."""
    names = {
        "relative_effective_rank": ("relative effective rank", 1, 2),
        "relative_stable_rank": ("stable rank", 1, 2),
        "reciprocal_orthogonality": ("reciprocal orthogonality", 1, 2),
        "weak_additivity": ("weak additivity", 1, 3),
        ACCURACY: ("accuracy lost by averaging in points", 100, 1),
        "endpoint_accuracy": ("unmerged accuracy in %", 100, 1),
    }
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(penalty_table), "recipe"):
        penalties = groups(table.sort_values("spread_penalty"), "spread_penalty")
        sizes = {f"penalty {size:g}": rows for (size,), rows in penalties}
        found, ways = along(network_of(table), sizes, names)
        said = f"{network_of(table)}, from no penalty to the strongest: {ways}"
        sentences.append(Told(f"{said} ({pair_count(*map(len, sizes.values()))} each).", found))
    return sentences


def penalty_verdict(records: Sequence[Record]) -> str:
    """One sentence: whether the strongest penalty breaks the conditions, and whether merging breaks with them.

    A direction is said only where all pairs agree on it.
    """
    parts = []
    for _, table in groups(Measurements.of(records).table(penalty_table), "recipe"):
        strongest = table["spread_penalty"].max()
        plain, penalised = (table[table["spread_penalty"] == each] for each in (0.0, strongest))
        both = paired(plain, penalised)
        if both.empty or strongest == 0:
            continue
        conditions = [f"{column.replace('_', ' ')} {_verb(both, column, sign)}" for column, sign in _CONDITIONS]
        broken = any(_verb(both, *each) == "worsens" for each in _CONDITIONS)
        more = both[f"{ACCURACY}_second"] - both[ACCURACY]
        merging = _MERGING[broken][_verb(both, ACCURACY, 1)]
        own = both["endpoint_accuracy_second"].mean() - both["endpoint_accuracy"].mean()
        parts.append(
            f"{network_of(table)}: under a penalty of {strongest:g} against low rank {' and '.join(conditions)}, and "
            f"{merging}: {mean_and_deviation(more, 100, 1)} points of accuracy more are lost ({_counted(both)}), while "
            f"the unmerged networks' accuracy moves by {signed(100 * own, 1)} points"
        )
    return _verdict(parts, "without a penalised and a plain training of one network there is none")


_CONDITIONS = (("reciprocal_orthogonality", 1), ("weak_additivity", -1))
"""Condition and the sign of what makes it worse."""

_MERGING = {
    True: {
        "worsens": "merging breaks with it",
        "improves": "merging improves nevertheless",
        "changes": "the pairs disagree on merging",
    },
    False: {
        "worsens": "merging gets worse",
        "improves": "merging improves",
        "changes": "the pairs disagree on merging",
    },
}
"""Whether a condition broke in all pairs → what is said of the barrier."""


def _verb(both: DataFrame, column: str, sign: int) -> str:
    worse = sign * (both[f"{column}_second"] - both[column])
    return "worsens" if (worse > 0).all() else "improves" if (worse < 0).all() else "changes"


def lines_finding(records: Sequence[Record]) -> list[str]:
    """Calibrated loss, accuracy and β halfway, of the widest: a sentence for each network."""
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(along_lines_table), "recipe"):
        halfway = {kind: table[(table["kind"] == kind) & (table["distance"] == 0.5)] for kind in LINES}
        places = {
            "network a": table[table["distance"] == 0],
            **{f"halfway, {_line(k)}": of for k, of in halfway.items()},
        }
        found = [
            {
                "network": network_of(table),
                "": place,
                "calibrated nats": f"{rows['calibrated_loss'].mean():.3f}",
                "accuracy (%)": f"{100 * rows['accuracy'].mean():.1f}",
                "β": f"{rows['inverse_temperature'].median():.2f}",
            }
            for place, rows in places.items()
            if not rows.empty
        ]
        losses = {_line(kind): rows["calibrated_loss"].mean() for kind, rows in halfway.items() if not rows.empty}
        said = f"halfway and calibrated, the walk that loses least is: {min(losses, key=lambda each: losses[each])}"
        counted = pair_count(len(table.groupby(SEEDS)))
        sentences.append(Told(f"{network_of(table)}: {said} ({counted}).", found))
    return sentences


def halfway_finding(records: Sequence[Record]) -> list[str]:
    """How many of the random lines lie above that of the pair halfway, narrowest and widest: one for each network."""
    sentences: list[str] = []
    for _, table in groups(_with_lines(records), "recipe"):
        shares = [{_line(kind): chosen[f"{kind}_above"].mean() for kind in LINES[1:]} for chosen in ends(table)]
        found = [
            {
                "network": recipe_label(chosen["recipe"].iloc[0]),
                "width": width_of(chosen),
                **{f"cost more: {kind}": f"{100 * each:.0f} %" for kind, each in of.items()},
            }
            for chosen, of in zip(ends(table), shares, strict=True)
        ]
        most = [kind for kind, share in shares[-1].items() if share > 0.5]
        said = "halfway than the walk to network b in most cases"
        said = f"these walks cost more {said}: {', '.join(most)}" if most else f"no kind of walk costs more {said}"
        sentences.append(Told(f"{recipe_label(table['recipe'].iloc[0])}: at the widest {said}.", found))
    return sentences


def flatness_verdict(records: Sequence[Record]) -> str:
    """One sentence: whether the way to network b costs less, halfway, than random directions as long, at the widest.

    A direction is said only where all pairs agree on it.
    """
    parts = []
    for _, of_recipe in groups(_with_lines(records), "recipe"):
        table = widest(of_recipe)
        excess, rise = table["global_excess"], table["global_rise"]
        if (excess > 0).all() or (excess < 0).all():
            less = (excess > 0).all()
            said = (
                f"costs {'less' if less else 'more'} than a random direction as long, by "
                f"{mean_and_deviation(excess.abs(), 1, 3)} nats (calibrated, {_agreed(table)}), so that "
                f"flatness {'does not explain it' if less else _POSSIBLE}"
            )
        else:
            said = "costs about what a random direction as long does "
            said += f"(the pairs disagree: {mean_and_deviation(-excess, 1, 3)} nats)"
        parts.append(
            f"{network_of(table)}: halfway, the way to network b {said}; at its end a random direction costs "
            f"{mean_and_deviation(rise, 1, 3)} nats"
        )
    return _verdict(parts, "nothing is measured")


_POSSIBLE = "is not ruled out"


def start_finding(records: Sequence[Record]) -> list[str]:
    """Barriers for each thing that pairs can have in common: a sentence for each network."""
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(spawned_table), "recipe"):
        kinds = groups(table, "in_common")
        found = [
            {
                "network": network_of(table),
                "in common": name_of(kind),
                "points lost": mean_and_deviation(rows[ACCURACY], 100, 1),
                "calibrated nats": mean_and_deviation(rows[CALIBRATED], 1, 3),
            }
            for (kind,), rows in kinds
        ]
        least = min(kinds, key=lambda each: each[1][ACCURACY].mean())
        said = f"averaging costs least where the pairs share {_shared(least[0][0])}"
        counted = pair_count(*(len(rows) for _, rows in kinds))
        sentences.append(Told(f"{network_of(table)}: {said} ({counted} each).", found))
    return sentences


def mechanism_start_finding(records: Sequence[Record]) -> list[str]:
    """Exponent, errors of both laws and both conditions: a sentence for each network.

    Of pairs with nothing in common, with the initialisation alone, and with the longest start: between the first two
    the mechanisms change places. The others are in the figure and its data.
    """
    names = {
        "decay_exponent": "decay exponent",
        "orthogonal_error": "error of the law of orthogonal networks",
        "alike_error": "error of LLFC",
        "reciprocal_orthogonality": "reciprocal orthogonality",
        "commutativity": "commutativity",
    }
    sentences: list[str] = []
    for _, table in groups(Measurements.of(records).table(spawned_table), "recipe"):
        every = groups(table, "in_common")
        kinds = {name_of(kind): rows for (kind,), rows in every if kind in (NOTHING, "0 %", every[-1][0][0])}
        found, ways = along(network_of(table), kinds, {column: (name, 1, 2) for column, name in names.items()})
        said = f"from {next(iter(kinds))} to {list(kinds)[-1]}, {ways}"
        sentences.append(Told(f"{network_of(table)}: {said}.", found))
    return sentences


def start_verdict(records: Sequence[Record]) -> str:
    """One sentence: which law the logits of pairs are nearer to, by what the two networks have in common.

    A law is named only where all pairs are nearer to it.
    """
    parts = []
    for _, table in groups(Measurements.of(records).table(spawned_table), "recipe"):
        nearer: dict[str, list[str]] = {}
        kinds = groups(table, "in_common")
        for (kind,), rows in kinds:
            lead = rows["orthogonal_error"] - rows["alike_error"]
            law = "alike" if (lead > 0).all() else "orthogonal" if (lead < 0).all() else "neither"
            nearer.setdefault(law, []).append(kind)
        order = [kind for (kind,), _ in kinds]
        said = [f"{_LAWS[law]} for {_listed(nearer[law], order)}" for law in _LAWS if law in nearer]
        count = f"{pair_count(*(len(rows) for _, rows in kinds))} each"
        parts.append(f"{network_of(table)}: the merged logits are {', '.join(said)} ({count})")
    return _verdict(parts, "nothing is measured")


_LAWS = {
    "orthogonal": "nearer to the law of orthogonal networks",
    "alike": "nearer to LLFC's",
    "neither": "nearer to the one law in some pairs and to the other in others",
}


def _shared(kind: str) -> str:
    """``the first 20 %``: what two networks share, in words."""
    names = {NOTHING: "nothing", ORDER: "the order alone", "0 %": "the initialisation"}
    return names.get(kind, f"the first {kind}")


def _listed(kinds: Sequence[str], order: Sequence[str]) -> str:
    """``pairs that share nothing, the order alone, …``; ``… or more`` where all longer starts are among them."""
    names = [_shared(each) for each in kinds]
    starts = [kind for kind in kinds if kind not in (NOTHING, ORDER)]
    if len(starts) > 2 and list(order[-len(starts) :]) == starts:
        names = [*names[: len(names) - len(starts)], f"{names[len(names) - len(starts)]} or more"]
    last = " or " if len(names) > 1 else ""
    return f"pairs that share {', '.join(names[:-1])}{last}{names[-1]}"


def _verdict(parts: Sequence[str], otherwise: str) -> str:
    """A sentence, or a list of them where there are several networks."""
    said = [f"{part[0].upper()}{part[1:]}." for part in parts]
    if len(said) > 1:
        return "\n".join(["**Verdict.**", "", *(f"- {each}" for each in said)])
    return f"**Verdict.** {said[0]}" if said else f"**Verdict**: {otherwise}."


def _with_lines(records: Sequence[Record]) -> DataFrame:
    return Measurements.of(records).table(pairs_table).dropna(subset=["global_excess"])


def _line(kind: str) -> str:
    return KINDS[kind]


def _agreed(table: DataFrame) -> str:
    return f"in all {len(table)} pairs" if len(table) > 1 else "in the one pair measured"


def _counted(table: DataFrame) -> str:
    return f"{len(table)} pairs" if len(table) > 1 else "one pair"
