"""Sphinx extension: buttons that lead to the repository, switched on by its address, and the foot of the pages.

``repository.url`` of _config.yml is the only switch: empty means that no button and no foreign address appears.
"""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.config import Config

BINDER = "https://mybinder.org/v2/git"


def configure(app: Sphinx, config: Config) -> None:
    """Switch the theme's repository buttons on where there is an address, and write the foot of the pages."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options.update(use_repository_button=True, use_issues_button=True)
    options["extra_footer"] = (
        f'<p class="stamp">lmcbook {version("lmcbook")}{commit(Path(app.srcdir))}. MIT licence.</p>'
    )


def commit(folder: Path) -> str:
    """The commit that ``folder`` is at, in words for a sentence; empty outside of a git checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=, changed since", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return f", built from commit {done.stdout.strip()}" if done.returncode == 0 and done.stdout.strip() else ""


def add_binder_button(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """On an executed page: a button that opens, on Binder, the notebook the page was made from.

    The theme's own launch button would point at the executed copy, which is not in the repository.
    """
    options = app.config.html_theme_options
    url = options.get("repository_url")
    if not url or not page.startswith("results/") or "header_buttons" not in context:
        return
    notebook = quote(f"lab/tree/notebooks/{page.removeprefix('results/')}.ipynb", safe="")
    context["header_buttons"].append(
        {
            "type": "link",
            "text": "Binder",
            "tooltip": "Open this notebook on Binder, where it runs",
            "icon": "fas fa-rocket",
            "url": f"{BINDER}/{quote(url, safe='')}/{options.get('repository_branch') or 'main'}?urlpath={notebook}",
            "label": "launch-binder-button",
        }
    )


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", configure, priority=0)
    app.connect("html-page-context", add_binder_button, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
