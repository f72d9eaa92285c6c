"""A book of a few pages with this book's extensions, theme, scripts and styles, built as readers get it."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.helpers.browser import ROOT


def build_tiny_book(
    folder: Path, pages: Mapping[str, str], extensions: Sequence[str], settings: Mapping[str, object] | None = None
) -> Path:
    """Build ``pages`` in ``folder``; returns the folder of the site.

    Args:
        folder: where sources and site come to lie.
        pages: the path of every page in MyST → its text; the first is the root.
        extensions: those of `book/_extensions` that the book has.
        settings: Sphinx's settings beyond those that every book needs.
    """
    source, site = folder / "source", folder / "site"
    (source / "_assets").mkdir(parents=True)
    for name in ("previews.js", "custom.css"):
        shutil.copyfile(ROOT / "book" / "_assets" / name, source / "_assets" / name)
    shutil.copyfile(ROOT / "book" / "references.bib", source / "references.bib")
    given = {
        "project": "A tiny book",
        "root_doc": next(iter(pages)).removesuffix(".md"),
        "extensions": ["myst_parser", "sphinx_proof", "sphinxcontrib.bibtex", *extensions],
        "myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"],
        "bibtex_bibfiles": ["references.bib"],
        "html_theme": "sphinx_book_theme",
        "html_static_path": ["_assets"],
        "html_css_files": ["custom.css"],
        "mathjax_path": "mathjax.js",  # there is none: formulas stay as they are written
        "numfig": True,
        **(settings or {}),
    }
    lines = ["import sys", f"sys.path.insert(0, {str(ROOT / 'book' / '_extensions')!r})"]
    lines += [f"{name} = {value!r}" for name, value in given.items()]
    (source / "conf.py").write_text("\n".join(lines), encoding="utf-8")
    for name, text in pages.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-W", "--keep-going", str(source), str(site)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site
