"""Reciprocal orthogonality between hidden layers in its two parts, against width and against batch size."""

from collections.abc import Collection, Sequence

from pandas import DataFrame

from lmcbook.lab.recipes import recipe
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.common_mode import split_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, paper_decay, with_most_batch_sizes

PARTS = ("isotropic", "common", "reciprocal_orthogonality")

MADE_OF = {
    "weight_share": "share of row sums in the weights",
    "activation_share": "share of the mean over units in the features",
    "own_gain": "own gain",
    "constant_share": "share of cross-talk alike for all images",
    "always_on": "share of units always on",
}
"""What the common part is made of, and what goes with it: a column of `split_table` → its name in tables."""


def parts_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair at the paper's weight decay: `PARTS`, root mean squares over the layers 2…L−1.

    Networks of the recipe's own depth. ``own_batches`` says whether the batches are the recipe's.
    """
    return _over_layers(records, PARTS, power=2)


def made_of_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair at the paper's weight decay: `MADE_OF`, means over both networks and the layers 2…L−1.

    Networks of the recipe's own depth. ``own_batches`` says whether the batches are the recipe's.
    """
    return _over_layers(records, MADE_OF, power=1)


def _over_layers(records: Sequence[Record], columns: Collection[str], *, power: int) -> DataFrame:
    """Means of ``columns`` over a pair's layers between hidden units: of their squares, as a root, for a power of 2."""
    inner = _between_hidden_units(records)
    names = [*PAIR, "batch_size", *columns, "own_batches"]
    if inner.empty:
        return DataFrame(columns=names)
    raised = inner.assign(**{name: inner[name] ** power for name in columns})
    means = raised.groupby([*PAIR, "batch_size"], sort=False)[list(columns)].mean().pow(1 / power).reset_index()
    return _with_own_batches(means)[names]


def _between_hidden_units(records: Sequence[Record]) -> DataFrame:
    """The layers of `split_table` that read and have hidden units, of the paper's weight decay and the own depth."""
    table = paper_decay(Measurements.of(records).table(split_table))
    own = {name: recipe(name).training.num_layers for name in table["recipe"].unique()}
    table = table[table["num_layers"].astype(float) == table["recipe"].map(own).astype(float)]
    return table[(table["depth"] > 1) & (table["depth"] < table["num_layers"])]


def _with_own_batches(means: DataFrame) -> DataFrame:
    own = {name: recipe(name).training.batch_size for name in means["recipe"].unique()}
    return means.assign(own_batches=means["batch_size"] == means["recipe"].map(own))


def against_batches(table: DataFrame) -> DataFrame:
    """Of each recipe the rows of one width: the widest of those that were trained with the most batch sizes."""
    return with_most_batch_sizes(table)
