"""Where datasets lie; ``LMCBOOK_DATA`` moves them."""

import os
from pathlib import Path


def cache() -> Path:
    """The user's cache folder of this package."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmcbook"


def data() -> Path:
    """Where ``NAME.safetensors`` datasets lie."""
    return Path(os.environ.get("LMCBOOK_DATA") or cache() / "data").expanduser()
