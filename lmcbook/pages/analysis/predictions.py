"""What was predicted of the controls of the common mode, and whether the interval over pairs agrees.

The file is another one than that of the claims, as both parts of a judgement are: claims are of networks that are
trained as their recipe says, have two ranges and end in the ledger; predictions are of trainings that differ from their
recipe in one thing, which no claim counts, and have one range: inside it they hold, outside they are refuted.
"""

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from lmcbook.errors import InputError, check_choice
from lmcbook.lab.plan import CONTROLS, NOISE
from lmcbook.pages.analysis.checked_rows import NUMBER, TEXT, Kinds, check_bounds, check_row, naming, read_toml
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


PLACED = {0.125: "placed, an eighth used", 1.0: "placed, all used"}
"""Share of the places that the units of a narrow network fill in a wider one → what the control is called."""

_CONTROLS = (*CONTROLS, *NOISE, *PLACED.values(), *(f"{number} networks" for number in range(2, 9)))
_NEEDED: Kinds = dict.fromkeys(("control", "statistic", "statement"), TEXT)
_KEYS: Kinds = {**_NEEDED, "low": NUMBER, "high": NUMBER}


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
        InputError: the file is no TOML, or a prediction has an unknown or missing key, an unknown control or statistic,
            no bound, or bounds that are no numbers or contradict each other.
    """
    found = []
    for row in read_toml(text, "predictions").get("prediction", []):
        with naming(f"prediction {row.get('control', 'without a control')!r}"):
            check_row(row, _KEYS, _NEEDED, "a prediction")
            check_choice("control", row["control"], _CONTROLS)
            check_choice("statistic", row["statistic"], STATISTICS)
            bounds = {name: row[name] for name in ("low", "high") if name in row}
            check_bounds(row["statistic"], bounds)
            prediction = Prediction(**row)
            if not bounds or not prediction.low < prediction.high:
                raise InputError(f"its bounds are {prediction.low} and {prediction.high}; give some, low < high")
            found.append(prediction)
    return tuple(found)


# beside claims.toml: `lmcbook.pages.claims` stands on the analysis and is not imported for it
PREDICTIONS = read_predictions(files("lmcbook.pages").joinpath("claims", "controls.toml").read_text("utf-8"))


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
