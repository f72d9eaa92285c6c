"""Whether states fit each other, and whether a state fits a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.permutation import StateDict


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


def fit_state(model: nn.Module, state: StateDict) -> StateDict:
    """The tensors of ``state`` that `torch.func.functional_call` with ``tie_weights=False`` takes for ``model``.

    A module that stands at two places of the network is named once only: torch would swap its tensors twice and leave
    those of ``state`` behind in the model.

    Raises:
        InputError: a tensor is missing, unknown or of another shape.
    """
    check_same_tensors("the model", model.state_dict(), "state", state, shapes_only=True)
    names = (
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name in (*module._parameters, *module._buffers)
    )
    return {name: state[name] for name in names if name in state}
