"""LEWC and LLFC: what the merged model's layers are predicted to be, and how far off they are."""

import math

from jaxtyping import Float
from torch import Tensor, exp2, isfinite, log2, where

from lmcbook.errors import check_number
from lmcbook.errors.tensors import checked_tensors
from lmcbook.layerwise.running_sums import Mean, RatioOfNorms, example_norms


@checked_tensors
def lewc_prediction(
    output_a: Float[Tensor, "*shape"], output_b: Float[Tensor, "*shape"], coefficient: float, depth: int
) -> Float[Tensor, "*shape"]:
    r"""Layer ℓ of the merged model under LEWC: $\lambda^\ell f_\ell^a(x) + (1-\lambda)^\ell f_\ell^b(x)$.

    Definition 4.1. ``depth`` is ℓ, counted from 1; ``coefficient`` is λ and multiplies model a.

    Raises:
        InputError: ``depth`` is not a whole number at least 1, or the outputs differ in their shapes.
    """
    check_number("depth", depth, minimum=1, integer=True)
    return (coefficient**depth * output_a).add_(output_b, alpha=(1 - coefficient) ** depth)


@checked_tensors
def llfc_prediction(
    output_a: Float[Tensor, "*shape"], output_b: Float[Tensor, "*shape"], coefficient: float
) -> Float[Tensor, "*shape"]:
    r"""A layer of the merged model under LLFC: $\lambda f_\ell^a(x) + (1-\lambda) f_\ell^b(x)$.

    Layerwise linear feature connectivity, Zhou et al. 2023 (appendix C of the paper).
    """
    return (coefficient * output_a).add_(output_b, alpha=1 - coefficient)


@checked_tensors
def cosines(
    first: Float[Tensor, "examples units *positions"], second: Float[Tensor, "examples units *positions"]
) -> Float[Tensor, " examples"]:
    r"""The cosine between the two vectors of each example (all units and positions of an example are one vector).

    As $1 - (\lVert u-v \rVert^2 - (\lVert u \rVert - \lVert v \rVert)^2) / (2uv)$, exact near 1, where the quotient of
    an inner product and two norms has lost half of its digits. Where both vectors are zero they agree: 1. Where only
    one is, there is no direction to agree with: 0.
    """
    norms, other_norms = example_norms(first), example_norms(second)
    # In layer 20 the LEWC prediction may be 2²⁰ times smaller than the merged layer: in their difference nothing would
    # be left of it. So it is scaled to the size of the first, by a power of two, which is exact.
    scale = exp2(log2(norms.sum() / other_norms.sum()).round())
    scale = where(isfinite(scale) & (scale > 0), scale, 1.0)
    differences = example_norms((second * scale.to(second.dtype)).sub_(first))
    other_norms = other_norms * scale
    lengths = norms * other_norms
    cosine = 1 - (differences.square() - (norms - other_norms).square()) / (2 * where(lengths == 0, 1.0, lengths))
    return where(lengths == 0, ((norms == 0) & (other_norms == 0)).double(), cosine.clamp(-1, 1))


@checked_tensors
def mean_cosine(
    first: Float[Tensor, "examples units *positions"], second: Float[Tensor, "examples units *positions"]
) -> float:
    """The mean over the examples of their cosines.

    Figures 3 and 4 show a cosine per layer; that it is the mean over test images of a cosine per image is our reading.
    At λ = ½ LEWC and LLFC predict the same direction, so there is one number for both.
    """
    return Mean().add(cosines(first, second)).value


@checked_tensors
def relative_error(
    actual: Float[Tensor, "examples units *positions"], predicted: Float[Tensor, "examples units *positions"]
) -> float:
    r"""$\sqrt{\mathbb{E}\lVert f - g \rVert^2 / \mathbb{E}\lVert g \rVert^2}$, $f$ the layer and $g$ its prediction."""
    return RatioOfNorms().add(example_norms(actual - predicted), example_norms(predicted)).value


@checked_tensors
def decay_exponent(
    merged: Float[Tensor, "examples units *positions"],
    output_a: Float[Tensor, "examples units *positions"],
    output_b: Float[Tensor, "examples units *positions"],
) -> float:
    r"""$e_\ell = -\log_2(\lVert \bar f_\ell \rVert / \lVert f_\ell^a + f_\ell^b \rVert)$ at λ = ½.

    The norms are root mean squares over the examples. LEWC says $e_\ell = \ell$, LLFC says $e_\ell = 1$. Infinite if
    the merged layer is all zero.
    """
    return exponent_of(RatioOfNorms().add(example_norms(merged), example_norms(output_a + output_b)).value)


def exponent_of(ratio: float) -> float:
    """−log₂ of a ratio of norms; infinite at 0."""
    return math.inf if ratio == 0 else -math.log2(ratio)
