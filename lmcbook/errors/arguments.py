"""What public functions take: the forms that people have become what is computed with, or are refused by name.

`checked` reads a function's signature. A few names mean the same in the whole package (``model``, ``state``,
``images``, ``labels``, …) and are looked at as `BY_NAME` says, all others as their annotation says.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor, nn

from lmcbook.errors import AtFault, InputError, as_number, check_number, described
from lmcbook.errors.annotations import MISFIT, fit, fitting, is_as_it_was, refused
from lmcbook.errors.arrays import is_in_memory, is_plain, tensor_of
from lmcbook.errors.machine import of_the_machine
from lmcbook.states import StateDict, fitted, float_type

P = ParamSpec("P")
R = TypeVar("R")

_STATES = ("state", "state_a", "state_b")
_IMAGES = ("images", "batch_norm_images")
_EXAMPLES = ("calibration", "test")
SEVERAL = Tensor | tuple[Tensor, ...]


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are looked at first: they are what name or annotation say, or refused by name.

    numpy's and torch's scalars become numbers and arrays tensors. States are completed under the names that ``model``
    has for one tensor, and must fit it; images of floating point take the type of the states' weights.
    """
    return _checked(function, BY_NAME)


def checked_but_classes(function: Callable[P, R]) -> Callable[P, R]:
    """`checked`, for labels that may be those of a regression."""
    return _checked(function, BY_NAME | dict.fromkeys(_EXAMPLES, in_pairs))


def checked_by_annotation(function: Callable[P, R]) -> Callable[P, R]:
    """As `checked`, for a function that reads networks and examples itself: only the model is looked at by name."""
    return _checked(function, {"model": a_module})


def _may_be_none(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _checked(function: Callable[P, R], by_name: "Mapping[str, Callable[[str, Any], Any]]") -> Callable[P, R]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        for name, value in given.items():
            parameter = signature.parameters[name]
            if name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if value is None and (parameter.default is None or _may_be_none(parameter.annotation)):
                continue
            # a tuple of inputs is no pair of images and labels
            look = network_inputs if parameter.annotation == SEVERAL else by_name.get(name)
            annotation = parameter.annotation
            given[name] = fit(name, value, annotation) if look is None else look(name, value)
            if look is a_module and isinstance(annotation, type) and not isinstance(value, annotation):
                raise refused(name, value, f"a {annotation.__name__}")
        _put_together(given)
        try:
            return function(*bound.args, **bound.kwargs)
        except AtFault as error:
            _tell_of(error, given)
            raise

    return run


def _put_together(given: dict[str, Any]) -> None:
    """States as the model has them, and images in the type of the states."""
    model, states = given.get("model"), [name for name in _STATES if given.get(name) is not None]
    if isinstance(model, nn.Module):
        for name in states:
            given[name] = fitted(model, name, given[name])
        if given.get("states") is not None:
            given["states"] = [fitted(model, f"states[{at}]", state) for at, state in enumerate(given["states"])]
    if not states:
        return
    kind = float_type(*(given[name] for name in states), model=model if isinstance(model, nn.Module) else None)
    for name in (*_IMAGES, *_EXAMPLES):
        held = given.get(name)
        if held is None:
            continue
        images = held if name in _IMAGES else held.images
        # a tuple of inputs stays, and streamed images have the type of what decodes them
        if not (isinstance(images, Tensor) and is_in_memory(images)):
            continue
        if images.is_floating_point() and kind not in (None, images.dtype):
            given[name] = images.to(kind) if name in _IMAGES else in_pairs(name, (images.to(kind), held.labels))


def _tell_of(error: AtFault, given: Mapping[str, Any]) -> None:
    """Have the error name the argument that its tensors came with, or the weights whose types differ."""
    states = [name for name in _STATES if given.get(name) is not None]
    if error.what.startswith("logits"):
        if states or "line" in given:
            error.call(f"logits of {' or '.join(states) or 'line'}")
        return
    held_types = {held.dtype for name in states for held in given[name].values() if held.is_floating_point()}
    if len(held_types) > 1 and "dtype" in str(error):
        kinds = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in held_types))
        error.say_before(f"the weights of {' and '.join(states)} are of {kinds}")
    parts = {name: given[name] for name in _IMAGES if name in given}
    for name in _EXAMPLES:
        parts |= {f"{name}'s {part}": getattr(given.get(name), part, None) for part in ("images", "labels")}
    for called, held in parts.items():
        if isinstance(held, Tensor) and is_in_memory(held) and any(_share(held, tensor) for tensor in error.tensors):
            error.call(called)
            return


def _share(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


# --- by name ---------------------------------------------------------------------------------------------------------


def a_module(name: str, value: Any) -> nn.Module:
    """A network."""
    if not isinstance(value, nn.Module):
        made = ": make one of it, as in model()" if isinstance(value, type) else ""
        raise refused(name, value, f"a torch.nn.Module{made}")
    return value


def a_state(name: str, value: Any) -> StateDict:
    """A state dict of tensors."""
    if isinstance(value, nn.Module):
        raise InputError(f"{name} is a module ({type(value).__name__}); give its state_dict()")
    if not isinstance(value, Mapping):
        raise refused(name, value, "a state dict, tensors by their names, as state_dict() gives it")
    tensors = {key: fitting(held, Tensor) for key, held in value.items()}
    for key, held in value.items():
        if isinstance(held, Tensor) and not is_plain(held):
            raise refused(f"{name}[{key!r}]", held, "")
        if tensors[key] is MISFIT or not isinstance(key, str):
            raise InputError(
                f"{name} holds {key!r}: {described(held)}; a state holds tensors alone, by their names: leave it out"
            )
    return value if isinstance(value, dict) and is_as_it_was(value, tensors) else tensors


def states_of_networks(name: str, value: Any) -> list[StateDict]:
    """Several states."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise refused(name, value, "a list of state dicts")
    return [a_state(f"{name}[{index}]", each) for index, each in enumerate(value)]


def finite_images(name: str, value: Any) -> Tensor:
    """Images in memory, or streamed images."""
    # here, because `lmcbook.models` imports this file
    from lmcbook.models.examples import as_images

    images = as_images(name, value)
    if images.ndim == 0:
        raise refused(name, images, "examples, along its first axis")
    if is_in_memory(images) and images.is_floating_point():
        check_finite(name, images)
    return images


def network_inputs(name: str, value: Any) -> tuple[Tensor, ...]:
    """The inputs of a network that may take several."""
    tensors = tuple(as_tensor(name, each) for each in (value if isinstance(value, tuple) else (value,)))
    for tensor in tensors:
        if tensor.ndim == 0 or len(tensor) == 0:
            raise refused(name, tensor, "one example or more, along the first axis")
        if tensor.is_floating_point():
            check_finite(name, tensor)
    return tensors


def labelled(name: str, value: Any) -> Any:
    """Images with their classes."""
    return in_pairs(name, value, classes)


def in_pairs(name: str, value: Any, look: Callable[[str, Any], Tensor] | None = None) -> Any:
    """Images with their labels; ``look`` makes labels of what was given for them."""
    from lmcbook.models.examples import Labelled, as_examples

    examples = as_examples(name, value)
    images = finite_images(name, examples.images)
    labels = (look or as_tensor)(f"{name}'s labels", examples.labels)
    if len(images) != len(labels) or len(labels) == 0:
        raise InputError(
            f"{name} holds {len(images)} images and {len(labels)} labels; give at least one, and as many labels"
        )
    return examples if labels is examples.labels and images is examples.images else Labelled(images, labels)


def classes(name: str, value: Any) -> Tensor:
    """Labels of classes as int64, from any type of whole numbers."""
    labels = as_tensor(name, value)
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise refused(name, labels, "whole numbers, the class of each example: labels.long() if they are")
    if labels.ndim != 1:
        raise refused(
            name, labels, "one class for each example: labels[:, 0], or labels.argmax(dim=1) of one-hot labels"
        )
    labels = labels.long()
    if len(labels) and int(labels.min()) < 0:
        raise InputError(
            f"{name} go down to {int(labels.min())}; classes are numbered from 0: leave those examples out"
        )
    return labels


def finite_logits(name: str, value: Any) -> Tensor:
    """Logits of floating point, (examples, classes)."""
    logits = as_tensor(name, value)
    if logits.dtype == torch.bool or logits.is_complex() or logits.ndim != 2 or logits.numel() == 0:
        raise refused(name, logits, "numbers of shape (examples, classes), at least one example")
    if not logits.is_floating_point():
        logits = logits.float()
    check_finite(name, logits, "look for a training that diverged")
    return logits.detach()


def shares(name: str, value: Any) -> tuple[float | int, ...]:
    """Interpolation coefficients."""
    if isinstance(value, Tensor | np.ndarray):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise refused(name, value, "a sequence of numbers, each at least 0 and at most 1")
    return tuple(share(name, each) for each in value)


def share(name: str, value: Any) -> float | int:
    """An interpolation coefficient."""
    check_number(name, value, minimum=0, maximum=1)
    return as_number(value)


def moment(name: str, value: Any) -> float | int:
    """A number that may be infinite, but not NaN."""
    number = as_number(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
        raise refused(name, value, "a moment of time.monotonic()")
    return number


BY_NAME: dict[str, Callable[[str, Any], Any]] = {
    "model": a_module,
    **dict.fromkeys((*_STATES, "merged_state", "out"), a_state),
    "states": states_of_networks,
    **dict.fromkeys(_IMAGES, finite_images),
    **dict.fromkeys(_EXAMPLES, labelled),
    "labels": classes,
    **dict.fromkeys(("logits", "logits_a", "logits_b"), finite_logits),
    "coefficient": share,
    "coefficients": shares,
    "deadline": moment,
}
"""Name of an argument → what it becomes."""


def as_tensor(name: str, value: Any) -> Tensor:
    """A tensor of a tensor, an array or a list of numbers."""
    if isinstance(value, Tensor) and is_plain(value):
        return value
    if isinstance(value, np.ndarray | list | tuple):
        try:
            return tensor_of(value) if isinstance(value, np.ndarray) else torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            if of_the_machine(error):
                raise
    raise refused(name, value, "a tensor")


def check_finite(name: str, values: Tensor, way_out: str = "mend those examples or leave them out") -> None:
    """Raise `InputError` where a value is infinite or no number."""
    # one pass without a copy; a sum may overflow where no term is infinite
    if values.numel() == 0 or bool(torch.isfinite(values.sum(dtype=torch.float64))):
        return
    bad = int((~torch.isfinite(values)).reshape(len(values), -1).any(dim=1).sum())
    if bad:
        flaw = f"infinite or not a number for {bad} of {len(values)} examples"
        raise AtFault(f"{name} are {flaw}; they must be finite: {way_out}", name, [values])
