"""Types are checked while testing: by jaxtyping where a shape is told, by beartype alone everywhere else.

jaxtyping decorates every function of the package. For each call it binds the arguments in Python and has them checked
twice, so that two of them can share a dimension. Without a shape that finds nothing that beartype does not find by
itself, in a small part of the time.

Of the calls of a function in a test the first `CALLS` are checked: what is called thousands of times is called with the
same types, and to check all of them takes a tenth of the time of some files.
"""

import dataclasses
import functools
import inspect
import threading
import types
from collections.abc import Callable
from typing import Any, ForwardRef, Literal, get_args, get_origin

import jaxtyping

CALLS = 10
"""Calls of a function that are checked in a test."""

_shapes_checked = jaxtyping.jaxtyped
_test = 0


def begin_a_test() -> None:
    """Check the next calls of all functions."""
    global _test
    _test += 1


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
    if (key := _key_of(function)) is None:
        return _anew(function, typechecker)
    if key not in _nested:
        _nested[key] = _anew(_in_place_of(function), typechecker)
    typed = _nested[key]

    @functools.wraps(function)
    def run_nested(*arguments: Any, **named: Any) -> Any:
        waiting = _waiting.functions
        waiting.append(function)
        before = len(waiting) - 1
        try:
            return typed(*arguments, **named)
        finally:
            del waiting[before:]  # still there if the arguments were refused

    return run_nested


def _anew(function: Any, typechecker: Callable[[Any], Any]) -> Any:
    # a module that takes annotations apart compares values with them, each call for itself
    looks_itself = "AbstractArray" in getattr(function, "__globals__", {})
    if looks_itself or any(map(tells_shapes, getattr(function, "__annotations__", {}).values())):
        typed = _shapes_checked(function, typechecker=typechecker)
    else:
        typed = typechecker(function)
    if looks_itself:
        function = _apart(function)
    test = calls = 0

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        nonlocal test, calls
        if test != _test:
            test, calls = _test, 0
        calls += 1
        unchecked = calls > CALLS or jaxtyping.config.jaxtyping_disable
        return (function if unchecked else typed)(*arguments, **named)

    return run


def _apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose axes have nothing to do with those of who calls it."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with _shapes_checked("context"):
            return function(*arguments, **named)

    return call


# A function inside another is a new one in each call of the other, and would be decorated anew, which takes far longer
# than calling it. Its checks are made once, around a function that calls the one whose turn it is.


class _Waiting(threading.local):
    def __init__(self) -> None:
        self.functions: list[Any] = []


_waiting = _Waiting()
_nested: dict[Any, Any] = {}


_PLAIN = (type(None), bool, int, float, str)
_YIELDS_OR_WAITS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _key_of(function: Any) -> tuple[Any, ...] | None:
    """The same for all functions of one ``def`` inside another whose checks are the same; None for any other."""
    if not isinstance(function, types.FunctionType) or "<locals>" not in function.__qualname__:
        return None
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items())
    if function.__code__.co_flags & _YIELDS_OR_WAITS or not all(isinstance(value, _PLAIN) for value in defaults):
        return None
    hints = function.__annotations__
    if any(isinstance(hint, str) for hint in hints.values()):
        return None
    key = (function.__code__, function.__qualname__, *defaults, *((name, _known(hint)) for name, hint in hints.items()))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _known(hint: Any) -> Any:
    """The same for equal hints: jaxtyping makes a new type whenever one is named."""
    if isinstance(hint, list | tuple):
        return tuple(map(_known, hint))
    if isinstance(hint, type) and hint.__module__.partition(".")[0] == "jaxtyping":
        return hint.array_type, tuple(hint.dtypes), hint.dim_str  # type: ignore[attr-defined]
    return (get_origin(hint), *map(_known, get_args(hint))) if get_args(hint) else hint


def _in_place_of(function: types.FunctionType) -> Any:
    """What has the name and hints of ``function``, keeps nothing of its surroundings alive and calls who waits."""
    code = function.__code__
    cells = tuple(types.CellType() for _ in code.co_freevars)
    empty = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, cells)
    empty.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(empty, function)
    del empty.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(empty)
    def call(*arguments: Any, **named: Any) -> Any:
        return _waiting.functions.pop()(*arguments, **named)

    return call


jaxtyping.jaxtyped = checked  # type: ignore[assignment]
