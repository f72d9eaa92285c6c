"""The controls of the common mode: what averages lose, plain and repaired, and what became of each prediction."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy
from pandas import DataFrame

from lmcbook.evaluation.scale import sum_of_powers
from lmcbook.lab.plan import RECIPE, control_of
from lmcbook.lab.records import Record, cross_talk_table, pairs_table
from lmcbook.pages.analysis.intervals import mean_interval
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.predictions import PLACED, PREDICTIONS, Prediction, judged
from lmcbook.pages.analysis.vocabulary import ACCURACY, as_they_are, groups, plain

LEAST_ACCURACY = 0.8
"""Networks that are right less often were not trained by their control: they decide nothing."""

KINDS = ("plain", "mean", "lewc_mean", "without_common_cross_talk", "without_mean_cross_talk", "ensemble")
"""Of what the points lost are: the plain average, repaired averages, those without cross-talk, and the ensemble."""

_PAIR = ["recipe", "scale", "width_multiplier", "batch_size", "control", "seed_a", "seed_b"]
_FULL_COPIES = 16
_OF_MANY = ("plain", "lewc_mean", "ensemble")


def merges_table(records: Sequence[Record]) -> DataFrame:
    """One row for each kind of average of each pair, group of networks or placement: points lost, β, calibrated loss.

    Points lost are the networks' mean accuracy minus that of the average, times 100. ``control`` says what was changed
    in training; of groups it is ``k networks``, of placements ``placed``, whose places have ``share`` and ``copies``.
    Networks that several records average count once.
    """
    rows = []
    for record in records:
        if record.measurement not in ("controls", "many", "placement"):
            continue
        training, (a, b) = record.config.training, record.config.seeds
        place = {
            "recipe": record.recipe,
            "scale": record.scale,
            "width_multiplier": training.width_multiplier,
            "batch_size": training.batch_size,
            "seed_a": a,
            "seed_b": b,
            "num_layers": training.num_layers,
        }
        networks = None
        for entry in record.data["merges"]:
            networks = entry if entry["kind"] == "networks" else networks
            assert networks is not None  # it is the first of each group of entries
            rows.append(
                place
                | {
                    "control": _name(record, entry),
                    "networks": entry.get("networks", 2),
                    "units": entry.get("units"),
                    "copies": entry.get("copies"),
                    "share": entry.get("share"),
                    "draw": entry.get("draw"),
                    "kind": entry["kind"],
                    "accuracy": entry["accuracy"],
                    "network_accuracy": networks["accuracy"],
                    "lost": 100 * (networks["accuracy"] - entry["accuracy"]),
                    "inverse_temperature": entry["inverse_temperature"],
                    "calibrated_loss": entry["calibrated_loss"],
                }
            )
    columns = [*_PAIR, "networks", "units", "copies", "share", "draw", "kind", "accuracy", "network_accuracy", "lost"]
    table = DataFrame(rows, columns=[*columns, "num_layers", "inverse_temperature", "calibrated_loss"])
    # groups of two scales may begin with the same networks, which count once
    same = [name for name in (*_PAIR, "units", "copies", "draw", "kind") if name != "scale"]
    return table.drop_duplicates(same, ignore_index=True)


def _name(record: Record, entry: dict[str, object]) -> str:
    if record.measurement == "controls":
        return control_of(record.recipe, record.config.training, scale=record.scale) or "another training"
    return f"{entry['networks']} networks" if record.measurement == "many" else "placed"


def controls_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair and control: points lost by each of `KINDS`, and the networks' accuracy; no placements."""
    table = Measurements.of(records).table(merges_table)
    table = table[table["control"] != "placed"]
    if table.empty:
        return DataFrame(columns=[*_PAIR, "network_accuracy", "trained", *KINDS])
    wide = table.pivot_table(
        index=[*_PAIR, "network_accuracy"], columns="kind", values="lost", sort=False
    ).reset_index()
    wide = wide.reindex(columns=[*_PAIR, "network_accuracy", *KINDS])
    return wide.assign(trained=wide["network_accuracy"] >= LEAST_ACCURACY)


def placement_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair and placement, means over draws: points lost plain and repaired against the share used."""
    table = Measurements.of(records).table(merges_table)
    table = table[(table["control"] == "placed") & table["kind"].isin(["plain", "lewc_mean"])]
    keys = [*_PAIR, "units", "copies", "share"]
    if table.empty:
        return DataFrame(columns=[*keys, "plain", "lewc_mean"])
    wide = table.pivot_table(index=keys, columns="kind", values="lost", aggfunc="mean", sort=False)
    return wide.reset_index()


def placed_beside_trained(placed: Sequence[Record], trained: Sequence[Record]) -> DataFrame:
    """What trained networks lose, and narrow networks at random places of wider, of which as many units are active.

    One row for each recipe and width of ``trained``: ``active``, the share of units that carry 90 % of a layer's second
    moment, ``lost`` and ``placed_lost``, points, one entry for each pair, the latter interpolated in the logarithm of
    the share of places to the same active share. The placed networks' own active share is that of their width, in
    ``trained``. Left out are that width itself, which would be compared with itself, and widths whose active share no
    placement has.
    """
    table = plain(as_they_are(Measurements.of(trained).table(pairs_table))).dropna(subset=["active_share"])
    places = Measurements.of(placed).table(placement_table)
    places = places[places["copies"] == 1].sort_values("share")
    rows = []
    for (recipe,), of_recipe in groups(places, "recipe"):
        own = table[table["recipe"] == recipe]
        narrow = own[own["width_multiplier"] == of_recipe["width_multiplier"].iloc[0]]["active_share"].mean()
        for (width,), pairs in groups(own.sort_values("width_multiplier"), "width_multiplier"):
            active = float(pairs["active_share"].mean())
            share = active / narrow
            itself = width == of_recipe["width_multiplier"].iloc[0]
            if itself or not of_recipe["share"].min() <= share <= of_recipe["share"].max():
                continue
            lost = [
                float(
                    numpy.interp(math.log(share), numpy.log(pair["share"].astype(float)), pair["plain"].astype(float))
                )
                for _, pair in groups(of_recipe, "seed_a", "seed_b")
            ]
            found = {"recipe": recipe, "width_multiplier": width, "active": active}
            rows.append(found | {"lost": [*(100 * pairs[ACCURACY].astype(float))], "placed_lost": lost})
    return DataFrame(rows, columns=["recipe", "width_multiplier", "active", "lost", "placed_lost"])


def many_table(records: Sequence[Record]) -> DataFrame:
    r"""One row for each group and number of networks k: points lost, the ensemble's gap, and β's error in exponent.

    ``exponent_error`` is $\log_2$ of the fitted inverse temperature over $k^{L-1}$ times the ensemble's, of the plain
    average (``plain_error``) and of the repaired average (``lewc_mean_error``). ``plain_loss``, ``lewc_mean_loss`` and
    ``ensemble_loss`` are test losses after calibration, in nats.
    """
    table = Measurements.of(records).table(merges_table)
    table = table[table["control"].str.endswith(" networks")] if len(table) else table
    rows = []
    for place, group in groups(table, *_PAIR, "networks", "num_layers"):
        by_kind = group.set_index("kind")
        networks, layers = place[-2:]
        predicted = by_kind.at["ensemble", "inverse_temperature"] / sum_of_powers([1 / networks] * networks, layers)
        rows.append(
            dict(zip([*_PAIR, "networks"], place[:-1], strict=True))
            | {kind: by_kind.at[kind, "lost"] for kind in _OF_MANY}
            | {f"{kind}_loss": by_kind.at[kind, "calibrated_loss"] for kind in _OF_MANY}
            | {
                f"{kind}_error": math.log2(by_kind.at[kind, "inverse_temperature"] / predicted)
                for kind in ("plain", "lewc_mean")
            }
        )
    kinds = [*_OF_MANY, *(f"{kind}_loss" for kind in _OF_MANY), "plain_error", "lewc_mean_error"]
    return DataFrame(rows, columns=[*_PAIR, "networks", *kinds])


def common_parts_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair and control: ``common`` and ``isotropic``, means over layers between hidden units."""
    rows = []
    for record in records:
        if record.measurement != "common_mode":
            continue
        training, (a, b) = record.config.training, record.config.seeds
        control = control_of(record.recipe, training, scale=record.scale)
        if control is None:
            continue
        layers = cross_talk_table([record])
        between = layers[(layers["depth"] >= 2) & (layers["depth"] < (training.num_layers or 0))]
        rows.append(
            {"recipe": record.recipe, "scale": record.scale, "width_multiplier": training.width_multiplier}
            | {"batch_size": training.batch_size, "control": control, "seed_a": a, "seed_b": b}
            | {name: float(between[name].mean()) for name in ("common", "isotropic")}
        )
    return DataFrame(rows, columns=[*_PAIR, "common", "isotropic"])


def outcomes_table(records: Sequence[Record]) -> DataFrame:
    """One row for each prediction and batch size: what was seen of each pair, its 95 % t interval, and the verdict.

    Only networks that were trained decide (`LEAST_ACCURACY`); of a control whose networks were not, the verdict is
    ``not trained``.
    """
    rows = []
    measured = Measurements.of(records)
    for prediction in PREDICTIONS:
        for (recipe, size), values, untrained in _values(prediction, measured):
            low, high = mean_interval(values)
            word = "not trained" if untrained and not values else judged(prediction, values)
            rows.append(
                {
                    "control": prediction.control,
                    "statement": prediction.statement,
                    "statistic": prediction.statistic,
                    "recipe": recipe,
                    "batch_size": size,
                    "mean": fmean(values) if values else math.nan,
                    "low": low,
                    "high": high,
                    "predicted_low": prediction.low,
                    "predicted_high": prediction.high,
                    "pairs": len(values),
                    "verdict": word,
                }
            )
    columns = ["control", "statement", "statistic", "recipe", "batch_size", "mean", "low", "high"]
    return DataFrame(rows, columns=[*columns, "predicted_low", "predicted_high", "pairs", "verdict"])


def _values(prediction: Prediction, measured: Measurements) -> list[tuple[tuple[str, int], list[float], int]]:
    """Recipe and batch size, what each pair says, and how many pairs of networks were not trained."""
    name, statistic = prediction.control, prediction.statistic
    if name in PLACED.values():
        table = measured.table(placement_table)
        share = next(share for share, called in PLACED.items() if called == name)
        copies = _FULL_COPIES if share == 1 else 1
        rows = table[(table["share"] == share) & (table["copies"] == copies)].assign(trained=True)
        values = rows["plain"] - (rows["lewc_mean"] if statistic == "gain" else 0)
        return _by_batch(rows.assign(value=values))
    if statistic == "exponent_error":
        rows = measured.table(many_table)
        rows = rows[rows["control"] == name].assign(trained=True)
        return _by_batch(rows.assign(value=rows["lewc_mean_error"]))
    table = measured.table(controls_table)
    rows = table[table["control"] == name]
    if statistic == "common_part":
        parts = measured.table(common_parts_table).drop(columns="scale")
        same = [each for each in _PAIR if each != "scale"]
        return _by_batch(rows.merge(parts, on=same).assign(value=lambda both: both["common"]))
    if statistic in ("better", "beyond_middle"):
        return _by_batch(_compared(rows, table, statistic))
    values = {
        "gain": lambda: rows["plain"] - rows["lewc_mean"],
        "mean_gain": lambda: rows["plain"] - rows["mean"],
        "common_gain": lambda: rows["plain"] - rows["without_common_cross_talk"],
        "rest_gain": lambda: rows["without_common_cross_talk"] - rows["without_mean_cross_talk"],
        "ensemble_gap": lambda: rows["lewc_mean"] - rows["ensemble"],
        "lost": lambda: rows["plain"],
    }[statistic]()
    return _by_batch(rows.assign(value=values))


def _compared(rows: DataFrame, table: DataFrame, statistic: str) -> DataFrame:
    keys = ["recipe", "seed_a", "seed_b"]
    if statistic == "better":
        others = table[table["control"] == RECIPE][[*keys, "batch_size", "plain"]]
        both = rows.merge(others, on=[*keys, "batch_size"], suffixes=("", "_base"))
        return both.assign(value=both["plain_base"] - both["plain"])
    ends = [table[table["control"] == f"batches of {size}"][[*keys, "plain"]] for size in (500, 125)]
    both = rows.merge(ends[0], on=keys, suffixes=("", "_500")).merge(ends[1], on=keys, suffixes=("", "_125"))
    return both.assign(value=(both["plain_500"] + both["plain_125"]) / 2 - both["plain"])


def _by_batch(rows: DataFrame) -> list[tuple[tuple[str, int], list[float], int]]:
    return [
        (
            (recipe, int(size)),
            part[part["trained"]]["value"].astype(float).tolist(),
            int((~part["trained"].astype(bool)).sum()),
        )
        for (recipe, size), part in groups(rows, "recipe", "batch_size")
    ]
