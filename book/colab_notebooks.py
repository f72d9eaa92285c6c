"""Writes the notebooks as Google Colab can run them: with a first cell that fetches the project.

    python book/colab_notebooks.py FOLDER

The address is `repository.url` of _config.yml. Colab opens notebooks from GitHub alone, so the publishing workflow puts
FOLDER on a branch of its own, to which the book's Colab buttons lead. Without an address nothing is written.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

BOOK = Path(__file__).resolve().parent
NOTEBOOKS = BOOK.parent / "notebooks"
BRANCH = "colab"
"""Where the workflow puts what this writes."""

GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def address(url: str, notebook: str) -> str | None:
    """Where Colab opens ``notebook`` (a name without suffix), or ``None`` where it cannot."""
    repository = GITHUB.fullmatch(url)
    if repository is None or not can_run(NOTEBOOKS / f"{notebook}.ipynb"):
        return None
    return f"https://colab.research.google.com/github/{repository[1]}/blob/{BRANCH}/{quote(notebook)}.ipynb"


def can_run(source: Path) -> bool:
    """Whether ``source`` needs nothing that is not installed there: explorers are made of ipywidgets 8."""
    return not re.search(r"from lmcbook\.pages import [\w, ]*\bwidgets\b", source.read_text(encoding="utf-8"))


def with_installation(notebook: dict[str, Any], url: str, branch: str) -> dict[str, Any]:
    """The notebook behind a cell that fetches the checkout of ``branch``, its records and what it needs."""
    lines = (
        "# Colab starts empty: fetch the book with its records, and install what it needs. This takes a minute or two.",
        f"!git clone --quiet --depth 1 --branch {branch} {url} /content/checkout",
        "%cd -q /content/checkout",
        "%pip install --quiet . pandas seaborn",
    )
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "installation",
        "metadata": {},
        "outputs": [],
        "source": [*(f"{line}\n" for line in lines[:-1]), lines[-1]],
    }
    return {**notebook, "cells": [cell, *notebook["cells"]]}


def write(folder: Path, url: str, branch: str) -> list[Path]:
    """Write every notebook that Colab can run into ``folder``; nothing where ``url`` is not an address on GitHub."""
    written = []
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        if address(url, source.stem):
            notebook = with_installation(json.loads(source.read_text(encoding="utf-8")), url, branch)
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / source.name)
            written[-1].write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return written


def main(arguments: list[str]) -> None:
    """Write the notebooks into the folder that is named."""
    import yaml

    if len(arguments) != 1:
        sys.exit("say into which folder: python book/colab_notebooks.py FOLDER")
    repository = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))["repository"]
    written = write(Path(arguments[0]), repository["url"], repository["branch"])
    print(f"{len(written)} notebooks for Colab" if written else "repository.url is not on GitHub: nothing written")


if __name__ == "__main__":
    main(sys.argv[1:])
