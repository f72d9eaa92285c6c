"""Types are checked while testing: by jaxtyping where a shape is told, by beartype alone everywhere else.

jaxtyping decorates every function of the package. For each call it binds the arguments in Python and has them checked
twice, so that two of them can share a dimension. Without a shape that finds nothing that beartype does not find by
itself, in a small part of the time.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ForwardRef, Literal, get_args, get_origin

import jaxtyping

_shapes_checked = jaxtyping.jaxtyped


def tells_shapes(hint: Any) -> bool:
    """Whether an array with a shape is in ``hint``, or a name that is still to be looked up."""
    if isinstance(hint, str | ForwardRef):
        return True
    if isinstance(hint, type) and hint.__module__.partition(".")[0] == "jaxtyping":
        return True
    parts = hint if isinstance(hint, list | tuple) else () if get_origin(hint) is Literal else get_args(hint)
    return any(map(tells_shapes, parts))


def checked(function: Any = None, *, typechecker: Callable[[Any], Any] | None = None) -> Any:
    """In place of `jaxtyping.jaxtyped`: a function, or a class for its data, whose types are checked."""
    if typechecker is None:  # `jaxtyped("context")`, a block of shapes
        return _shapes_checked(function)
    if function is None:
        return functools.partial(checked, typechecker=typechecker)
    if isinstance(function, type):
        if dataclasses.is_dataclass(function) and "__init__" in vars(function):
            function.__init__ = checked(function.__init__, typechecker=typechecker)  # type: ignore[method-assign]
        return function
    # a module that takes annotations apart compares values with them, each call for itself
    looks_itself = "AbstractArray" in getattr(function, "__globals__", {})
    if looks_itself or any(map(tells_shapes, getattr(function, "__annotations__", {}).values())):
        return _shapes_checked(function, typechecker=typechecker)
    typed = typechecker(function)

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        return (function if jaxtyping.config.jaxtyping_disable else typed)(*arguments, **named)

    return run


jaxtyping.jaxtyped = checked  # type: ignore[assignment]
