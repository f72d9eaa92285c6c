"""The book's chapters as their notebooks: cells, prose, figures, and what they show when they run."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from lmcbook.pages.figures import markup
from lmcbook.pages.figures.svg import to_svg

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))


@dataclass(frozen=True)
class Executed:
    """What the cells of a chapter displayed, and what they left behind."""

    shown: list[dict[str, Any]]
    namespace: dict[str, Any]

    @property
    def drawn(self) -> list[dict[str, Any]]:
        return [bundle for bundle in self.shown if "<svg" in bundle.get("text/html", "")]

    def check_ids(self) -> None:
        """Ids of all figures of a page stand side by side."""
        ids = re.findall(r' id="([^"]+)"', "".join(bundle.get("text/html", "") for bundle in self.shown))
        assert len(ids) == len(set(ids))


def chapters(*names: str) -> list[Path]:
    return [ROOT / "notebooks" / f"{name}.ipynb" for name in names]


def cells(chapter: Path) -> list[dict[str, Any]]:
    return json.loads(chapter.read_text(encoding="utf-8"))["cells"]


def sources(chapter: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(chapter) if cell["cell_type"] == kind]


def prose(*of: Path) -> str:
    return "\n\n".join(text for chapter in of for text in sources(chapter, "markdown"))


def figures_of(chapter: Path) -> list[dict[str, str]]:
    metadata = [cell["metadata"].get("mystnb", {}).get("figure") for cell in cells(chapter)]
    return [figure for figure in metadata if figure]


def _for_phones(figure: Figure, name: str, alt: str) -> str:
    """A figure as SVG; one for a wide page, which is less crowded, is not laid out: that takes most of the time."""
    return to_svg(figure, name, alt) if name.endswith("-narrow") else "<svg></svg>"


def run(chapter: Path, monkeypatch: pytest.MonkeyPatch) -> Executed:
    """Run the cells of a chapter in this process, on records that are there."""
    executed = Executed([], {})
    monkeypatch.setattr(markup, "to_svg", _for_phones)
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: executed.shown.append(bundle))
    for cell in cells(chapter):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), chapter.name, "exec"), executed.namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                executed.namespace["require_cached"] = True
    return executed


def check_references(of: list[Path]) -> None:
    """Statements, equations, chapters and literature that chapters refer to are there."""
    everywhere = "\n\n".join([prose(*SOURCES), *(page.read_text("utf-8") for page in (ROOT / "book").glob("*.md"))])
    text = prose(*of)
    assert set(re.findall(r"\{prf:ref\}`([\w-]+)`", text)) <= set(re.findall(r":label: ([\w-]+)", everywhere))
    labels = re.findall(r"\$\$ \((eq-[\w-]+)\)", everywhere)
    assert len(labels) == len(set(labels)) and set(re.findall(r"\{eq\}`([\w-]+)`", text)) <= set(labels)
    assert all((ROOT / "notebooks" / name).is_file() for name in re.findall(r"\]\((\w+\.ipynb)\)", text))
    cited = {key for found in re.findall(r"\{cite:[pt]\}`([^`]+)`", text) for key in found.split(",")}
    known = (ROOT / "book" / "references.bib").read_text("utf-8")
    assert cited and all(f"{{{key}," in known for key in cited)


def check_inline_formulas(of: list[Path], *, most: int) -> None:
    """Inline formulas fit on a phone: at most this many glyphs."""
    text = re.sub(r"\$\$.*?\$\$", "", prose(*of), flags=re.DOTALL)
    marks = "bigl|bigr|left|right|[lr]Vert|bar|tilde|overline|quad|[tT]?frac"
    commands = rf"\\({marks}|math[a-z]+|boldsymbol|operatorname|text)\b|\\[,;! ]"
    for formula in re.findall(r"\$([^$]+)\$", text):
        glyphs = re.sub(commands, "", formula)
        glyphs = re.sub(r"\\(ln|log|cos|sin|min|max|softmax)\b", lambda name: name[1], glyphs)
        glyphs = re.sub(r"[{}_^\s]", "", re.sub(r"\\[a-zA-Z]+", "x", glyphs))
        assert len(glyphs) <= most, formula
