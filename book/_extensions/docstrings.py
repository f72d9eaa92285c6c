"""Sphinx extension: the package's docstrings hold formulas as $…$, as the pages do; reStructuredText wants a role."""

import re
from typing import Any

from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

FORMULA = re.compile(r"(?<![\\$`])\$(?!\s)([^$]+?)(?<![\s\\])\$(?!\w)")
DISPLAYED = re.compile(r"^( *)\$\$(.+?)\$\$", re.DOTALL | re.MULTILINE)
"""A formula in a paragraph of its own."""
ONE_SENTENCE = ("attribute", "data", "property")
"""What Napoleon reads as ``type: description``."""
FIELD = re.compile(r"Alias for field number \d+")
"""What a named tuple says of a field of which nobody said more."""


def formulas_as_roles(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn every ``$…$`` of a docstring, given as its ``lines``, into a ``:math:`` role, in place.

    A ``$$…$$`` that begins a line becomes a ``.. math::`` directive.
    """
    text = DISPLAYED.sub(lambda formula: f"{formula[1]}.. math:: {' '.join(formula[2].split())}", "\n".join(lines))
    roles = FORMULA.sub(lambda formula: f":math:`{' '.join(formula[1].split())}`", text)
    lines[:] = roles.split("\n")


def without_aliases(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Empty the ``lines`` that Python wrote for the field of a named tuple, in place."""
    if len(lines) and FIELD.fullmatch(lines[0].strip()):
        lines[:] = []


def readable_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A signature that Sphinx can set over several lines: ``...`` for a default that is made anew for each object.

    A union that has a name in its library, as ``ArrayLike`` has, gets that name.
    """
    if signature is not None:
        signature = signature.replace("<factory>", "...")
        for written in {stringify_annotation(ArrayLike, "smart"), stringify_annotation(ArrayLike)}:
            signature = signature.replace(written, "ArrayLike")
    return signature, returned


class Sentences:
    """What is written of attributes and properties: Napoleon would take what stands before a colon for a type."""

    def __init__(self) -> None:
        self._written: dict[str, list[str]] = {}

    def keep(self, app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
        """Remember the ``lines`` of an attribute before Napoleon reads them."""
        if what in ONE_SENTENCE:
            self._written[name] = list(lines)

    def restore(self, app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
        """Put them back when Napoleon is done."""
        if what in ONE_SENTENCE:
            lines[:] = self._written.pop(name, lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    sentences = Sentences()
    app.connect("autodoc-process-signature", readable_signature)
    app.connect("autodoc-process-docstring", without_aliases, priority=50)
    app.connect("autodoc-process-docstring", formulas_as_roles, priority=100)
    app.connect("autodoc-process-docstring", sentences.keep, priority=200)
    app.connect("autodoc-process-docstring", sentences.restore, priority=900)  # Napoleon has the usual 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
