"""Sphinx extension: the package's docstrings hold formulas as $…$, as the pages do; reStructuredText wants a role."""

import re
from typing import Any

from sphinx.application import Sphinx

FORMULA = re.compile(r"(?<![\\$`])\$(?!\s)([^$]+?)(?<![\s\\])\$(?!\w)")


def formulas_as_roles(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn every ``$…$`` of a docstring, given as its ``lines``, into a ``:math:`` role, in place."""
    roles = FORMULA.sub(lambda formula: f":math:`{' '.join(formula[1].split())}`", "\n".join(lines))
    lines[:] = roles.split("\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", formulas_as_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
