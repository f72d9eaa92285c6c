"""Sphinx extension: the pages ask no other host for anything, and the site is no larger than it must be.

Fetches the pinned browser files if they are not there. Where that is impossible, it says so and lets the pages ask a
public content-delivery network for the same versions.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util import logging

sys.path.append(str(Path(__file__).resolve().parents[1]))

import vendor_js

logger = logging.getLogger(__name__)

CDN = "https://cdn.jsdelivr.net/npm"


def use_public_addresses(app: Sphinx, config: Config) -> None:
    """Let the pages load the files that could not be fetched from a content-delivery network."""
    html_manager, mathjax = (package.spec for package in vendor_js.BOOK_PACKAGES)
    config.mathjax_path = f"{CDN}/{mathjax}/es5/tex-chtml-full.js"
    config.nb_ipywidgets_js = {f"{CDN}/{html_manager}/dist/embed.js": {}}


def drop_what_no_reader_asks_for(app: Sphinx, exception: Exception | None) -> None:
    """Take the theme's source maps and translations, and fonts that are there in a smaller format, out of the site."""
    if exception is None:
        static = Path(app.outdir, "_static")
        fonts = [font for font in static.rglob("*.ttf") if font.with_suffix(".woff2").is_file()]
        for file in [*static.rglob("*.map"), *fonts]:
            file.unlink()
        shutil.rmtree(static / "locales", ignore_errors=True)  # the book is in English


def leave_navigation_off_sources(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """A hundred pages of highlighted source need no side bar each; their [docs] links lead back to the book."""
    if page.startswith("_modules/"):
        context["sidebars"] = []


def setup(app: Sphinx) -> dict[str, Any]:
    try:
        vendor_js.fetch()
    except vendor_js.UnavailableError as error:
        logger.info("the pages of this build ask a public network for MathJax and the widgets: %s", error)
        app.connect("config-inited", use_public_addresses, priority=0)
    except vendor_js.VendorError as error:
        raise ExtensionError(str(error)) from None
    app.connect("html-page-context", leave_navigation_off_sources, priority=900)
    app.connect("build-finished", drop_what_no_reader_asks_for, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
