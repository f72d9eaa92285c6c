"""Sphinx extension: the package's docstrings hold formulas as $…$, as the pages do; reStructuredText wants a role."""

import re
from typing import Any

from sphinx.application import Sphinx

FORMULA = re.compile(r"(?<![\\$`])\$(?!\s)([^$]+?)(?<![\s\\])\$(?!\w)")


def formulas_as_roles(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn every ``$…$`` of a docstring, given as its ``lines``, into a ``:math:`` role, in place."""
    roles = FORMULA.sub(lambda formula: f":math:`{' '.join(formula[1].split())}`", "\n".join(lines))
    lines[:] = roles.split("\n")


class Sentences:
    """Attributes' docstrings as they are written: Napoleon would take what stands before a colon for a type."""

    def __init__(self) -> None:
        self._written: dict[str, list[str]] = {}

    def keep(self, app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
        """Remember the ``lines`` of an attribute before Napoleon reads them."""
        if what in ("attribute", "data"):
            self._written[name] = list(lines)

    def restore(self, app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
        """Put them back when Napoleon is done."""
        if what in ("attribute", "data"):
            lines[:] = self._written.pop(name, lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    sentences = Sentences()
    app.connect("autodoc-process-docstring", formulas_as_roles, priority=100)
    app.connect("autodoc-process-docstring", sentences.keep, priority=200)
    app.connect("autodoc-process-docstring", sentences.restore, priority=900)  # Napoleon has the usual 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
