"""Formulas of tensors, and what people give to them: numbers of the shapes that the annotations have, or one line."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from jaxtyping import AbstractArray, jaxtyped
from torch import Tensor

from lmcbook.errors import InputError
from lmcbook.errors.annotations import fit, refused
from lmcbook.errors.arguments import BY_NAME

P = ParamSpec("P")
R = TypeVar("R")


def checked_tensors(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are what its annotations say, shapes included, or are refused by name.

    An axis that two arguments name alike has one size. Values may be infinite or no number, as those of a training that
    diverged, or so large that their squares are; what then comes out is infinite or no number too.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        given: dict[str, Any] = bound.arguments
        tensors: dict[str, Any] = {}
        for name, value in given.items():
            annotation, look = signature.parameters[name].annotation, BY_NAME.get(name)
            given[name] = fit(name, value, annotation) if look is None else look(name, value)
            if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
                tensors[name] = annotation
                if given[name].numel() == 0:
                    raise refused(name, given[name], "one number or more")
        with jaxtyped("context"):  # in which an axis keeps the size that it had first
            if not all(isinstance(given[name], annotation) for name, annotation in tensors.items()):
                shapes = " and ".join(str(tuple(given[name].shape)) for name in tensors)
                raise InputError(
                    f"{' and '.join(tensors)} have the shapes {shapes}; axes that they share must be alike"
                )
        return function(*bound.args, **bound.kwargs)

    return run


def check_not_negative(**given: Tensor) -> None:
    """Raise `InputError` where one of the tensors holds a number below 0."""
    for name, values in given.items():
        if bool((values < 0).any()):
            raise InputError(f"{name} holds {float(values.min()):g}; its numbers must be at least 0")
