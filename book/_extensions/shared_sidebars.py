"""Sphinx extension: sidebars in a fraction of the time, and the same.

They hold titles alone, for which Sphinx copies every section of every page, for each page anew, and drops them. Here
the sections are dropped once. And the pages of source code, a hundred without a place of their own in the table of
contents, share a sidebar folder by folder: theirs differ in nothing but the way back from their folder.
"""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def titles_of(contents: nodes.Element) -> nodes.Element:
    """Of a page's own contents its titles at the top, and the tables of contents in it, as Sphinx keeps them."""
    kept = contents.deepcopy()
    for top in kept.children:
        if isinstance(top, nodes.Element) and len(top) > 1:
            tables = list(top.findall(addnodes.toctree))
            if tables:
                top[1][:] = tables
            else:
                top.pop(1)
    return kept


class Sidebars:
    """The tables of contents beside the pages of one build."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._titles: dict[str, Any] = {}

    def share(self, app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
        """Let the templates of a page have a table of contents that is made of titles, or was made for its folder."""
        make, folder = context["toctree"], posixpath.dirname(pagename)

        def made(**options: Any) -> Any:
            if not options.get("titles_only"):
                return make(**options)
            with self._of_titles(app.env):
                return make(**options)

        def shared(**options: Any) -> Any:
            key = folder, *sorted(options.items())
            if key not in self._made:
                self._made[key] = made(**options)
            return self._made[key]

        # what is in the table of contents has its own place marked
        context["toctree"] = made if pagename in app.env.found_docs else shared

    @contextmanager
    def _of_titles(self, env: BuildEnvironment) -> Iterator[None]:
        whole = env.tocs
        if self._titles.keys() != whole.keys():
            self._titles = {page: titles_of(contents) for page, contents in whole.items()}
        env.tocs = self._titles
        try:
            yield
        finally:
            env.tocs = whole


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", Sidebars().share)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
