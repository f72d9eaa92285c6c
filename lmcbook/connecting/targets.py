"""Files that may be written to: none is written over unless that is asked for."""

from collections.abc import Sequence
from pathlib import Path

from lmcbook.errors import InputError


def check_target(path: str | Path, endings: Sequence[str], *, force: bool) -> Path:
    """A path that may be written to.

    Raises:
        InputError: it has another ending, is there already and ``force`` is not given, or its folder is missing.
    """
    path = Path(path)
    if path.suffix not in endings:
        raise InputError(f"{str(path)!r} ends in {path.suffix!r}; it may end in {', '.join(endings)}")
    if not path.parent.is_dir():
        raise InputError(f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir() or (path.exists() and not force):
        raise InputError(f"{str(path)!r} is there already; give another name, or force (--force) to write over a file")
    return path
