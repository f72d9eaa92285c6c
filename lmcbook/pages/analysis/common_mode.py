"""The split of reciprocal orthogonality, layer by layer: its isotropic part, its common part, what they are made of."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record, cross_talk_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, plain

OF_PAIR = (
    *("reciprocal_orthogonality", "varying_orthogonality", "constant_share"),
    *("predicted", "isotropic", "common", "kappa"),
)
"""What a row of `split_table` holds of the pair."""

OF_EACH = ("predicted_from", "varying_from", "weight_share", "activation_share", "own_gain", "kappa_from")
"""What it holds of each network: columns that end in ``_a`` and ``_b``; without the ending, the mean of both."""

OF_UNITS = ("firing", "always_on", "dead")
"""The same of the units of the layer itself; empty for the classifier."""


def split_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent unpermuted pair and each layer that reads units, shortcuts aside.

    ``isotropic`` and ``common`` are roots: their squares add up to that of ``predicted``, the closed form of
    `lmcbook.layerwise.common_mode` from both networks. ``predicted_from`` is what each of the two tells alone, the root
    of the mean of their squares; so is ``varying_from``, of what differs between images.
    """
    table = Measurements.of(records).table(cross_talk_table)
    wanted = [*OF_PAIR, *(f"{name}_{network}" for name in (*OF_EACH, *OF_UNITS) for network in "ab")]
    table = table.reindex(columns=[*table.columns, *(name for name in wanted if name not in table)])
    table = plain(as_they_are(table[table["depth"].notna()])).astype({name: float for name in wanted})
    means = {name: (table[f"{name}_a"] + table[f"{name}_b"]) / 2 for name in (*OF_EACH, *OF_UNITS)}
    for name in ("predicted_from", "varying_from"):
        means[name] = ((table[f"{name}_a"] ** 2 + table[f"{name}_b"] ** 2) / 2) ** 0.5
    columns = [*PAIR, "batch_size", "num_layers", "layer", "depth", *wanted, *means]
    return table.assign(**means)[columns].astype({"depth": int}).reset_index(drop=True)
