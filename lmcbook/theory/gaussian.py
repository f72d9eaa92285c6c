"""Theorem 5.4 and beyond: weak additivity of Gaussian pre-activations, in closed form; no torch."""

import math
from typing import Any

import numpy
from numpy.typing import ArrayLike

from lmcbook.errors import InputError, check_number

INDEPENDENT_COSINE = (1 + 3 * math.pi / 4) / (math.pi * math.sqrt(1 + 1 / math.pi))
"""0.930440…: the limit in Theorem 5.4, for independent standard Gaussians at λ = ½."""


def relu_covariance(correlation: ArrayLike, negative_slope: float = 0.0) -> Any:
    r"""$K(\rho) = \mathbb{E}[\sigma(X)\sigma(Y)]$, standard Gaussians of correlation ρ, leaky ReLU of slope s.

    $K = \frac{(1+s)^2}{4}\rho + \frac{(1-s)^2}{2\pi}(\sqrt{1-\rho^2} + \rho\arcsin\rho)$; for ReLU, s = 0, the
    arc-cosine kernel of degree 1 (Cho and Saul 2009). One number for a number, an array for an array.

    Raises:
        InputError: a correlation lies outside [−1, 1].
    """
    rho = numpy.asarray(correlation, dtype=numpy.float64)
    if (numpy.abs(rho) > 1).any():
        raise InputError(f"correlation is {correlation!r}; it must lie between -1 and 1")
    linear = (1 + negative_slope) ** 2 / 4 * rho
    return linear + (1 - negative_slope) ** 2 / (2 * math.pi) * (numpy.sqrt(1 - rho**2) + rho * numpy.arcsin(rho))


def gaussian_cosine(
    std_a: ArrayLike = 1.0,
    std_b: ArrayLike = 1.0,
    correlation: ArrayLike = 0.0,
    coefficient: float = 0.5,
    negative_slope: float = 0.0,
) -> float:
    r"""The limit of the cosine of $\sigma(\lambda u + (1-\lambda) v)$ and $\lambda\sigma(u) + (1-\lambda)\sigma(v)$.

    The components of u and v are Gaussian with mean 0, the given standard deviations and the given correlation; of
    arrays, unit by unit, the dimension then growing with the same mixture of units. Independent, alike and λ = ½ is
    Theorem 5.4 of the paper, `INDEPENDENT_COSINE`; the rest is ours.

    Raises:
        InputError: a standard deviation is negative, all are 0, or a coefficient or correlation is out of its range.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    first, second, rho = numpy.broadcast_arrays(
        coefficient * numpy.asarray(std_a, dtype=numpy.float64),
        (1 - coefficient) * numpy.asarray(std_b, dtype=numpy.float64),
        numpy.asarray(correlation, dtype=numpy.float64),
    )
    if (first < 0).any() or (second < 0).any():
        raise InputError("std_a and std_b have negative entries; a standard deviation is at least 0")
    total = numpy.sqrt(numpy.maximum(first**2 + second**2 + 2 * rho * first * second, 0))
    # where the sum vanishes, so do both of its covariances, whatever number stands for the correlation
    safe = numpy.where(total == 0, 1.0, total)
    with_first = numpy.clip((first + rho * second) / safe, -1, 1)
    with_second = numpy.clip((second + rho * first) / safe, -1, 1)
    square = (1 + negative_slope**2) / 2
    left = numpy.sum(square * total**2)
    right = numpy.sum(square * (first**2 + second**2) + 2 * first * second * relu_covariance(rho, negative_slope))
    mixed = first * relu_covariance(with_first, negative_slope) + second * relu_covariance(with_second, negative_slope)
    if left == 0 or right == 0:
        raise InputError("std_a and std_b leave nothing on one side; at least one unit must vary in the weighted mean")
    return float(numpy.sum(total * mixed) / math.sqrt(left * right))


def cosine_spread(points: int = 20_000) -> float:
    r"""The s in $\sqrt n (\cos_n - c) \to \mathcal N(0, s^2)$: in n units the cosine of Theorem 5.4 varies by s/√n.

    For independent standard Gaussians at λ = ½; ours. In polar coordinates each unit adds r² times a function of the
    angle to the inner product (m) and to the two squared norms (l, q). With bars for means over the circle (here over
    ``points`` angles) the delta method gives $s^2 = 2 c^2 \overline{h^2}$, $h = m/\bar m - l/(2\bar l) - q/(2\bar q)$.
    """
    angle = (numpy.arange(points) + 0.5) * (2 * math.pi / points)
    u, v = numpy.cos(angle), numpy.sin(angle)
    left, right = numpy.maximum(u + v, 0), numpy.maximum(u, 0) + numpy.maximum(v, 0)
    mixed, left_square, right_square = left * right, left**2, right**2
    relative = mixed / mixed.mean() - left_square / (2 * left_square.mean()) - right_square / (2 * right_square.mean())
    return math.sqrt(2) * INDEPENDENT_COSINE * math.sqrt((relative**2).mean())
