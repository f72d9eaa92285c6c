"""The linear layers of any module while it runs: what leaves them is looked at, and changed if that is wanted."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lmcbook.models import Layer
from lmcbook.states import StateDict

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
LINEAR_LAYERS = (nn.Linear, *CONVOLUTIONS)

Visit = Callable[[str, Tensor], Tensor | None]
"""From a layer's first name and its output to another output, or to None, which leaves it unchanged."""


class Moments(NamedTuple):
    """Mean and standard deviation of each unit over images and positions."""

    mean: Float64[Tensor, " units"]
    deviation: Float64[Tensor, " units"]


class Change(NamedTuple):
    """The affine map that each unit's pre-activation is sent through: first the factor, then the shift."""

    factor: Float64[Tensor, " units"] | None
    """None leaves the size alone."""
    shift: Float64[Tensor, " units"]


@dataclass(frozen=True)
class LinearLayer:
    """A linear layer or convolution of a module: where it is and where its units are."""

    names: tuple[str, ...]
    """All its names; a module at two places of the network has two."""
    module: nn.Module
    follower: nn.Module | None
    """What takes the pre-activation in a `lmcbook.models.Layer`, where the linear map is not called as a module."""

    @property
    def units(self) -> int:
        """How many outputs or channels it makes."""
        return number_of_units(self.module)

    @property
    def axis(self) -> int:
        """The axis of the units in its output, from behind: before the positions of a convolution."""
        return -1 - (len(self.module.kernel_size) if isinstance(self.module, CONVOLUTIONS) else 0)

    def moments(self, output: Tensor) -> Moments:
        """Those of its output, in float64."""
        units = output.movedim(self.axis, -1).reshape(-1, self.units).double()
        mean = units.mean(0)
        return Moments(mean, (units - mean).square().mean(0).sqrt())

    def changed(self, output: Tensor, change: Change) -> Tensor:
        """Its output as `write` makes it."""
        shape = [self.units, *[1] * (-1 - self.axis)]
        if change.factor is not None:
            output = output * change.factor.to(output.dtype).view(shape)
        return output + change.shift.to(output.dtype).view(shape)

    def write(self, change: Change, state: StateDict) -> None:
        """Put the change into the rows of the weight and the bias that ``state`` holds."""
        for name in self.names:
            bias = state[f"{name}.bias"]
            offset = bias.double()
            if change.factor is not None:
                offset = offset * change.factor
                weight = state[f"{name}.weight"]
                weight.copy_(self._rows(weight.double(), change.factor))
            bias.copy_(offset + change.shift)

    def _rows(self, weight: Tensor, factor: Tensor) -> Tensor:
        if is_turned(self.module):
            return weight.mul_(factor)
        if not isinstance(self.module, TRANSPOSED):
            return weight.mul_(factor.view(-1, *[1] * (weight.ndim - 1)))
        # the outputs of one group after the other, and only those of an input's group on axis 1
        groups = self.module.groups
        grouped = weight.unflatten(0, (groups, -1))
        return (grouped * factor.view(groups, 1, -1, *[1] * (weight.ndim - 2))).flatten(0, 1)


def is_turned(module: nn.Module) -> bool:
    """Whether it is the linear layer of transformers' GPT-2, ``Conv1D``, whose weight is (inputs, outputs)."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")  # transformers need not be there


def is_linear(module: nn.Module) -> bool:
    """Whether it is a linear layer or convolution."""
    return isinstance(module, LINEAR_LAYERS) or is_turned(module)


def number_of_units(module: nn.Module) -> int:
    """How many outputs or channels a linear layer or convolution makes."""
    if is_turned(module):
        return int(module.nf)  # type: ignore[arg-type]
    assert isinstance(module, LINEAR_LAYERS)
    return module.out_channels if isinstance(module, CONVOLUTIONS) else module.out_features


def linear_layers(model: nn.Module) -> dict[str, LinearLayer]:
    """First name → layer, for all linear layers and convolutions of ``model``.

    An identity is put behind the linear map of each `lmcbook.models.Layer` that has nothing there, so that there is
    something to look at.
    """
    names: dict[nn.Module, list[str]] = {}
    followers: dict[nn.Module, nn.Module] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if is_linear(module):
            names.setdefault(module, []).append(name)
        elif isinstance(module, Layer):
            if module.normalisation is None:
                module.normalisation = nn.Identity()
            followers[module.linear] = module.normalisation
    return {own[0]: LinearLayer(tuple(own), module, followers.get(module)) for module, own in names.items()}


@contextmanager
def visiting(model: nn.Module, layers: dict[str, LinearLayer], visit: Visit) -> Iterator[set[str]]:
    """While it is open, ``visit`` sees the pre-activation of each call of ``layers``, in order, and may replace it.

    Gives the names of the layers whose output went straight into batch norm; it fills while the model runs.
    """
    normalised: set[str] = set()
    # outputs are watched, not kept; in place changes raise the version
    left: dict[int, tuple[weakref.ref[Tensor], int, str]] = {}

    def after(name: str) -> Callable[..., Tensor]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            seen = visit(name, output)
            output = output if seen is None else seen
            left[id(output)] = (weakref.ref(output), output._version, name)
            return output

        return hook

    def before(name: str, is_batch_norm: bool) -> Callable[..., tuple[Tensor]]:
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            if is_batch_norm:
                normalised.add(name)
            seen = visit(name, inputs[0])
            return inputs if seen is None else (seen,)

        return hook

    def watch(_: nn.Module, inputs: tuple[Tensor]) -> None:
        found = left.get(id(inputs[0]))
        if found is not None and found[0]() is inputs[0] and found[1] == inputs[0]._version:
            normalised.add(found[2])

    with ExitStack() as hooks:
        for name, layer in layers.items():
            if layer.follower is None:
                hooks.enter_context(layer.module.register_forward_hook(after(name)))
            else:
                is_batch_norm = isinstance(layer.follower, _NormBase)
                hooks.enter_context(layer.follower.register_forward_pre_hook(before(name, is_batch_norm)))
        for module in model.modules():
            if isinstance(module, _NormBase):
                hooks.enter_context(module.register_forward_pre_hook(watch))
        yield normalised
