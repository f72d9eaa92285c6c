r"""What one network's weights make of another's features when the order of units means nothing: two parts, exactly.

Features after a ReLU are not negative, so the input of a layer has a large part that is the same for all its units, the
*common mode*. If the units of two networks are exchangeable, the energy of the cross-talk $W^b z^a$ is
$\mathbb{E}_P \lVert W P z \rVert^2$ over uniform permutations $P$ of the units. It is the sum of an *isotropic* part,
which a layer of many units makes small, and a *common* part, which it does not. Reciprocal orthogonality splits with
it. This is ours, not the paper's. `lmcbook.theory.common_mode` has the same for features that are there as a whole;
here the moments are enough, which can be gathered batch by batch.

All functions take a weight of shape (outputs, units, places) and features of shape (examples, units, places). The
places are the entries of a kernel, or the positions of a map that was flattened; a dense layer between two hidden
layers has one, and may leave the axis out. Sums are in float64.
"""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from lmcbook.theory.common_mode import CrossTalk

Weight = Float[Tensor, "outputs units *places"]
Features = Float[Tensor, "examples units *places"]
Square = Float[Tensor, "entries entries"]


class UnitMoments(NamedTuple):
    """What features tell a network that does not know the order of their units."""

    units: int
    of_means: Square
    r"""$M_{kl} = \mathbb{E}[\bar z_k \bar z_l]$, $\bar z_k$ the mean over the units at place k."""
    of_deviations: Square
    r"""$V_{kl} = \mathbb{E}[\frac1n\sum_i (z_{ik} - \bar z_k)(z_{il} - \bar z_l)]$: the (co)variance over units."""

    @property
    def energy(self) -> float:
        r"""$\mathbb{E}\lVert z \rVert^2$."""
        return self.units * float((self.of_means + self.of_deviations).trace())


def unit_moments(features: Features) -> UnitMoments:
    r"""$M$ and $V$ of features, means over the examples; see `UnitMoments`."""
    features = _with_places(features)
    means = features.mean(1)
    deviations = (features - means[:, None]).flatten(0, 1)
    return UnitMoments(
        features.shape[1], means.mT @ means / len(features), deviations.mT @ deviations / max(1, len(deviations))
    )


def weight_products(weight: Weight) -> tuple[Square, Square]:
    r"""$G_{kl} = \sum_{oi} W_{oik} W_{oil}$ and $H_{kl} = \sum_o (\sum_i W_{oik})(\sum_i W_{oil})$.

    Of a dense layer $\lVert W \rVert_F^2$ and $\lVert W \mathbf{1} \rVert^2$.
    """
    weight = _with_places(weight)
    rows, sums = weight.flatten(0, 1), weight.sum(1)
    return rows.mT @ rows, sums.mT @ sums


def cross_talk(moments: UnitMoments, products: tuple[Square, Square]) -> CrossTalk:
    r"""$\mathbb{E}_P\mathbb{E}_z\lVert WPz \rVert^2 = \frac{n}{n-1}\langle V, G - H/n\rangle + \langle M, H\rangle$.

    Exact, for fixed features and a uniform permutation of their units. It takes of the features only `unit_moments` and
    of the weight only `weight_products`, so either may come from another network. The proof: $\mathbb{E}_P[P z z^\top
    P^\top]$ commutes with all permutations, so it is $a I + c \mathbf{1}\mathbf{1}^\top$; trace and sum give a and c.
    Of a dense layer it is $\frac{n}{n-1} v \lVert W \rVert_F^2 + (m^2 - \frac{v}{n-1}) \lVert W\mathbf{1} \rVert^2$.
    """
    units, (rows, sums) = moments.units, products
    # a single unit has nothing to be permuted with, and no deviation
    isotropic = units / max(1, units - 1) * (moments.of_deviations * (rows - sums / units)).sum()
    return CrossTalk(float(isotropic), float((moments.of_means * sums).sum()))


def weight_share(products: tuple[Square, Square], units: int) -> float:
    r"""$c_W = \lVert W\mathbf{1} \rVert^2 / (n \lVert W \rVert_F^2)$: 1/n of a weight drawn at random."""
    rows, sums = products
    return float(sums.trace() / (units * rows.trace()))


def activation_share(moments: UnitMoments) -> float:
    r"""$c_z = n\,\mathbb{E}[\bar z^2] / \mathbb{E}\lVert z \rVert^2$: the mean over units, as a share of the energy."""
    return float(moments.of_means.trace() / (moments.of_means + moments.of_deviations).trace())


def own_gain(own_energy: float, moments: UnitMoments, products: tuple[Square, Square]) -> float:
    r"""$\alpha = \mathbb{E}\lVert W z \rVert^2 / (\lVert W \rVert_F^2 \mathbb{E}\lVert z \rVert^2)$.

    How much a network's weight makes of its own features. With it the common part of a dense layer's reciprocal
    orthogonality, squared, is $c_W\,c_z/\alpha$. Of a convolution the energy is that of all patches, and the product
    holds only if the places of a kernel are not correlated.
    """
    energy = float(products[0].trace()) * moments.energy
    return own_energy / energy if energy else math.nan


def _with_places(tensor: Tensor) -> Tensor:
    return tensor.double().flatten(2) if tensor.dim() > 2 else tensor.double()[..., None]
