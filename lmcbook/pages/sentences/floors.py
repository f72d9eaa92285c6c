"""Sentences about floors under barriers; numbers are computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.floor_fit import CONFIDENCE
from lmcbook.pages.analysis.floors import floor_fits
from lmcbook.pages.analysis.labels import decay_label, recipe_label, width_label
from lmcbook.pages.analysis.measurements import Measurements


def floor_finding(records: Sequence[Record]) -> list[str]:
    """Whether a barrier has a floor above zero and how certain that is: a sentence for each network and weight decay.

    A floor is said to be there where the interval excludes zero. Where a pair loses nothing at all there are no
    logarithms to fit, and that is said.
    """
    said: dict[tuple[str, float], list[str]] = {}
    for fitted in Measurements.of(records).table(floor_fits):
        column, pairs, fit, factor = fitted.column, fitted.pairs, fitted.fit, fitted.factor
        name, _, unit = fitted.label.removesuffix(")").partition(" (")
        nothing = pairs[pairs[column] <= 0]
        if fit:
            interval = f"{CONFIDENCE:.0%} interval {factor * fit.low:.2g} to {factor * fit.high:.2g} {unit}"
            word = f"a floor of {factor * fit.floor:.2g} {unit}" if fit.low > 0 else "no floor is proved"
            text = f"{word} ({interval}, p = {fit.p_value:.2g}, {fit.num_pairs} pairs)"
        elif not nothing.empty:
            width = nothing["width_multiplier"].max()
            here = pairs[pairs["width_multiplier"] == width]
            lost = (here[column] <= 0).sum()
            text = f"{lost} of {len(here)} pairs at {width_label(width)} lose nothing, so none is fitted"
        else:
            text = f"too few widths for a fit ({pairs['width_multiplier'].nunique()})"
        said.setdefault((fitted.recipe, fitted.weight_decay), []).append(f"{name}: {text}")
    return [
        f"{recipe_label(recipe)}, weight decay {decay_label(decay)}: {'; '.join(parts)}."
        for (recipe, decay), parts in said.items()
    ]
