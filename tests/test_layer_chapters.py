"""The chapters on permutations and layers: they run on the committed records, and what they refer to is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lmcbook.lab import plan
from lmcbook.pages.notebooks import declared_parameters

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ("03_permutations", "04_lewc", "05_weak_additivity", "06_active_units", "07_reciprocal_orthogonality")
CHAPTERS = [ROOT / "notebooks" / f"{name}.ipynb" for name in NAMES]
IDS = [chapter.stem for chapter in CHAPTERS]


def cells(chapter: Path) -> list[dict[str, Any]]:
    return json.loads(chapter.read_text(encoding="utf-8"))["cells"]


def prose(*chapters: Path) -> str:
    found = [cell for chapter in chapters for cell in cells(chapter) if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in found)


def figures_of(chapter: Path) -> list[dict[str, str]]:
    metadata = [cell["metadata"].get("mystnb", {}).get("figure") for cell in cells(chapter)]
    return [figure for figure in metadata if figure]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_a_chapter_runs_on_the_committed_records(chapter, monkeypatch, tmp_path):
    if not any((ROOT / "records" / "embedded").glob("*.json")):
        pytest.skip("no records of the embedded scale came with this checkout")
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path))
    monkeypatch.setenv("LMCBOOK_RECORDS", str(ROOT / "records"))
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    namespace: dict[str, Any] = {}
    for cell in cells(chapter):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), chapter.name, "exec"), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace["require_cached"] = True
    drawn = [bundle for bundle in shown if "<svg" in bundle["text/html"]]
    assert len(drawn) == len(figures_of(chapter))
    for bundle in drawn:
        findings = re.findall(r"<li>(.*?)</li>", bundle["text/html"].split('class="lmc-finding"')[1].split("</ul>")[0])
        assert findings and "nan" not in " ".join(findings)
    # ids of all figures of a page stand side by side
    ids = re.findall(r' id="([^"]+)"', "".join(bundle["text/html"] for bundle in shown))
    assert len(ids) == len(set(ids))
    assert any("reproduced" in bundle["text/plain"] for bundle in shown), "no verdict"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_a_chapter_takes_the_common_parameters_and_is_in_the_plan(chapter):
    assert declared_parameters(chapter) == declared_parameters(ROOT / "notebooks" / "01_width.ipynb")
    code = "\n".join("".join(cell["source"]) for cell in cells(chapter) if cell["cell_type"] == "code")
    assert f'parameters.check("{chapter.stem}", globals())' in code and chapter.stem in plan.EXPERIMENTS


@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_a_chapter_teaches(chapter):
    text = prose(chapter)
    assert "After this chapter you can" in text and "## Deviations" in text and "n = 1" in text
    assert len(re.findall(r"^:class: exercise$", text, re.M)) >= 2
    assert len(re.findall(r"^:::\{dropdown\} Solution$", text, re.M)) == len(
        re.findall(r"^:class: exercise$", text, re.M)
    )


@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_every_figure_has_a_caption_and_a_name_of_its_own(chapter):
    names = [figure["name"] for source in SOURCES for figure in figures_of(source)]
    for figure in figures_of(chapter):
        assert names.count(figure["name"]) == 1 and figure["caption"].endswith(".")
        assert "," in figure["caption"] and len(figure["caption"]) > 80, "a caption says what is shown"


def test_every_reference_resolves():
    everywhere = "\n\n".join([prose(*SOURCES), *(page.read_text("utf-8") for page in (ROOT / "book").glob("*.md"))])
    text = prose(*CHAPTERS)
    assert set(re.findall(r"\{prf:ref\}`([\w-]+)`", text)) <= set(re.findall(r":label: ([\w-]+)", everywhere))
    labels = re.findall(r"\$\$ \((eq-[\w-]+)\)", everywhere)
    assert len(labels) == len(set(labels)) and set(re.findall(r"\{eq\}`([\w-]+)`", text)) <= set(labels)
    linked = re.findall(r"\]\((\w+\.ipynb)\)", text)
    assert linked and all((ROOT / "notebooks" / name).is_file() for name in linked)
    cited = {key for found in re.findall(r"\{cite:[pt]\}`([^`]+)`", text) for key in found.split(",")}
    assert all(f"{{{key}," in (ROOT / "book" / "references.bib").read_text("utf-8") for key in cited)


def test_inline_formulas_fit_on_a_phone():
    text = re.sub(r"\$\$.*?\$\$", "", prose(*CHAPTERS), flags=re.DOTALL)
    for formula in re.findall(r"\$([^$]+)\$", text):
        glyphs = re.sub(r"\\(bigl|bigr|[tT]?frac|norm|bar|tilde|operatorname|text)\b|\\[,;! ]", "", formula)
        glyphs = re.sub(r"\\(ln|log|cos|sin|min|max)\b", lambda name: name[1], glyphs)
        glyphs = re.sub(r"[{}_^\s]", "", re.sub(r"\\[a-zA-Z]+", "x", glyphs))
        assert len(glyphs) <= 30, formula
