"""What was predicted of the controls of the common mode, and whether the interval over pairs agrees."""

import math
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from lmcbook.errors import InputError
from lmcbook.pages.analysis.intervals import Interval, mean_interval

Word = Literal["held", "refuted", "undecided", "not measured"]

STATISTICS: dict[str, str] = {
    "gain": "points that the repair by LEWC's means brings",
    "mean_gain": "points that the repair by the mean of the means brings",
    "better": "points that the plain average loses less than in the recipe's own training",
    "common_gain": "points that subtracting the common cross-talk brings",
    "rest_gain": "points that subtracting the rest of the mean cross-talk brings",
    "beyond_middle": "points nearer to batches of 125 than the middle of both",
    "ensemble_gap": "points that the repaired average lacks to the ensemble",
    "exponent_error": "log₂ of the fitted over the predicted inverse temperature, repaired",
    "lost": "points that the plain average loses",
    "common_part": "root of the common part of reciprocal orthogonality, mean over layers between hidden units",
}
"""What each statistic of ``controls.toml`` is, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One sentence about one control, written before it was measured."""

    control: str
    statistic: str
    """One of `STATISTICS`."""
    statement: str
    low: float = -math.inf
    high: float = math.inf
    """Between these the mean over pairs was predicted to lie, in the statistic's unit."""


def read_predictions(text: str) -> tuple[Prediction, ...]:
    """The predictions of a file such as ``controls.toml``.

    Raises:
        InputError: a prediction has an unknown or missing key, an unknown statistic, no bound, or bounds that
            contradict each other.
    """
    found = []
    for row in tomllib.loads(text)["prediction"]:
        if not {"control", "statistic", "statement"} <= row.keys() <= set(Prediction.__dataclass_fields__):
            raise InputError(
                f"a prediction has the keys {sorted(row)}; it may have {[*Prediction.__dataclass_fields__]}"
            )
        prediction = Prediction(**row)
        if prediction.statistic not in STATISTICS:
            raise InputError(f"statistic is {prediction.statistic!r}; it may be one of: {', '.join(STATISTICS)}")
        if not prediction.low < prediction.high or {"low", "high"}.isdisjoint(row):
            raise InputError(f"bounds of {prediction.control} are {prediction.low} and {prediction.high}; low < high")
        found.append(prediction)
    return tuple(found)


PREDICTIONS = read_predictions(files("lmcbook.pages.claims").joinpath("controls.toml").read_text("utf-8"))


def judged(prediction: Prediction, values: list[float]) -> Word:
    """``held`` where the interval lies within the bounds, ``refuted`` where outside them, else ``undecided``."""
    if not values:
        return "not measured"
    return word_of(mean_interval(values), prediction.low, prediction.high)


def word_of(interval: Interval, low: float, high: float) -> Word:
    """``held`` where an interval lies within the bounds, both included, ``refuted`` where outside, else undecided."""
    if low <= interval.low and interval.high <= high:
        return "held"
    return "refuted" if interval.high < low or interval.low > high else "undecided"
