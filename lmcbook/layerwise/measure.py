"""One pair of networks, measured inside: all metrics of all layers, streaming over batches of images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.layerwise.accumulator import LayerAccumulator, entry
from lmcbook.layerwise.lewc import llfc_prediction
from lmcbook.layerwise.networks import LayeredNetwork, MeasuredLayer
from lmcbook.layerwise.orthogonality import weight_norm_ratio
from lmcbook.layerwise.ranks import rank_measures
from lmcbook.layerwise.running_sums import finite_or_none
from lmcbook.layerwise.traced import layered_network
from lmcbook.models.examples import as_images
from lmcbook.states import StateDict, check_same_tensors, fitted

MEASURED_COEFFICIENTS: tuple[float, ...] = (0.25, 0.5, 0.75)
"""λ of the merged models that a layerwise record is about."""


@checked
def measure_layers(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    merged_states: Mapping[float, StateDict],
    images: Shaped[Tensor, "examples ..."] | Any,
    *,
    layers: Sequence[str] | None = None,
    network: LayeredNetwork | None = None,
    batch_size: int = 500,
    ranks: bool = True,
) -> list[dict[str, Any]]:
    r"""LEWC, its two conditions, commutativity, active units and ranks of every layer of a pair of networks.

    Each entry is ``{"layer": name, "depth": ℓ, "coefficient": λ or None, "metrics": {metric: number or None}}``; what
    the metrics mean stands in `METRICS`. An entry without a coefficient is about the two endpoints and comes once per
    layer; that of a layer with an activation also holds ``"units"``, the root second moments of model a and b for the
    figures. One with a coefficient is about the merged model. None stands for a number that does not exist (a ratio of
    zeros). Shortcuts of residual networks have the depth None: they have no place in the count of layers.

    A `LayeredModel` says itself what its layers are. Any other module is traced once, as `lmcbook.layerwise.traced`
    describes: every linear layer and convolution is measured, also those inside attention. It is compared with its
    own input in the other model, so the two conditions mean the same in every network. LEWC's exponent ℓ does not: it
    is proved for a chain of linear maps and activations without bias. Batch norm and layer norm set the size of what
    they return, and a residual stream adds up branches of different depths. There the cosines at λ = ½, which do not
    depend on ℓ, and the measured ``decay_exponent`` are to be read, rather than ``lewc_error``.

    Over the images this costs one pass of each endpoint, one of each merged model but for its first layer (which is
    linear in the weights, so that the endpoints' products serve it too), and two more products per layer from the
    second on: less than 7 forward passes for three merged models, and some products more of each shortcut. What is not
    a product of weights, the norms of `Gram`, counts for the more the narrower a network is. Sums are in float64; the
    batch size changes no more than their rounding.

    Args:
        model: the network, from one tensor of examples to one of outputs; its own weights do not count.
        state_a: model a, with the batch-norm statistics it is to be measured with.
        state_b: model b, after its alignment.
        merged_states: λ → merged model, batch norm recomputed.
        images: test images, or other inputs, on the device of the states: a tensor, a `lmcbook.Split`, a tuple (images,
            labels), or an iterable of batches such as a `DataLoader`.
        layers: names of modules to measure; by default all linear layers and convolutions. Of any other module, such as
            a residual block, only the output is compared with the laws.
        network: the layers of the model, where `lmcbook.layerwise.traced.layered_network` has found them: a trace
            takes seconds. Then ``layers`` does not count.
        batch_size: examples that pass at once; of one batch, one layer of each network is held in memory.
        ranks: whether to compute the ranks of the weights, which costs an eigenvalue problem per layer and model.

    Raises:
        InputError: there are no images, a coefficient lies outside [0, 1], or the model cannot be traced.
    """
    check_number("batch_size", batch_size, minimum=1, integer=True)
    for coefficient in merged_states:
        check_number("merged_states's coefficient", coefficient, minimum=0, maximum=1)
    merged_states = {
        coefficient: fitted(model, f"merged_states[{coefficient:g}]", state)
        for coefficient, state in merged_states.items()
    }
    check_same_tensors("state_a", state_a, "state_b", state_b)
    for coefficient, state in merged_states.items():
        check_same_tensors("state_a", state_a, f"merged_states[{coefficient:g}]", state)
    images = as_images("images", images)
    if len(images) == 0:
        raise InputError("images holds 0 examples; layers are measured on test images, give at least one")
    network = layered_network(model, images, layers) if network is None else network
    accumulators = _accumulated(network, state_a, state_b, merged_states, images.split(batch_size))
    ordered = sorted(accumulators, key=lambda layer: layer.depth is None)
    entries = []
    for layer in ordered:
        metrics = accumulators[layer].metrics()
        if layer.weight_key is not None:
            metrics |= _weights(state_a[layer.weight_key], state_b[layer.weight_key], ranks=ranks)
        more: dict[str, Any] = {"units": accumulators[layer].units()} if layer.activation is not None else {}
        entries.append(entry(layer.name, layer.depth, metrics, **more))
    for coefficient in merged_states:
        entries += [
            entry(
                layer.name,
                layer.depth,
                accumulators[layer].merged_metrics(coefficient),
                coefficient=float(coefficient),
            )
            for layer in ordered
            if layer.depth is not None
        ]
    return entries


@torch.no_grad()
def _accumulated(
    network: LayeredNetwork,
    state_a: StateDict,
    state_b: StateDict,
    merged_states: Mapping[float, StateDict],
    batches: Iterable[Tensor],
) -> dict[MeasuredLayer, LayerAccumulator]:
    """The sums over all batches of every layer: both endpoints and the merged models go through the network abreast."""
    accumulators = {
        layer: LayerAccumulator(
            layer.depth,
            tuple(merged_states),
            activation=layer.activation,
            has_products=layer.weight_key is not None and not layer.reads_images,
        )
        for layer in network.layers
    }
    shared = {
        (layer, coefficient)
        for layer in network.layers
        for coefficient, state in merged_states.items()
        if _is_shared(layer, state_a, state_b, state, coefficient)
    }
    for batch in batches:
        known: dict[float, dict[str, Tensor]] = {coefficient: {} for coefficient in merged_states}
        steps_a, steps_b, *merged_steps = (
            network.steps(state_a, batch),
            network.steps(state_b, batch),
            *(network.steps(state, batch, known[coefficient]) for coefficient, state in merged_states.items()),
        )
        for (layer, accumulator), a, b in zip(accumulators.items(), steps_a, steps_b, strict=True):
            for coefficient in merged_states:
                if (layer, coefficient) in shared:
                    known[coefficient][layer.name] = llfc_prediction(a.linear_output, b.linear_output, coefficient)
            merged_outputs = [next(steps).output for steps in merged_steps]
            if layer.depth is not None:
                accumulator.add(a, b, merged_outputs)
            if accumulator.has_products:
                a_on_b = network.linear_map(layer, state_a, b.input)
                b_on_a = network.linear_map(layer, state_b, a.input)
                accumulator.add_products(a.linear_output, b.linear_output, a_on_b, b_on_a)
    return accumulators


def _is_shared(
    layer: MeasuredLayer, state_a: StateDict, state_b: StateDict, merged: StateDict, coefficient: float
) -> bool:
    """Whether the endpoints' products serve the merged model too: the layer reads the images and lies on the line."""
    key = layer.weight_key
    return (
        layer.reads_images
        and key is not None
        and torch.allclose(merged[key], llfc_prediction(state_a[key], state_b[key], coefficient))
    )


def _weights(weight_a: Tensor, weight_b: Tensor, *, ranks: bool) -> dict[str, float | None]:
    found: dict[str, float | None] = {"weight_norm_ratio": finite_or_none(weight_norm_ratio(weight_b, weight_a))}
    if ranks:
        for name, weight in (("a", weight_a), ("b", weight_b)):
            found |= {f"{metric}_{name}": value for metric, value in rank_measures(weight).items()}
    return found
