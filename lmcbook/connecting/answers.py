"""Any module as a function from images to logits, without a change of the names of its tensors."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.states import NotTaken, StateDict, evaluation_mode, not_taken, with_state

Output = Callable[[Any], Tensor]
"""From what a model returns to its logits, of shape (examples, classes)."""

_LOGITS = ("logits", "out", "prediction_logits")


def logits_of(returned: Any) -> Tensor:
    """The logits in what a model returned: a tensor, ``.logits``, a dict with ``logits``, or the first of a tuple.

    Raises:
        InputError: there are none, or they are not of shape (examples, classes) or (examples,).
    """
    found = returned
    if isinstance(returned, Mapping):
        found = next((returned[name] for name in _LOGITS if isinstance(returned.get(name), Tensor)), None)
    elif not isinstance(returned, Tensor) and isinstance(getattr(returned, "logits", None), Tensor):
        found = returned.logits
    elif isinstance(returned, tuple | list):
        found = next((part for part in returned if isinstance(part, Tensor)), None)
    if not isinstance(found, Tensor) or found.ndim not in (1, 2):
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(returned).__name__}"
        raise InputError(
            f"model returned {what}; logits of shape (examples, classes) are needed: give output, a function that "
            "makes them of what the model returns"
        )
    return found[:, None] if found.ndim == 1 else found


def answering(
    model: nn.Module, state: StateDict, images: Tensor, output: Output | None = None, *, argument: str = "images"
) -> nn.Module:
    """``model`` if it returns logits, else a module of the same tensors under the same names that does.

    Args:
        state: weights to try it with.
        images: a few, to see what it returns.
        output: makes logits of what the model returns; by default `logits_of`.
        argument: name of the images in errors.

    Raises:
        InputError: the model does not take the images, or what it returns holds no logits.
    """
    returned = _tried(model, state, images, argument)
    if output is None and isinstance(returned, Tensor) and returned.ndim == 2:
        return model
    make = output or logits_of
    logits = make(returned)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise InputError(
            f"output made {what} for {len(images)} examples; it must make logits of shape (examples, classes)"
        )
    own: Any = type(model)

    def forward(self: nn.Module, *inputs: Any, **arguments: Any) -> Tensor:
        return make(own.forward(self, *inputs, **arguments))

    # a subclass on a shallow copy: a module around it would put a prefix before every name
    answers = copy.copy(model)
    answers.__class__ = type(own.__name__, (own,), {"forward": forward})
    return answers


def _tried(model: nn.Module, state: StateDict, images: Tensor, argument: str) -> Any:
    try:
        with torch.no_grad(), evaluation_mode(model):
            return with_state(model, state)(images)
    except NotTaken as error:
        raise not_taken((images,), error.cause, argument) from error
