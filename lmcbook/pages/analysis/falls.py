"""Whether something falls with width as one power, and as which: a fit, and a test of what it lacks. No torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from lmcbook.errors import InputError
from lmcbook.pages.analysis.intervals import Interval

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    r"""The line $\log v = \log v_1 + s \log w$ through values $v$ of pairs at width multipliers $w$."""

    slope: float
    """$s$; −½ is the fall of what independent units leave."""
    interval: Interval
    """95 % interval of the slope, from the spread of pairs around the line."""
    at_one: float
    """$v_1$, the value of the line at width multiplier 1."""
    lack_of_fit: float
    """p of the F test of the line against a mean at each width of its own; small: it is no power of the width."""
    last_slope: float
    """The slope between the means of the logarithms at the two widest."""
    num_pairs: int
    num_widths: int

    @property
    def is_power(self) -> bool | None:
        """Whether one power fits; None where the test rejects nothing at three widths or fewer."""
        if self.lack_of_fit < 1 - CONFIDENCE:
            return False
        return True if self.num_widths > 3 else None


def fit_fall(widths: Sequence[float], values: Sequence[float]) -> Fall | None:
    """The power of the width that values of single pairs fall with, by least squares of the logarithms.

    The lack of fit compares what the means at each width are off the line with the spread of pairs at the same width.

    Returns:
        None where that says nothing: fewer than 3 widths, no width with two pairs, or a value that is not above 0.

    Raises:
        InputError: there is not one width for each value.
    """
    if len(widths) != len(values):
        raise InputError(f"values has {len(values)} entries and widths {len(widths)}; give one width for each pair")
    levels = sorted(set(widths))
    if len(levels) < 3 or min(values) <= 0 or len(values) == len(levels):
        return None
    x, y = np.log(np.asarray(widths, dtype=float)), np.log(np.asarray(values, dtype=float))
    slope, intercept = np.polyfit(x, y, 1)
    off = float(((y - intercept - slope * x) ** 2).sum())
    degrees = len(y) - 2
    error = math.sqrt(off / degrees / float(((x - x.mean()) ** 2).sum()))
    half = float(t_distribution.ppf(0.5 + CONFIDENCE / 2, degrees)) * error
    at = [y[x == math.log(level)] for level in levels]
    pure, pure_degrees = sum(float(((each - each.mean()) ** 2).sum()) for each in at), len(y) - len(levels)
    lack = max(off - pure, 0.0) / (len(levels) - 2)
    ratio = lack / max(pure / pure_degrees, 1e-300)
    last = (at[-1].mean() - at[-2].mean()) / math.log(levels[-1] / levels[-2])
    return Fall(
        slope=float(slope),
        interval=Interval(float(slope) - half, float(slope) + half),
        at_one=math.exp(float(intercept)),
        lack_of_fit=float(f_distribution.sf(ratio, len(levels) - 2, pure_degrees)),
        last_slope=float(last),
        num_pairs=len(y),
        num_widths=len(levels),
    )
