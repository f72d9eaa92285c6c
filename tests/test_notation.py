"""A letter has one meaning in the whole book or is listed as local to a chapter: the page *Notation* says which."""

import ast
import re

import pytest
import yaml

from tests.helpers.chapters import ROOT, SOURCES, prose

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|```\{math\}.*?```", re.DOTALL)
NO_SYMBOL = re.compile(r"\\(?:text|operatorname|mathrm|label|begin|end)\{[^}]*\}|\\[A-Za-z]+")
CODE = re.compile(r"^(`{3,})([^\n]*)\n.*?^\1[ \t]*$|(?<!`)`[^`\n]+`(?!`)", re.DOTALL | re.MULTILINE)
BELOW = r"(?:(?<![\w`])[Wzf]|\\theta|\\params|θ)_\{?[ab]\b|(?<![\w`])f(?:_(?:ℓ|\\ell))?\([ab]\)"
"""Whose a thing is, written below it or as an argument."""
LOCAL = "## Letters that stay local"
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
    "D": (),
    "G": (),
    "H": ("25_common_mode_theorem",),
    "K": (),
    "N": (),
    "P": ("16_one_network", "25_common_mode_theorem", "background"),
    "S": (),
    "g": ("23_approximate_theorem",),
    "h": ("24_beyond_theorem",),
    "m": (),
    "p": ("20_lewc_theorem", "23_approximate_theorem", "24_beyond_theorem", "25_common_mode_theorem"),
    "q": ("20_lewc_theorem", "23_approximate_theorem", "25_common_mode_theorem"),
    "r": ("23_approximate_theorem", "25_common_mode_theorem"),
    "s": ("02_temperature", "20_lewc_theorem", "23_approximate_theorem", "24_beyond_theorem"),
    "w": ("08_weight_decay", "13_batch_size"),
    r"\alpha": ("14_common_mode", "16_one_network", "25_common_mode_theorem"),
    r"\gamma": ("24_beyond_theorem",),
    r"\delta": ("23_approximate_theorem",),
    r"\zeta": ("08_weight_decay", "13_batch_size", "99_reproduction"),
    r"\eta": ("08_weight_decay", "13_batch_size", "99_reproduction"),
    r"\theta": ("01_width", "09_flatness", "background"),
    r"\kappa": ("16_one_network", "25_common_mode_theorem"),
    r"\mu": (
        *("02_temperature", "04_lewc", "20_lewc_theorem", "21_weak_additivity_theorem", "23_approximate_theorem"),
        "24_beyond_theorem",
    ),
    r"\nu": ("24_beyond_theorem",),
    r"\Pi": ("08_weight_decay",),
    r"\rho": ("25_common_mode_theorem",),
    r"\varsigma": ("08_weight_decay",),
    r"\tau": ("20_lewc_theorem", "21_weak_additivity_theorem", "23_approximate_theorem"),
    r"\varphi": (),
}
"""A letter that once had several meanings, or that took one of them over → the pages that use it in the sense of the
page *Notation*. A new use is to be looked at, then added here, or there to the letters that stay local."""

MANY = (r"\theta", r"\delta")
"""Letters that stand beside others in their row, or have a row for each of those whose they are."""


def formulas(page: str, *, commands: bool = True) -> str:
    """The formulas of a page; without ``commands`` letters and signs are left, ``WH`` being W times H."""
    found = " ".join(FORMULA.findall(TEXTS[page]))
    return found if commands else NO_SYMBOL.sub(" ", found.replace("```{math}", " "))


def users(letter: str) -> set[str]:
    """The pages that have ``letter`` as a symbol in a formula; the page *Notation* does not count."""
    command = letter.startswith("\\")
    pattern = re.escape(letter) + ("(?![A-Za-z])" if command else "")
    return {page for page in TEXTS if re.search(pattern, formulas(page, commands=command))} - {"notation"}


def symbols() -> list[str]:
    """The symbols of the page's tables, in their order, without the letters that stay local."""
    tables = NOTATION.partition(LOCAL)[0]
    rows = re.findall(r"^\|[^|]*(?:\\\|[^|]*)*\| ([^|]+) \| [^|]* \|$", tables, re.MULTILINE)
    return [symbol for row in rows for symbol in re.findall(r"\$([^$]+)\$", row)]


def local() -> dict[str, set[str]]:
    """Letter → the pages on which it stands for something else, as the page *Notation* lists them."""
    found: dict[str, set[str]] = {}
    section = NOTATION.partition(LOCAL)[2].partition("\n## ")[0]
    for letters, where in re.findall(r"^\| (\$[^|]+) \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE):
        pages = re.findall(r"\((?:results/)?(\w+)\.(?:ipynb|md)\)", where)
        assert pages and set(pages) <= set(TEXTS), where
        for letter in re.findall(r"\$([^$]+)\$", letters):
            found.setdefault(letter, set()).update(pages)
    return found


@pytest.mark.parametrize("letter", WHERE)
def test_a_letter_is_used_where_its_one_meaning_is_meant_or_where_it_is_local(letter):
    assert users(letter) == set(WHERE[letter]) | local().get(letter, set())


def test_letters_that_stay_local_are_used_where_the_page_says():
    assert len(local()) > 10
    assert [letter for letter, pages in local().items() if not pages <= users(letter)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_cross_talk_always_names_its_layer(page):
    """A matrix C, such as that of centring, would have another meaning on the very page where the letter is at home."""
    assert re.findall(r".{5}C(?!_).{5}", formulas(page, commands=False)) == []


@pytest.mark.parametrize("letter", [letter for letter, pages in WHERE.items() if pages and letter not in MANY])
def test_the_page_of_notation_says_what_a_letter_means_once(letter):
    found = [each for each in symbols() if re.match(rf"{re.escape(letter)}(?![A-Za-z])", each)]
    assert len(found) == 1, found


def test_no_symbol_stands_for_two_concepts():
    found = symbols()
    assert len(found) > 30 and sorted(set(found)) == sorted(found)


@pytest.mark.parametrize("page", TEXTS)
def test_whose_a_thing_is_stands_above_it(page):
    """Weights, features, outputs and parameters of network a are W^a, z^a, f^a, θ^a."""
    assert re.findall(BELOW, formulas(page)) == []


@pytest.mark.slow
def test_whose_a_thing_is_stands_above_it_in_docstrings_too():
    found = {}
    for file in (ROOT / "lmcbook").rglob("*.py"):
        nodes = ast.walk(ast.parse(file.read_text("utf-8")))
        texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        found[str(file)] = [below for text in texts for below in re.findall(BELOW, CODE.sub("", text))]
    assert len(found) > 200 and {name: below for name, below in found.items() if below} == {}


def test_formulas_need_no_macros_of_the_books_own_for_jupyter_does_not_know_them():
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text("utf-8"))
    tex = config["sphinx"]["config"]["mathjax3_config"]["tex"]
    assert "macros" not in tex
    defined = [page for page, text in TEXTS.items() if re.search(r"\\(?:re)?newcommand|\\def\b|\\DeclareMath", text)]
    assert defined == []
