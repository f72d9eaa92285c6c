"""Formulas of tensors, and what people give to them: numbers of the shapes that the annotations have, or one line."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from jaxtyping import AbstractArray, jaxtyped

from lmcbook.errors import InputError
from lmcbook.errors.arguments import BY_NAME, fit, refused

P = ParamSpec("P")
R = TypeVar("R")


def checked_tensors(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are what its annotations say, shapes included, or are refused by name.

    An axis that two arguments name alike has one size. Values may be infinite or no number, as those of a training that
    diverged; what then comes out is no number either.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        given, tensors = bound.arguments, list[str]()
        with jaxtyped("context"):  # in which an axis keeps the size that it had first
            for name, value in given.items():
                annotation = signature.parameters[name].annotation
                look = BY_NAME.get(name)
                given[name] = found = fit(name, value, annotation) if look is None else look(name, value)
                if not (isinstance(annotation, type) and issubclass(annotation, AbstractArray)):
                    continue
                if not isinstance(found, annotation):
                    alike = [*tensors, name]
                    shapes = " and ".join(str(tuple(given[each].shape)) for each in alike)
                    raise InputError(
                        f"{' and '.join(alike)} have the shapes {shapes}; axes that they share must be alike"
                    )
                if 0 in given[name].shape:
                    raise refused(name, found, "one number or more")
                tensors.append(name)
        return function(*bound.args, **bound.kwargs)

    return run
