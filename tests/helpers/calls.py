"""How often a function is called."""

from types import ModuleType
from typing import Any

import pytest


def counted_calls(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[dict[str, Any]]:
    """The arguments by name of every call of a function, from now on."""
    calls: list[dict[str, Any]] = []
    real = getattr(module, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(options)
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, counted)
    return calls
