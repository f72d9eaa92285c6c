r"""The mean cross-talk of merged networks, from the networks alone: what a repair would have to subtract.

The weights $W^i$ of one network answer the features $z^j$ of the others. In a merge that follows LEWC up to layer
ℓ − 1 the pre-activations of layer ℓ are $\sum_i \lambda_i^\ell W^i z^i$, as LEWC says, and besides
$\sum_i \sum_{j \neq i} \lambda_i \lambda_j^{\ell-1} W^i z^j$. This is the cross-talk. Its mean over images is a bias.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from lmcbook.errors import InputError
from lmcbook.merging.linear_layers import LinearLayer, linear_layers
from lmcbook.models.layered import LayeredModel
from lmcbook.models.scan import trace
from lmcbook.states import StateDict, has_batch_norm, with_state


def without_mean_cross_talk(
    model: LayeredModel,
    states: Sequence[StateDict],
    merged_state: StateDict,
    coefficients: Sequence[float],
    images: Float[Tensor, "examples ..."],
    *,
    common_only: bool = False,
) -> StateDict:
    r"""The merged network without its mean cross-talk, from the second layer on: a state of ``add_biases(model)``.

    Nothing is measured of the merged network, in contrast to `lmcbook.repair`. Its biases become those of
    ``merged_state`` minus $\sum_i \sum_{j \neq i} \lambda_i \lambda_j^{\ell-1} W^i\, \mathrm{E}z^j$.

    Args:
        model: linear layers in a chain, without normalisation and skips.
        merged_state: the weighted mean of ``states``.
        coefficients: λ_i, which sum to 1.
        images: without labels, for the mean features E z.
        common_only: subtract only what meets the common mode: in place of E z its mean over units, the same for all
            units, so that $W^i$ acts by the sums of its rows alone.

    Raises:
        InputError: the network is no such chain.
    """
    layers = [model.layer(name) for name in model.layer_names]
    if any(
        layer.normalisation is not None or layer.closes_skip or not isinstance(layer.linear, nn.Linear)
        for layer in layers
    ):
        raise InputError(
            "model has normalisations, skips or convolutions; cross-talk is that of linear layers in a chain"
        )
    means = [[layer.output.mean(dim=0) for layer in trace(model, state, images)] for state in states]
    if common_only:
        means = [[torch.full_like(mean, mean.mean().item()) for mean in own] for own in means]
    corrected = {name: tensor.clone() for name, tensor in merged_state.items()}
    for depth, name in enumerate(model.layer_names[:-1], start=1):
        weight, bias = model.weight_key(name), f"{name}.linear.bias"
        old = merged_state.get(bias, torch.zeros_like(merged_state[weight][:, 0]))
        corrected[bias] = old.clone()
        for i, state in enumerate(states):
            for j, features in enumerate(means):
                if i != j and depth > 1:
                    size = coefficients[i] * coefficients[j] ** (depth - 1)
                    corrected[bias] -= size * (state[weight] @ features[depth - 2])
    last = f"{model.layer_names[-1]}.linear.bias"
    corrected.setdefault(last, torch.zeros_like(merged_state[model.weight_key(model.layer_names[-1])][:, 0]))
    return corrected


def without_cross_talk_of(
    model: nn.Module,
    states: Sequence[StateDict],
    merged_state: StateDict,
    coefficients: Sequence[float],
    images: Float[Tensor, "examples ..."],
) -> StateDict:
    r"""The same for any module whose linear layers and convolutions are called as modules, each of them once.

    ℓ is the place of a layer's call among the calls of all of them, from 1; the last, which makes the logits, and
    the first are left unchanged. In a residual stream ℓ counts more layers than the features have passed.

    Args:
        model: the network with a bias in each of these layers, as `lmcbook.add_biases` makes it.
        states: of the networks that are merged, as states of ``model``.
        merged_state: their weighted mean, with batch norm recomputed, as a state of ``model``.
        coefficients: λ_i, which sum to 1.
        images: without labels, for the mean features E z.

    Raises:
        InputError: the network has batch norm, or a layer is called more than once.
    """
    if has_batch_norm(model):
        raise InputError(
            "kind is 'cross_talk', but the network has batch norm, whose recomputed statistics subtract the mean "
            "cross-talk already; choose 'none'"
        )
    layers = linear_layers(model)
    means = [_mean_inputs(model, layers, state, images) for state in states]
    if any(set(own) != set(means[0]) for own in means):
        raise InputError("kind is 'cross_talk', but the networks call different layers; choose 'mean' or 'lewc_mean'")
    corrected = {name: tensor.clone() for name, tensor in merged_state.items()}
    for depth, name in list(enumerate(means[0], start=1))[1:-1]:
        layer = layers[name]
        for i, state in enumerate(states):
            for j, features in enumerate(means):
                if i != j:
                    size = coefficients[i] * coefficients[j] ** (depth - 1)
                    for bias in layer.names:
                        corrected[f"{bias}.bias"] -= size * _answer(layer, state, features[name])
    return corrected


def _answer(layer: LinearLayer, state: StateDict, mean: Tensor) -> Tensor:
    """What the layer's weights make of mean features without its bias: of each unit the mean over positions."""
    own = {name: state[f"{layer.names[0]}.{name}"] for name, _ in layer.module.named_parameters()}
    output = functional_call(layer.module, own | {"bias": torch.zeros_like(own["bias"])}, (mean,))
    return output.movedim(layer.axis, -1).reshape(-1, layer.units).mean(0)


def _mean_inputs(
    model: nn.Module, layers: dict[str, LinearLayer], state: StateDict, images: Tensor
) -> dict[str, Tensor]:
    """Layer → the mean over the images of what it reads, with a first axis of one, in the order of the calls."""
    found: dict[str, Tensor] = {}

    @contextmanager
    def watching() -> Iterator[None]:
        with ExitStack() as hooks:
            for name, layer in layers.items():

                def hook(_: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
                    if name in found:
                        raise InputError(
                            f"kind is 'cross_talk', but {name} is called more than once, and one bias cannot take away "
                            "two means; choose 'mean' or 'lewc_mean', which leave it alone"
                        )
                    found[name] = inputs[0].mean(0, keepdim=True)

                hooks.enter_context(layer.module.register_forward_pre_hook(hook))
            yield

    with torch.no_grad(), watching():
        with_state(model, state)(images)
    return found
