"""The chapters on theory: their cells run and check themselves, and every named statement is there and resolves."""

import re

import pytest

from lmcbook.errors import InputError
from lmcbook.pages import theory_figures
from tests.helpers.chapters import ROOT, cells, check_inline_formulas, prose, run, sources

CHAPTERS = sorted((ROOT / "notebooks").glob("2*_theorem.ipynb"))

STATEMENTS = {
    "Definition 4.1": "def-lewc",
    "Definition 5.1": "def-weak-additivity",
    "Definition 5.2": "def-reciprocal-orthogonality",
    "Theorem 5.3": "thm-lewc",
    "Theorem 5.4": "thm-weak-additivity",
    "Definition C.1": "def-commutativity",
    "Theorem D.1": "thm-llfc",
}
"""The paper's statement → its label; Definition 2.1 and Conjecture 1.1 stand in the background chapter."""

OURS: tuple[str, ...] = (
    "lem-deficit",
    "prop-gelu",
    "prop-rate",
    "thm-gaussian-general",
    "prop-exclusion",
    "prop-shared",
)
OURS += ("thm-approximate", "thm-temperature", "thm-many", "thm-biases", "thm-batch-norm")
OURS += ("prop-exchangeable", "thm-placed", "prop-floor", "prop-four-parts", "prop-odd", "thm-one-law", "prop-line-law")
OURS += ("thm-repaired", "prop-sum")


def statements(text: str) -> dict[str, tuple[str, str]]:
    """Label → kind and title of every proof environment that has one."""
    found = re.findall(r"\{prf:(\w+)\} ([^\n]*)\n:label: ([\w-]+)", text)
    assert len({label for *_, label in found}) == len(found), "a label stands for two statements"
    return {label: (kind, title) for kind, title, label in found}


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_the_cells_run_and_their_own_checks_hold(chapter, monkeypatch):
    executed = run(chapter, monkeypatch)
    assert executed.shown and executed.drawn == executed.shown
    assert all(bundle["text/plain"] for bundle in executed.shown)
    executed.check_ids()


def test_every_chapter_checks_something():
    assert len(CHAPTERS) == 6
    for chapter in CHAPTERS:
        assert "\nassert " in "\n".join(sources(chapter, "code")), chapter.name


def test_every_statement_of_the_paper_is_named_and_labelled():
    found = statements(prose(*CHAPTERS))
    for name, label in STATEMENTS.items():
        assert f"the paper's {name}" in found[label][1], name
    for label in OURS:
        assert found[label][1].endswith("; ours"), label
    unmarked = {label for label, (_, title) in found.items() if "the paper's" not in title and "ours" not in title}
    assert unmarked == {"lem-kernel"}, "a statement says neither that it is the paper's nor that it is ours"


def test_every_theorem_has_a_proof():
    text = prose(*CHAPTERS)
    for kind in ("theorem", "lemma", "proposition"):
        for found in re.finditer(rf"(`{{3,}})\{{prf:{kind}\}}.*?\n\1\n+(`{{3,}})\{{prf:(\w+)\}}", text, re.DOTALL):
            assert found[3] == "proof", found[0][:80]
    assert len(re.findall(r"\{prf:proof\}", text)) == len(re.findall(r"\{prf:(?:theorem|lemma|proposition)\}", text))


def test_every_reference_resolves():
    text = prose(*CHAPTERS)
    elsewhere = "\n\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("*.md"))
    labels = statements(text).keys() | statements(elsewhere).keys()
    assert set(re.findall(r"\{prf:ref\}`([\w-]+)`", text)) <= labels
    equations = re.findall(r"\$\$ \((eq-[\w-]+)\)", text)
    assert len(equations) == len(set(equations))
    assert set(re.findall(r"\{eq\}`([\w-]+)`", text)) <= set(equations) | set(
        re.findall(r"\$\$ \((eq-[\w-]+)\)", elsewhere)
    )


def test_inline_formulas_fit_on_a_phone():
    check_inline_formulas(CHAPTERS, most=25)


def test_figures_say_what_is_wrong_with_them():
    table = theory_figures.layer_table({"panel": {"line": [0.1, 0.0]}})
    draw = theory_figures.errors_by_layer
    with pytest.raises(InputError, match="name is 'A b'; it must be made of small letters"):
        theory_figures.to_html(draw, table, name="A b", alt="text")
    with pytest.raises(InputError, match="alt is empty; figure line-of-errors needs a text"):
        theory_figures.to_html(draw, table, name="line-of-errors", alt=" ")
    with pytest.raises(InputError, match="table of figure line-of-errors is empty"):
        theory_figures.to_html(draw, table[:0], name="line-of-errors", alt="text")


def test_every_figure_of_a_theorem_is_shown_once_and_by_its_own_chapter():
    shown = [
        (name, chapter.stem, cell["metadata"]["mystnb"]["figure"]["name"])
        for chapter in CHAPTERS
        for cell in cells(chapter)
        if cell["cell_type"] == "code"
        for name in re.findall(r'show_theorem\("([^"]+)"', "".join(cell["source"]))
    ]
    assert sorted(shown) == sorted((name, of.chapter, f"fig-{name}") for name, of in theory_figures.FIGURES.items())


@pytest.mark.slow
def test_a_figure_of_a_theorem_is_shown_by_its_name(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    numbers = {"orthogonal": {"LEWC": [0.0, 1e-16], "LLFC": [0.25, 0.5]}}
    theory_figures.show_theorem("theorem-llfc", numbers, "found it")
    alt = theory_figures.FIGURES["theorem-llfc"].alt
    page = theory_figures.to_html(
        theory_figures.errors_by_layer,
        theory_figures.layer_table(numbers),
        "found it",
        name="theorem-llfc",
        alt=alt,
        command="papermill notebooks/22_commutativity_theorem.ipynb out.ipynb",
    )
    assert shown == [{"text/html": page, "text/plain": alt}]
    with pytest.raises(InputError, match="name is 'theorem'; it may be one of: theorem-lewc, theorem-gaussian, "):
        theory_figures.show_theorem("theorem", numbers)
    with pytest.raises(InputError, match="table of figure theorem-llfc is empty"):
        theory_figures.show_theorem("theorem-llfc", {})


@pytest.mark.slow
def test_a_figure_carries_its_data():
    table = theory_figures.layer_table({"panel": {"line": [0.1, float("nan"), 0.0]}})
    page = theory_figures.to_html(theory_figures.errors_by_layer, table, "found <it>", name="errors", alt='a "text"')
    assert "found &lt;it&gt;" in page and "a &quot;text&quot;" in page and 'download="errors.csv"' in page
    assert page == theory_figures.to_html(
        theory_figures.errors_by_layer, table, "found <it>", name="errors", alt='a "text"'
    )


def test_tables_for_the_figures():
    table = theory_figures.coefficient_table([0.25, 0.5], {"pair": [[1.0, 2.0], [3.0, 4.0]]})
    assert table["series"].tolist() == ["λ = 0.25", "λ = 0.25", "λ = 0.5", "λ = 0.5"]
    assert table["depth"].tolist() == [1, 2, 1, 2] and table["value"].tolist() == [1, 2, 3, 4]
    worst = theory_figures.worst_table({"pair": {"one": [0.0, float("nan")], "two": [0.123456, 0.1]}})
    assert list(worst.loc["pair"]) == ["0", "0.12"]
    shares = theory_figures.share_table({"whole": {"one": 1.0, "two": 3.0}, "repaired": {"one": 0.0, "two": 1.0}})
    assert list(shares.loc["whole"]) == ["25.0 %", "75.0 %"] and list(shares.loc["repaired"]) == ["0", "25.0 %"]
    assert theory_figures.cosine_table({10: [0.9, 0.8]}).shape == (2, 2)
