"""Which units of a layer are active: root second moments of pre-activations, their overlap, sparsity."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lmcbook.errors import InputError, check_number
from lmcbook.errors.tensors import check_not_negative, checked_tensors
from lmcbook.layerwise.running_sums import UnitSecondMoments

QUANTILES: tuple[float, ...] = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""The quantiles over the units that stand in a record."""


@checked_tensors
def second_moments(pre_activations: Float[Tensor, "examples units *positions"]) -> Float[Tensor, " units"]:
    r"""$\mathbb{E}[\tilde z_i^2]$ of every unit, over examples and (of a convolution) positions; float64.

    Figures 5 to 7 and 11 show its root.
    """
    return UnitSecondMoments().add(pre_activations).value


@checked_tensors
def histogram(
    root_second_moments: Float[Tensor, " units"], *, bins: int = 40
) -> tuple[Int[Tensor, " bins"], Float[Tensor, " edges"]]:
    """Units per bin, and the edges of ``bins`` equal bins from 0 to the largest root second moment (Fig. 5).

    Raises:
        InputError: ``bins`` is not a whole number from 1 to a million, or a moment is below 0.
    """
    check_number("bins", bins, minimum=1, maximum=10**6, integer=True)
    check_not_negative(root_second_moments=root_second_moments)
    largest = root_second_moments.max().item() if len(root_second_moments) else 0.0
    edges = torch.linspace(0, largest or 1.0, bins + 1, dtype=torch.float64)
    places = torch.bucketize(root_second_moments.double(), edges[1:-1], right=True)
    return torch.bincount(places, minlength=bins), edges


@checked_tensors
def overlap(second_moments_a: Float[Tensor, " units"], second_moments_b: Float[Tensor, " units_of_b"]) -> float:
    r"""$\sum_i \min(p_i, q_i)$ of the two models' second moments, each normalised to sum 1.

    1: the same units carry the same shares; 0: no unit is active in both. NaN if a model has no activity at all.

    Raises:
        InputError: the two models do not have as many units, or a moment is below 0.
    """
    first, second = _normalised(second_moments_a, second_moments_b)
    return torch.minimum(first, second).sum().item()


@checked_tensors
def expected_overlap(
    second_moments_a: Float[Tensor, " units"], second_moments_b: Float[Tensor, " units_of_b"]
) -> float:
    r"""The mean of `overlap` when model b's units are permuted at random: $\frac1n \sum_{i,j} \min(p_i, q_j)$.

    Exact, not sampled: a random permutation puts every unit j in place i with probability 1/n. This is what two
    trainings from independent seeds must give, because the order of units means nothing to either of them.

    Raises:
        InputError: the two models do not have as many units, or a moment is below 0.
    """
    first, second = _normalised(second_moments_a, second_moments_b)
    second = second.sort().values
    below = torch.searchsorted(second, first)
    sum_below = torch.cat([second.new_zeros(1), second.cumsum(0)])[below]
    return ((sum_below + first * (len(second) - below)).sum() / len(first)).item()


@checked_tensors
def active_share(second_moments: Float[Tensor, " units"], *, mass: float = 0.9) -> float:
    """The smallest share of the units that together carry ``mass`` of the layer's second moment; small is sparse.

    Raises:
        InputError: ``mass`` is not between 0 and 1, or a moment is below 0.
    """
    check_number("mass", mass, above=0, maximum=1)
    check_not_negative(second_moments=second_moments)
    total = second_moments.double().sum()
    if not total > 0:
        return math.nan
    carried = second_moments.double().sort(descending=True).values.cumsum(0) / total
    # cumsum rounds: without the tolerance 0.9 of ten equal units would take ten of them instead of nine
    return min(int((carried < mass - 1e-12).sum()) + 1, len(carried)) / len(carried)


@checked_tensors
def quantiles(root_second_moments: Float[Tensor, " units"]) -> dict[float, float]:
    """The `QUANTILES` over the units, linearly interpolated (exact for any number of units)."""
    ordered = root_second_moments.double().sort().values
    result = {}
    for quantile in QUANTILES:
        place = quantile * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        result[quantile] = torch.lerp(ordered[low], ordered[high], place - low).item()
    return result


def evenly_chosen(num_units: int, at_most: int) -> list[int]:
    """At most ``at_most`` indices of units, evenly spread: units come in random order, so they are a fair sample."""
    chosen = min(num_units, at_most)
    return [index * num_units // chosen for index in range(chosen)]


def _normalised(second_moments_a: Tensor, second_moments_b: Tensor) -> tuple[Tensor, Tensor]:
    if len(second_moments_a) != len(second_moments_b):
        raise InputError(
            f"second_moments_b has {len(second_moments_b)} units and second_moments_a has {len(second_moments_a)}; "
            "the two models must have the same width_multiplier"
        )
    check_not_negative(second_moments_a=second_moments_a, second_moments_b=second_moments_b)
    first, second = second_moments_a.double(), second_moments_b.double()
    return first / first.sum(), second / second.sum()
