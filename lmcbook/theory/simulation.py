"""Weak additivity of Gaussian pre-activations by simulation, beside its closed form."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lmcbook.errors import check_number
from lmcbook.theory.gaussian import gaussian_cosine


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
    """Limits of the cosine and some simulated values: rows ratio, correlation, limit, simulated.

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
