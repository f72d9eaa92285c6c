"""What each layer of one network tells about the cross-talk with a network nobody has trained, gathered batch by batch.

The equations are those of `lmcbook.layerwise.common_mode`. A layer's units are what the table of the network's symmetry
lets be permuted along the axis that it reads: rows of a dense layer, channels of a convolution, blocks of rows behind a
flattened map.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, float64

from lmcbook.layerwise.common_mode import UnitMoments, cross_talk, unit_moments, weight_products
from lmcbook.layerwise.networks import LayeredNetwork, MeasuredLayer
from lmcbook.permutation import Part, PermutationSpec
from lmcbook.states import StateDict
from lmcbook.theory.common_mode import CrossTalk

ALWAYS_ON = 0.95
"""A unit that is positive for more than this share of the images counts as always on."""

_MOST_ENTRIES = 2**24
"""Patches of this many entries are looked at together: 64 MiB in float32."""


class ReadUnits(NamedTuple):
    """How the units lie along the axis that a layer reads."""

    units: int
    block: int
    """Rows of a unit: 1, or the positions of a map that was flattened."""
    moves_outputs: bool
    """Whether its outputs are units too, in no order either; the classes of a classifier are not."""


def read_units(layer: MeasuredLayer, spec: PermutationSpec, state: StateDict) -> ReadUnits | str:
    """The units that a layer reads, or why it is left out."""
    key = layer.weight_key
    if key is None:
        return "it has no weight of its own"
    if layer.reads_images:
        return "it reads the images"
    weight, (writes, reads, *_) = state[key], spec.axes[key]
    if reads is None:
        return "what it reads has an order"
    parts = (Part(reads),) if isinstance(reads, str) else reads
    if len(parts) != 1 or parts[0].group is None:
        return "it reads several groups of units, or some rows that stay"
    units, block = spec.groups(state)[parts[0].group], parts[0].block
    # a convolution in groups reads the same units once for each group, wherever they lie on one axis
    axes = [axis for of_tensor in spec.axes.values() for axis in of_tensor if isinstance(axis, tuple)]
    in_groups = weight.dim() > 2 and any(axis.count(Part(parts[0].group)) > 1 for axis in axes)
    if weight.shape[1] != units * block or (weight.dim() > 2 and block > 1) or in_groups:
        return "its convolution is in groups, or reads a unit in several channels"
    return ReadUnits(units, block, writes is not None)


class Features:
    """The features that a layer of one network reads: their moments over units, and their mean over the images."""

    def __init__(self, network: LayeredNetwork, layer: MeasuredLayer, read: ReadUnits) -> None:
        self._network, self._layer, self._read = network, layer, read
        self._means: Tensor | float = 0.0
        self._deviations: Tensor | float = 0.0
        self._sum: Tensor | float = 0.0
        self._count = 0

    def add(self, inputs: Tensor, weight: Tensor) -> None:
        """Take in one batch of what the layer reads; of ``weight`` only the shape counts."""
        for patches in self._patches(inputs, weight):
            means = patches.mean(1, keepdim=True)
            deviations = patches - means
            places = patches.shape[2]
            for name, entries in (("_means", means), ("_deviations", deviations)):
                rows = entries.transpose(1, 2).transpose(0, 1).reshape(places, -1)
                setattr(self, name, getattr(self, name) + (rows @ rows.mT).double())
            self._sum = self._sum + patches.sum((0, 3), dtype=float64)
            self._count += patches.shape[0] * patches.shape[3]

    def averaged(self, inputs: Tensor, weight: Tensor) -> Tensor:
        """The same inputs with every unit replaced by the mean over the units: their mean over all orders."""
        if weight.dim() > 2:
            return inputs.mean(1, keepdim=True).expand_as(inputs)
        units = inputs.unflatten(-1, (self._read.units, self._read.block))
        return units.mean(-2, keepdim=True).expand_as(units).flatten(-2)

    @property
    def moments(self) -> UnitMoments:
        """Over all images and positions."""
        assert isinstance(self._means, Tensor) and isinstance(self._deviations, Tensor)
        units, count = self._read.units, self._count
        return UnitMoments(units, self._means / count, self._deviations / (units * count))

    @property
    def moments_of_mean(self) -> UnitMoments:
        """Of the mean over all images and positions: of what the layer reads whatever the image."""
        assert isinstance(self._sum, Tensor)
        return unit_moments((self._sum / self._count)[None])

    def _patches(self, inputs: Tensor, weight: Tensor) -> Iterator[Float[Tensor, "examples units places positions"]]:
        if weight.dim() == 2:
            yield inputs.flatten(0, -2).unflatten(1, (self._read.units, self._read.block))[..., None]
            return
        kernel = weight.shape[2:]
        places = kernel.numel()
        # the layer itself, whatever its stride and padding, shows what each entry of its kernel meets
        entries = torch.eye(places, dtype=inputs.dtype, device=inputs.device).view(places, 1, *kernel)
        assert self._layer.weight_key is not None
        state = {self._layer.weight_key: entries}
        for part in inputs.split(max(1, _MOST_ENTRIES // (places * inputs[0].numel()))):
            met = self._network.linear_map(self._layer, state, part.flatten(0, 1).unsqueeze(1))
            yield met.flatten(2).unflatten(0, (len(part), -1))


class Outputs:
    """Energy of products (examples, units, positions…), and of what is the same for all images and positions."""

    def __init__(self) -> None:
        self._squares: Tensor | float = 0.0
        self._sum: Tensor | float = 0.0
        self._count = 0

    def add(self, products: Tensor) -> None:
        """Take in one batch."""
        of_units = products.transpose(0, 1).flatten(1)
        self._squares = self._squares + torch.linalg.vector_norm(of_units, dim=1).double().square().sum()
        self._sum = self._sum + of_units.sum(1, dtype=float64)
        self._count += of_units.shape[1]

    @property
    def energy(self) -> float:
        """Mean over images and positions of the squared norm."""
        return float(self._squares) / self._count

    @property
    def constant(self) -> float:
        """The squared norm of the mean."""
        assert isinstance(self._sum, Tensor)
        return float((self._sum / self._count).square().sum())


class Alignment:
    r"""$\langle u, v \rangle / \lVert v \rVert^2$, sums over everything: how much of v is in u."""

    def __init__(self) -> None:
        self._over: Tensor | float = 0.0
        self._under: Tensor | float = 0.0

    def add(self, first: Tensor, second: Tensor) -> None:
        """Take in one batch of both."""
        self._over = self._over + (first * second).sum(dtype=float64)
        self._under = self._under + second.square().sum(dtype=float64)

    @property
    def value(self) -> float:
        """NaN where the second is zero."""
        under = float(self._under)
        return float(self._over) / under if under else float("nan")


class OneSide:
    """A layer of one network: what it reads, what it makes of it, and what a shuffled copy of it would."""

    def __init__(self, network: LayeredNetwork, layer: MeasuredLayer, read: ReadUnits) -> None:
        self.read = read
        self.features, self.own = Features(network, layer, read), Outputs()
        self._network, self._layer = network, layer
        self._kappa = Alignment()
        self.products = (torch.empty(0), torch.empty(0))

    def add(self, inputs: Tensor, product: Tensor, state: StateDict) -> None:
        """Take in one batch of what the layer reads, and of its own product."""
        assert self._layer.weight_key is not None
        weight = state[self._layer.weight_key]
        if not self.products[0].numel():
            self.products = weight_products(weight.unflatten(1, (self.read.units, -1)) if weight.dim() == 2 else weight)
        self.features.add(inputs, weight)
        self.own.add(product)
        expected = self._network.linear_map(self._layer, state, self.features.averaged(inputs, weight))
        self._kappa.add(expected, product)
        if self.read.moves_outputs:
            # a shuffled copy has its outputs elsewhere: what is left of them on average is their mean over units
            units = product.shape[1]
            self._kappa.add(expected.sum(1) / units**0.5, product.sum(1) / units**0.5)

    @property
    def kappa(self) -> float:
        r"""The ratio of expectations of ⟨cross-talk, own sum⟩ and ‖own sum‖² with a shuffled copy of the network."""
        return self._kappa.value

    def meets(self, other: "OneSide") -> CrossTalk:
        """The expected energy of the other network's weight on this one's features, by this one's own energy."""
        return _relative(cross_talk(self.features.moments, other.products), self.own.energy)

    def meets_on_average(self, other: "OneSide") -> CrossTalk:
        """The same of the features' mean over the images: the part that is the same for every image."""
        return _relative(cross_talk(self.features.moments_of_mean, other.products), self.own.energy)


class Firing:
    """How often each unit of a layer is positive: over images, and positions of a convolution."""

    def __init__(self) -> None:
        self._positive: Tensor | float = 0.0
        self._count = 0

    def add(self, pre_activations: Tensor) -> None:
        """Take in one batch (examples, units, positions…)."""
        positive = (pre_activations > 0).transpose(0, 1).flatten(1)
        self._positive = self._positive + positive.sum(1).double()
        self._count += positive.shape[1]

    @property
    def shares(self) -> dict[str, float]:
        """``firing``: of the units' answers that are positive; ``always_on`` and ``dead``: of the units."""
        assert isinstance(self._positive, Tensor)
        each = self._positive / self._count
        return {
            "firing": each.mean().item(),
            "always_on": (each > ALWAYS_ON).double().mean().item(),
            "dead": (each == 0).double().mean().item(),
        }


def pooled(parts: Sequence[CrossTalk]) -> CrossTalk:
    """The mean of several expected energies, part by part."""
    return CrossTalk(*(sum(values) / len(parts) for values in zip(*parts, strict=True)))


def _relative(energy: CrossTalk, own: float) -> CrossTalk:
    return CrossTalk(*(part / own if own else float("nan") for part in energy))
