"""A network as a sequence of named layers: its forward pass is the fold over them, its trace the scan of the same.

Every layer is: prepare (pooling, flattening) → linear map → batch norm → skip → activation. The state of the fold is
the signal and, in residual networks, the skip on its way past it. No hooks, and no second copy of a network.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lmcbook.errors import InputError, check_choice
from lmcbook.states import batch_norm_modules

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "softsign": F.softsign,
}
"""Leaky ReLU has torch's slope 0.01; GELU is exact; tanh and softsign, x/(1 + |x|), are odd."""


class LayerTrace(NamedTuple):
    """What one layer saw and made; channels of a convolution are units, its positions further examples."""

    name: str
    depth: int
    """ℓ, from 1; 0 of a shortcut, which has no place in the count of layers."""
    input: Tensor
    """z_{ℓ−1} as the linear map sees it: after pooling or flattening."""
    linear_output: Tensor
    """W z_{ℓ−1}, before bias and batch norm."""
    pre_activation: Tensor
    """The activation's input: after bias, batch norm and the addition of the skip; for the classifier the logits."""
    output: Tensor
    """f_ℓ(x; θ), after the activation; for the classifier the logits."""


class Layer(nn.Module):
    """One layer: a linear map with what stands before and after it.

    The keys of its tensors are ``NAME.linear.weight``, ``NAME.linear.bias``, ``NAME.normalisation.weight`` and so on.

    Args:
        linear: `torch.nn.Linear` or `torch.nn.Conv2d` (zero padding).
        prepare: applied to the previous layer's output, or to the images.
        normalisation: batch norm or layer norm behind the linear map.
        activation: elementwise; None for the classifier.
        opens_skip: the layer's input (after ``prepare``) starts a skip connection.
        closes_skip: the open skip is added before the activation.
    """

    def __init__(
        self,
        linear: nn.Linear | nn.Conv2d,
        *,
        prepare: nn.Module | None = None,
        normalisation: nn.Module | None = None,
        activation: Activation | None = None,
        opens_skip: bool = False,
        closes_skip: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(linear, nn.Conv2d) and linear.padding_mode != "zeros":
            raise InputError(f"padding_mode is {linear.padding_mode!r}; a convolution here pads with 'zeros' only")
        self.prepare = prepare
        self.linear = linear
        self.normalisation = normalisation
        self.activation = activation
        self.opens_skip = opens_skip
        self.closes_skip = closes_skip

    def finish(self, linear_output: Tensor) -> Tensor:
        """Bias and batch norm: all that follows the linear map but skip and activation."""
        if self.linear.bias is not None:
            bias = self.linear.bias
            linear_output = linear_output + (bias[:, None, None] if isinstance(self.linear, nn.Conv2d) else bias)
        return linear_output if self.normalisation is None else self.normalisation(linear_output)

    def forward(self, signal: Tensor) -> Tensor:
        """Linear map, bias and batch norm: what a shortcut does to its input."""
        return self.advance(signal, None)[1]

    def advance(self, signal: Tensor, linear_output: Tensor | None) -> tuple[Tensor, Tensor]:
        """W z, unless it is known already, and what bias and batch norm make of it.

        All use of the layer's tensors in a forward pass is in here, so that a layer whose tensors are spread over
        several processes knows when to collect them.
        """
        if linear_output is None:
            linear_output = apply_weight(self.linear, self.linear.weight, signal)
        return linear_output, self.finish(linear_output)


class Shortcut(NamedTuple):
    """A layer in the skip: ``name`` of it, and what it is."""

    name: str
    layer: Layer


class LayeredModel(nn.Module):
    """A network of named layers, in order from the images to the logits.

    Args:
        layers: name → layer; dots in a name make nested modules. The last layer is the classifier.
        shortcuts: name of a layer that opens a skip → the `Shortcut` of its input; without one the input itself skips.
    """

    def __init__(self, layers: Mapping[str, Layer], shortcuts: Mapping[str, Shortcut] | None = None) -> None:
        super().__init__()
        _check_skips(layers, shortcuts or {})
        self.architecture: str | None = None
        """Name of the entry of `ARCHITECTURES` that built it, if one did."""
        self.recompute = False
        """Keep only every few layers' activations for the backward pass and compute the others again: the same numbers
        with less memory and a third more arithmetic."""
        self.layer_names = tuple(layers)
        self.shortcuts = {name: shortcut.name for name, shortcut in (shortcuts or {}).items()}
        for name, layer in layers.items():
            _register(self, name, layer)
        for shortcut in (shortcuts or {}).values():
            _register(self, shortcut.name, shortcut.layer)

    @property
    def num_layers(self) -> int:
        """L: the number of linear maps from the images to the logits; shortcuts do not count."""
        return len(self.layer_names)

    @property
    def shortcut_names(self) -> tuple[str, ...]:
        """Names of the shortcuts' layers; `linear`, `weight_key` and `linear_map` take them as well."""
        return tuple(self.shortcuts.values())

    def layer(self, name: str) -> Layer:
        """The layer (or shortcut) of that name.

        Raises:
            InputError: there is none.
        """
        check_choice("name", name, (*self.layer_names, *self.shortcut_names))
        return self.get_submodule(name)  # type: ignore[return-value]

    def linear(self, name: str) -> nn.Linear | nn.Conv2d:
        """The linear map of the layer ``name``."""
        return self.layer(name).linear

    def weight_key(self, name: str) -> str:
        """The key in the state dict of the weight of the layer ``name``."""
        self.layer(name)
        return f"{name}.linear.weight"

    def first_linear_output(
        self, state: Mapping[str, Tensor], images: Float[Tensor, "examples ..."]
    ) -> Float[Tensor, "examples units *positions"]:
        """W₁x with the weight that ``state`` has for the first layer, as `forward` takes it."""
        name = self.layer_names[0]
        layer = self.layer(name)
        given = images if layer.prepare is None else layer.prepare(images)
        return apply_weight(layer.linear, state[self.weight_key(name)], given)

    def forward(
        self,
        images: Float[Tensor, "examples ..."],
        *,
        first_linear_output: Float[Tensor, "examples units *positions"] | None = None,
        trace: bool = False,
    ) -> Float[Tensor, "examples classes"] | tuple[LayerTrace, ...]:
        r"""The logits, $f_L(x; \theta)$, or the trace of all layers, whose last output they are.

        Args:
            images: the input x.
            first_linear_output: W₁x, if it is known already: layer 1 is linear in the weights, so that for a network
                λθᵃ + (1−λ)θᵇ it is λ W₁ᵃx + (1−λ) W₁ᵇx, and two products serve every λ.
            trace: return a `LayerTrace` for each layer in place of the logits.
        """
        signal: Tensor = images
        skip: Tensor | None = None
        if self.recompute and not trace and first_linear_output is None and torch.is_grad_enabled():
            stretch = max(2, math.isqrt(self.num_layers))
            for start in range(1, self.num_layers + 1, stretch):
                depths = range(start, min(start + stretch, self.num_layers + 1))
                signal, skip = checkpoint(
                    self._stretch,
                    depths,
                    signal,
                    skip,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    context_fn=lambda: (nullcontext(), _frozen_statistics(self)),
                )
            return signal
        layers: list[LayerTrace] = []
        for depth in range(1, self.num_layers + 1):
            layer, skip = self.step(depth, signal, skip, first_linear_output if depth == 1 else None)
            signal = layer.output
            if trace:
                layers.append(layer)
            # what nobody asked for is free before the next layer needs the memory
            del layer
        return tuple(layers) if trace else signal

    def _stretch(self, depths: range, signal: Tensor, skip: Tensor | None) -> tuple[Tensor, Tensor | None]:
        for depth in depths:
            step, skip = self.step(depth, signal, skip, None)
            signal = step.output
        return signal, skip

    def step(
        self, depth: int, signal: Tensor, skip: Tensor | None, linear_output: Tensor | None
    ) -> tuple[LayerTrace, Tensor | None]:
        """One step of the fold: the layer at ``depth`` and the open skip after it, from what the layers before made.

        Args:
            signal: the output of the layer before, or the images.
            skip: what the open skip carries, if one is open.
            linear_output: W z of this layer, if it is known already.
        """
        name = self.layer_names[depth - 1]
        layer: Layer = self.get_submodule(name)  # type: ignore[assignment]
        given = signal if layer.prepare is None else layer.prepare(signal)
        if layer.opens_skip:
            skip = given
            if name in self.shortcuts:
                shortcut: Layer = self.get_submodule(self.shortcuts[name])  # type: ignore[assignment]
                skip = shortcut.advance(given, None)[1]
        linear_output, pre_activation = layer.advance(given, linear_output)
        if layer.closes_skip and skip is not None:
            pre_activation, skip = pre_activation + skip, None
        output = pre_activation if layer.activation is None else layer.activation(pre_activation)
        return LayerTrace(name, depth, given, linear_output, pre_activation, output), skip


def apply_weight(linear: nn.Linear | nn.Conv2d, weight: Tensor, inputs: Tensor) -> Tensor:
    """``weight`` applied to ``inputs`` as ``linear`` applies its own, with its stride and padding and without bias."""
    if isinstance(linear, nn.Linear):
        return F.linear(inputs, weight)
    return F.conv2d(inputs, weight, None, linear.stride, linear.padding, linear.dilation, linear.groups)


@contextmanager
def _frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Batch norm normalises with its batch's statistics, but the running statistics do not take them in twice."""
    before = [
        (module, module.momentum, module.num_batches_tracked)
        for module in batch_norm_modules(model).values()
        if module.num_batches_tracked is not None
    ]
    try:
        for module, _, counter in before:
            # the running statistics stay arguments: what is saved for the backward pass must be what was saved first
            module.momentum, module.num_batches_tracked = 0.0, counter.clone()
        yield
    finally:
        for module, momentum, counter in before:
            module.momentum, module.num_batches_tracked = momentum, counter


def scaled_width(base: int, width_multiplier: float) -> int:
    """Units of a layer that has ``base`` at width multiplier 1.

    Raises:
        InputError: there would be none.
    """
    units = round(base * width_multiplier)
    if units < 1:
        raise InputError(
            f"width_multiplier is {width_multiplier:g}; a layer of {base} units would have none left: it must be at "
            f"least {1 / base:g}"
        )
    return units


def _check_skips(layers: Mapping[str, Layer], shortcuts: Mapping[str, Shortcut]) -> None:
    open_since = None
    for name, layer in layers.items():
        if layer.opens_skip and open_since is not None:
            raise InputError(
                f"layer {name} opens a skip while that of {open_since} is open; a layer before it must close it"
            )
        open_since = name if layer.opens_skip else open_since
        if layer.closes_skip and open_since is None:
            raise InputError(f"layer {name} closes a skip and none is open; open one at or before it (opens_skip)")
        open_since = None if layer.closes_skip else open_since
    if open_since is not None:
        raise InputError(f"layer {open_since} opens a skip that no layer closes; one behind it must (closes_skip)")
    for name in shortcuts:
        check_choice("shortcuts", name, [name for name, layer in layers.items() if layer.opens_skip])


def _register(model: nn.Module, name: str, layer: nn.Module) -> None:
    *folders, last = name.split(".")
    for folder in folders:
        if folder not in dict(model.named_children()):
            model.add_module(folder, nn.Module())
        model = model.get_submodule(folder)
    model.add_module(last, layer)
