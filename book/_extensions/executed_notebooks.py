"""Sphinx extension: runs the notebooks of the book before Sphinx reads them, from records, without training.

A page ``results/NAME`` of the table of contents (by name or by pattern) is the executed ``notebooks/NAME.ipynb``.
Those that are missing, were edited, or were made from something else than what is there now (`lmcbook.pages.keys`) are
run now, two at a time; a failure stops the build. Where `lmcbook.pages.workflow.build_book` started the build it has
seen to that already.
"""

import os
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

from lmcbook.errors import InputError
from lmcbook.pages.keys import Judge
from lmcbook.pages.notebooks import NotebookError, bring_up_to_date
from lmcbook.pages.workflow import JUDGED_BY, MEMORY

logger = logging.getLogger(__name__)


def pages_in_toc(toc: Any) -> Iterator[str]:
    """Every page, or pattern of pages, that a table of contents of Jupyter Book names, in its order."""
    if isinstance(toc, list):
        for entry in toc:
            yield from pages_in_toc(entry)
    elif isinstance(toc, dict):
        yield from (str(toc[key]) for key in ("root", "file", "glob") if key in toc)
        for key in ("parts", "chapters", "sections", "subtrees", "entries"):
            yield from pages_in_toc(toc.get(key))


def notebook_pages(book: Path) -> list[tuple[Path, Path]]:
    """The notebook and the result of every executed page of the table of contents of ``book``."""
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    wanted = [page for page in pages_in_toc(toc) if page.startswith("results/")]
    there = [notebook.stem for notebook in sorted((book.parent / "notebooks").glob("*.ipynb"))]
    names = [page.removeprefix("results/") for page in wanted if "*" not in page]
    names += [name for name in there if any("*" in page and fnmatch(f"results/{name}", page) for page in wanted)]
    return [
        (book.parent / "notebooks" / f"{name}.ipynb", book / "results" / f"{name}.ipynb")
        for name in dict.fromkeys(names)
    ]


def offer_sources(app: Sphinx, exception: Exception | None) -> None:
    """Let the download button of an executed page give its notebook without outputs, which can be run again."""
    if exception is None:
        for source, target in notebook_pages(Path(app.srcdir)):
            offered = Path(app.outdir, "_sources", "results", target.name)
            if offered.is_file():
                shutil.copyfile(source, offered)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", offer_sources)
    if os.environ.get(JUDGED_BY) == str(os.getppid()):
        return {"parallel_read_safe": True, "parallel_write_safe": True}
    # Before any other extension looks at the pages: the table of contents drops what does not exist.
    book = Path(app.srcdir)
    judge = Judge(memory=book / MEMORY)
    try:
        made = bring_up_to_date(
            notebook_pages(book), {"require_cached": True}, report=lambda line: logger.info("%s", line), judge=judge
        )
        judge.remember()
    except (NotebookError, InputError) as error:
        raise ExtensionError(f"the book's notebooks could not be run:\n{error}") from None
    logger.info("notebooks: %s", f"{len(made)} run from records" if made else "up to date, none was run")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
