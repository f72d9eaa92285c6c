"""Files of what was written before it was measured: rows of TOML, checked when they are read, with one-line errors."""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lmcbook.errors import InputError, check_choice, check_number, one_line

Kinds = Mapping[str, tuple[Any, str]]
"""Key of a row → what may stand there, and that in words."""

TEXT, TABLE, NUMBER = (str, "text"), (dict, "a table"), (int | float, "a number")


def read_toml(text: str, what: str) -> dict[str, Any]:
    """The content of a file of ``what``, such as claims.

    Raises:
        InputError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the file of {what} is no TOML: {one_line(error)}") from error


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Say which row it is that cannot be used: errors begin with ``what``."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from None


def check_row(row: Mapping[str, Any], kinds: Kinds, needed: Collection[str], what: str) -> None:
    """Check a row's keys and the kinds of their values.

    Args:
        row: of the file.
        kinds: of every key that it may have.
        needed: the keys that it must have.
        what: the row is, for errors: ``a claim``.

    Raises:
        InputError: a key is unknown or missing, or a value of another kind.
    """
    for key, value in row.items():
        check_choice("a key", key, kinds)
        kind, words = kinds[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"{key} is {value!r}; it must be {words}")
    if missing := [key for key in needed if key not in row]:
        raise InputError(f"{', '.join(missing)} must be given; {what} needs {', '.join(needed)}")


def check_bounds(name: str, bounds: Mapping[str, Any]) -> None:
    """Check that bounds are ``low`` and ``high`` alone, and numbers.

    Raises:
        InputError: they are not.
    """
    for bound, value in bounds.items():
        check_choice(f"a bound of {name}", bound, ("low", "high"))
        check_number(f"{name}.{bound}", value)
