"""One pair of networks, measured inside: all metrics of all layers, streaming over batches of images."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError, check_number
from lmcbook.layerwise.accumulator import LayerAccumulator, entry
from lmcbook.layerwise.lewc import llfc_prediction
from lmcbook.layerwise.orthogonality import weight_norm_ratio
from lmcbook.layerwise.ranks import rank_measures
from lmcbook.layerwise.streaming import finite_or_none
from lmcbook.models import LayeredModel, LayerTrace, linear_map, steps
from lmcbook.states import StateDict

MEASURED_COEFFICIENTS: tuple[float, ...] = (0.25, 0.5, 0.75)
"""λ of the merged models that a layerwise record is about."""


def measure_layers(
    model: LayeredModel,
    state_a: StateDict,
    state_b: StateDict,
    merged_states: Mapping[float, StateDict],
    images: Float[Tensor, "examples channels height width"],
    *,
    batch_size: int = 500,
    ranks: bool = True,
) -> list[dict[str, Any]]:
    r"""LEWC, its two conditions, commutativity, active units and ranks of every layer of a pair.

    Each entry is ``{"layer": name, "depth": ℓ, "coefficient": λ or None, "metrics": {metric: number or None}}``; what
    the metrics mean stands in `METRICS`. An entry without a coefficient is about the two endpoints and comes once per
    layer; that of a hidden layer also holds ``"units"``, the root second moments of model a and b for the figures. One
    with a coefficient is about the merged model. None stands for a number that does not exist (a ratio of zeros).
    Shortcuts of residual networks have the depth None: they have no place in the count of layers.

    Over the images this costs one pass of each endpoint, one of each merged model but for its first layer (which is
    linear in the weights, so that the endpoints' products serve it too), and two more products per layer from the
    second on: less than 7 forward passes for three merged models, and four products more of each shortcut. What is not
    a product of weights, the norms of `Gram`, counts for the more the narrower a network is. Sums are in float64; the
    batch size changes no more than their rounding.

    Args:
        model: the network; its own weights do not count.
        state_a: model a, with the batch-norm statistics it is to be measured with.
        state_b: model b, after its alignment.
        merged_states: λ → merged model, batch norm recomputed.
        images: test images, on the device of the states.
        batch_size: so many at once; one layer of each network, of one batch, is held in memory.
        ranks: whether to compute the ranks of the weights, which costs an eigenvalue problem per layer and model.

    Raises:
        InputError: there are no images, or a coefficient lies outside of [0, 1].
    """
    check_number("batch_size", batch_size, minimum=1, integer=True)
    for coefficient in merged_states:
        check_number("merged_states's coefficient", coefficient, minimum=0, maximum=1)
    if len(images) == 0:
        raise InputError("images holds 0 examples; layers are measured on test images, give at least one")
    names = model.layer_names
    layers = [
        LayerAccumulator(
            name,
            depth,
            tuple(merged_states),
            hidden=model.layer(name).activation is not None,
            activation=model.layer(name).activation or _none,
        )
        for depth, name in enumerate(names, start=1)
    ]
    # of a shortcut only the products with its weights are measured: as if it stood anywhere but first
    shortcuts = {opener: LayerAccumulator(name, 2, hidden=False) for opener, name in model.shortcuts.items()}
    first_key = model.weight_key(names[0])
    with torch.no_grad():
        of_endpoints = {
            coefficient: torch.allclose(
                state[first_key], llfc_prediction(state_a[first_key], state_b[first_key], coefficient)
            )
            for coefficient, state in merged_states.items()
        }
        for batch in images.split(batch_size):
            steps_a, steps_b = steps(model, state_a, batch), steps(model, state_b, batch)
            merged_steps: list[Iterator[LayerTrace]] = []
            for layer in layers:
                step_a, step_b = next(steps_a), next(steps_b)
                if layer.depth == 1:
                    for coefficient, merged in merged_states.items():
                        first = None
                        if of_endpoints[coefficient]:
                            first = llfc_prediction(step_a.linear_output, step_b.linear_output, coefficient)
                        merged_steps.append(steps(model, merged, batch, first_linear_output=first))
                layer.add(step_a, step_b, [next(step).output for step in merged_steps])
                if layer.depth > 1:
                    a_on_b = linear_map(model, state_a, layer.name, step_b.input)
                    b_on_a = linear_map(model, state_b, layer.name, step_a.input)
                    layer.add_products(step_a.linear_output, step_b.linear_output, a_on_b, b_on_a)
                if layer.name in shortcuts:
                    _add_shortcut(shortcuts[layer.name], model, state_a, state_b, step_a, step_b)
    entries = []
    for layer in [*layers, *shortcuts.values()]:
        is_shortcut = layer.name not in names
        metrics = layer.metrics() | _weights(model, state_a, state_b, layer.name, ranks=ranks)
        more: dict[str, Any] = {"units": layer.units()} if layer.hidden else {}
        entries.append(entry(layer.name, None if is_shortcut else layer.depth, metrics, **more))
    for coefficient in merged_states:
        entries += [
            entry(layer.name, layer.depth, layer.merged_metrics(coefficient), coefficient=float(coefficient))
            for layer in layers
        ]
    return entries


def rows(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same numbers as a long table: one row ``layer, depth, coefficient, metric, value`` for each."""
    return [
        {name: each[name] for name in ("layer", "depth", "coefficient")} | {"metric": metric, "value": value}
        for each in entries
        for metric, value in each["metrics"].items()
    ]


def _add_shortcut(
    shortcut: LayerAccumulator,
    model: LayeredModel,
    state_a: StateDict,
    state_b: StateDict,
    trace_a: LayerTrace,
    trace_b: LayerTrace,
) -> None:
    # the shortcut reads what the layer that opens the skip reads
    a_on_a, b_on_b, a_on_b, b_on_a = (
        linear_map(model, state, shortcut.name, read.input)
        for state, read in ((state_a, trace_a), (state_b, trace_b), (state_a, trace_b), (state_b, trace_a))
    )
    shortcut.add_products(a_on_a, b_on_b, a_on_b, b_on_a)


def _weights(
    model: LayeredModel, state_a: StateDict, state_b: StateDict, name: str, *, ranks: bool
) -> dict[str, float | None]:
    weight_a, weight_b = (state[model.weight_key(name)] for state in (state_a, state_b))
    found: dict[str, float | None] = {"weight_norm_ratio": finite_or_none(weight_norm_ratio(weight_b, weight_a))}
    if ranks:
        for model_name, weight in (("a", weight_a), ("b", weight_b)):
            found |= {f"{metric}_{model_name}": value for metric, value in rank_measures(weight).items()}
    return found


def _none(pre_activations: Tensor) -> Tensor:
    return pre_activations
