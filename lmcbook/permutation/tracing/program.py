"""A network's computation as a graph of elementary operations, and the names of the tensors that it reads."""

import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from lmcbook.errors import InputError, cut_short, one_line
from lmcbook.errors.machine import of_the_machine
from lmcbook.states import evaluation_mode, not_taken, random_state_kept, swapped


def exported(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    *,
    any_number_of_examples: bool = False,
    way_out: str,
    argument: str = "images",
) -> torch.export.ExportedProgram:
    """What `torch.export` makes of a network in evaluation mode; torch's random state is not changed.

    Args:
        any_number_of_examples: the first axis of each input may have any size, where the computation allows it.
        way_out: the end of the error.
        argument: what the inputs are called in errors.

    Raises:
        InputError: the network cannot compute the inputs, or it cannot be traced.
        RuntimeError: memory is too little, or the device failed.
    """
    sizes = _any_number(model, inputs) if any_number_of_examples else None
    with evaluation_mode(model), random_state_kept(inputs):
        try:
            # to tell inputs that do not fit from computations that cannot be followed
            with torch.no_grad():
                functional_call(model, _copies(model), inputs, tie_weights=False)
        except Exception as error:  # whatever a stranger's forward raises
            if of_the_machine(error):
                raise
            raise not_taken(inputs, error, argument) from error
        try:
            with _gradients(), _quiet():
                return torch.export.export(model, inputs, dynamic_shapes=sizes, strict=False)
        except Exception as error:
            if of_the_machine(error):
                raise
            # what export raises is of many kinds; its first line says what it cannot follow
            first = one_line(error, first_line=True)
            reason = cut_short(first, 200)
            depends = ": a decision in it depends on numbers in a tensor" if "data-dependent" in first else ""
            raise InputError(
                f"model cannot be traced by torch.export with this example{depends} ({reason}); {way_out}"
            ) from error


def _any_number(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """A size of its own for the first axis of each input, as the arguments of the forward take them (``*inputs``)."""
    try:
        given = tuple(inspect.signature(model.forward).bind(*inputs).arguments.values())
    except (TypeError, ValueError):  # too many for it, which its call tells
        given = inputs
    return tree_map(lambda _: {0: torch.export.Dim.AUTO}, given)


def _copies(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all tensors, into which a forward may write; those that are shared are one copy, too."""
    copies: dict[int, Tensor] = {}
    return {name: copies.setdefault(id(tensor), tensor.detach().clone()) for name, tensor in swapped(model)}


def first_names(model: nn.Module) -> dict[str, str]:
    """Every name of the state dict → the first name of the same tensor, under which a trace knows it."""
    first: dict[int, str] = {}
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: first.setdefault(id(tensor), name) for name, tensor in named}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch.export writes of graphs that it cannot follow; its error says it, in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            # what it warns of concerns running the exported program, which nobody does here
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


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
