"""The order of the chapters, what each of them needs, and how hard its exercises are."""

import re
from pathlib import Path

import pytest

from tests.helpers.chapters import ROOT, SOURCES, cells, prose

yaml = pytest.importorskip("yaml")
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text("utf-8"))
ORDER = [Path(page["file"]).name for part in TOC["parts"] if part.get("numbered") for page in part["chapters"]]
FIRST, LEDGER, OWN_PAIR = "background", "99_reproduction", "15_your_own_pair"
EXERCISE = re.compile(
    r":::\{admonition\} Exercise \d: ([^\n]+)\n:class: exercise\n(.*?)\n:::\n.*?:::\{dropdown\} Solution\n(.*?)\n:::",
    re.DOTALL,
)


def text_of(chapter: str) -> str:
    if chapter == FIRST:
        return (ROOT / "book" / "background.md").read_text("utf-8")
    return prose(ROOT / "notebooks" / f"{chapter}.ipynb")


def needs(text: str) -> list[str]:
    [line] = re.findall(r"^\*\*Needs:\*\* (.+)\.$", text, re.MULTILINE)
    return [Path(link).stem for link in re.findall(r"\]\(([^)]+)\)", line)]


@pytest.mark.parametrize("chapter", [each for each in ORDER if each not in (FIRST, LEDGER)])
def test_a_chapter_needs_no_later_one(chapter):
    asked = needs(text_of(chapter))
    assert asked, "a chapter needs something"
    for name in asked:
        assert ORDER.index(name) < ORDER.index(chapter), f"{chapter} needs {name}, which comes later"


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
