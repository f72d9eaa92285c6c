"""What a layered network computes inside, with the weights of any state dict."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.models.layered import LayeredModel, LayerTrace, apply_weight
from lmcbook.permutation import StateDict, evaluation_mode


def trace(
    model: LayeredModel,
    state: StateDict,
    images: Float[Tensor, "examples ..."],
    *,
    first_linear_output: Float[Tensor, "examples units *positions"] | None = None,
) -> tuple[LayerTrace, ...]:
    """All layers of the network with the weights ``state``, in evaluation mode and without gradients.

    ``first_linear_output`` is W₁x, if it is known already, as of a merged model whose endpoints were traced.
    """
    with torch.no_grad(), evaluation_mode(model):
        return torch.func.functional_call(
            model, state, (images,), {"trace": True, "first_linear_output": first_linear_output}
        )


def with_state(model: LayeredModel, state: StateDict) -> LayeredModel:
    """A second network like ``model``, in evaluation mode, whose tensors are those of ``state``: none is copied.

    For what goes through several networks layer by layer, where `trace` would hold all their layers at once.

    Raises:
        InputError: ``state`` lacks a tensor of the model.
    """
    names = [*dict(model.named_parameters()), *dict(model.named_buffers())]
    missing = [name for name in names if name not in state]
    if missing:
        raise InputError(f"state has no tensor {missing[0]!r}; give the state dict of a network of the same shape")
    return _shallow(model, state, "").eval()


def _shallow(module: nn.Module, state: StateDict, prefix: str) -> Any:
    twin = copy.copy(module)
    twin._parameters = {
        name: None if tensor is None else nn.Parameter(state[prefix + name].detach(), requires_grad=False)
        for name, tensor in module._parameters.items()
    }
    twin._buffers = {
        name: None if tensor is None else state.get(prefix + name, tensor) for name, tensor in module._buffers.items()
    }
    twin._modules = {
        name: None if child is None else _shallow(child, state, f"{prefix}{name}.")
        for name, child in module._modules.items()
    }
    return twin


def layer_outputs(model: LayeredModel, state: StateDict, images: Float[Tensor, "examples ..."]) -> dict[str, Tensor]:
    r"""$f_\ell(x; \theta)$ of every layer, by its name."""
    return {layer.name: layer.output for layer in trace(model, state, images)}


def linear_outputs(model: LayeredModel, state: StateDict, images: Float[Tensor, "examples ..."]) -> dict[str, Tensor]:
    r"""$W_\ell z_{\ell-1}$ of every layer, by its name: before bias and batch norm."""
    return {layer.name: layer.linear_output for layer in trace(model, state, images)}


def pre_activations(model: LayeredModel, state: StateDict, images: Float[Tensor, "examples ..."]) -> dict[str, Tensor]:
    r"""$\tilde z_\ell$ of every layer, by its name: the activation's input, after batch norm and skip."""
    return {layer.name: layer.pre_activation for layer in trace(model, state, images)}


def linear_map(
    model: LayeredModel, state: StateDict, name: str, inputs: Float[Tensor, "examples ..."]
) -> Float[Tensor, "examples ..."]:
    r"""$W_\ell z$: the weight that ``state`` has for the layer ``name``, applied to any ``inputs`` (Definition 5.2)."""
    with torch.no_grad():
        return apply_weight(model.linear(name), state[model.weight_key(name)], inputs)
