"""The test of a table of symmetry: does the network compute the same when its units are permuted?"""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked
from lmcbook.permutation.actions import gather
from lmcbook.permutation.axes import Permutation, listed
from lmcbook.permutation.diagnosis import suspects
from lmcbook.permutation.spec import PermutationSpec
from lmcbook.states import (
    NotTaken,
    StateDict,
    evaluation_mode,
    float_type,
    normalisation_modules,
    random_state_kept,
    with_state,
)

# A deviation of at most this many times what one rounding of every weight makes is no evidence against a table.
ROUNDINGS = 100


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
    from ``images``, so that constants (freshly initialised batch norm) cannot hide a fault. Where the outputs do not
    depend on what is permuted, as those of a network that is constant at its initialisation, weights are drawn anew.
    Every unit is moved. Outputs are compared in evaluation mode and with normalisation in training mode, relative to
    their spread, up to the square root of their precision: in float64, in which the network is computed wherever it can
    be, to 1.5e-8, in float32 to 3.5e-4.

    Args:
        model: any module, of one output or several; it is not changed, nor is torch's random state.
        spec: the table.
        state: of ``model``.
        images: a few inputs; a tuple, if the model takes several.
        generator: of the permutation and the shaking.

    Raises:
        InputError: the outputs differ, with the tensors that may be at fault; they are random, not finite or do not
            depend on what is permuted; the images are too few to tell; or the spec does not fit ``state``.
    """
    sizes = spec.groups(state)
    inputs = images if isinstance(images, tuple) else (images,)
    if not any(size > 1 for size in sizes.values()):
        return
    with random_state_kept(inputs):
        permutation = {group: _random_cycle(size, generator) for group, size in sizes.items()}
        outputs = _outputs_near(model, state, inputs, generator)
        deviation = outputs.deviation(outputs.permuted(spec, permutation))
        if deviation > outputs.tolerance:
            _refuse(spec, state, permutation, outputs, deviation)
        if outputs.notices(spec):
            return
        outputs = _outputs_near(model, _redrawn(state, generator), inputs, generator)
        if not outputs.notices(spec):
            raise InputError(
                "model's outputs do not depend on the units that spec permutes, so that nothing shows whether it "
                "preserves the function; give a model that uses them, or leave the check out"
            )
        deviation = outputs.deviation(outputs.permuted(spec, permutation))
        if deviation > outputs.tolerance:
            _refuse(spec, state, permutation, outputs, deviation)


def _refuse(
    spec: PermutationSpec, state: StateDict, permutation: Permutation, outputs: "_Outputs", deviation: float
) -> None:
    """Say what is wrong: with the examples, or with the table."""
    if deviation <= ROUNDINGS * outputs.rounding():
        raise InputError(
            f"images holds {len(outputs.inputs[0])} example(s), too few to tell whether spec preserves the function: "
            f"permuted outputs differ by {deviation:.2g} of their spread, but rounding of the weights moves them as "
            "much (normalisation over so few values does that); give more examples, such as 8"
        )
    names = suspects(
        spec,
        state,
        permutation,
        lambda table, moved: outputs.deviation(outputs.permuted(table, moved)) <= outputs.tolerance,
    )
    raise InputError(
        f"spec does not preserve the function of the model: permuted outputs differ by {deviation:.2g} of their "
        f"spread (at most {outputs.tolerance:.2g} is rounding); look at its entries for {listed(names, most=12)}"
    )


def in_type(inputs: tuple[Tensor, ...], kind: torch.dtype | None) -> tuple[Tensor, ...]:
    """The inputs, those of floating point in another type."""
    return tuple(each.to(kind) if each.is_floating_point() and kind is not None else each for each in inputs)


def _outputs_near(
    model: nn.Module, state: StateDict, inputs: tuple[Tensor, ...], generator: torch.Generator
) -> "_Outputs":
    """In float64, if the network can be computed in it; the numbers are those near ``state`` in any case."""
    shaken = _shaken(state, generator)
    # one after the other, so that there is never a copy in both types
    precise = {name: each.double() if each.is_floating_point() else each for name, each in _taken_from(shaken)}
    try:
        return _Outputs(model, precise, in_type(inputs, torch.float64))
    except NotTaken:
        shaken = {name: each.to(state[name].dtype) for name, each in _taken_from(precise)}
        return _Outputs(model, shaken, in_type(inputs, float_type(state, model=model)))


def _taken_from(state: StateDict) -> Iterator[tuple[str, Tensor]]:
    for name in [*state]:
        yield name, state.pop(name)


class _Outputs:
    """A network, and how far its outputs move when its tensors are changed."""

    def __init__(self, model: nn.Module, state: StateDict, inputs: tuple[Tensor, ...]) -> None:
        normalised = bool(normalisation_modules(model))
        if normalised and len(inputs[0]) < 2:
            raise InputError(f"images holds {len(inputs[0])} examples; batch norm in training mode needs at least 2")
        self.model, self.inputs, self.state = model, inputs, state
        self._written = {*state}
        if normalised:
            _, self.state = self._run(state, train_normalisation=True)
            del state
        written: set[str] = set()
        precision = _Precision()
        self.expected: dict[bool, Tensor] = {}
        for mode in (False, True) if normalised else (False,):
            self.expected[mode], after = self._run(self.state, train_normalisation=mode, seen_by=precision)
            written |= {name for name, before in self.state.items() if not torch.equal(before, after.pop(name))}
        # the others are not copied any more: in float64 that is what takes the most memory of a comparison
        self._written = written
        self.precision = precision.least
        self.tolerance = self.precision**0.5
        if not all(bool(torch.isfinite(values).all()) for values in self.expected.values()):
            raise InputError(
                "model's outputs are infinite or not a number with weights near state: did its training diverge?"
            )
        if self.deviation(self.state) > self.tolerance:
            raise InputError(
                "model's outputs are random: two calls in evaluation mode differ, so that nothing shows whether spec "
                "preserves the function; switch off what draws numbers (dropout that is called with training=True), or "
                "leave the check out"
            )

    def permuted(self, spec: PermutationSpec, permutation: Permutation) -> StateDict:
        """The state along a table."""
        return {name: gather(tensor, spec.axes[name], permutation) for name, tensor in self.state.items()}

    def deviation(self, state: StateDict) -> float:
        """The largest change of an output with another state, relative to the spread of the outputs, over the modes."""
        worst = 0.0
        for mode, expected in self.expected.items():
            found, _ = self._run(state, train_normalisation=mode)
            spread = expected.std().clamp_min(torch.finfo(expected.dtype).tiny)
            ratio = float((found - expected).abs().max() / spread)
            worst = max(worst, ratio if math.isfinite(ratio) else math.inf)
        return worst

    def rounding(self) -> float:
        """The change that comes of one rounding of every weight."""
        generator = torch.Generator().manual_seed(0)
        return self.deviation(_shaken(self.state, generator, self.precision))

    def notices(self, spec: PermutationSpec) -> bool:
        """Whether the outputs change where the tensors that the table permutes take other values."""
        members = {name for group in spec.group_names for name, _ in spec.members(group)}
        others = _shaken({name: self.state[name] for name in members}, torch.Generator().manual_seed(0), 0.5)
        return self.deviation({**self.state, **others}) > 100 * self.tolerance

    def _run(
        self, state: StateDict, *, train_normalisation: bool, seen_by: "_Precision | None" = None
    ) -> tuple[Tensor, StateDict]:
        """The model's outputs as one vector, and its state afterwards."""
        # running statistics are written into the tensors of the state
        own = {name: tensor.clone() if name in self._written else tensor for name, tensor in state.items()}
        run = with_state(self.model, own)  # this reads the model's own tensors, whose precision says nothing here
        with evaluation_mode(self.model, train_normalisation=train_normalisation), seen_by or nullcontext():
            outputs = run(*self.inputs)
        values = [value for value in tree_leaves(outputs) if isinstance(value, Tensor) and value.is_floating_point()]
        if not values:
            raise InputError("model returns no tensor of floating point; it must return some: wrap it in a module")
        return torch.cat([value.reshape(-1) for value in values]), own


class _Precision(TorchFunctionMode):
    """Sees the least precise floating point that is computed in: a network may go to float32 on its way."""

    least = torch.finfo(torch.float64).eps

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else (found,):
            if isinstance(value, Tensor) and value.is_floating_point():
                self.least = max(self.least, torch.finfo(value.dtype).eps)
        return found


def _shaken(state: StateDict, generator: torch.Generator, most: float = 0.1) -> StateDict:
    shaken = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            shaken[name] = tensor
            continue
        noise = torch.rand(tensor.shape, generator=generator, device=generator.device, dtype=torch.float64)
        noise = noise.mul_(2).sub_(1).mul_(most).to(tensor)
        # a factor keeps variances positive; tensors of zeros get additive noise instead
        shaken[name] = noise.add_(1).mul_(tensor) if bool(tensor.any()) else noise.add_(tensor)
    return shaken


def _redrawn(state: StateDict, generator: torch.Generator) -> StateDict:
    """Weights of a size that lets signals through, scales and variances about 1, small shifts."""
    drawn = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            drawn[name] = tensor
            continue
        noise = torch.randn(tensor.shape, generator=generator, device=generator.device).to(tensor)
        if tensor.ndim > 1:
            noise *= (2 * len(tensor) / tensor.numel()) ** 0.5
        elif name.rpartition(".")[2] in ("weight", "running_var"):
            noise = 1 + 0.1 * noise.clamp(-3, 3)
        drawn[name] = noise if tensor.ndim > 1 or name.endswith(("weight", "running_var")) else 0.1 * noise
    return drawn


def _random_cycle(size: int, generator: torch.Generator) -> Tensor:
    """A random permutation that leaves no unit in its place (if there are two)."""
    order = torch.randperm(size, generator=generator, device=generator.device)
    return torch.empty_like(order).scatter_(0, order, order.roll(1))
