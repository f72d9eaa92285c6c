r"""What one network's weights make of another's features, if its units stand in random places; ours, not the paper's.

The cross-talk $W^b z^a$ splits into two parts. The *common* part is the answer of the weights to features that
are the same for all units. The *isotropic* part is what is left, and falls with the number of units.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from lmcbook.errors import InputError, check_number


class CrossTalk(NamedTuple):
    """Two parts of a mean squared norm, or of reciprocal orthogonality's square: they add up."""

    isotropic: float
    """From features that differ between units: it depends on where the units stand."""
    common: float
    """From the mean over the units: no permutation of the units changes it."""

    @property
    def total(self) -> float:
        """Both together."""
        return self.isotropic + self.common


class Shares(NamedTuple):
    """Three numbers of one layer that, with its number of units, give the expected reciprocal orthogonality."""

    weights: float
    r"""$c_W = \lVert W\mathbf 1\rVert^2 / (n \lVert W\rVert_F^2)$, the weights' energy on the all-ones direction."""
    features: float
    r"""$c_z = n\,\mathbb{E}[\bar z^2] / \mathbb{E}\lVert z\rVert^2$, the features' energy in the units' mean."""
    gain: float
    r"""$\alpha = \mathbb{E}\lVert Wz\rVert^2 / (\lVert W\rVert_F^2\,\mathbb{E}\lVert z\rVert^2)$, on own features."""


def expected_cross_talk(
    weight: Float[Tensor, "outputs units *window"], features: Float[Tensor, "examples inputs *window"]
) -> CrossTalk:
    r"""$\mathbb{E}\lVert WPz\rVert^2$ for a uniformly random permutation P of the units, averaged over the examples.

    $\mathbb{E}_P\lVert WPz\rVert^2 = \bar z^2\lVert W\mathbf 1\rVert^2 + \frac{n}{n-1} v\,\lVert WC\rVert_F^2$ with the
    mean $\bar z$ and the variance v over the n units, and $C = I - \mathbf{1}\mathbf{1}^\top/n$. Of a convolution,
    units are channels, and ``window`` is what it reads of each of them at one place; an example is one place of one
    image.

    Raises:
        InputError: there are fewer than two units, or the two tensors disagree on units or window.
    """
    _check_layer(weight, features)
    units = weight.shape[1]
    flat_weight, flat_features = (
        tensor.flatten(2) if tensor.ndim > 2 else tensor[..., None] for tensor in (weight, features)
    )
    mean = flat_features.mean(1)
    total = flat_weight.sum(1)
    deviation = flat_features - mean[:, None]
    covariance = torch.einsum("eit,eiu->tu", deviation, deviation) / (len(features) * units)
    centred = flat_weight - total[:, None] / units
    isotropic = units / (units - 1) * torch.einsum("oit,tu,oiu->", centred, covariance, centred)
    common = torch.einsum("ot,et->eo", total, mean).square().sum(1).mean()
    return CrossTalk(isotropic.item(), common.item())


def placed_cross_talk(
    weight: Float[Tensor, "outputs units"],
    features: Float[Tensor, "examples inputs"],
    placements: Int[Tensor, "placements inputs"],
) -> Float[Tensor, " placements"]:
    r"""$\lVert WPz\rVert^2$, averaged over the examples, for each of the given permutations.

    Raises:
        InputError: there are fewer than two units, or the two tensors disagree on them.
    """
    _check_layer(weight, features)
    return torch.stack([(features[:, placement] @ weight.T).square().sum(1).mean() for placement in placements])


def all_placements(units: int) -> Int[Tensor, "placements units"]:
    """All n! permutations of n units.

    Raises:
        InputError: ``units`` is not 1…8; nine units have 362,880.
    """
    check_number("units", units, minimum=1, maximum=8, integer=True)
    return torch.tensor(list(itertools.permutations(range(units))))


def random_placements(units: int, count: int, generator: Generator) -> Int[Tensor, "placements units"]:
    """``count`` permutations of n units, independent and uniform.

    Raises:
        InputError: a size is not a positive whole number.
    """
    for name, size in {"units": units, "count": count}.items():
        check_number(name, size, minimum=1, integer=True)
    return torch.stack([torch.randperm(units, generator=generator) for _ in range(count)])


def layer_shares(weight: Float[Tensor, "outputs units"], features: Float[Tensor, "examples inputs"]) -> Shares:
    r"""$c_W$, $c_z$ and α of one network's layer: its weights, and the features that it reads itself.

    Raises:
        InputError: there are fewer than two units, the two tensors disagree on them, or one of them is 0.
    """
    _check_layer(weight, features)
    weight_energy, feature_energy = weight.square().sum(), features.square().sum(1).mean()
    if weight_energy == 0 or feature_energy == 0:
        raise InputError("weight or features are 0; shares of nothing are not defined")
    units = weight.shape[1]
    return Shares(
        weights=(weight.sum(1).square().sum() / (units * weight_energy)).item(),
        features=(units * features.mean(1).square().mean() / feature_energy).item(),
        gain=((features @ weight.T).square().sum(1).mean() / (weight_energy * feature_energy)).item(),
    )


def expected_orthogonality(units: int, shares: Shares, weight_ratio: float = 1.0) -> CrossTalk:
    r"""The square of reciprocal orthogonality that randomly placed units have, in its two parts.

    $\frac{\rho}{\alpha}\,\frac{(1-c_W)(1-c_z)}{n-1}$ is isotropic and $\frac{\rho}{\alpha}\,c_W\,c_z$ common. ρ is
    ``weight_ratio``, $\lVert W^b\rVert_F^2 / \lVert W^a\rVert_F^2$; $c_W$ is b's, $c_z$ and α are a's. From one
    network alone: all a's own, and ρ = 1.

    Raises:
        InputError: there are fewer than two units, or the gain is not positive.
    """
    check_number("units", units, minimum=2, integer=True)
    check_number("gain", shares.gain, above=0)
    scale = weight_ratio / shares.gain
    isotropic = scale * (1 - shares.weights) * (1 - shares.features) / (units - 1)
    return CrossTalk(isotropic, scale * shares.weights * shares.features)


def four_parts(features: Float[Tensor, "examples units"]) -> dict[str, Float[Tensor, "examples units"]]:
    """Features as the sum of four parts: constant over images or not, constant over units or not.

    They are orthogonal to each other in the mean over the images, as in a two-way analysis of variance.
    """
    over_both = features.mean()
    over_images, over_units = features.mean(0, keepdim=True), features.mean(1, keepdim=True)
    parts = {
        "constant over both": over_both.expand_as(features),
        "constant over images": (over_images - over_both).expand_as(features),
        "constant over units": (over_units - over_both).expand_as(features),
        "varies over both": features - over_images - over_units + over_both,
    }
    return {name: part.clone() for name, part in parts.items()}


def part_energies(
    weight: Float[Tensor, "outputs units"], features: Float[Tensor, "examples units"]
) -> dict[str, dict[str, float]]:
    """The mean squared cross-talk of each of the `four_parts`, over images and random placements, in three layers.

    Unchanged; with the bias that takes the mean over the images away, which removes the first two parts; and with
    `centred_rows`, which remove the first and the third.
    """
    layers = {
        "unchanged": (weight, features),
        "with a bias for each unit": (weight, features - features.mean(0)),
        "rows centred": (centred_rows(weight), features),
    }
    return {
        name: {part: expected_cross_talk(rows, of).total for part, of in four_parts(read).items()}
        for name, (rows, read) in layers.items()
    }


def centred_rows(weight: Float[Tensor, "outputs units"]) -> Float[Tensor, "outputs units"]:
    r"""$WH$: from each row its mean is taken, so that $WH\mathbf 1 = 0$."""
    return weight - weight.mean(1, keepdim=True)


def widened(
    weight: Float[Tensor, "outputs units"], features: Float[Tensor, "examples units"], copies: int
) -> tuple[Float[Tensor, "outputs more"], Float[Tensor, "examples more"]]:
    r"""The same layer with ``copies`` copies of each unit, each read with the fraction 1/copies of its weight.

    The layer computes what it did, and $c_W$, $c_z$ and α stay what they are.

    Raises:
        InputError: ``copies`` is not a positive whole number.
    """
    check_number("copies", copies, minimum=1, integer=True)
    return weight.repeat_interleave(copies, 1) / copies, features.repeat_interleave(copies, 1)


def drawn_layer(
    units: int, generator: Generator, *, outputs: int = 10, examples: int = 100
) -> tuple[Float[Tensor, "outputs units"], Float[Tensor, "examples units"]]:
    """Random weights that answer to the mean over the units, and features that are ReLUs of Gaussians.

    Raises:
        InputError: a size is not a positive whole number, or there are fewer than two units.
    """
    check_number("units", units, minimum=2, integer=True)
    for name, size in {"outputs": outputs, "examples": examples}.items():
        check_number(name, size, minimum=1, integer=True)
    weight = 0.3 + torch.randn(outputs, units, generator=generator, dtype=torch.float64)
    return weight, torch.randn(examples, units, generator=generator, dtype=torch.float64).relu()


def width_rows(
    weights: Mapping[str, Float[Tensor, "outputs units"]],
    features: Float[Tensor, "examples units"],
    copies: Sequence[int] = (1, 4, 16, 64, 256),
    *,
    placements: int = 100,
    generator: Generator,
) -> list[dict[str, Any]]:
    """Reciprocal orthogonality of randomly placed units, drawn and expected, as layers are `widened`.

    Rows panel (the weights' name), units, drawn (root of the mean square over ``placements`` random permutations),
    expected, and its parts isotropic and common (roots as well).
    """
    rows: list[dict[str, Any]] = []
    for name, weight in weights.items():
        own = (features @ weight.T).square().sum(1).mean().item()
        for each in copies:
            wide_weight, wide_features = widened(weight, features, each)
            units = wide_weight.shape[1]
            drawn = placed_cross_talk(wide_weight, wide_features, random_placements(units, placements, generator))
            parts = expected_orthogonality(units, layer_shares(wide_weight, wide_features))
            energies = {"drawn": drawn.mean().item() / own, "expected": parts.total}
            energies |= {"isotropic": parts.isotropic, "common": parts.common}
            rows.append({"panel": name, "units": units} | {key: math.sqrt(of) for key, of in energies.items()})
    return rows


def _check_layer(weight: Tensor, features: Tensor) -> None:
    if weight.shape[1:] != features.shape[1:]:
        raise InputError(
            f"features have the shape {tuple(features.shape[1:])} for each example; the weight reads "
            f"{tuple(weight.shape[1:])}, which must be the same"
        )
    check_number("units", weight.shape[1], minimum=2, integer=True)
