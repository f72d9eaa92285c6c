"""What one network tells of its merges, beside what its pair does: tables, and in one number for each pair."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records.frames import _FLOATS_OF_LAYER, _IDENTITY, _LAYER, _identity, _of, _place, _table, _typed
from lmcbook.lab.records.record import Record

ONE_NETWORK: dict[str, str] = {
    "one_network_orthogonality_error": "|reciprocal orthogonality told by one network − the pair's|, mean over networks"
    " and over the layers 2…L",
    "one_network_exponent_error": "|decay exponent told by κ of one network − the pair's|, mean over networks and over"
    " the layers 2…L",
    "self_merge_accuracy_error": "points that a network loses with its own shuffled copies minus those that the pair"
    " loses (a fraction), mean over both networks",
    "self_merge_temperature_error": "log₂ of β of the merge with shuffled copies over β of the pair's merge, mean over"
    " draws and networks",
}
"""What is summarised of each pair; all of the same two networks."""


def cross_talk_table(records: Sequence[Record]) -> DataFrame:
    """One row for each common_mode record and layer that the closed form covers, with all its metrics as columns.

    They are those of `lmcbook.layerwise.COMMON_MODE_METRICS`. Layers that are left out have no row.
    """
    rows = [
        _place(record, entry) | entry["metrics"]
        for record in _of(records, "common_mode")
        for entry in record.data["layers"]
        if "left_out" not in entry
    ]
    names = dict.fromkeys(name for row in rows for name in row if name not in (*_IDENTITY, "layer", "batch_norm"))
    return _typed(_table(rows, [*_IDENTITY, *_LAYER]), *(names or _FLOATS_OF_LAYER))


def self_merges_table(records: Sequence[Record]) -> DataFrame:
    """One row for each self_merge record, kind of repair and network: what it loses with its shuffled copies.

    ``network`` is a or b, ``repair`` none or lewc_mean. ``told_…`` are means over the copies, ``found_…`` are of the
    pair's merge: ``accuracy`` for the accuracy barrier (a fraction), ``calibrated_loss`` for that of the loss (nats),
    ``inverse_temperature`` for β, a geometric mean. ``told_lowest`` and ``told_highest`` are the accuracy barriers of
    the copies that lose least and most.
    """
    rows: list[dict[str, Any]] = []
    for record in _of(records, "self_merge"):
        place = _identity(record) | {"num_layers": record.config.training.num_layers}
        for repair, pair in record.data["pair"].items():
            for network in "ab":
                alone = record.data[network][repair]
                lost = [alone["own"]["accuracy"] - each["accuracy"] for each in alone["merged"]]
                found = {"network": network, "repair": repair, "told_lowest": min(lost), "told_highest": max(lost)}
                for told, one in (("told", alone), ("found", pair)):
                    found[f"{told}_accuracy"] = one["accuracy_barrier"]
                    found[f"{told}_calibrated_loss"] = one["calibrated_loss_barrier"]
                    found[f"{told}_inverse_temperature"] = 2 ** _log_beta(one)
                rows.append(place | found)
    columns = [f"{told}_{name}" for told in ("told", "found") for name in _TOLD]
    return _typed(
        _table(rows, [*_IDENTITY, "num_layers", "network", "repair", "told_lowest", "told_highest", *columns]),
        "num_layers",
    )


def exponents_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair and layer: decay exponents of the pair's merge, of shuffled copies, and told by κ.

    ``found`` is the pair's, ``told_by_copies`` the mean over both networks and their copies, ``told_by_kappa`` the mean
    over both networks of what κ of one network predicts (empty with batch norm), ``by_pair_kappa`` what κ of the pair
    does. Rows are of pairs with both records, common_mode and self_merge.
    """
    kappas = {_networks(record): record for record in _of(records, "common_mode")}
    rows = []
    for record in _of(records, "self_merge"):
        if (other := kappas.get(_networks(record))) is None:
            continue
        told = {entry["layer"]: entry["metrics"] for entry in other.data["layers"]}
        copies = [draw for name in "ab" for draw in record.data[name]["none"]["merged"]]
        for entry in record.data["pair"]["none"]["merged"][0]["layers"]:
            if entry["depth"] is None:
                continue
            of_copies = [
                each["decay_exponent"] for draw in copies for each in draw["layers"] if each["layer"] == entry["layer"]
            ]
            metrics = told.get(entry["layer"], {})
            rows.append(
                _place(record, entry)
                | {"found": entry["decay_exponent"], "told_by_copies": _mean(of_copies)}
                | {"told_by_kappa": _mean([metrics.get("exponent_from_a"), metrics.get("exponent_from_b")])}
                | {"by_pair_kappa": _mean([metrics.get("exponent")])}
            )
    told_names = ("found", "told_by_copies", "told_by_kappa", "by_pair_kappa")
    return _typed(_table(rows, [*_IDENTITY, *_LAYER, *told_names]), *_FLOATS_OF_LAYER, *told_names)


def one_network_summary(records: Sequence[Record]) -> dict[tuple[Any, ...], dict[str, float]]:
    """The numbers of `ONE_NETWORK` by the pair of networks, as far as its records are there."""
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for record in _of(records, "common_mode"):
        errors = [
            abs(entry["metrics"][f"predicted_from_{name}"] - entry["metrics"]["reciprocal_orthogonality"])
            for entry in record.data["layers"]
            if "left_out" not in entry and entry["depth"] is not None
            for name in "ab"
            if None not in (entry["metrics"][f"predicted_from_{name}"], entry["metrics"]["reciprocal_orthogonality"])
        ]
        found.setdefault(_networks(record), {})["one_network_orthogonality_error"] = _mean(errors)
    kappas = {_networks(record): record for record in _of(records, "common_mode")}
    for record in _of(records, "self_merge"):
        pair, alone = record.data["pair"]["none"], [record.data[name]["none"] for name in "ab"]
        summary = found.setdefault(_networks(record), {})
        lost = fmean(each["accuracy_barrier"] for each in alone)
        summary["self_merge_accuracy_error"] = lost - pair["accuracy_barrier"]
        summary["self_merge_temperature_error"] = fmean(map(_log_beta, alone)) - _log_beta(pair)
        if (other := kappas.get(_networks(record))) is not None:
            exponents = exponents_table([record, other])
            told = exponents[exponents["depth"] > 1]
            summary["one_network_exponent_error"] = float((told["told_by_kappa"] - told["found"]).abs().mean())
    return found


_TOLD = ("accuracy", "calibrated_loss", "inverse_temperature")


def _networks(record: Record) -> tuple[Any, ...]:
    config = record.config
    return record.dataset_sha256, config.training, config.seeds, config.alignment, config.shared, config.shared_fraction


def _log_beta(study: dict[str, Any]) -> float:
    return fmean(math.log2(each["inverse_temperature"]) for each in study["merged"])


def _mean(values: Sequence[float | None]) -> float:
    return fmean(known) if (known := [value for value in values if value is not None]) else math.nan
