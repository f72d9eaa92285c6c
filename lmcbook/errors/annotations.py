"""What fits an annotation: the forms that people have become what is annotated, or are refused by name."""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from jaxtyping import AbstractArray
from torch import Tensor

from lmcbook.errors import InputError, as_number, described
from lmcbook.errors.arrays import is_plain, plain_form, tensor_of


def refused(name: str, value: object, may_be: str) -> InputError:
    """The error of an argument that is not what it may be; it names the attribute of ``value`` that would be."""
    if isinstance(value, Tensor) and not is_plain(value):
        may_be = plain_form(value)
    way_out = f": give its .{name}" if hasattr(value, name) and not isinstance(value, Tensor) else ""
    return InputError(f"{name} is {described(value)}; it must be {may_be}{way_out}")


def fit(name: str, value: Any, annotation: Any) -> Any:
    """``value`` as the annotation has it.

    Raises:
        InputError: it is of another type, or a number that is not finite.
    """
    found = fitting(value, annotation)
    if found is MISFIT:
        raise _refused_inside(name, value, annotation)
    return found


def _refused_inside(name: str, value: Any, annotation: Any) -> InputError:
    """`refused`, of that value within dicts which does not fit."""
    if get_origin(annotation) in (Mapping, dict) and isinstance(value, Mapping):
        of_keys, of_values = get_args(annotation)
        for key, held in value.items():
            if fitting(key, of_keys) is MISFIT:
                return refused(f"a key of {name}", key, _may_be(of_keys))
            if fitting(held, of_values) is MISFIT:
                return _refused_inside(f"{name}[{key!r}]", held, of_values)
    return refused(name, value, _may_be(annotation))


MISFIT = object()
"""What `fitting` gives where nothing fits."""
_LARGEST = 2**63  # of whole numbers, torch's


def fitting(value: Any, annotation: Any) -> Any:
    """``value`` as the annotation has it, or `MISFIT`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        fits = (fitting(value, each) for each in inner)
        return next((found for found in fits if found is not MISFIT), MISFIT)
    if annotation in (int, float):
        number = as_number(value)
        most = math.inf if isinstance(number, float) else _LARGEST
        good = isinstance(number, int if annotation is int else int | float) and abs(number) < most
        return number if good else MISFIT
    if annotation is bool:
        return bool(value) if isinstance(value, bool | np.bool_) else MISFIT
    if annotation is Any:
        return value
    if annotation is None or annotation is type(None):
        return None if value is None else MISFIT
    if annotation is Tensor or (isinstance(annotation, type) and issubclass(annotation, AbstractArray)):
        if isinstance(value, np.ndarray | np.generic):
            try:
                value = tensor_of(np.asarray(value))
            except TypeError:
                return MISFIT
        return value if isinstance(value, Tensor) and isinstance(value, annotation) and is_plain(value) else MISFIT
    if annotation is Path:
        return Path(value) if isinstance(value, str | Path) else MISFIT
    if origin is Literal:
        return value if value in inner else MISFIT
    if origin in (Sequence, tuple, list) and inner:
        return _fit_all(value, inner, origin)
    if origin in (Mapping, dict):
        return _fit_items(value, *inner)
    if origin is Callable:
        return value if callable(value) else MISFIT
    if isinstance(annotation, type):
        return value if isinstance(value, annotation) else MISFIT
    if isinstance(annotation, str):  # a class that is not loaded here
        return value if annotation in [each.__name__ for each in type(value).__mro__] else MISFIT
    return value


def _fit_items(value: Any, of_keys: Any, of_values: Any) -> Any:
    if not isinstance(value, Mapping):
        return MISFIT
    found = {fitting(key, of_keys): fitting(held, of_values) for key, held in value.items()}
    if MISFIT in found or any(held is MISFIT for held in found.values()):
        return MISFIT
    return value if is_as_it_was(value, found) else found


def is_as_it_was(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> bool:
    """Whether these are the very objects, so that what was given can be passed on and may be written into."""
    same_size = len(before) == len(after)  # two keys may be one number
    return same_size and all(
        x is y and held is kept for (x, held), (y, kept) in zip(before.items(), after.items(), strict=True)
    )


def _fit_all(value: Any, inner: tuple[Any, ...], origin: Any) -> Any:
    if isinstance(value, np.ndarray | Tensor) and inner[0] is not Tensor:
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return MISFIT
    if origin is tuple and inner[-1] is not Ellipsis:
        if len(inner) != len(value):
            return MISFIT
        each_of = inner
    else:
        each_of = (inner[0],) * len(value)
    found = [fitting(each, annotation) for each, annotation in zip(value, each_of, strict=True)]
    if any(each is MISFIT for each in found):
        return MISFIT
    return found if origin is list else tuple(found)


def _may_be(annotation: Any) -> str:
    """What fits an annotation, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_may_be(each) for each in inner))
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return f"a tensor of {annotation.__name__.partition('[')[0].lower()} of shape ({annotation.dim_str})"
    if origin in (Sequence, tuple, list):
        return f"a sequence of {_may_be(inner[0])}"
    if origin in (Mapping, dict):
        return f"a dict of {_may_be(inner[1])}"
    if origin is Literal:
        return f"one of: {', '.join(map(str, inner))}"
    if isinstance(annotation, str):
        return f"a {annotation}"
    known = {int: "a whole number", float: "a finite number", bool: "True or False", str: "a name", type(None): "None"}
    return known.get(annotation) or (f"a {annotation.__name__}" if isinstance(annotation, type) else "a function")
