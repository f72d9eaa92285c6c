"""Sphinx extension: on every page the first use of a term leads to the glossary, where previews.js shows its meaning.

Nothing has to be marked: a term is its name in the glossary, in any case and in the plural too.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# Words of everyday use that the glossary gives a meaning to; a link at each would be noise.
EVERYDAY = {"barrier", "ensemble", "pair", "record", "repair", "scale"}

NO_PROSE = (nodes.reference, nodes.literal, nodes.title, nodes.math, nodes.raw, nodes.pending, addnodes.pending_xref)


def terms(names: list[str]) -> dict[str, str]:
    """What is looked for in the prose, in small letters → the term of the glossary.

    ``Linear mode connectivity (LMC)`` is found by both of its names, and ``Permutation, as an index vector`` by none.
    """
    found = {}
    for name in names:
        for said in re.split(r" \(|\)", name):
            if said and "," not in said and said.lower() not in EVERYDAY:
                found[said.lower()] = name
    return found


class LinkFirstUses(SphinxPostTransform):
    """Puts a cross-reference in the place of the first use of every term."""

    default_priority = 5  # before Sphinx resolves the cross-references

    def run(self, **kwargs: Any) -> None:
        glossary = [entry for entry in self.env.get_domain("std").get_objects() if entry[2] == "term"]
        known = terms([entry[0] for entry in glossary])
        if not known or self.env.docname in {entry[3] for entry in glossary} | {"changelog"}:
            return
        longest_first = sorted(map(re.escape, known), key=len, reverse=True)
        pattern = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})s?(?![\w-])", re.IGNORECASE)
        done: set[str] = set()
        for paragraph in list(self.document.findall(nodes.paragraph)):
            for text in list(paragraph.findall(nodes.Text)):
                if not any(isinstance(above, NO_PROSE) for above in _ancestors(text)):
                    self._link(text, pattern, known, done)

    def _link(self, text: nodes.Text, pattern: re.Pattern[str], known: dict[str, str], done: set[str]) -> None:
        """Replace ``text`` by itself with links at the terms that are not ``done`` yet."""
        said, pieces, end = text.astext(), [], 0
        for use in pattern.finditer(said):
            term = known[use[1].lower()]
            if term not in done:
                done.add(term)
                pieces += [nodes.Text(said[end : use.start()]), self._reference(term, use[0])]
                end = use.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(said[end:])])

    def _reference(self, term: str, said: str) -> addnodes.pending_xref:
        return addnodes.pending_xref(
            "",
            nodes.inline(said, said, classes=["xref", "std", "std-term"]),
            refdomain="std",
            reftype="term",
            reftarget=term,
            refexplicit=True,
            refdoc=self.env.docname,
            refwarn=True,
        )


def _ancestors(node: nodes.Node) -> list[nodes.Node]:
    return [] if node.parent is None else [node.parent, *_ancestors(node.parent)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(LinkFirstUses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
