"""The split of reciprocal orthogonality in every layer: of a pair, and of one network alone."""

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.layerwise.common_mode import activation_share, own_gain, weight_share
from lmcbook.layerwise.cross_talk import Alignment, Firing, OneSide, Outputs, ReadUnits, pooled, read_units
from lmcbook.layerwise.networks import LayeredNetwork, MeasuredLayer
from lmcbook.layerwise.running_sums import finite_or_none
from lmcbook.layerwise.traced import layered_network
from lmcbook.models import ARCHITECTURES, LayeredModel, LayerTrace, permutation_spec
from lmcbook.models.examples import as_images
from lmcbook.permutation import PermutationSpec, derive_spec
from lmcbook.states import StateDict, has_batch_norm
from lmcbook.theory.common_mode import CrossTalk
from lmcbook.theory.one_law import midpoint_exponents

COMMON_MODE_METRICS: dict[str, str] = {
    "reciprocal_orthogonality": "root mean square of ‖W^b z^a‖ / ‖W^a z^a‖ and its mirror, measured",
    "varying_orthogonality": "the same of what differs between images: what batch norm leaves",
    "constant_share": "share of the cross-talk's energy that is the same for every image",
    "predicted": "reciprocal orthogonality if the units of the two models are exchangeable, from both",
    "isotropic": "root of its part that falls with the number of units",
    "common": "root of its part that does not",
    "predicted_from_a": "the same from model a alone, as is all that ends in from_a",
    "varying_from_a": "varying orthogonality with a shuffled copy of model a",
    "constant_share_from_a": "constant share of the expected cross-talk with a shuffled copy of model a",
    "weight_share_a": "s = ‖W1‖² / (n ‖W‖_F²) of model a",
    "activation_share_a": "m' = n E[z̄²] / E‖z‖² of model a: the mean over units",
    "own_gain_a": "α = E‖Wz‖² / (‖W‖_F² E‖z‖²) of model a",
    "kappa": "⟨W^a z^b + W^b z^a, W^a z^a + W^b z^b⟩ / ‖W^a z^a + W^b z^b‖², measured",
    "kappa_from_a": "its expectation with a shuffled copy of model a",
    "exponent": "decay exponent that κ up to this layer predicts, given weak additivity; none with batch norm",
    "firing_a": "share of positive pre-activations in model a",
    "always_on_a": "share of model a's units that are positive for more than 95 % of the images",
    "dead_a": "share of model a's units that are positive for none",
}
"""What `measure_common_mode` writes, in words; each that ends in a comes for model b, too."""


@checked
def measure_common_mode(
    model: nn.Module,
    images: Shaped[Tensor, "examples ..."] | Any,
    state_a: StateDict,
    state_b: StateDict | None = None,
    *,
    spec: PermutationSpec | None = None,
    layers: Sequence[str] | None = None,
    network: LayeredNetwork | None = None,
    batch_size: int = 500,
) -> list[dict[str, Any]]:
    r"""Reciprocal orthogonality of every layer, split in what falls with width and what does not, and its prediction.

    Where units of two networks are exchangeable, reciprocal orthogonality is a number that one network tells: see
    `lmcbook.layerwise.common_mode`. Each entry is ``{"layer": name, "depth": ℓ, "metrics": {metric: number or None}}``
    with the metrics of `COMMON_MODE_METRICS`, those of a pair only where there is a ``state_b``. An entry of a layer
    that the closed form does not cover has ``"left_out"``, a sentence that says why: a grouped convolution, a layer
    that reads several groups of units at once, or the images. Positions of a convolution count as further images.

    Exponents are given of a chain of layers without batch norm. Over the images this costs for each network less than
    four forward passes, and of convolutions one look at all patches.

    Args:
        model: the network; its own weights do not count.
        images: test images, or other inputs, on the device of the states, in any form that
            `lmcbook.models.examples.as_images` takes.
        state_a: model a.
        state_b: model b, or None, if there is none yet.
        spec: the table of the network's symmetry, which says what the units of a layer are; by default that of its
            architecture, or what `lmcbook.derive_spec` finds.
        layers: names of modules to measure, as `lmcbook.measure_layers` takes them.
        network: the layers of the model, where `lmcbook.layerwise.traced.layered_network` has found them: a trace
            takes seconds. Then ``layers`` does not count.
        batch_size: examples that pass at once.

    Raises:
        InputError: there are no images, ``spec`` does not fit the states, or the model cannot be traced.
    """
    check_number("batch_size", batch_size, minimum=1, integer=True)
    images = as_images("images", images)
    if len(images) == 0:
        raise InputError("images holds 0 examples; layers are measured on test images, give at least one")
    spec = symmetry_of(model, images) if spec is None else spec
    spec.groups(state_a)
    network = layered_network(model, images, layers) if network is None else network
    states = [state_a] if state_b is None else [state_a, state_b]
    found = [_LayerSums(network, layer, read_units(layer, spec, state_a), len(states)) for layer in network.layers]
    with torch.no_grad():
        for batch in images.split(batch_size):
            walks = [network.steps(state, batch) for state in states]
            for sums, *traces in zip(found, *walks, strict=True):
                sums.add(traces, states)
                del traces
    found.sort(key=lambda sums: sums.layer.depth is None)
    entries = [sums.entry() for sums in found]
    if not has_batch_norm(model):
        _add_exponents(entries)
    for entry in entries:
        entry["metrics"] = {name: finite_or_none(value) for name, value in entry["metrics"].items()}
    return entries


class _LayerSums:
    """All that is gathered of one layer of one network or of two."""

    def __init__(self, network: LayeredNetwork, layer: MeasuredLayer, read: ReadUnits | str, models: int) -> None:
        self.layer = layer
        self._network, self._read = network, read
        self._firing = [Firing() for _ in range(models)] if layer.activation is not None else []
        self._sides = [] if isinstance(read, str) else [OneSide(network, layer, read) for _ in range(models)]
        self._cross = [Outputs() for _ in self._sides]
        self._kappa = Alignment()

    def add(self, traces: Sequence[LayerTrace], states: Sequence[StateDict]) -> None:
        """Take in one batch of the layer, of each network."""
        for firing, trace in zip(self._firing, traces, strict=False):
            firing.add(trace.pre_activation)
        for side, trace, state in zip(self._sides, traces, states, strict=False):
            side.add(trace.input, trace.linear_output, state)
        if len(self._sides) == 2:
            # model b's weights on model a's features, and the mirror
            products = [
                self._network.linear_map(self.layer, state, trace.input)
                for state, trace in zip(reversed(states), traces, strict=True)
            ]
            for outputs, product in zip(self._cross, products, strict=True):
                outputs.add(product)
            self._kappa.add(sum(products[1:], products[0]), traces[0].linear_output + traces[1].linear_output)

    def entry(self) -> dict[str, Any]:
        """The layer's entry, numbers that do not exist as NaN."""
        metrics: dict[str, float] = {}
        for model, firing in zip("ab", self._firing, strict=False):
            metrics |= {f"{name}_{model}": value for name, value in firing.shares.items()}
        for model, side in zip("ab", self._sides, strict=False):
            metrics |= _of_one(model, side)
        if len(self._sides) == 2:
            metrics |= self._of_both()
        more = {"left_out": self._read} if isinstance(self._read, str) else {}
        return {"layer": self.layer.name, "depth": self.layer.depth, "metrics": metrics, **more}

    def _of_both(self) -> dict[str, float]:
        a, b = self._sides
        measured = [
            (cross.energy / _or_nan(side.own.energy), cross.constant / _or_nan(side.own.energy))
            for cross, side in zip(self._cross, self._sides, strict=True)
        ]
        energy, constant = (sum(values) / 2 for values in zip(*measured, strict=True))
        varying = [
            (cross.energy - cross.constant) / _or_nan(side.own.energy - side.own.constant)
            for cross, side in zip(self._cross, self._sides, strict=True)
        ]
        return {
            "reciprocal_orthogonality": _root(energy),
            "varying_orthogonality": _root(sum(varying) / 2),
            "constant_share": constant / _or_nan(energy),
            "kappa": self._kappa.value,
            **_parts(pooled([a.meets(b), b.meets(a)])),
        }


def _of_one(model: str, side: OneSide) -> dict[str, float]:
    """What one network tells alone."""
    whole, constant, own = side.meets(side), side.meets_on_average(side).total, side.own
    left = 1 - own.constant / _or_nan(own.energy)
    moments, products = side.features.moments, side.products
    return {
        f"weight_share_{model}": weight_share(products, side.read.units),
        f"activation_share_{model}": activation_share(moments),
        f"own_gain_{model}": own_gain(own.energy, moments, products),
        **{f"{name}_from_{model}": value for name, value in _parts(whole).items()},
        f"constant_share_from_{model}": constant / _or_nan(whole.total),
        f"varying_from_{model}": _root((whole.total - constant) / _or_nan(left)),
        f"kappa_from_{model}": side.kappa,
    }


def _parts(energy: CrossTalk) -> dict[str, float]:
    return {
        "predicted": _root(energy.total),
        "isotropic": _root(energy.isotropic),
        "common": _root(energy.common),
    }


def _add_exponents(entries: Sequence[dict[str, Any]]) -> None:
    """The exponents that each kind of κ predicts, where the layers with a depth are a chain."""
    chain = [entry for entry in entries if entry["depth"] is not None]
    if [entry["depth"] for entry in chain] != list(range(1, len(chain) + 1)):
        return
    for kappa, exponent in (("kappa", "exponent"), *((f"kappa_from_{side}", f"exponent_from_{side}") for side in "ab")):
        found = [entry["metrics"].get(kappa, math.nan) for entry in chain[1:]]
        # from a layer whose κ does not exist or turns the sum around there is no exponent
        known = list(takewhile(lambda value: value > -1, found))
        if known:
            for entry, value in zip(chain, midpoint_exponents(known).tolist(), strict=False):
                entry["metrics"][exponent] = value


@checked
def symmetry_of(model: nn.Module, images: Tensor) -> PermutationSpec:
    """The table of a network's symmetry: that of its architecture, or what `lmcbook.derive_spec` finds.

    Raises:
        InputError: the network is none of ours and cannot be traced.
    """
    if isinstance(model, LayeredModel) and model.architecture in ARCHITECTURES:
        return permutation_spec(model)
    return derive_spec(model, images[:2])


def _or_nan(value: float) -> float:
    """``value``, or NaN in place of 0, which nothing is divided by."""
    return value or math.nan


def _root(value: float) -> float:
    # a part that is zero may come out below it by rounding
    return math.sqrt(max(value, 0.0)) if not math.isnan(value) else value
