"""Sphinx extension: buttons that lead to the repository, switched on by its address, and the foot of the pages.

``repository.url`` of _config.yml is the only switch: empty means that no button and no foreign address appears.
"""

import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.config import Config

sys.path.append(str(Path(__file__).resolve().parents[1]))

import colab_notebooks

BINDER = "https://mybinder.org/v2/git"


def configure(app: Sphinx, config: Config) -> None:
    """Switch the theme's repository buttons on where there is an address."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options.update(use_repository_button=True, use_issues_button=True)


def add_foot(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """At the foot of a page: the version and the commit that it was built from.

    As an option of the theme it would be a part of the settings, and each commit would write all pages anew.
    """
    built_from = commit(Path(app.srcdir))
    context["theme_extra_footer"] = f'<p class="stamp">lmcbook {version("lmcbook")}{built_from}. MIT licence.</p>'


@cache
def commit(folder: Path) -> str:
    """The commit that ``folder`` is at, in words for a sentence; empty outside a git checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=, changed since", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return f", built from commit {done.stdout.strip()}" if done.returncode == 0 and done.stdout.strip() else ""


def add_launch_buttons(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """On an executed page: buttons that open the notebook the page was made from where it runs, on Binder and Colab.

    The theme's own buttons would point at the executed copy, which is not in the repository.
    """
    options = app.config.html_theme_options
    url = options.get("repository_url")
    if not url or not page.startswith("results/") or "header_buttons" not in context:
        return
    name = page.removeprefix("results/")
    branch = options.get("repository_branch") or "main"
    notebook = quote(f"lab/tree/notebooks/{name}.ipynb", safe="")
    places = {
        "Binder": f"{BINDER}/{quote(url, safe='')}/{branch}?urlpath={notebook}",
        "Colab": colab_notebooks.address(url, name),
    }
    context["header_buttons"].append(
        {
            "type": "group",
            "tooltip": "Run this notebook",
            "icon": "fas fa-rocket",
            "buttons": [
                {
                    "type": "link",
                    "text": place,
                    "tooltip": f"Open this notebook on {place}, where it runs",
                    "icon": "fas fa-play",
                    "url": address,
                }
                for place, address in places.items()
                if address
            ],
            "label": "launch-buttons",
        }
    )


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", configure, priority=0)
    app.connect("html-page-context", add_launch_buttons, priority=900)
    app.connect("html-page-context", add_foot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
