"""Sentences about floors under barriers; numbers are computed."""

from collections.abc import Sequence

from lmcbook.lab.records import Record
from lmcbook.pages.analysis.floor_fit import CONFIDENCE, FloorFit
from lmcbook.pages.analysis.floors import Fitted, decided, ensemble_fits, floor_fits
from lmcbook.pages.analysis.labels import decay_label, enumerated, pair_count, recipe_label, width_label
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.told import Told


def floor_finding(records: Sequence[Record]) -> list[str]:
    """Whether a barrier has a floor above zero and how certain that is: a sentence for each network and weight decay.

    Of barriers, and of what merged networks are worse than their ensemble, which is what the theory sends to zero. The
    last sentence names the number of fits. Where a pair loses nothing at all there are no logarithms to fit, and that
    is said.
    """
    measured = Measurements.of(records)
    fits = [*measured.table(floor_fits), *measured.table(ensemble_fits)]
    num_fits = sum(each.fit is not None for each in fits)
    said: dict[tuple[str, float], list[tuple[str, str, dict[str, str]]]] = {}
    for fitted in fits:
        name = fitted.label.removesuffix(")").partition(" (")[0]
        text, row = _of_fit(fitted, fitted.fit, num_fits) if fitted.fit else (_of_none(fitted), {})
        said.setdefault((fitted.recipe, fitted.weight_decay), []).append((name, text, row))
    told: list[str] = []
    for (recipe, decay), parts in said.items():
        network = f"{recipe_label(recipe)}, weight decay {decay_label(decay)}"
        told.append(Told(f"{network}: {_in_words(parts)}.", [{"network": network, **row} for *_, row in parts if row]))
    if num_fits > 1:
        bound = (1 - CONFIDENCE) / num_fits
        told.append(
            f"{num_fits} fits were made, so a floor counts as one where p is below 5 % / {num_fits} = {bound:.2g}."
        )
    return told


def _in_words(parts: Sequence[tuple[str, str, dict[str, str]]]) -> str:
    """What is said of each measure; of all at once where that is the same."""
    alike: dict[str, list[str]] = {}
    for name, text, _ in parts:
        alike.setdefault(text, []).append(name)
    if len(alike) == 1 and len(parts) > 1:
        return f"{next(iter(alike))}, whichever of the {len(parts)} measures is fitted"
    return "; ".join(f"{enumerated(names)}: {text}" for text, names in alike.items())


def _of_fit(fitted: Fitted, fit: FloorFit, num_fits: int) -> tuple[str, dict[str, str]]:
    """What a fit says in words, and its numbers."""
    factor, (name, _, unit) = fitted.factor, fitted.label.removesuffix(")").partition(" (")
    row = {
        "of": f"{name}, {unit}",
        f"{100 * CONFIDENCE:.0f} % interval of the floor": f"{factor * fit.low:.2g} to {factor * fit.high:.2g}",
        "p": f"{fit.p_value:.2g}",
        "p, lack of fit": "–" if fit.lack_of_fit != fit.lack_of_fit else f"{fit.lack_of_fit:.2g}",
        "pairs, widths": f"{fit.num_pairs}, {fit.num_widths}",
    }
    word = decided(fit, num_fits=num_fits)
    if word == "no such curve":
        return "the pairs do not lie on such a curve, so its floor means nothing", row
    return (f"a floor of {factor * fit.floor:.2g} {unit}" if word == "a floor" else word), row


def _of_none(fitted: Fitted) -> str:
    """Why there is no fit."""
    pairs, column = fitted.pairs, fitted.column
    nothing = pairs[pairs[column] <= 0]
    if nothing.empty:
        return f"too few widths for a fit ({pairs['width_multiplier'].nunique()})"
    width = nothing["width_multiplier"].max()
    here = pairs[pairs["width_multiplier"] == width]
    lost = int((here[column] <= 0).sum())
    verb = "loses" if lost == 1 else "lose"
    return f"{lost} of {pair_count(len(here))} at {width_label(width)} {verb} nothing, so none is fitted"
