"""The chapters: those that measure run on the committed records, all teach, and they need earlier chapters only."""

import re
from pathlib import Path

import pytest

from lmcbook.lab import plan
from lmcbook.lab.addresses import digest_in, record_files
from lmcbook.pages.notebooks import declared_parameters
from tests.helpers.chapters import (
    ROOT,
    SOURCES,
    cells,
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

yaml = pytest.importorskip("yaml")
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text("utf-8"))
ORDER = [Path(page["file"]).name for part in TOC["parts"] if part.get("numbered") for page in part["chapters"]]
# the pages on how to use it come after all numbered chapters
PAGES = [Path(page["file"]).name for part in TOC["parts"] for page in part["chapters"]]
USE = ("connect", "15_your_own_pair", "12_explorers")
FIRST, LEDGER, OWN_PAIR = "background", "99_reproduction", "15_your_own_pair"
EXERCISE = re.compile(
    r":::\{admonition\} Exercise \d: ([^\n]+)\n:class: exercise\n(.*?)\n:::\n.*?:::\{dropdown\} Solution\n(.*?)\n:::",
    re.DOTALL,
)

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


# --- the order of the chapters, what each of them needs, and how hard its exercises are -------------------------------


def text_of(chapter: str) -> str:
    page = ROOT / "book" / f"{chapter}.md"
    return page.read_text("utf-8") if page.is_file() else prose(ROOT / "notebooks" / f"{chapter}.ipynb")


def needs(text: str) -> list[str]:
    [line] = re.findall(r"^\*\*Needs:\*\* (.+)\.$", text, re.MULTILINE)
    return [Path(link).stem for link in re.findall(r"\]\(([^)]+)\)", line)]


@pytest.mark.parametrize("chapter", [*ORDER[1:], *USE])
def test_a_chapter_needs_no_later_chapter(chapter):
    asked = needs(text_of(chapter))
    assert asked, "a chapter needs something"
    for name in asked:
        assert PAGES.index(name) < PAGES.index(chapter), f"{chapter} needs {name}, which comes later"


def references_forward() -> list[tuple[str, str, str]]:
    """Chapter, label and the words around it, of all statements, equations and figures that come in later chapters."""
    where: dict[str, str] = {}
    for chapter in ORDER:
        labels = re.findall(r"^:label: ([\w-]+)$|\$\$ \((eq-[\w-]+)\)", text_of(chapter), re.MULTILINE)
        where |= dict.fromkeys((statement or equation for statement, equation in labels), chapter)
        if chapter != FIRST:
            where |= dict.fromkeys((figure["name"] for figure in figures_of(*chapters(chapter))), chapter)
    return [
        (chapter, hit[1], text_of(chapter)[max(0, hit.start() - 150) : hit.end() + 20])
        for chapter in ORDER
        for hit in re.finditer(r"\{(?:prf:ref|eq|numref)\}`([\w-]+)`", text_of(chapter))
        if ORDER.index(where[hit[1]]) > ORDER.index(chapter)
    ]


def test_what_a_later_chapter_proves_is_said_to_come_later():
    forward = references_forward()
    assert ("01_width", "prop-floor") in {(chapter, label) for chapter, label, _ in forward}, "there are some"
    for chapter, label, around in forward:
        assert re.search(r"\blater (?:chapter|theorem)\b", around), f"{chapter} seems to need {label}: …{around}…"


def test_every_chapter_has_its_place():
    placed = [Path(page["file"]).name for part in TOC["parts"] for page in part["chapters"]]
    assert len(placed) == len(set(placed)) and {chapter.stem for chapter in SOURCES} <= {*placed, "00_claim"}


def test_a_definition_or_theorem_that_a_measurement_opens_with_is_earlier():
    """What the first cell of a chapter refers to, before anything is measured, has been proved by then."""
    where = {
        label: chapter
        for chapter in ORDER
        for label in re.findall(r"^:label: ((?:thm|def|lem|prop|conj)-[\w-]+)$", text_of(chapter), re.MULTILINE)
    }
    for chapter in ORDER:
        first = text_of(chapter).split("\n## ")[0]
        for label in re.findall(r"\{prf:ref\}`([\w-]+)`", first):
            assert ORDER.index(where[label]) <= ORDER.index(chapter), f"{chapter} opens with {label}"


def difficulty(question: str, solution: str) -> str:
    """Three stars ask for an experiment, run or designed; two need more than sixty words to answer; else it is one."""
    if re.search(r"papermill|python -m lmcbook|lmcbook connect", question):
        return "★★★"
    if re.search(r"\b[Dd]esign\b|[Ww]hich (single )?measurement|[Nn]ame a measurement", question):
        return "★★★"
    return "★★" if len(re.findall(r"\w+", solution)) > 60 else "★"


def exercises() -> dict[str, list[tuple[str, str, str]]]:
    stems = [FIRST, *(path.stem for path in SOURCES)]
    return {stem: found for stem in stems if (found := EXERCISE.findall(text_of(stem)))}


def test_every_exercise_has_the_stars_that_the_rule_gives_it():
    found = exercises()
    assert sum(map(len, found.values())) > 60
    for chapter, asked in found.items():
        for title, question, solution in asked:
            assert title.endswith(" " + difficulty(question, solution)), (chapter, title)


def test_the_lecturers_page_counts_the_exercises():
    page = (ROOT / "book" / "teaching.md").read_text("utf-8")
    rows = dict(
        re.findall(r"^\| \[[^]]+\]\((?:results/)?([\w]+)\.\w+\) \| .* \| (\d+ · \d+ · \d+) \|$", page, re.MULTILINE)
    )
    counted = {
        chapter: " · ".join(str(sum(title.endswith(f" {mark}") for title, *_ in asked)) for mark in ("★", "★★", "★★★"))
        for chapter, asked in exercises().items()
        if chapter in ORDER
    }
    assert rows == counted


def test_parameter_cells_are_folded_away():
    """But for the chapter that is about its parameters: a reader names their own two networks there."""
    for chapter in SOURCES:
        for cell in cells(chapter) if chapter.stem != OWN_PAIR else ():
            tags = cell["metadata"].get("tags", [])
            assert "parameters" not in tags or "hide-input" in tags, chapter.name
