"""One letter has one meaning in the whole book, and the page *Notation* says which."""

import re

import pytest
import yaml

from tests.helpers.chapters import ROOT, SOURCES, prose

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|```\{math\}.*?```", re.DOTALL)
NO_SYMBOL = re.compile(r"\\(?:text|operatorname|mathrm|label|begin|end)\{[^}]*\}|\\[A-Za-z]+")
CODE = re.compile(r"^(`{3,})([^\n]*)\n.*?^\1[ \t]*$|(?<!`)`[^`\n]+`(?!`)", re.DOTALL | re.MULTILINE)
NOTATION = (ROOT / "book" / "notation.md").read_text("utf-8")

TEXTS = {page.stem: page.read_text("utf-8") for page in (ROOT / "book").glob("*.md")}
TEXTS |= {page.stem: prose(page) for page in SOURCES}
# what stands in a box of MyST is prose
TEXTS = {
    page: CODE.sub(lambda code: code[0] if (code[2] or "").startswith("{") else "", text)
    for page, text in TEXTS.items()
}

WHERE = {
    "B": ("01_width", "background"),
    "C": ("25_common_mode_theorem",),
    "P": ("16_one_network", "25_common_mode_theorem", "background"),
    "s": ("02_temperature", "20_lewc_theorem", "23_approximate_theorem", "24_beyond_theorem"),
    "h": ("24_beyond_theorem",),
    "m": (),
    r"\kappa": ("16_one_network", "25_common_mode_theorem"),
    r"\tau": ("20_lewc_theorem", "21_weak_additivity_theorem", "23_approximate_theorem"),
    r"\zeta": ("08_weight_decay", "13_batch_size", "99_reproduction"),
    r"\Pi": ("08_weight_decay",),
    r"\varsigma": ("08_weight_decay",),
}
"""A letter that once had several meanings, or that took one of them over → the pages that use it, all in the sense of
the page *Notation*. A new use is to be looked at, then added here."""


def users(letter: str) -> set[str]:
    """The pages that have ``letter`` as a symbol in a formula; the page *Notation* does not count."""
    pattern = rf"{re.escape(letter)}(?![A-Za-z])" if "\\" in letter else rf"(?<![A-Za-z]){letter}(?![A-Za-z])"
    found = set()
    for page, text in TEXTS.items():
        formulas = " ".join(FORMULA.findall(text))
        if re.search(pattern, formulas if "\\" in letter else NO_SYMBOL.sub(" ", formulas)):
            found.add(page)
    return found - {"notation"}


def symbols() -> list[str]:
    """The symbols of the page's tables, in their order."""
    rows = re.findall(r"^\|[^|]*(?:\\\|[^|]*)*\| ([^|]+) \| [^|]* \|$", NOTATION, re.MULTILINE)
    return [symbol for row in rows for symbol in re.findall(r"\$([^$]+)\$", row)]


@pytest.mark.parametrize("letter", WHERE)
def test_a_letter_is_used_where_its_one_meaning_is_meant(letter):
    assert users(letter) == set(WHERE[letter])


@pytest.mark.parametrize("letter", [letter for letter, pages in WHERE.items() if pages])
def test_the_page_of_notation_says_what_a_letter_means_once(letter):
    found = [each for each in symbols() if re.match(rf"{re.escape(letter)}(?![A-Za-z])", each)]
    assert len(found) == 1, found


def test_no_symbol_stands_for_two_concepts():
    found = symbols()
    assert len(found) > 30 and sorted(set(found)) == sorted(found)


@pytest.mark.parametrize("page", TEXTS)
def test_whose_a_thing_is_stands_above_it(page):
    """Weights, features, outputs and parameters of network a are W^a, z^a, f^a, θ^a."""
    assert re.findall(r"(?:\bW|\bz|\bf|\\theta|\\params)_\{?[ab]\b", " ".join(FORMULA.findall(TEXTS[page]))) == []


def test_formulas_need_no_macros_of_the_books_own_for_jupyter_does_not_know_them():
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text("utf-8"))
    tex = config["sphinx"]["config"]["mathjax3_config"]["tex"]
    assert "macros" not in tex
    defined = [page for page, text in TEXTS.items() if re.search(r"\\(?:re)?newcommand|\\def\b|\\DeclareMath", text)]
    assert defined == []
