"""Norms and means over batches of any size: what every layerwise metric is made of."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, float64


def example_norms(vectors: Float[Tensor, "examples units *positions"]) -> Float[Tensor, " examples"]:
    """The Euclidean norm of each example (all its units and positions are one vector), as float64.

    Computed in the tensor's own precision, which is ten times faster than in float64 and right to 1e-5 for a float32
    vector of a million entries; whatever is summed over examples and batches is summed in float64.
    """
    return torch.linalg.vector_norm(vectors.detach().flatten(1), dim=1).double()


def finite_or_none(value: float) -> float | None:
    """``value``, or ``None`` where it does not exist: JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def root_of_ratio(numerator: float, denominator: float) -> float:
    """The root of the ratio of two sums of squares: NaN if both are zero, infinite if the denominator's alone is."""
    if denominator == 0:
        return math.inf if numerator > 0 else math.nan
    return math.sqrt(numerator / denominator)


class RatioOfNorms:
    r"""$\sqrt{\sum_x \lVert u(x) \rVert^2 / \sum_x \lVert v(x) \rVert^2}$, gathered batch by batch.

    The ratio of root mean squares over the examples, not the mean of ratios: an example whose activations are all zero
    (narrow ReLU layers have them) then weighs nothing instead of dividing by zero.
    """

    def __init__(self) -> None:
        self._numerator: Tensor | float = 0.0
        self._denominator: Tensor | float = 0.0

    def add(self, numerators: Float[Tensor, " examples"], denominators: Float[Tensor, " examples"]) -> "RatioOfNorms":
        """Take in the `example_norms` of one batch; returns itself."""
        self._numerator = self._numerator + numerators.square().sum()
        self._denominator = self._denominator + denominators.square().sum()
        return self

    @property
    def value(self) -> float:
        """The ratio so far: NaN if both norms are zero, infinite if the denominator's alone is."""
        return root_of_ratio(float(self._numerator), float(self._denominator))


class Mean:
    """The mean of all entries of tensors, gathered batch by batch."""

    def __init__(self) -> None:
        self._total: Tensor | float = 0.0
        self._count = 0

    def add(self, entries: Tensor) -> "Mean":
        """Take in one batch of numbers (or truth values); returns itself."""
        self._total = self._total + (
            entries.count_nonzero() if entries.dtype == torch.bool else entries.sum(dtype=float64)
        )
        self._count += entries.numel()
        return self

    @property
    def value(self) -> float:
        """The mean so far, NaN of nothing."""
        return float(self._total) / self._count if self._count else math.nan


class UnitSecondMoments:
    r"""$\mathbb{E}[\tilde z_i^2]$ of every unit $i$, gathered batch by batch.

    Axis 1 holds the units; all other axes (examples, and the positions of a convolution) are averaged over.
    """

    def __init__(self) -> None:
        self._total: Tensor | float = 0.0
        self._count = 0

    def add(self, pre_activations: Float[Tensor, "examples units *positions"]) -> "UnitSecondMoments":
        """Take in one batch; returns itself."""
        if pre_activations.dim() > 2:
            norms = torch.linalg.vector_norm(pre_activations.flatten(2), dim=2)
            squares = norms.double().square().sum(0)
        else:
            # the norm along axis 0 is five times slower
            squares = pre_activations.square().sum(0).double()
        self._total = self._total + squares
        self._count += pre_activations.numel() // pre_activations.shape[1]
        return self

    @property
    def value(self) -> Float[Tensor, " units"]:
        """The second moments so far, float64 on the CPU."""
        return (self._total / self._count).cpu() if isinstance(self._total, Tensor) else torch.empty(0, dtype=float64)
