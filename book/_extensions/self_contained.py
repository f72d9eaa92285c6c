"""Sphinx extension: the pages ask no other host for anything.

Fetches the pinned browser files if they are not there. Where that is impossible, it says so and lets the pages ask a
public content-delivery network for the same versions.
"""

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


def setup(app: Sphinx) -> dict[str, Any]:
    try:
        vendor_js.fetch()
    except vendor_js.UnavailableError as error:
        logger.info("the pages of this build ask a public network for MathJax and the widgets: %s", error)
        app.connect("config-inited", use_public_addresses, priority=0)
    except vendor_js.VendorError as error:
        raise ExtensionError(str(error)) from None
    return {"parallel_read_safe": True, "parallel_write_safe": True}
