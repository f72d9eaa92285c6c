"""The test of a table of symmetry: does the network compute the same when its units are permuted?"""

import math

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lmcbook.arguments import checked
from lmcbook.errors import InputError
from lmcbook.permutation.actions import gather
from lmcbook.permutation.axes import Permutation, listed
from lmcbook.permutation.diagnosis import suspects
from lmcbook.permutation.spec import PermutationSpec
from lmcbook.states import StateDict, evaluation_mode, normalisation_modules, with_state


@checked
@torch.no_grad()
def check_function_preserved(
    model: nn.Module,
    spec: PermutationSpec,
    state: StateDict,
    images: Tensor | tuple[Tensor, ...],
    generator: torch.Generator,
) -> None:
    """Make sure that permuting along ``spec`` leaves what ``model`` computes unchanged.

    This checks the spec, not the weights: every tensor is perturbed by up to 10 %, and running statistics are taken
    from ``images``, so that constants (freshly initialised batch norm) cannot hide a fault. Every unit is moved.
    Outputs are compared in evaluation mode and with normalisation in training mode, relative to their spread, up to the
    square root of their precision: in float64 to 1.5e-8, in float32 to 3.5e-4.

    Args:
        model: any module, of one output or several; it is left as it was.
        spec: the table.
        state: of ``model``.
        images: a few inputs; a tuple, if the model takes several.
        generator: of the permutation and the shaking.

    Raises:
        InputError: the outputs differ, with the tensors that may be at fault; or the spec does not fit ``state``.
    """
    sizes = spec.groups(state)
    outputs = _PermutedOutputs(model, state, images if isinstance(images, tuple) else (images,), generator)
    permutation = {group: _random_cycle(size, generator) for group, size in sizes.items()}
    deviation = outputs.deviation(spec, permutation)
    if deviation > outputs.tolerance:
        names = suspects(
            spec, state, permutation, lambda table, moved: outputs.deviation(table, moved) <= outputs.tolerance
        )
        raise InputError(
            f"spec does not preserve the function of the model: permuted outputs differ by {deviation:.2g} of their "
            f"spread (at most {outputs.tolerance:.2g} is rounding); look at its entries for {listed(names, most=12)}"
        )


class _PermutedOutputs:
    """A network near ``state``, and how far its outputs move when its tensors are permuted."""

    def __init__(
        self, model: nn.Module, state: StateDict, inputs: tuple[Tensor, ...], generator: torch.Generator
    ) -> None:
        normalised = bool(normalisation_modules(model))
        if normalised and len(inputs[0]) < 2:
            raise InputError(f"images holds {len(inputs[0])} examples; batch norm in training mode needs at least 2")
        self.model, self.inputs = model, inputs
        self.state = _shaken(state, generator)
        if normalised:
            _, self.state = _outputs(model, self.state, inputs, train_normalisation=True)
        modes = (False, True) if normalised else (False,)
        self.expected = {mode: _outputs(model, self.state, inputs, train_normalisation=mode)[0] for mode in modes}
        self.tolerance = torch.finfo(self.expected[False].dtype).eps ** 0.5

    def deviation(self, spec: PermutationSpec, permutation: Permutation) -> float:
        """The largest change of an output, relative to the spread of the outputs, over the modes."""
        permuted = {name: gather(tensor, spec.axes[name], permutation) for name, tensor in self.state.items()}
        worst = 0.0
        for mode, expected in self.expected.items():
            found, _ = _outputs(self.model, permuted, self.inputs, train_normalisation=mode)
            spread = expected.std().clamp_min(torch.finfo(expected.dtype).tiny)
            ratio = float((found - expected).abs().max() / spread)
            worst = max(worst, ratio if math.isfinite(ratio) else math.inf)
        return worst


def _outputs(
    model: nn.Module, state: StateDict, inputs: tuple[Tensor, ...], *, train_normalisation: bool
) -> tuple[Tensor, StateDict]:
    """The model's outputs as one vector, and its state afterwards."""
    # running statistics are written into the tensors of the state
    own = {name: tensor.clone() for name, tensor in state.items()}
    with evaluation_mode(model, train_normalisation=train_normalisation):
        outputs = with_state(model, own)(*inputs)
    values = [value for value in tree_leaves(outputs) if isinstance(value, Tensor) and value.is_floating_point()]
    return torch.cat([value.reshape(-1) for value in values]), own


def _shaken(state: StateDict, generator: torch.Generator) -> StateDict:
    shaken = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            shaken[name] = tensor
            continue
        noise = torch.rand(tensor.shape, generator=generator, device=generator.device)
        noise = (0.2 * noise - 0.1).to(tensor)
        # a factor keeps variances positive; tensors of zeros get additive noise instead
        shaken[name] = tensor * (1 + noise) if bool(tensor.any()) else tensor + noise
    return shaken


def _random_cycle(size: int, generator: torch.Generator) -> Tensor:
    """A random permutation that leaves no unit in its place (if there are two)."""
    order = torch.randperm(size, generator=generator, device=generator.device)
    return torch.empty_like(order).scatter_(0, order, order.roll(1))
