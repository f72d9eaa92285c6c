"""A network's computation as a graph of elementary operations, and the names of the tensors that it reads."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.states import evaluation_mode


def exported(
    model: nn.Module, inputs: tuple[Tensor, ...], *, any_number_of_examples: bool = False, way_out: str
) -> torch.export.ExportedProgram:
    """What `torch.export` makes of a network in evaluation mode.

    Args:
        any_number_of_examples: the first axis of each input may have any size, where the computation allows it.
        way_out: the end of the error.

    Raises:
        InputError: it cannot be traced.
    """
    sizes = tuple({0: torch.export.Dim.AUTO} for _ in inputs) if any_number_of_examples else None
    try:
        with evaluation_mode(model), _gradients(), warnings.catch_warnings():
            # what torch.export warns of concerns running the exported program, which nobody does here
            warnings.simplefilter("ignore")
            return torch.export.export(model, inputs, dynamic_shapes=sizes, strict=False)
    except Exception as error:
        # what export raises is of many kinds; its first line says what it cannot follow
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"model cannot be traced by torch.export with this example ({first}); {way_out}") from error


def first_names(model: nn.Module) -> dict[str, str]:
    """Every name of the state dict → the first name of the same tensor, under which a trace knows it."""
    first: dict[int, str] = {}
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: first.setdefault(id(tensor), name) for name, tensor in named}


@contextmanager
def _gradients() -> Iterator[None]:
    # without gradients torch takes fused kernels for attention, which cannot be looked into
    with torch.enable_grad():
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
