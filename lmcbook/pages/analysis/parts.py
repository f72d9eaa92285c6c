"""Reciprocal orthogonality between hidden layers in its two parts, against width and against batch size."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.recipes import recipe
from lmcbook.lab.records import Record
from lmcbook.pages.analysis.common_mode import split_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, paper_decay, with_most_batch_sizes

PARTS = ("isotropic", "common", "reciprocal_orthogonality")


def parts_table(records: Sequence[Record]) -> DataFrame:
    """One row for each pair at the paper's weight decay: `PARTS`, root mean squares over the layers 2…L−1.

    Networks of the recipe's own depth. ``own_batches`` says whether the batches are the recipe's.
    """
    table = paper_decay(Measurements.of(records).table(split_table))
    names = [*PAIR, "batch_size", *PARTS, "own_batches"]
    if table.empty:
        return DataFrame(columns=names)
    trained = {name: recipe(name).training for name in table["recipe"].unique()}
    own_depth = [
        trained[name].num_layers == layers for name, layers in zip(table["recipe"], table["num_layers"], strict=True)
    ]
    inner = table[own_depth]
    inner = inner[(inner["depth"] > 1) & (inner["depth"] < inner["num_layers"])]
    squares = inner.assign(**{name: inner[name] ** 2 for name in PARTS})
    means = squares.groupby([*PAIR, "batch_size"], sort=False)[list(PARTS)].mean().pow(0.5).reset_index()
    own = [trained[name].batch_size == size for name, size in zip(means["recipe"], means["batch_size"], strict=True)]
    return means.assign(own_batches=own)[names]


def against_batches(table: DataFrame) -> DataFrame:
    """Of each recipe the rows of one width: the widest of those that were trained with the most batch sizes."""
    return with_most_batch_sizes(table)
