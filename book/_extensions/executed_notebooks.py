"""Sphinx extension: runs the notebooks of the book before Sphinx reads them, from records, without training.

A page ``results/NAME`` of the table of contents is the executed ``notebooks/NAME.ipynb``. Those that are missing or
were made from an older notebook, older records or an older package are run now, two at a time; a failure stops the
build.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

from lmcbook.errors import InputError
from lmcbook.notebooks import NotebookError, bring_up_to_date

logger = logging.getLogger(__name__)


def files_in_toc(toc: Any) -> Iterator[str]:
    """Every page that a table of contents of Jupyter Book names, in its order."""
    if isinstance(toc, list):
        for entry in toc:
            yield from files_in_toc(entry)
    elif isinstance(toc, dict):
        yield from (str(toc[key]) for key in ("root", "file") if key in toc)
        for key in ("parts", "chapters", "sections", "subtrees", "entries"):
            yield from files_in_toc(toc.get(key))


def notebook_pages(book: Path) -> list[tuple[Path, Path]]:
    """The notebook and the result of every executed page of the table of contents of ``book``."""
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    names = [file.removeprefix("results/") for file in files_in_toc(toc) if file.startswith("results/")]
    return [(book.parent / "notebooks" / f"{name}.ipynb", book / "results" / f"{name}.ipynb") for name in names]


def setup(app: Sphinx) -> dict[str, Any]:
    # Before any other extension looks at the pages: the table of contents drops what does not exist.
    try:
        made = bring_up_to_date(
            notebook_pages(Path(app.srcdir)), {"require_cached": True}, report=lambda line: logger.info("%s", line)
        )
    except (NotebookError, InputError) as error:
        raise ExtensionError(f"the book's notebooks could not be run:\n{error}") from None
    logger.info("notebooks: %s", f"{len(made)} run from records" if made else "up to date, none was run")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
