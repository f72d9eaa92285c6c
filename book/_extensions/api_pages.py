"""Sphinx extension: one reference page for each module of the package, written before Sphinx looks for pages.

A new module gets its page by existing. The texts are the docstrings; see also docstrings.py beside this file.
"""

import ast
import importlib.util
import pkgutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PARTS = {
    "What is measured, and on what": ("config", "data", "permutation", "models", "matching", "recipes", "plan"),
    "From training to numbers": (
        "randomness",
        "schedule",
        "execution",
        "training",
        "store",
        "merging",
        "calibration",
        "evaluation",
    ),
    "Inside the networks": ("layerwise", "flatness", "theory"),
    "What is kept": ("records", "provenance", "pipeline", "collect", "budget", "engine"),
    "What is shown": (
        *("figures", "theory_figures", "tables", "paper_table", "claims", "widgets"),
        *("notebooks", "parameters"),
    ),
    "Ground": ("errors", "paths"),
}

INDEX = """# Reference

All public modules, generated from their docstrings. **[source]** beside a name leads to its code. Data flow one way, in
the order of this page; a module imports only from modules that come before it in that flow, and only `pipeline` knows
the whole story.

For everyday use the most wanted names can be taken from the package itself:
`from lmcbook import load, train, merge`.
"""


def modules() -> dict[str, str]:
    """Every public module or sub-package of lmcbook, and the first sentence of its docstring; nothing is imported."""
    spec = importlib.util.find_spec("lmcbook")
    assert spec is not None and spec.submodule_search_locations, "the extension runs where the package is installed"
    [folder] = map(Path, spec.submodule_search_locations)
    found = {}
    for module in pkgutil.iter_modules([str(folder)]):
        if not module.name.startswith("_"):
            file = folder / module.name / "__init__.py" if module.ispkg else folder / f"{module.name}.py"
            documentation = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            found[module.name] = documentation.partition("\n\n")[0].replace("\n", " ")
    return found


def page(module: str) -> str:
    """The MyST text of the page of ``module``."""
    return f"# {module}\n\n```{{eval-rst}}\n.. automodule:: lmcbook.{module}\n```\n"


def index(found: dict[str, str]) -> str:
    """The MyST text of the page that lists the modules ``found``."""
    listed = {name for names in PARTS.values() for name in names}
    parts = {**PARTS, "Further modules": tuple(name for name in found if name not in listed)}
    lines = [INDEX]
    for title, names in parts.items():
        rows = [
            f"| [`{name}`]({name}.md) | {found[name].replace('|', chr(92) + '|')} |" for name in names if name in found
        ]
        if rows:
            lines += [f"## {title}\n", "| Module | |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def write_pages(folder: Path) -> None:
    """Bring ``folder`` up to date: a page whose text is right is left alone, a page without a module is removed."""
    found = modules()
    texts = {"index.md": index(found)} | {f"{name}.md": page(name) for name in found}
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
