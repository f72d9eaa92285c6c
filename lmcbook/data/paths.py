"""Where datasets lie; ``LMCBOOK_DATA`` moves them."""

import os
from pathlib import Path

from lmcbook.errors import InputError


def cache() -> Path:
    """The user's cache folder of this package."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmcbook"


def data() -> Path:
    """Where ``NAME.safetensors`` datasets lie.

    Raises:
        InputError: ``LMCBOOK_DATA`` names a file.
    """
    folder = Path(os.environ.get("LMCBOOK_DATA") or cache() / "data").expanduser()
    if folder.is_file():
        raise InputError(f"LMCBOOK_DATA is {str(folder)!r}, which is a file; it may name the folder of datasets")
    return folder
