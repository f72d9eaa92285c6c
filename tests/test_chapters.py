"""The chapters that measure: they run on the committed records, teach, and refer to what is there."""

import re

import pytest

from lmcbook.lab import plan
from lmcbook.lab.addresses import digest_in, record_files
from lmcbook.pages.notebooks import declared_parameters
from tests.helpers.chapters import (
    ROOT,
    SOURCES,
    chapters,
    check_inline_formulas,
    check_references,
    figures_of,
    prose,
    run,
    sources,
)

LAYERS = chapters("03_permutations", "04_lewc", "05_weak_additivity", "06_active_units", "07_reciprocal_orthogonality")
CONTROLS = chapters("08_weight_decay", "09_flatness", "10_same_start")
# the paper says nothing of batch sizes, so that chapter has no claims of the paper to judge
BATCH_SIZE = chapters("13_batch_size", "17_controls")
COMMON_MODE = chapters("14_common_mode")
ONE_NETWORK = chapters("16_one_network")
ALL = [*LAYERS, *CONTROLS, *BATCH_SIZE, *COMMON_MODE, *ONE_NETWORK]

every_chapter = pytest.mark.parametrize("chapter", ALL, ids=lambda chapter: chapter.stem)


@pytest.mark.slow
@every_chapter
def test_a_chapter_runs_on_the_committed_records(chapter, monkeypatch, tmp_path):
    there = {digest_in(path.stem) for path in record_files(ROOT / "records")}
    if any(one.pair.digest not in there for one in plan.pairs("embedded", [chapter.stem])):
        pytest.skip("not all records of this chapter came with this checkout")
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path))
    monkeypatch.setenv("LMCBOOK_RECORDS", str(ROOT / "records"))
    executed = run(chapter, monkeypatch)
    assert len(executed.drawn) == len(figures_of(chapter))
    for bundle in executed.drawn:
        findings = re.findall(r"<li>(.*?)</li>", bundle["text/html"].split('class="lmc-finding"')[1].split("</ul>")[0])
        assert findings and "nan" not in " ".join(findings)
    executed.check_ids()
    if chapter not in BATCH_SIZE:
        told = [bundle["text/plain"] for bundle in executed.shown]
        assert any("reproduced" in text or "undecided" in text for text in told), "no verdict"
    if chapter in CONTROLS:  # the last cell is the verdict in a sentence
        last = sources(chapter, "code")[-1].splitlines()[-1]
        assert last.startswith(("Markdown(", "sentences.show(")) and "erdict(" in last
        said = eval(last, executed.namespace)
        assert "**Verdict.**" in (executed.shown[-1]["text/markdown"] if said is None else said.data)


@every_chapter
def test_a_chapter_takes_the_common_parameters_and_is_in_the_plan(chapter):
    assert declared_parameters(chapter) == declared_parameters(ROOT / "notebooks" / "01_width.ipynb")
    assert f'parameters.check("{chapter.stem}", globals())' in "\n".join(sources(chapter, "code"))
    assert chapter.stem in plan.EXPERIMENTS


@every_chapter
def test_a_chapter_teaches(chapter):
    text = prose(chapter)
    assert "After this chapter you can" in text and "## Deviations" in text
    assert "n = 1" in text or chapter not in LAYERS
    exercises = re.findall(r"^:class: exercise$", text, re.M)
    assert len(exercises) >= 2 and len(re.findall(r"^:::\{dropdown\} Solution$", text, re.M)) == len(exercises)
    assert f"results/{chapter.stem}" in (ROOT / "book" / "_toc.yml").read_text("utf-8")


@every_chapter
def test_every_figure_has_a_caption_and_a_name_of_its_own(chapter):
    names = [figure["name"] for source in SOURCES for figure in figures_of(source)]
    assert figures_of(chapter)
    for figure in figures_of(chapter):
        assert names.count(figure["name"]) == 1 and figure["caption"].endswith(".")
        assert "," in figure["caption"] and len(figure["caption"]) > 80, "a caption says what is shown"


@every_chapter
def test_every_chapter_leads_on(chapter):
    assert re.findall(r"\]\((\w+\.ipynb)\)", prose(chapter))


def test_every_reference_resolves():
    check_references(ALL)


def test_inline_formulas_fit_on_a_phone():
    check_inline_formulas(ALL, most=30)
