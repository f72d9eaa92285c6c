"""Files that may be written to: none is written over unless that is asked for."""

import os
from collections.abc import Sequence
from pathlib import Path

from lmcbook.errors import InputError, cut_short

MOST_BYTES = 255
"""Of a file's name, on all file systems in use; a letter that is not ASCII takes two to four of them."""


def check_target(path: str | Path, endings: Sequence[str], *, force: bool) -> Path:
    """A path that may be written to.

    Raises:
        InputError: it has another ending or too long a name, is there already and ``force`` is not given, or its folder
            is missing.
    """
    path = Path(path)
    if len(os.fsencode(path.name)) > MOST_BYTES:
        raise InputError(
            f"{cut_short(str(path), 40)!r} has a name of {len(os.fsencode(path.name))} bytes; a file's name may have "
            f"{MOST_BYTES}: give a shorter name"
        )
    if path.suffix not in endings:
        raise InputError(f"{str(path)!r} ends in {path.suffix!r}; it may end in {', '.join(endings)}")
    if not os.path.isdir(path.parent):  # Path's own fails where a folder's name is too long
        raise InputError(f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir() or (path.exists() and not force):
        raise InputError(f"{str(path)!r} is there already; give another name, or force (--force) to write over a file")
    return path
