"""The chapters of the controls: they run on the committed records, teach, and refer to what is there."""

import re

import pytest

from lmcbook.lab import plan
from lmcbook.lab.records import RecordIndex
from lmcbook.pages.notebooks import declared_parameters
from tests.test_layer_chapters import ROOT, SOURCES, cells, figures_of, prose

NAMES = ("08_weight_decay", "09_flatness", "10_same_start")
CHAPTERS = [ROOT / "notebooks" / f"{name}.ipynb" for name in NAMES]
# the paper says nothing of batch sizes, so that chapter has no claims of the paper to judge
EVERY_NAME = (*NAMES, "13_batch_size")
EVERY = [ROOT / "notebooks" / f"{name}.ipynb" for name in EVERY_NAME]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_a_chapter_runs_on_the_committed_records(chapter, monkeypatch, tmp_path):
    planned = plan.pairs("embedded", [chapter.stem])
    if any(RecordIndex(ROOT / "records").find(one.pair) is None for one in planned):
        pytest.skip("not all records of this chapter came with this checkout")
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path))
    monkeypatch.setenv("LMCBOOK_RECORDS", str(ROOT / "records"))
    shown: list[dict] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    namespace: dict = {}
    last = None
    for cell in cells(chapter):
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).splitlines()
            exec(compile("\n".join([*lines, last]), chapter.name, "exec"), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace["require_cached"] = True
    drawn = [bundle for bundle in shown if "<svg" in bundle["text/html"]]
    assert len(drawn) == len(figures_of(chapter))
    assert all("nan" not in bundle["text/html"].split('class="lmc-finding"')[1].split("</ul>")[0] for bundle in drawn)
    assert any("reproduced" in bundle["text/plain"] for bundle in shown), "no verdict"
    # the last cell is the verdict in a sentence
    assert last is not None and last.startswith("Markdown(") and "erdict(" in last
    assert "**Verdict.**" in eval(last, namespace).data


@pytest.mark.parametrize("chapter", EVERY, ids=EVERY_NAME)
def test_a_chapter_takes_the_common_parameters(chapter):
    assert declared_parameters(chapter) == declared_parameters(ROOT / "notebooks" / "01_width.ipynb")
    assert chapter.stem in plan.EXPERIMENTS


@pytest.mark.parametrize("chapter", EVERY, ids=EVERY_NAME)
def test_a_chapter_teaches(chapter):
    text = prose(chapter)
    assert "After this chapter you can" in text and "## Deviations" in text
    exercises = re.findall(r"^:class: exercise$", text, re.M)
    assert len(exercises) >= 2 and len(re.findall(r"^:::\{dropdown\} Solution$", text, re.M)) == len(exercises)
    assert f"results/{chapter.stem}" in (ROOT / "book" / "_toc.yml").read_text("utf-8")


@pytest.mark.parametrize("chapter", EVERY, ids=EVERY_NAME)
def test_every_figure_has_a_caption_and_a_name_of_its_own(chapter):
    names = [figure["name"] for source in SOURCES for figure in figures_of(source)]
    assert figures_of(chapter)
    for figure in figures_of(chapter):
        assert names.count(figure["name"]) == 1 and figure["caption"].endswith(".")
        assert len(figure["caption"]) > 80, "a caption says what is shown"


def test_every_reference_resolves():
    everywhere = "\n\n".join([prose(*SOURCES), *(page.read_text("utf-8") for page in (ROOT / "book").glob("*.md"))])
    text = prose(*EVERY)
    assert set(re.findall(r"\{prf:ref\}`([\w-]+)`", text)) <= set(re.findall(r":label: ([\w-]+)", everywhere))
    labels = re.findall(r"\$\$ \((eq-[\w-]+)\)", everywhere)
    assert len(labels) == len(set(labels)) and set(re.findall(r"\{eq\}`([\w-]+)`", text)) <= set(labels)
    linked = re.findall(r"\]\((\w+\.ipynb)\)", text)
    assert linked and all((ROOT / "notebooks" / name).is_file() for name in linked)
    cited = {key for found in re.findall(r"\{cite:[pt]\}`([^`]+)`", text) for key in found.split(",")}
    assert cited and all(f"{{{key}," in (ROOT / "book" / "references.bib").read_text("utf-8") for key in cited)


def test_inline_formulas_fit_on_a_phone():
    text = re.sub(r"\$\$.*?\$\$", "", prose(*CHAPTERS), flags=re.DOTALL)
    for formula in re.findall(r"\$([^$]+)\$", text):
        glyphs = re.sub(r"\\(bigl|bigr|[tT]?frac|norm|bar|tilde|operatorname|text)\b|\\[,;! ]", "", formula)
        glyphs = re.sub(r"\\(ln|log|cos|sin|min|max)\b", lambda name: name[1], glyphs)
        glyphs = re.sub(r"[{}_^\s]", "", re.sub(r"\\[a-zA-Z]+", "x", glyphs))
        assert len(glyphs) <= 30, formula
