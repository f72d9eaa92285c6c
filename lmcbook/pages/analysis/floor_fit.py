"""Whether barriers go on falling with width or end on a floor, by a fit to all pairs. Numbers alone: no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

from lmcbook.errors import InputError

CONFIDENCE = 0.95
_CANDIDATES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorFit:
    r"""The curve $b(w) = c + (C - c) / (1 + (w/h)^\gamma)$ through barriers $b$ at width multipliers $w$.

    $C$ is what a merged network loses that guesses, so it is known and not fitted; far beyond the half width $h$ what
    stands above the floor $c$ falls as $w^{-\gamma}$.
    """

    floor: float
    """$c$, not negative."""
    low: float
    """Lower end of the confidence interval of the floor; 0 where a fall to zero is compatible with the pairs."""
    high: float
    """Upper end."""
    p_value: float
    """How likely at least as much evidence for a floor is if there is none (F test of c = 0)."""
    lack_of_fit: float
    """How likely at least as large distances of the widths' means from the best curve are if the curve is right
    (`lack_of_fit`). Where that is not likely, its floor means nothing. NaN where nothing can be said."""
    exponent: float
    """$\\gamma$ of the best fit."""
    half_width: float
    """$h$ of the best fit."""
    exponent_without: float
    """$\\gamma$ of the fit without a floor."""
    half_width_without: float
    ceiling: float
    num_pairs: int
    num_widths: int

    def at(self, widths: NDArray[np.float64], *, floor: bool = True) -> NDArray[np.float64]:
        """The fitted curve at ``widths``, or that of the fit without a floor."""
        if floor:
            return _curve(widths, self.floor, self.ceiling, self.half_width, self.exponent)
        return _curve(widths, 0.0, self.ceiling, self.half_width_without, self.exponent_without)


def fit_floor(widths: Sequence[float], barriers: Sequence[float], *, ceiling: float) -> FloorFit | None:
    """Fit the barriers of single pairs, each at its width multiplier, with and without a floor.

    Least squares of the logarithms, which takes the spread over pairs for the same share of the barrier at every width.
    The interval is that of the floors whose best fit an F test does not reject (profile likelihood for Gaussian errors
    of the logarithms); with a handful of pairs it says how little is known, too.

    Args:
        widths: width multipliers.
        barriers: of as many pairs, in any unit.
        ceiling: the barrier of a merged network that guesses, in the same unit.

    Returns:
        None where a fit says nothing: fewer than 4 widths, or a barrier that is not above 0.

    Raises:
        InputError: ``widths`` and ``barriers`` differ in number, or the ceiling is not above 0.
    """
    if len(widths) != len(barriers):
        raise InputError(f"barriers has {len(barriers)} entries and widths {len(widths)}; give one width for each pair")
    if not ceiling > 0:
        raise InputError(f"ceiling is {ceiling:g}; it must be above 0, the barrier of a merged network that guesses")
    if len(set(widths)) < 4 or min(barriers) <= 0:
        return None
    w, b = np.asarray(widths, dtype=float), np.asarray(barriers, dtype=float)
    ceiling = max(ceiling, 1.01 * float(b.max()))  # one pair of many may do worse than guessing
    degrees = len(b) - 3
    # no floor can lie far above the widest pairs
    highest = min(0.999 * ceiling, 3 * float(np.exp(np.log(b[w == w.max()]).mean())))
    candidates = np.concatenate([[0.0], np.geomspace(1e-3 * highest, highest, _CANDIDATES)])
    fits: list[tuple[float, float, float]] = []
    starts = [(float(w.min()), 1.0), (float(np.exp(np.log(w).mean())), 1.0)]
    for floor in candidates:
        fits.append(_fall(w, b, floor, ceiling, starts))
        starts = [fits[-1][1:]]  # the next floor is a little higher, and its best curve near
    residuals = np.array([residual for residual, _, _ in fits])
    best = int(residuals.argmin())
    scale = max(residuals[best] / degrees, 1e-300)
    evidence = (residuals - residuals[best]) / scale
    inside = candidates[evidence <= f_distribution.ppf(CONFIDENCE, 1, degrees)]
    curve = _curve(w, float(candidates[best]), ceiling, *fits[best][1:])
    return FloorFit(
        floor=float(candidates[best]),
        low=float(inside.min()),
        high=float(inside.max()),
        p_value=float(f_distribution.sf(evidence[0], 1, degrees)),
        half_width=fits[best][1],
        exponent=fits[best][2],
        lack_of_fit=lack_of_fit(list(np.log(b)), list(np.log(curve)), widths, num_parameters=3),
        half_width_without=fits[0][1],
        exponent_without=fits[0][2],
        ceiling=ceiling,
        num_pairs=len(b),
        num_widths=len(set(widths)),
    )


def lack_of_fit(
    values: Sequence[float], fitted: Sequence[float], places: Sequence[float], *, num_parameters: int
) -> float:
    """The p value of the F test whether a curve misses by more than pairs at one place scatter among themselves.

    Residuals are split in two: those of pairs from the mean at their place, which no curve can explain, and those of
    these means from the curve.

    Args:
        values: of single pairs, on the scale on which the curve was fitted.
        fitted: the curve at their places.
        places: what the curve runs over, such as a width.
        num_parameters: fitted parameters of the curve.

    Returns:
        NaN where no place has two pairs, or there are no more places than parameters.
    """
    y, curve, x = (np.asarray(each, dtype=float) for each in (values, fitted, places))
    found, where = np.unique(x, return_inverse=True)
    means = (np.bincount(where, y) / np.bincount(where))[where]
    pure, missed = len(y) - len(found), len(found) - num_parameters
    scatter = float(((y - means) ** 2).sum())
    if pure < 1 or missed < 1:
        return math.nan
    distance = float(((y - curve) ** 2).sum()) - scatter
    if scatter <= 1e-20 * float((y**2).sum()):
        return math.nan
    return float(f_distribution.sf(max(distance, 0.0) / missed * pure / scatter, missed, pure))


def _curve(
    widths: NDArray[np.float64], floor: float, ceiling: float, half_width: float, exponent: float
) -> NDArray[np.float64]:
    return floor + (ceiling - floor) / (1 + (widths / half_width) ** exponent)


def _fall(
    w: NDArray[np.float64],
    b: NDArray[np.float64],
    floor: float,
    ceiling: float,
    starts: Sequence[tuple[float, float]],
) -> tuple[float, float, float]:
    """For one floor: the sum of squared residuals of the best fit, its half width and its exponent."""
    # a half width far outside what was measured, or a cliff, is no fall that the pairs could show
    low, high = np.array([math.log(w.min()) - 5, math.log(0.05)]), np.array([math.log(w.max()) + 5, math.log(20.0)])

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(_curve(w, floor, ceiling, *np.exp(parameters))) - np.log(b)

    found = [
        least_squares(residuals, np.clip(np.log(start), low + 1e-6, high - 1e-6), bounds=(low, high))
        for start in starts
    ]
    best = min(found, key=lambda each: each.cost)
    return 2 * float(best.cost), float(np.exp(best.x[0])), float(np.exp(best.x[1]))
