"""Names that a package loads when they are first used; it stands here because it needs nothing of the package."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lmcbook.errors import not_installed


def names_on_demand(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package that loads a name's module when the name is first used.

    Args:
        modules: module of ``package`` → the names that come from it, separated by spaces.
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        except ModuleNotFoundError as error:
            raise not_installed(error) from error
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *home})
