"""What a layered network computes inside, with the weights of any state dict."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lmcbook.models.layered import LayeredModel, LayerTrace, apply_weight
from lmcbook.states import StateDict, evaluation_mode, fitted, with_state


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
        return with_state(model, state)(images, trace=True, first_linear_output=first_linear_output)


def steps(
    model: LayeredModel,
    state: StateDict,
    images: Float[Tensor, "examples ..."],
    *,
    first_linear_output: Float[Tensor, "examples units *positions"] | None = None,
) -> Iterator[LayerTrace]:
    """`trace`, one layer at a time: a layer is computed when it is asked for, and no other is held.

    So several networks can be gone through side by side, also several states of one model.

    Raises:
        InputError: ``state`` does not fit ``model``.
    """
    fitted(model, "state", state)
    return _steps([_Step(model, depth) for depth in range(1, model.num_layers + 1)], state, images, first_linear_output)


def _steps(
    steps: "list[_Step]", state: StateDict, images: Tensor, first_linear_output: Tensor | None
) -> Iterator[LayerTrace]:
    signal, skip, linear_output = images, None, first_linear_output
    for step in steps:
        with torch.no_grad(), evaluation_mode(step):
            layer, skip = with_state(step, step.part_of(state))(signal, skip, linear_output)
        signal, linear_output = layer.output, None
        yield layer
        del layer


class _Step(nn.Module):
    """One layer of a network and its shortcut as a module of its own, so that it can be run with a state."""

    def __init__(self, model: LayeredModel, depth: int) -> None:
        super().__init__()
        self.depth = depth
        name = model.layer_names[depth - 1]
        self.names = [name, model.shortcuts[name]] if name in model.shortcuts else [name]
        self.layers = nn.ModuleList(model.layer(name) for name in self.names)
        # in a tuple it is no child, so that its other layers count neither for the state nor for the mode
        self.network = (model,)

    def part_of(self, state: StateDict) -> StateDict:
        prefixes = {f"{name}.": f"layers.{index}." for index, name in enumerate(self.names)}
        return {
            own + key.removeprefix(prefix): tensor
            for prefix, own in prefixes.items()
            for key, tensor in state.items()
            if key.startswith(prefix)
        }

    def forward(
        self, signal: Tensor, skip: Tensor | None, linear_output: Tensor | None
    ) -> tuple[LayerTrace, Tensor | None]:
        [model] = self.network
        return model.step(self.depth, signal, skip, linear_output)


def layer_outputs(model: LayeredModel, state: StateDict, images: Float[Tensor, "examples ..."]) -> dict[str, Tensor]:
    r"""$f_\ell(x; \theta)$ of every layer, by its name."""
    return {layer.name: layer.output for layer in trace(model, state, images)}


def pre_activations(model: LayeredModel, state: StateDict, images: Float[Tensor, "examples ..."]) -> dict[str, Tensor]:
    r"""$\tilde z_\ell$ of every layer, by its name: the activation's input, after batch norm and skip."""
    return {layer.name: layer.pre_activation for layer in trace(model, state, images)}


def linear_map(
    model: LayeredModel, state: StateDict, name: str, inputs: Float[Tensor, "examples ..."]
) -> Float[Tensor, "examples ..."]:
    r"""$W_\ell z$: the weight that ``state`` has for the layer ``name``, applied to any ``inputs`` (Definition 5.2)."""
    with torch.no_grad():
        return apply_weight(model.linear(name), state[model.weight_key(name)], inputs)
