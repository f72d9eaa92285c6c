r"""Reciprocal orthogonality and commutativity: what one model's weights do to the other model's features.

All functions take products of a layer's linear map, without bias: ``output_of_b_on_a`` is
$W_\ell^b z_{\ell-1}^a$, model b's weights on model a's features. They are for layers 2…L: in layer 1 both
models see the same input, so that orthogonality cannot hold and commutativity always does.
"""

from jaxtyping import Float
from torch import Tensor

from lmcbook.errors.tensors import checked_tensors
from lmcbook.layerwise.running_sums import RatioOfNorms, example_norms

Features = Float[Tensor, "examples units *positions"]


@checked_tensors
def reciprocal_orthogonality(output_of_b_on_a: Features, output_of_a_on_a: Features) -> float:
    r"""$\sqrt{\mathbb{E}\lVert W_\ell^b z_{\ell-1}^a\rVert^2 /
    \mathbb{E}\lVert W_\ell^a z_{\ell-1}^a\rVert^2}$.

    Definition 5.2 in one direction, as a ratio of norms (Fig. 8): 0 where it holds. For the mirror, pass the products
    of $z_{\ell-1}^b$. Weights of b that had nothing to do with the features would give about
    $\sqrt{\rho/(\alpha n)}$: $\rho$ is the square of `weight_norm_ratio`, $\alpha$ the gain of a's weights on their own
    features and n the number of units that are read (Theorem "Cross-talk of randomly placed units" of the book).
    """
    return RatioOfNorms().add(example_norms(output_of_b_on_a), example_norms(output_of_a_on_a)).value


@checked_tensors
def weight_norm_ratio(
    weight_b: Float[Tensor, "outputs inputs *kernel"], weight_a: Float[Tensor, "outputs inputs *kernel"]
) -> float:
    r"""$\lVert W_\ell^b \rVert_F / \lVert W_\ell^a \rVert_F$; NaN if both are zero, infinite if only a's is."""
    return RatioOfNorms().add(example_norms(weight_b), example_norms(weight_a)).value


@checked_tensors
def commutativity(
    output_of_a_on_a: Features, output_of_b_on_b: Features, output_of_a_on_b: Features, output_of_b_on_a: Features
) -> float:
    r"""$\lVert W^a z^a + W^b z^b - W^a z^b - W^b z^a \rVert / \lVert W^a z^a + W^b z^b \rVert$; 0 where it holds.

    Definition C.1 (Zhou et al. 2023), norms as root mean squares over the examples. The difference is
    $(W^a - W^b)(z^a - z^b)$. Where reciprocal orthogonality holds this is exactly 1: the mechanisms exclude each other
    (Fig. 10).
    """
    own = output_of_a_on_a + output_of_b_on_b
    return RatioOfNorms().add(example_norms(own - output_of_a_on_b - output_of_b_on_a), example_norms(own)).value
