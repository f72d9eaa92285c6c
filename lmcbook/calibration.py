"""How well a classifier's confidence fits its accuracy: the inverse temperature, and the expected calibration error."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lmcbook.errors import AtFault, InputError, check_number
from lmcbook.errors.arguments import checked

CalibrationFlag = Literal["", "smoothed_targets", "worse_than_chance"]

# No example's logits differ by more than this after the scaling that "worse_than_chance" stands for: softmax is uniform
# to six digits, while the number stays positive and so has a place on a logarithmic axis.
UNIFORM_SPREAD = 1e-6
# Newton's method doubles the digits in each step: one as short as this leaves nothing to gain.
RELATIVE_TOLERANCE = 1e-9
# The bracket takes about one step per factor of four, the root in it about ten.
MAX_STEPS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One fitted inverse temperature β, to be used as softmax(βf)."""

    inverse_temperature: float
    """β = 1/T, above 0."""
    loss: float
    """Mean cross-entropy of softmax(βf) with the labels it was fitted on, in nats."""
    flag: CalibrationFlag
    """Empty if β minimises that loss; else which of the two cases of `fit_inverse_temperature` it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A reliability diagram: what a classifier's confidence was and how often it was right, by bins of confidence."""

    edges: tuple[float, ...]
    """Edges of the bins, one more than there are bins; a bin holds its upper edge."""
    counts: tuple[int, ...]
    """Examples in each bin."""
    confidence: tuple[float | None, ...]
    """Mean confidence in each bin, a fraction; None where the bin is empty."""
    accuracy: tuple[float | None, ...]
    """Accuracy in each bin, a fraction; None where the bin is empty."""

    @property
    def expected_calibration_error(self) -> float:
        r"""$\sum_b \frac{n_b}{n}\,|\mathrm{accuracy}_b - \mathrm{confidence}_b|$ (Guo et al. 2017, equation 3)."""
        bins = zip(self.counts, self.accuracy, self.confidence, strict=True)
        gaps = [count * abs(right - sure) for count, right, sure in bins if right is not None and sure is not None]
        return math.fsum(gaps) / sum(self.counts)


def check_logits(logits: Float[Tensor, "examples classes"], labels: Int[Tensor, " examples"]) -> None:
    """Raise `InputError` unless the logits and labels are of the same examples and every label is one of the classes.

    Raises:
        InputError: they are not, or there is no example.
    """
    if logits.ndim != 2 or labels.ndim != 1 or len(logits) != len(labels) or logits.numel() == 0:
        raise InputError(
            f"logits has shape {tuple(logits.shape)} and labels {tuple(labels.shape)}; "
            "they must be (examples, classes) and (examples,), of the same examples and at least one"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        may_be = f"0…{logits.shape[1] - 1}"
        message = f"labels go from {low} to {high}; with {logits.shape[1]} classes they must lie in {may_be}"
        raise AtFault(message, "labels", [labels])


@checked
def fit_inverse_temperature(logits: Float[Tensor, "examples classes"], labels: Int[Tensor, " examples"]) -> Calibration:
    r"""The β > 0 that minimises the mean cross-entropy of softmax(βf): temperature scaling, β = 1/T (Guo et al. 2017).

    The loss $\frac1n\sum_i \log\sum_k e^{\beta f_{ik}} - \beta f_{i y_i}$ is convex in β and unimodal in log β. Its
    derivative's sign is bracketed, and its root found by Newton's method in float64, with a bisection in log β wherever
    Newton's step leaves the bracket or is slow. The logits may have any scale that float32 can hold.

    Two cases have no such β and are flagged:

    - ``smoothed_targets``: no example has a larger logit than its label's, so the loss falls for ever as β grows. β is
      then fitted to Platt's smoothed targets (Platt 1999; here for any number of classes C): the label of a class that
      has $N_k$ examples gets $(N_k+1)/(N_k+C)$, every other class $1/(N_k+C)$.
    - ``worse_than_chance``: the loss grows from β ≈ 0 on, so that a uniform guess is the best. β is then the number
      that brings the largest difference of an example's logits down to 10⁻⁶, or 1 if all the differences are 0.

    Raises:
        InputError: the logits are not finite, or a label is not one of their classes.
    """
    check_logits(logits, labels)
    exact = logits.detach().double()
    exact = (exact - exact.amax(dim=1, keepdim=True)).T.contiguous()  # sums over classes are fast along the first axis
    scale = float(-exact.min())
    if scale > 0:
        exact /= scale
    of_label = exact.gather(0, labels[None])[0]
    targets = of_label
    flag: CalibrationFlag = ""
    if float(of_label.min()) == 0:
        flag = "smoothed_targets"
        weight = (torch.bincount(labels, minlength=len(exact)) + 1).double()[labels]
        targets = (of_label * (weight - 1) + exact.sum(dim=0)) / (weight - 1 + len(exact))
    scaled = _minimise(exact, float(targets.mean())) if scale > 0 else None
    if scaled is None:
        flag = "worse_than_chance"
        scaled = UNIFORM_SPREAD if scale > 0 else 1.0
    loss = float(torch.logsumexp(scaled * exact, dim=0).mean()) - scaled * float(of_label.mean())
    return Calibration(inverse_temperature=scaled / (scale or 1.0), loss=loss, flag=flag)


@checked
def expected_calibration_error(
    logits: Float[Tensor, "examples classes"],
    labels: Int[Tensor, " examples"],
    *,
    inverse_temperature: float | int = 1.0,
    bins: int = 15,
) -> float:
    """Mean distance of confidence and accuracy over equally wide bins of confidence (Guo et al. 2017, equation 3).

    Raises:
        InputError: as `reliability`.
    """
    return reliability(logits, labels, inverse_temperature=inverse_temperature, bins=bins).expected_calibration_error


@checked
def reliability(
    logits: Float[Tensor, "examples classes"],
    labels: Int[Tensor, " examples"],
    *,
    inverse_temperature: float | int = 1.0,
    bins: int = 15,
) -> Reliability:
    """Confidence, accuracy and number of examples in equally wide bins of the confidence max softmax(βf).

    Raises:
        InputError: the logits are not finite, a label is none of their classes, β is not above 0, or there is no bin.
    """
    check_logits(logits, labels)
    check_number("inverse_temperature", inverse_temperature, above=0)
    check_number("bins", bins, minimum=1, maximum=10**6, integer=True)
    exact = logits.detach().double()
    largest, predicted = exact.max(dim=1)
    confidence = 1 / ((exact - largest[:, None]) * inverse_temperature).exp_().sum(dim=1)
    bin_of = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    right = (predicted == labels).double()
    counts = torch.bincount(bin_of, minlength=bins).tolist()
    sums = [torch.bincount(bin_of, weights=values, minlength=bins).tolist() for values in (confidence, right)]
    means = [
        tuple(total / count if count else None for total, count in zip(part, counts, strict=True)) for part in sums
    ]
    return Reliability(
        edges=tuple(edge / bins for edge in range(bins + 1)),
        counts=tuple(counts),
        confidence=means[0],
        accuracy=means[1],
    )


def _minimise(logits: Float[Tensor, "classes examples"], target: float) -> float | None:
    """The root β of the derivative E[Σ_k p_k f_k] − target, p = softmax(βf), or None if it is below UNIFORM_SPREAD."""
    squares = logits.square()
    powers = torch.empty_like(logits)
    products = torch.empty_like(logits)

    def derivatives(beta: float) -> tuple[float, float]:
        torch.mul(logits, beta, out=powers).exp_()
        total = powers.sum(dim=0)
        mean = torch.mul(powers, logits, out=products).sum(dim=0) / total
        mean_square = torch.mul(powers, squares, out=products).sum(dim=0) / total
        return float(mean.mean()) - target, float((mean_square - mean.square()).mean())

    low, high = UNIFORM_SPREAD, math.inf
    if derivatives(low)[0] >= 0:
        return None
    # in a classifier that knows something, the classes' logits lie about 2/β below the largest in the mean
    beta, last_step = 2 / float(-logits.mean()), math.inf
    for _ in range(MAX_STEPS):
        slope, curvature = derivatives(beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = slope / curvature if curvature > 0 else math.inf
        # Newton's step must stay inside and halve the step before, or bisection is faster
        if low < beta - step < high < math.inf and abs(step) <= last_step / 2:
            following = beta - step
        elif high < math.inf:
            following = math.sqrt(low) * math.sqrt(high)
        else:
            following = 4 * low
        last_step = abs(following - beta)
        beta = following
        if last_step <= RELATIVE_TOLERANCE * beta:
            break
    return beta
