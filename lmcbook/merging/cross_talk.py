r"""The mean cross-talk of merged networks, from the networks alone: what a repair would have to subtract.

The weights $W^i$ of one network answer the features $z^j$ of the others. In a merge that follows LEWC up to layer
ℓ − 1 the pre-activations of layer ℓ are $\sum_i \lambda_i^\ell W^i z^i$, as LEWC says, and besides
$\sum_i \sum_{j \neq i} \lambda_i \lambda_j^{\ell-1} W^i z^j$. This is the cross-talk. Its mean over images is a bias.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.models.layered import LayeredModel
from lmcbook.models.scan import trace
from lmcbook.states import StateDict


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
