"""95 % intervals over independent pairs: of a mean, a difference, a ratio and a rank correlation. Numbers alone.

All but the last suppose that the pairs' values are independent and normal; an interval is infinite where there are too
few pairs to tell a spread. Pairs are different seeds; what they have in common, such as the test images, is not in it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """From ``low`` to ``high``, both included."""

    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """In another unit, or mirrored."""
        ends = (factor * self.low, factor * self.high)
        return Interval(min(ends), max(ends))


UNKNOWN = Interval(-math.inf, math.inf)
"""What a single pair says of the mean."""


def mean_interval(values: Sequence[float]) -> Interval:
    r"""Student's interval $\bar x \pm t_{n-1} s/\sqrt n$ of the mean; `UNKNOWN` for fewer than two values."""
    if len(values) < 2:
        return UNKNOWN
    half = _t(len(values) - 1) * math.sqrt(np.var(values, ddof=1) / len(values))
    return Interval(float(np.mean(values)) - half, float(np.mean(values)) + half)


def difference_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Welch's interval of the mean of ``first`` minus that of ``second``, which are not paired."""
    if min(len(first), len(second)) < 2:
        return UNKNOWN
    variances = [float(np.var(values, ddof=1) / len(values)) for values in (first, second)]
    half = _t(_welch(variances, [len(first), len(second)])) * math.sqrt(sum(variances))
    difference = float(np.mean(first) - np.mean(second))
    return Interval(difference - half, difference + half)


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float], *, paired: bool) -> Interval:
    r"""Fieller's interval of the ratio of two means.

    All $r$ for which a t test does not reject that the mean of numerator − r · denominator is 0; so what is not known
    of the denominator counts too. Degrees of freedom are Welch's at the estimated ratio where the two are not paired.
    `UNKNOWN` where the denominator may be 0.

    Args:
        numerator: values of pairs.
        denominator: values of the same pairs, in the same order, if ``paired``; else of others.
        paired: whether they are.
    """
    if min(len(numerator), len(denominator)) < 2:
        return UNKNOWN
    above, below = float(np.mean(numerator)), float(np.mean(denominator))
    variances = [float(np.var(values, ddof=1) / len(values)) for values in (numerator, denominator)]
    covariance = float(np.cov(numerator, denominator)[0, 1] / len(numerator)) if paired else 0.0
    if paired:
        degrees = len(numerator) - 1.0
    else:
        squared = (above / below) ** 2 if below else 0.0
        degrees = _welch([variances[0], squared * variances[1]], [len(numerator), len(denominator)])
    t = _t(degrees) ** 2
    # a r² − 2 b r + c ≤ 0
    a, b, c = below**2 - t * variances[1], above * below - t * covariance, above**2 - t * variances[0]
    if a <= 0:
        return UNKNOWN
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return Interval((b - root) / a, (b + root) / a)


def correlation_interval(correlations: Sequence[float], counts: Sequence[int]) -> tuple[float, Interval]:
    r"""The mean of rank correlations that were taken within groups, and its interval.

    Means of Fisher's $z = \operatorname{artanh} r$, weighted by $n - 3$, whose variance is $1.06/(n-3)$ for Spearman's
    correlation (Fieller, Hartley and Pearson 1957). Where the groups differ by more than that explains, the interval
    is widened by as much (Birge ratio) and takes Student's t over the groups. It is approximate: widths are chosen, not
    drawn.

    Args:
        correlations: of each group.
        counts: pairs in each group, more than 3.
    """
    z = np.arctanh(np.clip(correlations, -1 + 1e-9, 1 - 1e-9))
    weights = np.asarray(counts, dtype=float) - 3
    mean = float(np.average(z, weights=weights))
    variance, quantile = 1.06 / float(weights.sum()), float(ndtri(0.5 + CONFIDENCE / 2))
    if len(z) > 1:
        between = float(weights @ (z - mean) ** 2 / weights.sum()) / (len(z) - 1)
        if between > variance:
            variance, quantile = between, _t(len(z) - 1)
    half = quantile * math.sqrt(variance)
    return math.tanh(mean), Interval(math.tanh(mean - half), math.tanh(mean + half))


def _t(degrees: float) -> float:
    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))


def _welch(variances: Sequence[float], counts: Sequence[int]) -> float:
    """Degrees of freedom of the sum of two means whose squared standard errors these are."""
    each = sum(variance**2 / (count - 1) for variance, count in zip(variances, counts, strict=True))
    return float(sum(variances) ** 2 / each) if each > 0 else float(sum(counts) - len(counts))
