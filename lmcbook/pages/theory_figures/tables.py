"""The tables of the chapters on theory: what their figures draw, and what stands on the page in words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pandas import DataFrame

Numbers = Iterable[Any]
"""Any iterable of values that `float` converts, such as a tensor with one axis."""


def layer_table(panels: Mapping[str, Mapping[str, Numbers]]) -> DataFrame:
    """Panel → series → one number for each layer, as a table with the columns panel, series, depth, value."""
    rows = [
        {"panel": panel, "series": series, "depth": depth, "value": float(value)}
        for panel, lines in panels.items()
        for series, values in lines.items()
        for depth, value in enumerate(values, start=1)
    ]
    return DataFrame(rows, columns=["panel", "series", "depth", "value"])


def coefficient_table(coefficients: Sequence[float], panels: Mapping[str, Iterable[Numbers]]) -> DataFrame:
    """A `layer_table` of panel → one row of numbers for each λ, which becomes the series."""
    labels = [f"λ = {each:g}" for each in coefficients]
    return layer_table({name: dict(zip(labels, rows, strict=True)) for name, rows in panels.items()})


def worst_table(conditions: Mapping[str, Mapping[str, Numbers]]) -> DataFrame:
    """Pair → condition → an error for each layer, as a table of the largest errors in words for a page."""
    worst = {
        pair: {
            name: max((float(each) for each in errors if not math.isnan(each)), default=0.0)
            for name, errors in of.items()
        }
        for pair, of in conditions.items()
    }
    table = DataFrame(worst).T.map(lambda error: "0" if error == 0 else f"{error:.2g}")
    return table.rename_axis(columns="largest error over the layers")


def share_table(energies: Mapping[str, Mapping[str, float]]) -> DataFrame:
    """Layer → part → energy, as a table of shares of the first layer's sum in words for a page."""
    whole = sum(next(iter(energies.values())).values())
    table = DataFrame(energies).T.map(lambda energy: "0" if energy < 1e-12 * whole else f"{100 * energy / whole:.1f} %")
    return table.rename_axis(columns="share of the cross-talk")


def rise_table(rise: Mapping[str, float]) -> DataFrame:
    """The fields of `lmcbook.theory.BoundedRise` as a table for a page: a bound that guessing keeps too is vacuous."""
    names = {
        "measured": "measured: merged network above the ensemble",
        "useless_above": "a network that guesses",
        "to_second_order": "bound from the measured error, second order",
        "from_error": "bound from the measured error, first order",
        "from_conditions": "bound from the two conditions",
    }
    rows = {
        said: {
            "rise of the calibrated loss (nats)": f"{rise[name]:.3g}",
            "": "" if "bound" not in said else "vacuous" if rise[name] >= rise["useless_above"] else "says something",
        }
        for name, said in names.items()
    }
    return DataFrame(rows).T


def cosine_table(cosines: Mapping[int, Numbers]) -> DataFrame:
    """Dimension → simulated cosines, as a table with the columns dimension, cosine."""
    rows = [{"dimension": dimension, "cosine": float(each)} for dimension, values in cosines.items() for each in values]
    return DataFrame(rows, columns=["dimension", "cosine"])
