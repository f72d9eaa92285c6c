"""Where datasets lie, and how every variable that names a folder is read."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from lmcbook.errors import InputError, described


def checkout() -> Path | None:
    """The root of the lmcbook checkout that the working directory lies in, or ``None`` outside one."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "lmcbook" / "__init__.py").is_file() and (folder / "notebooks").is_dir():
            return folder
    return None


def named(variable: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder that an environment variable names, or ``None`` where it is unset or empty.

    A relative folder is seen from the root of the checkout: one place for commands in sub-folders, notebooks and jobs
    of a cluster; outside a checkout, from the working directory.

    Raises:
        InputError: it names a file, what no folder can be called, or the home folder of a user that is unknown here.
    """
    given = (os.environ if environment is None else environment).get(variable)
    if not given:
        return None
    folder = home_expanded(given, variable)
    if not folder.is_absolute():
        folder = (checkout() or Path.cwd()) / folder
    try:
        folder.stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            told = f"{described(given)}: {error.strerror}"
            raise InputError(f"{variable} is {told}; it must name a folder, or be unset") from error
    if os.path.exists(folder) and not os.path.isdir(folder):
        seen = "" if str(folder) == given else f" (seen as {folder})"
        raise InputError(f"{variable} is {given!r}, which is no folder{seen}; it must name one, or be unset")
    return folder


def home_expanded(path: Path | str, name: str = "path") -> Path:
    """``path`` with the home folder in place of ``~`` or ``~USER``; ``name`` is what an error calls it.

    Raises:
        InputError: nobody knows that user's home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{name} is {str(path)!r}, whose home folder is unknown here: write the folder out") from error


def cache() -> Path:
    """The user's cache folder of this package."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmcbook"


def data() -> Path:
    """Where ``NAME.safetensors`` datasets lie; ``LMCBOOK_DATA`` moves them.

    Raises:
        InputError: as `named`.
    """
    return named("LMCBOOK_DATA") or cache() / "data"
