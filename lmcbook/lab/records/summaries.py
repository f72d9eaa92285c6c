"""What was measured inside each pair of networks, in one number per pair, beside its barriers."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from pandas import DataFrame

from lmcbook.lab.records.flatness import FLATNESS, LINES, flatness_summary
from lmcbook.lab.records.frames import (
    _DEPTH,
    _IDENTITY,
    _NETWORK,
    _depth,
    _identity,
    _of,
    _table,
    _typed,
    barriers_table,
)
from lmcbook.lab.records.one_network import ONE_NETWORK, _networks, one_network_summary
from lmcbook.lab.records.record import Record
from lmcbook.lab.records.repairs import REPAIRED, repair_summary

SUMMARIES: dict[str, str] = {
    "lewc_cosine": "of the logits at λ = ½ with the LEWC prediction",
    "decay_exponent": "of the logits at λ = ½",
    "lewc_error": "of the logits at λ = ½, relative to the prediction",
    "llfc_error": "of the logits at λ = ½, relative to the prediction",
    "weak_additivity": "mean over the hidden layers",
    "opposite_signs": "mean over the hidden layers",
    "overlap": "mean over the hidden layers",
    "expected_overlap": "mean over the hidden layers",
    "active_share": "mean over the hidden layers and the two models",
    "lowest_bin_share": "share of units in the lowest of the histogram's bins, mean over hidden layers and models",
    "reciprocal_orthogonality": "mean over the layers 2…L, shortcuts aside",
    "commutativity": "mean over the layers 2…L, shortcuts aside",
    "stable_rank": "mean over the layers 2…L−1 and the two models",
    "effective_rank": "mean over the layers 2…L−1 and the two models",
    "relative_stable_rank": "mean over the layers 2…L−1 and the two models",
    "relative_effective_rank": "mean over the layers 2…L−1 and the two models",
    "stable_rank_first": "of layer 1, mean over the two models",
    "stable_rank_last": "of the classifier, mean over the two models",
}
"""Every summary, in words. Layers 2…L−1 lie between hidden layers, so that their size grows with the width alone."""

_OF_LOGITS = ("lewc_cosine", "decay_exponent", "lewc_error", "llfc_error")
_OF_HIDDEN = ("weak_additivity", "opposite_signs", "overlap", "expected_overlap")
_OF_PRODUCTS = ("reciprocal_orthogonality", "commutativity")
_OF_WEIGHTS = ("stable_rank", "effective_rank", "relative_stable_rank", "relative_effective_rank")


def summaries_table(records: Sequence[Record]) -> DataFrame:
    """One row for each layerwise record, with its `SUMMARIES`, ``num_layers`` (empty where the architecture decides it)
    and ``lewc_exponent``.

    Means are over the layers in which the metric exists: it does not where a layer of a network is dead.
    """
    rows = [_identity(record) | _depth(record) | layerwise_summary(record) for record in _of(records, "layerwise")]
    return _typed(_table(rows, [*_IDENTITY, *_NETWORK, *SUMMARIES]), *_DEPTH)


def pairs_table(records: Sequence[Record]) -> DataFrame:
    """The rows of `lmcbook.lab.records.barriers_table`, with what else was measured of each pair.

    These are the `SUMMARIES`, of each kind of line `lmcbook.lab.records.FLATNESS`, what is lost after each repair, and
    `ONE_NETWORK`. The same pair is the same two trainings on the same images and the same alignment.
    """
    summaries = {_networks(record): layerwise_summary(record) for record in _of(records, "layerwise")}
    lines = {_networks(record): flatness_summary(record) for record in _of(records, "flatness")}
    repairs = {_networks(record): repair_summary(record) for record in _of(records, "repair")}
    names = [*SUMMARIES, *(f"{kind}_{name}" for kind in LINES[1:] for name in FLATNESS)]
    names += [*(f"{kind}_accuracy_barrier" for kind in REPAIRED), *ONE_NETWORK]
    measured = (summaries, lines, repairs, one_network_summary(records))
    found = [
        {name: value for each in measured for name, value in each.get(_networks(record), {}).items()}
        for record in _of(records, "interpolation")
    ]
    table = _typed(barriers_table(records), *_DEPTH)
    return table.join(DataFrame(found, columns=names, dtype=float))


def layerwise_summary(record: Record) -> dict[str, float]:
    """The numbers of `SUMMARIES` of one layerwise record; not a number where a metric exists in no layer."""
    layers = [entry for entry in record.data["layers"] if entry["depth"] is not None]
    ends = [entry for entry in layers if entry.get("coefficient") is None]
    last = max((entry["depth"] for entry in layers), default=0)
    logits = [entry for entry in layers if entry["depth"] == last and entry.get("coefficient") == 0.5]
    hidden = [entry for entry in ends if "units" in entry]
    after_first = [entry for entry in ends if entry["depth"] > 1]
    between = [entry for entry in after_first if entry["depth"] < last]
    return {
        **{name: _mean(logits, name) for name in _OF_LOGITS},
        **{name: _mean(hidden, name) for name in _OF_HIDDEN},
        "active_share": _mean(hidden, "active_share_a", "active_share_b"),
        "lowest_bin_share": _lowest_bin_share(hidden),
        **{name: _mean(after_first, name) for name in _OF_PRODUCTS},
        **{name: _mean(between, f"{name}_a", f"{name}_b") for name in _OF_WEIGHTS},
        **{
            name: _mean([entry for entry in ends if entry["depth"] == depth], "stable_rank_a", "stable_rank_b")
            for name, depth in (("stable_rank_first", 1), ("stable_rank_last", last))
        },
    }


def _mean(entries: Sequence[dict[str, Any]], *metrics: str) -> float:
    values = [entry["metrics"].get(metric) for entry in entries for metric in metrics]
    return fmean(found) if (found := [value for value in values if value is not None]) else math.nan


def _lowest_bin_share(hidden: Sequence[dict[str, Any]]) -> float:
    counts = [entry["units"][model]["histogram"]["counts"] for entry in hidden for model in "ab"]
    return fmean(each[0] / sum(each) for each in counts) if counts else math.nan
