"""Theorem 5.4 and beyond: weak additivity of Gaussian pre-activations, in closed form and by simulation."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.errors import InputError, check_number

INDEPENDENT_COSINE = (1 + 3 * math.pi / 4) / (math.pi * math.sqrt(1 + 1 / math.pi))
"""0.930440…: the limit in Theorem 5.4, for independent standard Gaussians at λ = ½."""


def relu_covariance(
    correlation: float | Float[Tensor, "*units"], negative_slope: float = 0.0
) -> Float[Tensor, "*units"]:
    r"""$\kappa(\rho) = \mathbb{E}[\sigma(X)\sigma(Y)]$, standard Gaussians of correlation ρ, leaky ReLU of slope s.

    $\kappa = \frac{(1+s)^2}{4}\rho + \frac{(1-s)^2}{2\pi}(\sqrt{1-\rho^2} + \rho\arcsin\rho)$; for ReLU, s = 0, the
    arc-cosine kernel of degree 1 (Cho and Saul 2009).

    Raises:
        InputError: a correlation lies outside of [−1, 1].
    """
    rho = torch.as_tensor(correlation, dtype=torch.float64)
    if bool((rho.abs() > 1).any()):
        raise InputError(f"correlation is {correlation}; it must lie between -1 and 1")
    linear = (1 + negative_slope) ** 2 / 4 * rho
    return linear + (1 - negative_slope) ** 2 / (2 * math.pi) * ((1 - rho**2).sqrt() + rho * rho.asin())


def gaussian_cosine(
    std_a: float | Float[Tensor, "*units"] = 1.0,
    std_b: float | Float[Tensor, "*units"] = 1.0,
    correlation: float | Float[Tensor, "*units"] = 0.0,
    coefficient: float = 0.5,
    negative_slope: float = 0.0,
) -> float:
    r"""The limit of the cosine of $\sigma(\lambda u + (1-\lambda) v)$ and $\lambda\sigma(u) + (1-\lambda)\sigma(v)$.

    The components of u and v are Gaussian with mean 0, the given standard deviations and the given correlation; of
    tensors, unit by unit, the dimension then growing with the same mixture of units. Independent, alike and λ = ½ is
    Theorem 5.4 of the paper, `INDEPENDENT_COSINE`; the rest is ours.

    Raises:
        InputError: a standard deviation is negative, all are 0, or a coefficient or correlation is out of its range.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    first, second, rho = torch.broadcast_tensors(
        coefficient * torch.as_tensor(std_a, dtype=torch.float64),
        (1 - coefficient) * torch.as_tensor(std_b, dtype=torch.float64),
        torch.as_tensor(correlation, dtype=torch.float64),
    )
    if bool((first < 0).any()) or bool((second < 0).any()):
        raise InputError("std_a and std_b have negative entries; a standard deviation is at least 0")
    total = (first**2 + second**2 + 2 * rho * first * second).clamp(min=0).sqrt()
    # where the sum vanishes, so do both of its covariances, whatever number stands for the correlation
    safe = torch.where(total == 0, 1.0, total)
    with_first = ((first + rho * second) / safe).clamp(-1, 1)
    with_second = ((second + rho * first) / safe).clamp(-1, 1)
    square = (1 + negative_slope**2) / 2
    left = (square * total**2).sum()
    right = (square * (first**2 + second**2) + 2 * first * second * relu_covariance(rho, negative_slope)).sum()
    mixed = total * first * relu_covariance(with_first, negative_slope)
    mixed = (mixed + total * second * relu_covariance(with_second, negative_slope)).sum()
    if left == 0 or right == 0:
        raise InputError("std_a and std_b leave nothing on one side; at least one unit must vary in the weighted mean")
    return (mixed / (left * right).sqrt()).item()


def cosine_spread(points: int = 20_000) -> float:
    r"""The s in $\sqrt n (\cos_n - c) \to \mathcal N(0, s^2)$: in n units the cosine of Theorem 5.4 varies by s/√n.

    For independent standard Gaussians at λ = ½; ours. In polar coordinates each unit adds r² times a function of the
    angle to the inner product (m) and to the two squared norms (l, q). With bars for means over the circle (here over
    ``points`` angles) the delta method gives $s^2 = 2 c^2 \overline{h^2}$, $h = m/\bar m - l/(2\bar l) - q/(2\bar q)$.
    """
    angle = (torch.arange(points, dtype=torch.float64) + 0.5) * (2 * math.pi / points)
    u, v = angle.cos(), angle.sin()
    left, right = (u + v).relu(), u.relu() + v.relu()
    mixed, left_square, right_square = left * right, left**2, right**2
    relative = mixed / mixed.mean() - left_square / (2 * left_square.mean()) - right_square / (2 * right_square.mean())
    return math.sqrt(2) * INDEPENDENT_COSINE * relative.square().mean().sqrt().item()


def simulated_cosines(
    dimension: int,
    repeats: int,
    generator: Generator,
    *,
    std_a: float = 1.0,
    std_b: float = 1.0,
    correlation: float = 0.0,
    coefficient: float = 0.5,
    negative_slope: float = 0.0,
) -> Float[Tensor, " repeats"]:
    """``repeats`` independent cosines of Theorem 5.4 in ``dimension`` units, drawn from ``generator``.

    Raises:
        InputError: a size is not a positive whole number.
    """
    check_number("dimension", dimension, minimum=1, integer=True)
    check_number("repeats", repeats, minimum=1, integer=True)
    first, second = torch.randn(2, repeats, dimension, generator=generator, dtype=torch.float64)
    u = std_a * first
    v = std_b * (correlation * first + math.sqrt(1 - correlation**2) * second)
    left = _leaky(coefficient * u + (1 - coefficient) * v, negative_slope)
    right = coefficient * _leaky(u, negative_slope) + (1 - coefficient) * _leaky(v, negative_slope)
    return torch.nn.functional.cosine_similarity(left, right, dim=1)


def cosine_rows(
    ratios: Sequence[float],
    correlations: Sequence[float],
    generator: Generator,
    *,
    units: int = 20_000,
    every: int = 6,
) -> list[dict[str, float | None]]:
    """Limits of the cosine and some simulated ones: rows ratio, correlation, limit, simulated.

    ``ratios`` are those of the two models' standard deviations; every ``every``-th correlation is simulated.
    """
    rows: list[dict[str, float | None]] = []
    for ratio in ratios:
        for index, correlation in enumerate(correlations):
            simulated = None
            if index % every == 0:
                drawn = simulated_cosines(units, 1, generator, std_a=ratio, correlation=correlation)
                simulated = drawn.item()
            limit = gaussian_cosine(ratio, 1.0, correlation)
            rows.append({"ratio": ratio, "correlation": correlation, "limit": limit, "simulated": simulated})
    return rows


def _leaky(values: Tensor, negative_slope: float) -> Tensor:
    return torch.nn.functional.leaky_relu(values, negative_slope)
