"""The one exception of the package: bad input, said in one line."""

from collections.abc import Collection, Hashable, Sequence
from typing import Any, no_type_check


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line: the argument, what it was, what it may be, and the way out. The command line prints it
    and exits with 2; under papermill it is the last line of the error.
    """


class AtFault(InputError):
    """Bad tensors, found where they have another name than in the public function that they were given to.

    That function (`lmcbook.errors.arguments.checked`) puts its own argument's name in the place of ``what``.
    """

    def __init__(self, message: str, what: str, tensors: Sequence[Any]) -> None:
        super().__init__(message)
        self.what, self.tensors = what, tensors

    def call(self, name: str) -> None:
        """Call the tensors ``name`` from here on."""
        self.args = (str(self).replace(self.what, name, 1),)
        self.what = name

    def say_before(self, reason: str) -> None:
        """Begin the message with a reason, once."""
        if not str(self).startswith(reason):
            self.args = (f"{reason}: {self}",)


FOR_THE_BOOK = ("IPython", "ipywidgets", "jupyter_book", "nbformat", "pandas", "papermill", "seaborn", "snakemake")
"""Packages of the extra ``book``: tables, figures and pages need them, and two networks of your own do not."""


def not_installed(error: ModuleNotFoundError) -> Exception:
    """What to raise in place of ``error``: one line with the way out where the extra ``book`` is missing."""
    package = (error.name or "").partition(".")[0]
    if package not in FOR_THE_BOOK:
        return error
    return InputError(f'{package} is not installed; it comes with what the book needs: pip install ".[book]"')


@no_type_check  # planning asks a hundred thousand times, where checking the arguments takes longer than the answer
def check_choice(argument: str, value: object, choices: Collection[object]) -> None:
    """Raise `InputError` unless ``value`` is one of ``choices``."""
    if not isinstance(value, Hashable) or value not in tuple(choices):
        raise InputError(f"{argument} is {described(value)}; it may be one of: {', '.join(map(str, choices))}")


def one_line(error: BaseException, length: int | None = None, *, kind: bool = False, first_line: bool = False) -> str:
    """What an error says, in one line: its message, or its type's name where it has none.

    Args:
        error: of any package; a message of this package is a line already.
        length: the most letters of it.
        kind: with the type's name before it.
        first_line: of several lines the first alone, where the others are a listing or general advice.
    """
    name = type(error).__name__
    message = str(error).strip()
    line = " ".join((message.partition("\n")[0] if first_line else message).split())
    return cut_short(f"{name}: {line}" if kind and line else line or name, length)


def cut_short(text: str, length: int | None) -> str:
    """A text of at most ``length`` letters, the last of which is … where it was cut."""
    return text if length is None or len(text) <= length else f"{text[: length - 1].rstrip()}…"


def described(given: Any) -> str:
    """What an argument was, in a few words."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        kind = str(given.dtype).removeprefix("torch.")
        return f"a {type(given).__name__} of shape {tuple(given.shape)} and type {kind}"
    told = repr(given)
    if given is None or isinstance(given, int | float | str):
        return cut_short(told, 60)
    if type(given).__module__ == "builtins" and len(told) < 60 and "\n" not in told:
        return told
    return f"a {type(given).__name__}"


@no_type_check
def as_number(value: object) -> object:
    """The number that a scalar of numpy or torch holds; anything else unchanged."""
    if isinstance(value, int | float) and type(value).__module__ == "builtins":
        return value
    # a tensor on the device meta has no number
    has_one = getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not getattr(value, "is_meta", False)
    return value.item() if has_one else value


@no_type_check
def check_number(
    argument: str,
    value: object,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    integer: bool = False,
) -> None:
    """Raise `InputError` unless ``value`` is a finite number (an integer if ``integer``) inside the bounds.

    A scalar of numpy or torch is a number. ``minimum`` and ``maximum`` are allowed values themselves, ``above`` and
    ``below`` are not.
    """
    number = as_number(value)
    if isinstance(number, bool) or not isinstance(number, int if integer else int | float):
        number = None
    if (
        number is None
        or not abs(number) < float("inf")
        or (minimum is not None and number < minimum)
        or (above is not None and number <= above)
        or (maximum is not None and number > maximum)
        or (below is not None and number >= below)
    ):
        kind = "a whole number" if integer else "a number"
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("at least", minimum), ("above", above), ("at most", maximum), ("below", below))
            if bound is not None
        ]
        allowed = " ".join([kind, " and ".join(bounds)]).strip()
        raise InputError(f"{argument} is {described(value)}; it must be {allowed}")
