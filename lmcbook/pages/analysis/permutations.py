"""Pairs merged after a permutation of model b: barriers, gains, what matching does inside, and what a search costs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from lmcbook.errors import InputError, one_line
from lmcbook.lab.records import Record, barriers_table, summaries_table
from lmcbook.pages.analysis.layers import alike_error
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, SEEDS, paired, paper_decay, plain

ALIGNMENTS: dict[str, str] = {
    "identity": "unpermuted",
    "random": "b randomly permuted",
    "weight_matching": "b matched by weights",
    "activation_matching": "b matched by activations",
}
"""Alignment → its name in legends and tables."""

BARRIERS = ("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier")
_MEASURED = (
    *("overlap", "reciprocal_orthogonality", "commutativity"),
    *("lewc_cosine", "alike_error", "decay_exponent"),
)
WEIGHTS, ACTIVATIONS, TRAINING = "matching by weights", "matching by activations", "training one network"
_SEARCHES = {"weight_matching": WEIGHTS, "activation_matching": ACTIVATIONS}


def alignment_table(records: Sequence[Record]) -> DataFrame:
    """Barriers at λ = ½ after each alignment, accuracies as fractions, losses in nats, with the fitted β.

    Of several weight decays, the paper's, or the largest where that is not among them.
    """
    table = paper_decay(Measurements.of(records).table(barriers_table))
    table = table[[*PAIR, "alignment", *BARRIERS, "inverse_temperature_midpoint"]].reset_index(drop=True)
    return table.astype(dict.fromkeys(BARRIERS, float))


def gain_table(records: Sequence[Record]) -> DataFrame:
    """The barrier of the randomly permuted pair minus that of the same pair matched."""
    table = Measurements.of(records).table(alignment_table)
    random = table[table["alignment"] == "random"][[*PAIR, *BARRIERS]]
    matched = table[table["alignment"].isin(_SEARCHES)]
    both = paired(matched, random, "recipe", "weight_decay")
    gains = {column: both[f"{column}_second"] - both[column] for column in BARRIERS}
    return both.assign(**gains)[[*PAIR, "alignment", *BARRIERS]]


def plain_and_matched_table(records: Sequence[Record]) -> DataFrame:
    """The accuracy barrier at λ = ½ of each unpermuted pair minus that of the same pair matched by weights (``gain``).

    Of independent pairs, whatever their weight decay, batches and depth.
    """
    table = plain(Measurements.of(records).table(barriers_table))
    same = ("recipe", "weight_decay", "batch_size", "num_layers", "short")
    ways = ("identity", "weight_matching")
    unpermuted, matched = (
        table[table["alignment"] == each][["width_multiplier", *SEEDS, *same, BARRIERS[0]]] for each in ways
    )
    both = paired(unpermuted, matched, *same)
    return both.assign(gain=both[BARRIERS[0]] - both[f"{BARRIERS[0]}_second"])


def before_and_after_table(records: Sequence[Record]) -> DataFrame:
    """Means over layers of each pair, unpermuted and matched by weights, of pairs that were measured both ways.

    Of several weight decays, the paper's, or the largest where that is not among them. ``alike_error`` is the distance
    of the merged logits from LLFC's prediction, relative to these logits.
    """
    table = paper_decay(Measurements.of(records).table(summaries_table))
    table = table.assign(alike_error=alike_error(table))
    table = table[table["alignment"].isin(["identity", "weight_matching"])]
    ways = table.groupby(PAIR)["alignment"].transform("nunique")
    return table[ways == 2][[*PAIR, "lewc_exponent", "alignment", "expected_overlap", *_MEASURED]].reset_index(
        drop=True
    )


def mechanism_table(records: Sequence[Record]) -> DataFrame:
    """Both conditions of each pair of `before_and_after_table`, unpermuted and matched by weights."""
    table = Measurements.of(records).table(before_and_after_table)
    return table[[*PAIR, "alignment", "reciprocal_orthogonality", "commutativity"]].dropna()


def cost_table(records: Sequence[Record]) -> DataFrame:
    """CPU seconds of each search, and wall-clock seconds of one training beside it.

    Records that do not say how long the search took, those of the first release, are left out.
    """
    rows = []
    for record in records:
        searching = record.provenance.get("alignment_cpu_seconds")
        if record.measurement != "interpolation" or record.config.alignment not in _SEARCHES or searching is None:
            continue
        training = record.config.training
        place = (record.recipe, training.width_multiplier, training.weight_decay, *record.config.seeds)
        rows.append((*place, _SEARCHES[record.config.alignment], searching))
        if record.config.alignment == "weight_matching":
            trained = [each["seconds"] for each in record.provenance["training"]]
            rows.append((*place, TRAINING, sum(trained) / len(trained)))
    return DataFrame(rows, columns=[*PAIR, "what", "seconds"])


def read_search_costs(file: Path) -> tuple[DataFrame, dict[str, Any]]:
    """The rows and the provenance that ``benchmarks/matching_cost.py`` wrote.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return DataFrame(content["rows"]), content["provenance"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"file is {str(file)!r}; it must be what benchmarks/matching_cost.py writes ({one_line(error)}): run that "
            "again"
        ) from error
