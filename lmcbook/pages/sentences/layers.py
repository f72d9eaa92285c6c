"""Sentences about the layers: LEWC and its conditions, active units and ranks; every number in them is computed."""

from collections.abc import Sequence

from pandas import DataFrame

from lmcbook.lab.records import Record, summaries_table
from lmcbook.pages.analysis.curves import temperature_depth_table
from lmcbook.pages.analysis.labels import (
    at_width,
    decay_label,
    ends_in_words,
    number_of_pairs,
    recipe_label,
    signed,
    spread,
    width_label,
)
from lmcbook.pages.analysis.layers import BATCH_NORM, LEWC, LLFC, law_errors_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.temperatures import rank_correlations, temperature_error_table, temperature_width_table
from lmcbook.pages.analysis.told import Told, by_decay, from_narrow_to_wide
from lmcbook.pages.analysis.units import both_models_table, gaussian_table, histogram_table, in_both_models
from lmcbook.pages.analysis.vocabulary import decays, groups, has_batch_norm, paper_decay, widest
from lmcbook.theory.gaussian import INDEPENDENT_COSINE


def lewc_finding(records: Sequence[Record]) -> list[str]:
    """The cosine of the logits, narrowest and widest, at each weight decay: a sentence for each network."""
    return _from_narrow_to_wide(records, "lewc_cosine", "cosine of the logits", digits=3)


def exponent_finding(records: Sequence[Record]) -> list[str]:
    """The decay exponent of the logits at the widest, and which law it is nearer to: a sentence for each network."""
    sentences = []
    for recipe, table in _recipes(Measurements.of(records).table(summaries_table)):
        chosen = widest(paper_decay(table))
        says = chosen["lewc_exponent"].iloc[0]
        law = f"{'orthogonal networks with batch norm have' if has_batch_norm(chosen).all() else 'LEWC says'} {says:g}"
        mean = chosen["decay_exponent"].mean()
        nearer = "the former" if abs(mean - says) < abs(mean - 1) else "the latter"
        sentences.append(
            f"{recipe_label(recipe)}: the logits' decay exponent is {at_width(chosen, 'decay_exponent', 1, 2)}; {law}, "
            f"LLFC says 1: it is nearer to {nearer} ({number_of_pairs(chosen)})."
        )
    return sentences


def law_finding(records: Sequence[Record]) -> list[str]:
    """Which law's prediction of the logits is nearer, at λ = ½ and elsewhere: a sentence for each network.

    Where recomputed batch norm has a law of its own, that law takes LEWC's place.
    """
    sentences = []
    table = Measurements.of(records).table(law_errors_table)
    for recipe in table["recipe"].unique():
        logits = table[table["recipe"] == recipe]
        logits = logits[logits["depth"] == logits["depth"].max()]
        means = logits.groupby(["coefficient", "law"])["error"].mean().unstack()
        orthogonal = BATCH_NORM if BATCH_NORM in means else LEWC
        means = means.dropna(subset=[orthogonal])
        nearer = means[orthogonal] < means[LLFC]
        where = [f"λ = {coefficient:g}" for coefficient in means.index[nearer]]
        if 0.5 not in means.index:
            continue
        middle = means.loc[0.5]
        sentences.append(
            f"{recipe_label(recipe)} at {width_label(logits['width_multiplier'].iloc[0])}: the merged logits are "
            f"nearer to {'the law of recomputed batch norm' if orthogonal == BATCH_NORM else LEWC} than to LLFC at "
            f"{', '.join(where) or 'no λ'}; at the midpoint they are {middle[orthogonal]:.2f} of their own norm away "
            f"from the former and {middle[LLFC]:.2f} from the latter."
        )
    return sentences


def prediction_finding(records: Sequence[Record]) -> list[str]:
    """Fitted over predicted inverse temperature at the widest, at each weight decay: a sentence for each network."""
    sentences = []
    for recipe, table in _recipes(Measurements.of(records).table(temperature_width_table)):
        parts = []
        for decay, of_decay in decays(table):
            chosen = widest(of_decay)
            ratio = chosen["fitted_inverse_temperature"] / chosen["predicted_inverse_temperature"]
            parts.append(f"{spread(ratio, 1, 2)} times the prediction with weight decay {decay_label(decay)}")
        width = width_label(table["width_multiplier"].max())
        sentences.append(f"{recipe_label(recipe)} at {width}: the fitted β is {', '.join(parts)}.")
    return sentences


def depth_finding(records: Sequence[Record]) -> list[str]:
    """Fitted beside predicted inverse temperature at λ = ½ for each number of layers: a sentence for each network."""
    sentences: list[str] = []
    table = Measurements.of(records).table(temperature_depth_table)
    table = table[table["coefficient"] == 0.5]
    for recipe, of_recipe in _recipes(table):
        chosen = widest(of_recipe)
        fitted, predicted = "fitted_inverse_temperature", "predicted_inverse_temperature"
        network = f"{recipe_label(recipe)} at {width_label(chosen['width_multiplier'].iloc[0])}"
        found = [
            {
                "network": network,
                "layers": f"{layers:g}",
                "β fitted": spread(deep[fitted], 1, 2),
                "β predicted": f"{deep[predicted].mean():.2f}",
            }
            for layers, deep in chosen.groupby("num_layers")
        ]
        worst = (chosen[fitted] / chosen[predicted]).map(lambda ratio: max(ratio, 1 / ratio)).max()
        said = f"{network}: β at λ = ½ is predicted at every depth to within a factor of {worst:.2f}, for each pair."
        sentences.append(Told(said, found))
    return sentences


def orthogonality_error_finding(records: Sequence[Record]) -> list[str]:
    """How the error of β goes with reciprocal orthogonality: rank correlations, for each network without batch norm."""
    sentences = []
    for recipe, table in _recipes(Measurements.of(records).table(temperature_error_table)):
        parts = [
            f"{signed(found.value, 2)} with weight decay {decay_label(found.weight_decay)} and {found.num_layers:g} "
            f"layers ({found.num_pairs} pairs)"
            for found in rank_correlations(table)
        ]
        if parts:
            sentences.append(
                f"{recipe_label(recipe)}: Spearman's correlation between the error of log β and mean reciprocal "
                f"orthogonality, over widths, is {', '.join(parts)}."
            )
    return sentences


def additivity_finding(records: Sequence[Record]) -> list[str]:
    """The cosine of weak additivity at the widest beside that of independent Gaussians: a sentence for each network."""
    sentences = []
    for recipe, table in _recipes(Measurements.of(records).table(summaries_table)):
        parts = []
        for decay, of_decay in decays(table):
            chosen = widest(of_decay)
            side = "above" if chosen["weak_additivity"].mean() > INDEPENDENT_COSINE else "below"
            parts.append(f"{spread(chosen['weak_additivity'], 1, 3)} with weight decay {decay_label(decay)} ({side})")
        width = width_label(table["width_multiplier"].max())
        sentences.append(
            f"{recipe_label(recipe)} at {width}, mean over hidden layers: {', '.join(parts)}; independent Gaussians "
            "would "
            f"have {INDEPENDENT_COSINE:.3f}."
        )
    return sentences


def signs_finding(records: Sequence[Record]) -> list[str]:
    """The share of pre-activations with opposite signs, narrowest and widest: a sentence for each network."""
    return _from_narrow_to_wide(
        records, "opposite_signs", "pre-activations with opposite signs", factor=100, digits=0, unit="%"
    )


def explained_finding(records: Sequence[Record]) -> list[str]:
    """What the cosine of weak additivity lacks to 1, beside what the sizes explain: a sentence for each network."""
    sentences = []
    for recipe, table in _recipes(Measurements.of(records).table(gaussian_table)):
        parts = []
        for decay, chosen in decays(table):
            lacking = [1 - chosen[column].mean() for column in ("weak_additivity", "gaussian")]
            side = "less" if lacking[0] < lacking[1] else "more"
            parts.append(f"{lacking[0]:.3f}, {side} than {lacking[1]:.3f}, with weight decay {decay_label(decay)}")
        sentences.append(
            f"{recipe_label(recipe)}: measured cosines lack to 1, against Gaussians of the same sizes, "
            f"{'; '.join(parts)} (means over pairs, widths and hidden layers)."
        )
    return sentences


def histogram_finding(records: Sequence[Record]) -> list[str]:
    """How many units are in the lowest tenth of the histograms, narrowest and widest: a sentence for each network."""
    sentences = []
    table = Measurements.of(records).table(histogram_table)
    lowest = table[table["low"] == 0].assign(share=100 * table["share"])
    for recipe, of_recipe in _recipes(lowest):
        ends = ends_in_words(of_recipe, "share")
        sentences.append(
            f"{recipe_label(recipe)}: in the lowest tenth of the range lie, of 100 units, {ends} (mean over "
            "hidden layers)."
        )
    return sentences


def places_finding(records: Sequence[Record]) -> list[str]:
    """How many of the most active units are the same in both models of a pair: a sentence for each network."""
    sentences = []
    table = in_both_models(Measurements.of(records).table(both_models_table))
    for recipe, of_recipe in _recipes(table):
        parts = [
            f"{chosen['both'].sum()} of {chosen['either'].sum()} at {width_label(width)}"
            for (width,), chosen in groups(of_recipe, "width_multiplier")
        ]
        sentences.append(
            f"{recipe_label(recipe)}: of the units that exceed half of the largest in one of the models, these do so "
            f"in both: {', '.join(parts)}."
        )
    return sentences


def activity_finding(records: Sequence[Record]) -> list[str]:
    """How many units carry the layers, narrowest and widest, at each weight decay: a sentence for each network."""
    name = "units that carry 90 % of a hidden layer's second moment"
    return _from_narrow_to_wide(records, "active_share", name, factor=100, digits=0, unit="%")


def overlap_finding(records: Sequence[Record]) -> list[str]:
    """The overlap of active units at the widest beside that of independent units: a sentence for each network."""
    sentences = []
    for recipe, table in _recipes(Measurements.of(records).table(summaries_table)):
        chosen = widest(paper_decay(table))
        excess = chosen["overlap"] - chosen["expected_overlap"]
        sentences.append(
            f"{recipe_label(recipe)}: the active units of the two models overlap by "
            f"{at_width(chosen, 'overlap', 1, 3)}, those in random places would by "
            f"{spread(chosen['expected_overlap'], 1, 3)}; the difference is {spread(excess, 1, 3)} "
            f"({number_of_pairs(chosen)})."
        )
    return sentences


def rank_finding(records: Sequence[Record]) -> list[str]:
    """The effective rank relative to the size, narrowest and widest, by weight decay: a sentence for each network."""
    return _from_narrow_to_wide(
        records,
        "relative_effective_rank",
        "effective rank of the weights",
        factor=100,
        digits=1,
        unit="% of their size",
    )


def orthogonality_finding(records: Sequence[Record]) -> list[str]:
    """Mean reciprocal orthogonality, narrowest and widest, at each weight decay: a sentence for each network."""
    return _from_narrow_to_wide(records, "reciprocal_orthogonality", "reciprocal orthogonality, mean over layers 2…L")


def commutativity_finding(records: Sequence[Record]) -> list[str]:
    """Mean commutativity, narrowest and widest, at each weight decay: a sentence for each network."""
    return _from_narrow_to_wide(records, "commutativity", "commutativity, mean over layers 2…L, 0 where it holds")


def _from_narrow_to_wide(
    records: Sequence[Record], column: str, name: str, *, factor: float = 1, digits: int = 2, unit: str = ""
) -> list[str]:
    sentences: list[str] = []
    for recipe, table in _recipes(Measurements.of(records).table(summaries_table).dropna(subset=[column])):
        found = by_decay(table, column, factor, digits)
        unit_said = f", {unit}" if unit else ""
        rows = [
            {"network": recipe_label(recipe), "weight decay": decay, f"narrowest{unit_said}": narrow, "widest": wide}
            for decay, narrow, wide, _ in found
        ]
        said = f"{recipe_label(recipe)}, {name}: {from_narrow_to_wide(found)} ({number_of_pairs(table)})."
        sentences.append(Told(said, rows))
    return sentences


def _recipes(table: DataFrame) -> list[tuple[str, DataFrame]]:
    if "alignment" in table:
        table = table[table["alignment"] == "identity"]
    return [(recipe, table[table["recipe"] == recipe]) for recipe in table["recipe"].unique()]
