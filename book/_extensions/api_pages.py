"""Sphinx extension: one reference page for each module of the package, written before Sphinx looks for pages.

A new module gets its page by existing. The texts are the docstrings; see also docstrings.py beside this file. The wing
that makes the book is listed only: nobody else calls it, and its pages and sources would be a tenth of the site.
"""

import ast
import importlib.util
import pkgutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PARTS = {
    "": (
        "The core",
        "What two networks of your own need. Imports neither the lab nor the pages.",
    ),
    "lab": (
        "The lab",
        "What trains from a plan, stores, measures and records. Imports the core.",
    ),
    "pages": (
        "The pages",
        "What makes the book out of records. Imports the lab, and no torch.",
    ),
}
"""Sub-package → title and sentence."""

LISTED_ONLY = "pages"
"""The sub-package whose modules have no page of their own."""

INDEX = """# Reference

The core and the lab, generated from their docstrings. **[source]** beside a name leads to its code. The package has a
core and two wings, and imports run one way: the core knows neither wing, the lab knows the core, the pages know both.
Of the pages, which make this book, the modules are listed; their documentation stands in the code.

For everyday use the most wanted names can be taken from the package itself:
`from lmcbook import load, train, merge`.
"""


def modules() -> dict[str, str]:
    """Every public module or sub-package of the core and of the two wings → the first sentence of its docstring.

    Names are dotted and without ``lmcbook.``; nothing is imported.
    """
    spec = importlib.util.find_spec("lmcbook")
    assert spec is not None and spec.submodule_search_locations, "the extension runs where the package is installed"
    [folder] = map(Path, spec.submodule_search_locations)
    found = {}
    for part in PARTS:
        for module in pkgutil.iter_modules([str(folder / part)]):
            if not module.name.startswith("_") and module.name not in PARTS:
                path = folder / part / module.name
                file = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
                documentation = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
                found[f"{part}.{module.name}".lstrip(".")] = documentation.partition("\n\n")[0].replace("\n", " ")
    return found


def page(module: str) -> str:
    """The MyST text of the page of ``module``."""
    return f"# {module}\n\n```{{eval-rst}}\n.. automodule:: lmcbook.{module}\n```\n"


def index(found: dict[str, str]) -> str:
    """The MyST text of the page that lists the modules ``found``."""
    lines = [INDEX]
    for part, (title, sentence) in PARTS.items():
        names = [name for name in found if name.rpartition(".")[0] == part]
        shown = {name: f"`{name}`" if part == LISTED_ONLY else f"[`{name}`]({name}.md)" for name in names}
        rows = [f"| {shown[name]} | {found[name].replace('|', chr(92) + '|')} |" for name in names]
        lines += [f"## {title}\n", f"{sentence}\n", "| Module | |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def write_pages(folder: Path) -> None:
    """Bring ``folder`` up to date: a page whose text is right is left alone, a page without a module is removed."""
    found = modules()
    documented = [name for name in found if name.partition(".")[0] != LISTED_ONLY]
    texts = {"index.md": index(found)} | {f"{name}.md": page(name) for name in documented}
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.md"):
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    write_pages(Path(app.srcdir) / "api")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
