"""Sphinx extension: pages outside the table of contents share a sidebar, folder by folder.

A hundred pages of source code have no place of their own in the table of contents, so that theirs differ in nothing but
the way back from their folder; to make each anew takes a fifteenth of the time of a build.
"""

import posixpath
from typing import Any

from sphinx.application import Sphinx


class Sidebars:
    """The tables of contents beside the pages of one build that are not in it, by the page's folder."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def share(self, app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
        """Let the templates of such a page have the table of contents that was made for its folder."""
        if pagename in app.env.found_docs:  # its own place is marked
            return
        make, folder = context["toctree"], posixpath.dirname(pagename)

        def toctree(**options: Any) -> Any:
            key = folder, *sorted(options.items())
            if key not in self._made:
                self._made[key] = make(**options)
            return self._made[key]

        context["toctree"] = toctree


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", Sidebars().share)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
