"""State dictionaries: whether they fit, which tensors are weights and which statistics, and running a network with one.

Everything here works on any `torch.nn.Module`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from lmcbook.errors import AtFault, InputError, one_line
from lmcbook.errors.machine import of_the_machine

StateDict = dict[str, Tensor]
"""Name of a tensor → its values, as `torch.nn.Module.state_dict` gives and `with_state` takes them."""

# the names that torch's normalisations give to what they count and average, which no gradient changes
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def weight_names(network: nn.Module | StateDict) -> tuple[str, ...]:
    """Names of the tensors that training moves by gradients; running statistics and counters are left out.

    A module knows its parameters: all their names are given, several of one that is shared. A state dict does not know
    them: there all tensors of floating point count but those with the names of batch norm's statistics.
    """
    if isinstance(network, nn.Module):
        return tuple(name for name, _ in network.named_parameters(remove_duplicate=False))
    return tuple(
        name
        for name, tensor in network.items()
        if tensor.is_floating_point() and name.rpartition(".")[2] not in _STATISTICS
    )


def normalisation_modules(model: nn.Module) -> list[_NormBase]:
    """Batch and instance normalisations: what computes otherwise in training than in evaluation mode, without noise."""
    return [module for module in model.modules() if isinstance(module, _NormBase)]


def batch_norm_modules(model: nn.Module) -> dict[str, _BatchNorm]:
    """Name → batch norm, for all of them; a module at two places of the network comes under both names."""
    named = model.named_modules(remove_duplicate=False)
    return {name: module for name, module in named if isinstance(module, _BatchNorm)}


def recomputed_modules(model: nn.Module) -> dict[str, _NormBase]:
    """Name → batch or instance norm with running statistics, which a merge must recompute; all names of a module."""
    named = model.named_modules(remove_duplicate=False)
    return {name: m for name, m in named if isinstance(m, _NormBase) and m.running_mean is not None}


def has_batch_norm(model: nn.Module) -> bool:
    """Whether the network has batch or instance norm with running statistics, which a merge must recompute."""
    return bool(recomputed_modules(model))


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """The SHA-256 of the names, types, shapes and values of all tensors, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_same_tensors(
    name_a: str, state_a: Mapping[str, Any], name_b: str, state_b: Mapping[str, Any], *, shapes_only: bool = False
) -> None:
    """Raise `InputError` unless both states hold tensors of the same names, shapes, types and devices.

    Raises:
        InputError: they do not; the message names the tensors and says how to get there.
    """
    hint = "Were they made with the same architecture and width_multiplier?"
    for name, state in ((name_a, state_a), (name_b, state_b)):
        others = [key for key, tensor in state.items() if not isinstance(tensor, Tensor)]
        if others:
            raise InputError(f"{name} holds {some(others)}, not a tensor; a state holds tensors alone: leave it out")
    if state_a.keys() != state_b.keys():
        different = sorted(state_a.keys() ^ state_b.keys())
        raise InputError(f"{name_a} and {name_b} must hold the same tensors; only one has {some(different)}. {hint}")
    properties: list[tuple[str, Callable[[Tensor], Any], str]] = [("shape", lambda tensor: tuple(tensor.shape), hint)]
    if not shapes_only:
        properties.append(("type", lambda tensor: tensor.dtype, "Convert one of them with .to(dtype)."))
        properties.append(("device", lambda tensor: str(tensor.device), "Move one of them with .to(device)."))
    for what, property_of, way_out in properties:
        different = [key for key in state_a if property_of(state_a[key]) != property_of(state_b[key])]
        if different:
            key, values = different[0], [property_of(state[different[0]]) for state in (state_a, state_b)]
            raise InputError(
                f"{name_a} and {name_b} differ in the {what} of {some(different)}: {key} is {values[0]} in {name_a} "
                f"and {values[1]} in {name_b}. {way_out}"
            )


def some(names: Sequence[str]) -> str:
    """The first four names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def prefix_before(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The prefix whose removal makes ``names`` hold all of ``wanted``; None if there is none."""
    if not wanted:
        return None
    here = set(names)
    for name in names:
        prefix = name.removesuffix(wanted[0])
        if prefix and prefix != name and prefix.endswith(".") and all(prefix + each in here for each in wanted):
            return prefix
    return None


def complete_tied(model: nn.Module, state: StateDict) -> StateDict:
    """``state`` with the tensors that ``model`` has under several names under all of them.

    A file of safetensors keeps a tensor once. What is missing under one name is taken from another name of the same
    tensor; a state that lacks nothing is returned unchanged.
    """
    groups: dict[int, list[str]] = {}
    for named in (model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)):
        for name, tensor in named:
            groups.setdefault(id(tensor), []).append(name)
    found = dict(state)
    for names in groups.values():
        held = [name for name in names if name in state]
        found |= {name: state[held[0]] for name in names if held and name not in state}
    if len(found) == len(state):
        return state
    order = [name for name in model.state_dict() if name in found]
    return {name: found[name] for name in (*order, *(name for name in found if name not in order))}


def fitted(model: nn.Module, argument: str, state: StateDict) -> StateDict:
    """``state`` under all the names that ``model`` has for its tensors, if it is one of ``model``.

    Raises:
        InputError: a tensor is missing, unknown, of another shape, or not of floating point where the model's is.
    """
    own, state = model.state_dict(), complete_tied(model, state)
    if own.keys() != state.keys():
        lacks, unknown = [name for name in own if name not in state], [name for name in state if name not in own]
        parts = [f"lacks {some(lacks)}" if lacks else "", f"holds {some(unknown)}, which it has not" if unknown else ""]
        way_out = "give the state of a network of this very kind and width"
        if prefix := prefix_before([*state], [*own]):
            way_out = f"its names begin with {prefix!r}, as those of a wrapper such as DataParallel do: take that off"
        elif prefix := prefix_before([*own], [*state]):
            way_out = f"the names of model begin with {prefix!r}: give the module that it wraps"
        raise InputError(f"{argument} does not fit model: it {' and '.join(filter(None, parts))}; {way_out}")
    different = [name for name in own if own[name].shape != state[name].shape]
    if different:
        shapes = [tuple(tensors[different[0]].shape) for tensors in (own, state)]
        raise InputError(
            f"{argument} does not fit model in the shape of {some(different)}: {different[0]} is {shapes[0]} in model "
            f"and {shapes[1]} in {argument}; were they made with the same width?"
        )
    whole = [name for name in own if own[name].is_floating_point() and not state[name].is_floating_point()]
    if whole:
        kinds = [_kind(tensors[whole[0]]) for tensors in (own, state)]
        raise InputError(
            f"{argument} does not fit model in the type of {some(whole)}: {whole[0]} is {kinds[0]} in model and "
            f"{kinds[1]} in {argument}; give weights of floating point"
        )
    return state


def float_type(*states: StateDict, model: nn.Module | None = None) -> torch.dtype | None:
    """The most precise type of floating point among the weights, the parameters of ``model`` if it is given.

    None if there are none; a buffer may be of any type.
    """
    known = None if model is None else set(weight_names(model))
    named = [(name, state[name]) for state in states for name in weight_names(state)]
    kinds = {tensor.dtype for name, tensor in named if known is None or name in known}
    found: torch.dtype | None = None
    for kind in kinds:
        found = kind if found is None else torch.promote_types(found, kind)
    return found


def swapped(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of all that `torch.func.functional_call` may swap, with ``tie_weights=False``.

    A module that stands at two places of the network is named once: torch would swap its tensors twice and leave those
    of another state behind in the model. Buffers that no state has are among them.
    """
    for prefix, module in model.named_modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                yield f"{prefix}.{name}" if prefix else name, tensor


def with_state(model: nn.Module, state: StateDict) -> Callable[..., Any]:
    """``model`` as a function of its inputs that uses the tensors of ``state``; the model keeps its own.

    ``state`` is checked now, not at every call; none of its tensors is copied, and tensors that the model shares among
    its layers may differ in it. The function runs in the mode that the model is in (see `evaluation_mode`). In training
    mode batch norm writes its running statistics into ``state``.

    Raises:
        InputError: a tensor is missing, unknown or of another shape; by the function: the model cannot take the inputs.
        RuntimeError: by the function: memory is too little, or the device failed.
    """
    held = fitted(model, "state", state)
    # a forward may write into buffers that no state has
    tensors = {name: held[name] if name in held else own.detach().clone() for name, own in swapped(model)}

    def run(*inputs: Any, **arguments: Any) -> Any:
        try:
            return functional_call(model, tensors, inputs, arguments, tie_weights=False)
        except InputError:
            raise
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
            if of_the_machine(error):
                raise
            raise not_taken(inputs, error) from error

    return run


class NotTaken(AtFault, RuntimeError):
    """A network failed on the inputs that it was given."""

    def __init__(self, message: str, what: str, inputs: Sequence[Tensor], cause: Exception) -> None:
        super().__init__(message, what, inputs)
        self.cause = cause
        """What it raised."""


def not_taken(inputs: Sequence[Any], error: Exception, what: str = "images") -> NotTaken:
    """What to say where a network fails on its inputs."""
    tensors = [each for each in inputs if isinstance(each, Tensor)]
    shapes = " and ".join(f"shape {tuple(each.shape)} and type {_kind(each)}" for each in tensors)
    reason = one_line(error, 200)
    hint = ": give floating-point images, normalised as in training"
    whole = tensors and not tensors[0].is_floating_point()
    given = f"{what} of {shapes}" if tensors else what
    return NotTaken(
        f"model does not take {given} ({reason}); give them as in its training{hint if whole else ''}",
        what,
        tensors,
        error,
    )


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@contextmanager
def evaluation_mode(model: nn.Module, *, train_normalisation: bool = False) -> Iterator[None]:
    """The model in evaluation mode, except its normalisation layers if ``train_normalisation``; then as before.

    A normalisation layer in training mode takes the statistics of its batch, and keeps them as its running statistics.
    """
    before = [(module, module.training) for module in model.modules()]
    normalisations = [(module, module.momentum) for module in normalisation_modules(model)]
    try:
        model.eval()
        if train_normalisation:
            for normalisation, _ in normalisations:
                normalisation.training, normalisation.momentum = True, 1.0
        yield
    finally:
        for module, training in before:
            module.training = training
        for normalisation, momentum in normalisations:
            normalisation.momentum = momentum


@contextmanager
def random_state_kept(inputs: tuple[Tensor, ...]) -> Iterator[None]:
    """Torch's random state afterwards is what it was, on the CPU and where the inputs lie."""
    devices = {tensor.device.index or 0 for tensor in inputs if tensor.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(devices)):
        yield
