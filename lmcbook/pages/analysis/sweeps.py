"""One thing in training varied: weight decay, batch size, or a penalty against low rank; what merging then costs."""

import math
from collections.abc import Sequence
from statistics import fmean

from pandas import DataFrame

from lmcbook.data import describe
from lmcbook.lab.records import Record, pairs_table
from lmcbook.pages.analysis.layers import lewc_cosine_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, as_they_are, paper_decay, plain, with_most_batch_sizes
from lmcbook.theory import rank_bound
from lmcbook.training.schedule import decay_product

FULL, SPARED, SHORTER = "full", "spared", "shorter"
"""Kinds of training: as the recipe says; batch norm's own parameters left alone by the decay; for fewer epochs."""

MEASURED = (
    *("relative_effective_rank", "relative_stable_rank", "reciprocal_orthogonality", "weak_additivity"),
    *("midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier", "endpoint_accuracy"),
)
"""What tables of batch sizes and of penalties hold of each pair, as `lmcbook.lab.records.pairs_table` calls it."""

_OF_DECAYS = (
    *("endpoint_accuracy", "midpoint_accuracy_barrier", "midpoint_loss_barrier", "midpoint_calibrated_loss_barrier"),
    *("reciprocal_orthogonality", "weak_additivity", "relative_effective_rank", "relative_stable_rank"),
    *("active_share", "lowest_bin_share", "overlap", "expected_overlap"),
)


def decay_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent unpermuted pair: its kind of training, barriers and what was measured inside.

    ``kind`` is ``full``, ``spared`` or ``shorter``, the latter than other trainings of the same recipe here;
    ``decay_product`` is the sum over steps of learning rate × weight decay / (1 − momentum). Trainings with a penalty
    on the spectrum are left out.
    """
    trainings = [record.config.training for record in records if record.measurement == "interpolation"]
    products = {each: decay_product(each, describe(each.dataset).num_train) for each in set(trainings)}
    table = Measurements.of(records).table(pairs_table)
    table = table.assign(
        epochs=[training.epochs for training in trainings],
        kind=[FULL if training.decay_normalisation else SPARED for training in trainings],
        decay_product=[products[training] for training in trainings],
        endpoint_accuracy=table["endpoint_accuracy"].astype(float),
    )
    table = plain(as_they_are(table))
    longest = table.groupby("recipe")["epochs"].transform("max")
    table = table.assign(kind=table["kind"].where(table["epochs"] == longest, SHORTER))
    return table[[*PAIR, "kind", "epochs", "decay_product", *_OF_DECAYS]].reset_index(drop=True)


def decay_cosine_table(records: Sequence[Record]) -> DataFrame:
    """LEWC's cosine at λ = ½ in each layer, ``lewc_cosine``, of the pairs of `decay_table` whose training is ``full``.

    Networks whose batch norm does not decay are left out, though their pair and its weight decay may be there.
    """
    decayed = [record for record in records if record.config.training.decay_normalisation]
    table = Measurements.of(records).table(decay_table)
    return lewc_cosine_table(decayed).merge(table[table["kind"] == FULL][PAIR], on=PAIR)


def penalty_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent unpermuted pair: its penalty against low rank and what was `MEASURED`.

    Barriers are those at λ = ½; the others are means over layers, or over the two networks.
    """
    table = plain(as_they_are(Measurements.of(records).table(pairs_table)), penalised=True)
    numbers = dict.fromkeys(MEASURED, float)
    return table[[*PAIR, "spread_penalty", *MEASURED]].astype(numbers).reset_index(drop=True)


def batch_table(records: Sequence[Record]) -> DataFrame:
    """One row for each independent unpermuted pair, at the paper's weight decay or the largest there is.

    Its batch size and what was `MEASURED`, as in `penalty_table`; ``training_loss``, the mean loss of both trainings in
    their last epoch (in nats, empty where a record does not have it); and the stable ranks of the outer layers.
    """
    trainings = [record.provenance.get("training", []) for record in records if record.measurement == "interpolation"]
    losses = [fmean(each["final_loss"] for each in both) if both else math.nan for both in trainings]
    table = Measurements.of(records).table(pairs_table).assign(training_loss=losses)
    table = paper_decay(plain(as_they_are(table)))
    columns = ("batch_size", *MEASURED, "training_loss", "stable_rank_first", "stable_rank_last")
    numbers = dict.fromkeys(columns, float)
    return table[[*PAIR, *numbers]].astype(numbers).reset_index(drop=True)


def one_width(records: Sequence[Record]) -> DataFrame:
    """`batch_table`, of each recipe the width that was trained with the most batch sizes, by batch size."""
    shown = with_most_batch_sizes(Measurements.of(records).table(batch_table))
    return shown.sort_values("batch_size", kind="stable").reset_index(drop=True)


def rank_bounds(records: Sequence[Record]) -> DataFrame:
    """What the low-rank bound of Galanti et al. allows: a row for each recipe, width and batch size of `one_width`.

    ``bound`` is `lmcbook.theory.rank_bound` at the training's highest learning rate, where it is the tightest, and
    ``full_rank`` the most that a matrix between two hidden layers can have. Multilayer perceptrons with weight decay.
    """
    rows = []
    for record in records:
        training = record.config.training
        if training.architecture != "mlp" or training.hidden_width is None or training.weight_decay == 0:
            continue
        number = {name: getattr(training, name) for name in ("batch_size", "learning_rate", "weight_decay", "momentum")}
        full_rank = max(1, round(training.hidden_width * training.width_multiplier))
        rows.append(
            {
                "recipe": record.recipe,
                "width_multiplier": training.width_multiplier,
                "batch_size": training.batch_size,
                "weight_decay": training.weight_decay,
                "bound": rank_bound(**number),
                "full_rank": full_rank,
            }
        )
    if not rows:
        return DataFrame(columns=["recipe", "width_multiplier", "batch_size", "weight_decay", "bound", "full_rank"])
    keys = ["recipe", "width_multiplier", "batch_size", "weight_decay"]
    shown = Measurements.of(records).table(one_width)[keys]
    return shown.drop_duplicates().merge(DataFrame(rows).drop_duplicates(), on=keys)


def several_widths(records: Sequence[Record]) -> DataFrame:
    """`batch_table`, of each recipe the batch sizes that were trained at more than one width."""
    table = Measurements.of(records).table(batch_table)
    widths = table.groupby(["recipe", "batch_size"])["width_multiplier"].transform("nunique")
    return table[widths > 1].reset_index(drop=True)
