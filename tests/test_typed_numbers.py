"""Numbers that are typed into the solutions of exercises: computed again, or marked as read from one run."""

import re
from typing import Any

import pytest

from lmcbook.pages import theory_figures
from tests.helpers.chapters import ROOT, SOURCES, chapters, prose, sources

PLAIN = re.compile(r"(?<!\{ref\}`)our run\b")


@pytest.fixture
def ran(monkeypatch):
    """The names that the first code cells of a chapter leave behind, run with other parameters."""
    for name in ("show_theorem", "worst_table"):
        monkeypatch.setattr(theory_figures, name, lambda *_, **__: None)

    def run(name: str, *, until: int, **parameters: Any) -> dict[str, Any]:
        [chapter] = chapters(name)
        first, *others = sources(chapter, "code")[: until + 1]
        names: dict[str, Any] = {}
        exec(first, names)
        assert set(parameters) <= set(names)
        names |= parameters
        for cell in others:
            exec(cell, names)
        return names

    return run


def text_of(name: str) -> str:
    return prose(*chapters(name))


@pytest.mark.slow
def test_the_spread_of_a_cosine(ran):
    name = "21_weak_additivity_theorem"
    found = ran(name, until=1, dimensions=[1000, 160_000])
    spread = f"{found['last'].std() * 160_000**0.5:.3f}"
    assert f"The run finds {spread} for the standard deviation" in text_of(name)


@pytest.mark.slow
def test_where_the_exponent_stops(ran):
    name = "22_commutativity_theorem"
    exponents = ran(name, until=3, num_layers=12)["exponents"]["50% shared"][2:11]
    assert f"The run has {exponents.min():.2f} to {exponents.max():.2f} in the layers 3 to 11" in text_of(name)


def test_how_loose_the_bound_is(ran):
    name = "23_approximate_theorem"
    budgets = [ran(name, until=2, broken_layer=layer)["budgets"]["orthogonality broken"] for layer in (2, 3, 4)]
    first, second, third = (float(budget.bound[-1] / budget.error[-1]) for budget in budgets)
    assert f"{first:.0f}, {second:.0f} and {third:.1f}. Each layer behind the fault" in text_of(name)


def test_how_few_shared_units_it_takes():
    [cell] = [cell for cell in sources(chapters("12_explorers")[0], "code") if "theory.slide" in cell]
    names: dict[str, Any] = {}
    code = "from lmcbook import theory\n" + cell.split("theorem = ")[0] + "rows = theory.slide(dense, (8, 16), inputs)"
    exec(code, names)
    few, more = (row["decay_exponent"] for row in names["rows"] if row["depth"] == 4)
    said = f"the exponent is {few:.2f} with 8 shared units and {more:.2f} with 16"
    assert said in text_of("12_explorers") and abs(few - 4) < abs(few - 1) and abs(more - 4) > abs(more - 1)


def test_our_run_leads_to_the_machine_that_it_was_on():
    marked = [chapter.stem for chapter in SOURCES if "{ref}`our run <our-run>`" in prose(chapter)]
    assert len(marked) >= 5
    assert not [chapter.stem for chapter in SOURCES if PLAIN.search(prose(chapter))]


def test_the_processors_of_the_records_are_named(committed_records):
    page = (ROOT / "book" / "run_it_yourself.md").read_text("utf-8")
    [said] = re.findall(r"^\(our-run\)=\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([^`]+)`", said)) == {record.provenance["processor"] for record in committed_records}
