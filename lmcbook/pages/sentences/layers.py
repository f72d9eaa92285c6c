"""Sentences about the layers: LEWC and its conditions, active units and ranks; every number in them is computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record, summaries_table
from lmcbook.pages.analysis.curves import temperature_depth_table
from lmcbook.pages.analysis.labels import (
    at_width,
    coefficient_label,
    decay_label,
    enumerated,
    mean_and_deviation,
    number_of_pairs,
    recipe_label,
    signed,
    width_label,
    width_of,
)
from lmcbook.pages.analysis.layers import BATCH_NORM, LEWC, LLFC, law_errors_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.temperatures import rank_correlations, temperature_error_table, temperature_width_table
from lmcbook.pages.analysis.told import Told, by_decay, change, from_narrow_to_wide, with_decays
from lmcbook.pages.analysis.units import both_models_table, gaussian_table, histogram_table, in_both_models
from lmcbook.pages.analysis.vocabulary import decays, ends, groups, paper_decay, widest
from lmcbook.pages.sentences.phrases import by_recipe
from lmcbook.theory.gaussian import INDEPENDENT_COSINE


def lewc_finding(records: Sequence[Record]) -> list[str]:
    """The cosine of the logits, narrowest and widest, at each weight decay: a sentence for each network."""
    return _from_narrow_to_wide(records, "lewc_cosine", "cosine of the logits", digits=3)


def exponent_finding(records: Sequence[Record]) -> list[str]:
    """The decay exponent of the logits at the widest, and which law it is nearer to: a sentence for each network."""
    sentences = []
    for recipe, table in by_recipe(Measurements.of(records).table(summaries_table)):
        chosen = widest(paper_decay(table))
        says = chosen["lewc_exponent"].iloc[0]
        law = f"{'orthogonal networks with batch norm have' if chosen['batch_norm'].all() else 'LEWC says'} {says:g}"
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
        labels = [coefficient_label(at) for at in means.index[nearer]]
        where = f"λ = {enumerated(labels)}" if labels else "no λ"
        if 0.5 not in means.index:
            continue
        middle = means.loc[0.5]
        sentences.append(
            f"{recipe_label(recipe)} at {width_label(logits['width_multiplier'].iloc[0])}: the merged logits are "
            f"nearer to {'the law of recomputed batch norm' if orthogonal == BATCH_NORM else LEWC} than to LLFC at "
            f"{where}; at the midpoint they are {middle[orthogonal]:.2f} of their own norm away "
            f"from the former and {middle[LLFC]:.2f} from the latter."
        )
    return sentences


def prediction_finding(records: Sequence[Record]) -> list[str]:
    """Fitted over predicted inverse temperature at the widest, at each weight decay: a sentence for each network."""
    sentences: list[str] = []
    for recipe, table in by_recipe(Measurements.of(records).table(temperature_width_table)):
        network = f"{recipe_label(recipe)} at {width_label(table['width_multiplier'].max())}"
        rows, sides = [], {}
        for decay, of_decay in decays(table):
            chosen = widest(of_decay)
            ratio = chosen["fitted_inverse_temperature"] / chosen["predicted_inverse_temperature"]
            said = mean_and_deviation(ratio, 1, 2)
            rows.append({"network": network, "weight decay": decay_label(decay), "fitted over predicted β": said})
            sides[decay_label(decay)] = f"{'above' if ratio.mean() > 1 else 'below'} the prediction"
        sentences.append(Told(f"{network}: the fitted β is {with_decays(sides)}.", rows))
    return sentences


def depth_finding(records: Sequence[Record]) -> list[str]:
    """Fitted beside predicted inverse temperature at λ = ½ for each number of layers: a sentence for each network."""
    sentences: list[str] = []
    table = Measurements.of(records).table(temperature_depth_table)
    table = table[table["coefficient"] == 0.5]
    for recipe, of_recipe in by_recipe(table):
        chosen = widest(of_recipe)
        fitted, predicted = "fitted_inverse_temperature", "predicted_inverse_temperature"
        network = f"{recipe_label(recipe)} at {width_label(chosen['width_multiplier'].iloc[0])}"
        found = [
            {
                "network": network,
                "layers": f"{layers:g}",
                "β fitted": mean_and_deviation(deep[fitted], 1, 2),
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
    for recipe, table in by_recipe(Measurements.of(records).table(temperature_error_table)):
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
    sentences: list[str] = []
    for recipe, table in by_recipe(Measurements.of(records).table(summaries_table)):
        network = f"{recipe_label(recipe)} at {width_label(table['width_multiplier'].max())}"
        rows, sides = [], {}
        for decay, of_decay in decays(table):
            cosine = widest(of_decay)["weak_additivity"]
            said = mean_and_deviation(cosine, 1, 3)
            rows.append({"network": network, "weight decay": decay_label(decay), "cosine, mean over layers": said})
            sides[decay_label(decay)] = f"{'above' if cosine.mean() > INDEPENDENT_COSINE else 'below'} that"
        said = f"independent Gaussians would have {INDEPENDENT_COSINE:.3f}, and the mean over hidden layers is"
        sentences.append(Told(f"{network}: {said} {with_decays(sides)}.", rows))
    return sentences


def signs_finding(records: Sequence[Record]) -> list[str]:
    """The share of pre-activations with opposite signs, narrowest and widest: a sentence for each network."""
    return _from_narrow_to_wide(
        records, "opposite_signs", "pre-activations with opposite signs", factor=100, digits=0, unit="%"
    )


def explained_finding(records: Sequence[Record]) -> list[str]:
    """What the cosine of weak additivity lacks to 1, beside what the sizes explain: a sentence for each network."""
    sentences: list[str] = []
    for recipe, table in by_recipe(Measurements.of(records).table(gaussian_table)):
        rows, sides = [], {}
        for decay, chosen in decays(table):
            lacking, gaussian = (1 - chosen[column].mean() for column in ("weak_additivity", "gaussian"))
            sides[decay_label(decay)] = "nearer to 1" if lacking < gaussian else "further from 1"
            rows.append(
                {
                    "network": recipe_label(recipe),
                    "weight decay": decay_label(decay),
                    "1 − measured cosine": f"{lacking:.3f}",
                    "1 − cosine of Gaussians of these sizes": f"{gaussian:.3f}",
                }
            )
        said = "beside those of Gaussians of the same sizes, the mean of the measured cosines is"
        sentences.append(Told(f"{recipe_label(recipe)}: {said} {with_decays(sides)}.", rows))
    return sentences


def histogram_finding(records: Sequence[Record]) -> list[str]:
    """How many units are in the lowest tenth of the histograms, narrowest and widest: a sentence for each network."""
    sentences: list[str] = []
    table = Measurements.of(records).table(histogram_table)
    lowest = table[table["low"] == 0].assign(share=100 * table["share"])
    for recipe, of_recipe in by_recipe(lowest):
        parts = ends(of_recipe)
        means = [part["share"].mean() for part in parts]
        rows = [
            {
                "network": recipe_label(recipe),
                "width": width_of(part),
                "units in the lowest tenth (%), mean over layers": f"{mean:.1f}",
            }
            for part, mean in zip(parts, means, strict=True)
        ]
        way = (
            f"{change(means[0], means[-1], digits=1)} from narrow to wide"
            if len(means) > 1
            else "was measured at one width"
        )
        sentences.append(Told(f"{recipe_label(recipe)}: the share of units in the lowest tenth {way}.", rows))
    return sentences


def places_finding(records: Sequence[Record]) -> list[str]:
    """How many of the most active units are the same in both models of a pair: a sentence for each network."""
    sentences: list[str] = []
    table = in_both_models(Measurements.of(records).table(both_models_table))
    for recipe, of_recipe in by_recipe(table):
        rows = [
            {
                "network": recipe_label(recipe),
                "width": width_label(width),
                "units above half of the largest in a model": f"{chosen['either'].sum()}",
                "in both models": f"{chosen['both'].sum()}",
            }
            for (width,), chosen in groups(of_recipe, "width_multiplier")
        ]
        shares = [part["both"].sum() / max(1, part["either"].sum()) for part in ends(of_recipe)]
        said = "of the units that exceed half of the largest in a model, the share that do so in both"
        way = f"{change(shares[0], shares[-1])} from narrow to wide" if len(shares) > 1 else "was measured at one width"
        sentences.append(Told(f"{recipe_label(recipe)}: {said} {way}.", rows))
    return sentences


def activity_finding(records: Sequence[Record]) -> list[str]:
    """How many units carry the layers, narrowest and widest, at each weight decay: a sentence for each network."""
    name = "units that carry 90 % of a hidden layer's second moment"
    return _from_narrow_to_wide(records, "active_share", name, factor=100, digits=0, unit="%")


def overlap_finding(records: Sequence[Record]) -> list[str]:
    """The overlap of active units at the widest beside that of independent units: a sentence for each network."""
    sentences = []
    for recipe, table in by_recipe(Measurements.of(records).table(summaries_table)):
        chosen = widest(paper_decay(table))
        network = f"{recipe_label(recipe)} at {width_of(chosen)}"
        excess = chosen["overlap"] - chosen["expected_overlap"]
        said = f"the active units of the two models overlap by {mean_and_deviation(chosen['overlap'], 1, 3)}"
        more = "more" if excess.mean() >= 0 else "less"
        size = excess if more == "more" else -excess
        than = f"{mean_and_deviation(size, 1, 3)} {more} than in random places ({number_of_pairs(chosen)})"
        sentences.append(f"{network}: {said}, {than}.")
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
    for recipe, table in by_recipe(Measurements.of(records).table(summaries_table).dropna(subset=[column])):
        found = by_decay(table, column, factor, digits)
        rows = [
            {"network": recipe_label(recipe), "weight decay": decay, "narrowest": narrow, "widest": wide}
            for decay, narrow, wide, _ in found
        ]
        measured = f"{name} ({unit})" if unit else name
        said = f"{recipe_label(recipe)}, {measured}: {from_narrow_to_wide(found)} ({number_of_pairs(table)})."
        sentences.append(Told(said, rows))
    return sentences
