"""Pairs that share nothing, the order of the examples, or their start: barriers, laws and conditions as it moves."""

from collections.abc import Sequence

from pandas import DataFrame, concat

from lmcbook.lab.records import Record, layers_table, pairs_table
from lmcbook.pages.analysis.layers import alike_error, error_at_half_size, relative_to_the_layer
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, plain

NOTHING, ORDER = "nothing", "order"
MECHANISMS = ("orthogonal_error", "alike_error", "reciprocal_orthogonality", "commutativity")
"""What `mechanisms_table` has of each pair, beside the decay exponents of its layers."""

_COLUMNS = (
    *("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier", "endpoint_accuracy"),
    *("decay_exponent", "orthogonal_error", "alike_error", "reciprocal_orthogonality", "commutativity"),
    "weak_additivity",
)
_PLACE = (*PAIR, "lewc_exponent", "batch_norm", "shared", "shared_fraction", "in_common")


def in_common(shared: str, fraction: float) -> str:
    """What a pair has in common, in a word: ``nothing``, ``order``, or the part of the training, ``0 %``, ``10 %``."""
    return shared if shared != "start" else f"{100 * fraction:g} %"


def name_of(kind: str) -> str:
    """What a pair has in common, ``first 10 %``, as legends and tables write it."""
    return {NOTHING: "nothing shared", ORDER: "order alone", "0 %": "initialisation"}.get(kind, f"first {kind}")


def spawned_table(records: Sequence[Record]) -> DataFrame:
    """One row for each unpermuted pair: what it shares, barriers, and laws and conditions at λ = ½.

    ``in_common`` is ``nothing``, ``order``, or the part of the training that the two have in common. Exponent and
    errors are of the logits, conditions are means over layers. ``alike_error`` is the distance from LLFC's prediction,
    ``orthogonal_error`` that from what orthogonal networks give: LEWC's, or with recomputed batch norm half of LLFC's
    (the same for two layers). Both are relative to the merged logits, not to what each law predicts: one denominator.
    """
    table = _with_words(Measurements.of(records).table(pairs_table))
    exponent, law = table["decay_exponent"], table["lewc_exponent"]
    alike = alike_error(table)
    lewc = relative_to_the_layer(table["lewc_error"], exponent, law)
    halved = error_at_half_size(alike, exponent)
    table = table.assign(alike_error=alike, orthogonal_error=lewc.where(law != 2, halved))
    return _ordered(table.astype(dict.fromkeys(_COLUMNS, float)))[[*_PLACE, *_COLUMNS]]


def mechanisms_table(records: Sequence[Record]) -> DataFrame:
    """One row for each number: of what pair, what it shares, which quantity, the `MECHANISMS` or a decay exponent.

    ``layer`` and ``depth`` say where the decay exponent was measured; errors are of the logits, conditions are means.
    """
    layers = _with_words(Measurements.of(records).table(layers_table))
    at = (layers["metric"] == "decay_exponent") & (layers["coefficient"] == 0.5) & layers["depth"].notna()
    others = Measurements.of(records).table(spawned_table).melt([*_PLACE], [*MECHANISMS], "quantity", "value")
    table = concat([layers[at].rename(columns={"metric": "quantity"}), others], ignore_index=True)
    return _ordered(table[[*_PLACE, "layer", "depth", "quantity", "value"]])


def _with_words(table: DataFrame) -> DataFrame:
    """Unpermuted pairs trained without a penalty, with what they have in common in a word."""
    table = plain(as_they_are(table), sharing=True)
    return table.assign(
        in_common=[in_common(*each) for each in zip(table["shared"], table["shared_fraction"], strict=True)]
    )


def _ordered(table: DataFrame) -> DataFrame:
    place = table["shared"].map({NOTHING: 0, ORDER: 1, "start": 2}) + table["shared_fraction"]
    ordered = table.assign(place=place).sort_values(["place", "seed_a"], kind="stable").drop(columns="place")
    first = {recipe: index for index, recipe in enumerate(table["recipe"].unique())}
    return ordered.sort_values("recipe", key=lambda names: names.map(first), kind="stable").reset_index(drop=True)
