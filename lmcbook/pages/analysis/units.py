"""The units of hidden layers: which are active, in how many directions they vary, what their sizes explain."""

import math
from collections.abc import Sequence

import numpy
from pandas import DataFrame, concat

from lmcbook.lab.records import Record, histograms_table, summaries_table, units_table
from lmcbook.pages.analysis.layers import weak_additivity_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.vocabulary import PAIR, SEEDS, as_they_are, paper_decay
from lmcbook.theory.gaussian import gaussian_cosine

_BINS = 10
_MOMENTS = ["root_second_moment_a", "root_second_moment_b"]


def histogram_table(records: Sequence[Record]) -> DataFrame:
    """The share of units in each bin of root second moments, mean over pairs and models.

    Bins are tenths of the layer's largest root second moment. Unpermuted pairs, of the paper's weight decay, or of
    the largest where that is not among them.
    """
    table = Measurements.of(records).table(histograms_table)
    names = ["recipe", "width_multiplier", "weight_decay", "layer", "depth"]
    table = paper_decay(as_they_are(table))
    if table.empty:
        return DataFrame(columns=[*names, "low", "high", "share"])
    table = table.assign(bin=(table["low"] * _BINS + 1e-9).astype(int), share=(table["share_a"] + table["share_b"]) / 2)
    summed = table.groupby([*names, *SEEDS, "bin"], sort=False)["share"].sum()
    mean = summed.groupby([*names, "bin"], sort=False).mean().reset_index()
    return mean.assign(low=mean["bin"] / _BINS, high=(mean["bin"] + 1) / _BINS)[[*names, "low", "high", "share"]]


def both_models_table(records: Sequence[Record]) -> DataFrame:
    """Units of the second hidden layer of one pair, at the narrowest and the widest.

    Root second moments relative to the largest of the layer in either model.
    """
    table = Measurements.of(records).table(units_table)
    table = paper_decay(as_they_are(table[table["depth"] == 2]))
    names = [*PAIR, "layer", *_MOMENTS]
    parts = []
    for _, of_recipe in table.groupby("recipe", sort=False):
        widths = of_recipe["width_multiplier"]
        chosen = of_recipe[widths.isin([widths.min(), widths.max()])]
        parts.append(chosen[chosen["seed_a"] == chosen["seed_a"].min()])
    if not parts:
        return DataFrame(columns=names)
    chosen = concat(parts, ignore_index=True)
    largest = chosen.groupby(["recipe", "width_multiplier"])[_MOMENTS].transform("max").max(axis=1)
    return chosen.assign(**{name: chosen[name] / largest for name in _MOMENTS})[names]


def in_both_models(table: DataFrame) -> DataFrame:
    """`both_models_table`, with the columns ``both`` and ``either``: above half of the largest in which models."""
    above = table[_MOMENTS] > 0.5
    return table.assign(both=above.all(axis=1), either=above.any(axis=1))


def active_table(records: Sequence[Record]) -> DataFrame:
    """Overlap and share of active units: means over hidden layers of each unpermuted pair."""
    return _summaries(records)[[*PAIR, "overlap", "expected_overlap", "active_share"]].reset_index(drop=True)


def rank_table(records: Sequence[Record]) -> DataFrame:
    """Ranks of the weights: means over the layers 2…L−1 and the two models of each unpermuted pair."""
    ranks = ["effective_rank", "relative_effective_rank", "stable_rank", "relative_stable_rank"]
    return _summaries(records)[[*PAIR, *ranks]].dropna().reset_index(drop=True)


def gaussian_table(records: Sequence[Record]) -> DataFrame:
    """The measured cosine of weak additivity of each hidden layer beside that of Gaussians of the units' sizes.

    ``gaussian`` is the limit of the cosine for independent, centred Gaussians that have the units' measured second
    moments; it is empty where no unit is active. A row is one pair of one width, decay and layer.
    """
    measurements = Measurements.of(records)
    units = measurements.table(units_table)
    place = [*PAIR, "num_layers", "layer"]
    grouped = as_they_are(units).groupby(place, sort=False, dropna=False)[_MOMENTS]
    found = [(*key, _cosine(of_layer.to_numpy(dtype=float))) for key, of_layer in grouped]
    sizes = DataFrame(found, columns=[*place, "gaussian"]).astype(units[place].dtypes)
    merged = measurements.table(weak_additivity_table).merge(sizes, on=place, how="inner")
    return merged[[*PAIR, "num_layers", "layer", "depth", "gaussian", "weak_additivity"]]


def _cosine(moments: numpy.ndarray) -> float:
    return gaussian_cosine(*moments.T) if moments.any() else math.nan


def _summaries(records: Sequence[Record]) -> DataFrame:
    return as_they_are(Measurements.of(records).table(summaries_table))
