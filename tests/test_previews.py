"""Tests of what links show of their targets: a tiny book of two pages, as files and in a browser, from the disk."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.browser import PHONE, Browser, opened_browser
from tests.helpers.loaded import module_of
from tests.helpers.tiny_book import build_tiny_book

pytest.importorskip("sphinx_proof")

ROOT_PAGE = """# Root

By {prf:ref}`thm-sum`, {eq}`eq-far`, {numref}`fig-far`, {cite:p}`guo2017` and {eq}`eq-here`.
An [ordinary link](theory/laws.md). The decay exponent is a term; of decay exponents only the first is linked, and
`decay exponent` in code never is. So is LMC. A pair is a word of every day.

```{math}
:label: eq-here
a = b
```

```{toctree}
theory/laws
theory/words
```
"""
LAWS = """# Laws

```{prf:theorem} Sums
:label: thm-sum

For all $x < 1$ the sum is $\\frac{1}{1-x}$, as in {eq}`eq-far`.
```

```{math}
:label: eq-far
\\sum_k x^k
```

:::{figure} drawing.svg
:name: fig-far
:alt: a line

A line that rises.
:::

```{prf:theorem} Nobody links here
:label: thm-alone

Nothing.
```

```{bibliography}
```
"""
WORDS = """# Words

```{glossary}
Decay exponent
  How often a layer has been *halved*.

Linear mode connectivity (LMC)
  No barrier on the line.

Pair
  Two networks.

Permutation, as an index vector
  It gathers.
```
"""
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 9L9 0" stroke="red"/></svg>'
ROOT = Path(__file__).resolve().parents[1]
LIMIT = 40_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pages = {"index.md": ROOT_PAGE, "theory/laws.md": LAWS, "theory/words.md": WORDS, "theory/drawing.svg": DRAWING}
    return build_tiny_book(tmp_path_factory.mktemp("tiny"), pages, ["previews", "glossary_links"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def texts(site: Path) -> dict[str, str]:
    script = (site / "_static" / "previews-texts.js").read_text(encoding="utf-8")
    found = re.fullmatch(r"window\.lmcPreviews=(.*);\n", script, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


# --- as files --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_kind_of_target_on_another_page_has_a_text_and_nothing_else_has(site):
    found = texts(site)
    plain = {key.partition("#")[2]: re.sub(r"<[^>]+>", "", text) for key, text in found.items()}
    [reference] = [name for name in plain if name.startswith("id")]
    assert plain.keys() == {"thm-sum", "equation-eq-far", "fig-far", reference, "term-Decay-exponent"} | {
        name for name in plain if name.startswith("term-Linear")
    }
    assert len(plain) == 6
    assert "Theorem 1" in plain["thm-sum"] and r"\(\frac{1}{1-x}\)" in plain["thm-sum"]
    assert plain["equation-eq-far"].startswith("(2)") and r"\[\sum_k x^k\]" in plain["equation-eq-far"]
    assert plain["fig-far"] == "Fig. 1 A line that rises."
    assert "on calibration of modern neural networks" in plain[reference].lower()
    assert (
        found["theory/words.html#term-Decay-exponent"]
        == "Decay exponent <p>How often a layer has been <em>halved</em>.</p>"
    )
    for text in found.values():  # nothing that would stand twice on the page, nothing to follow, nothing that draws
        assert not re.search(r"\b(id|href|class|style)=|<(a|svg|img|script)\b", text)


def test_only_what_changed_is_looked_at_again(site, tmp_path, monkeypatch):
    previews = module_of(ROOT / "book" / "_extensions" / "previews.py")
    shutil.copytree(site, tmp_path / "site")
    app = SimpleNamespace(
        outdir=str(tmp_path / "site"),
        doctreedir=str(tmp_path),
        env=SimpleNamespace(found_docs=["index", "theory/laws", "theory/words"]),
        builder=SimpleNamespace(name="html", get_target_uri=lambda page: f"{page}.html"),
    )
    looked_at: list[str] = []
    parse = previews.BeautifulSoup

    def counted(page: str, kind: str) -> Any:
        looked_at.append(page)
        return parse(page, kind)

    monkeypatch.setattr(previews, "BeautifulSoup", counted)
    changed = tmp_path / "site" / "theory" / "laws.html"
    for change, expected in ((None, 2), (None, 0), ("A line that rises", 1), (None, 0)):
        if change:
            changed.write_text(changed.read_text(encoding="utf-8").replace(change, "Another line"), encoding="utf-8")
        looked_at.clear()
        previews.write_texts(app, None)
        assert len(looked_at) == expected
    before, after = texts(site), texts(tmp_path / "site")
    assert after == {key: text.replace("A line that rises", "Another line") for key, text in before.items()} != before


def test_only_the_first_use_of_a_term_in_prose_leads_to_the_glossary(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    linked = re.findall(r'<a class="reference internal" href="([^"]+)"><span class="xref std std-term">([^<]+)', text)
    assert [(target.partition("#term-")[2][:5], said) for target, said in linked] == [
        ("Decay", "decay exponent"),
        ("Linea", "LMC"),
    ]


# --- in a browser ----------------------------------------------------------------------------------------------------

SEEN = """
const box = document.querySelector(".lmc-preview");
if (!box || box.hidden) return null;
const at = box.getBoundingClientRect();
return {text: box.textContent, inside: at.left >= 0 && at.right <= innerWidth,
        describes: [...document.querySelectorAll("[aria-describedby=lmc-preview]")].map((link) => link.textContent),
        ids: box.querySelectorAll("[id]").length, links: box.querySelectorAll("a").length,
        moves: getComputedStyle(box).animationName};
"""


def seen(browser: Browser, *, wanted: bool = True) -> dict | None:
    """The preview that is shown, waited for; or, if none is ``wanted``, what there is after a while."""
    for _ in range(40 if wanted else 6):
        time.sleep(0.1)
        found = browser.run(SEEN)
        if (found is not None) == wanted and wanted:
            return found
    return browser.run(SEEN)


def focus(browser: Browser, said: str) -> None:
    """Bring the keyboard to the link that says ``said``: backwards to the one before, then with the key."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.run(
        "const links = [...document.querySelectorAll('.bd-article a:not(.headerlink)')];"
        "const before = document.createElement('button');"
        "links.find((link) => link.textContent.includes(arguments[0])).before(before); before.focus();",
        said,
    )
    ActionChains(browser.driver).send_keys(Keys.TAB).perform()


LINKS = {
    "Theorem 1": "For all",
    "(2)": "sum_k",
    "Fig. 1": "A line that rises.",
    "GPSW17": "alibration",
    "(1)": "a = b",
    "decay exponent": "How often a layer",
}
"""What a link of the root says → what it shows."""


@pytest.mark.browser
@pytest.mark.slow
def test_a_link_under_the_keyboard_shows_what_it_leads_to_until_escape(site, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.resize(None)
    visit = browser.visit((site / "index.html").as_uri())
    assert browser.run(SEEN) is None
    for link, shown in LINKS.items():
        focus(browser, link)
        found = seen(browser)
        assert found is not None and shown in found["text"], link
        assert found["inside"] and found["describes"] == [browser.run("return document.activeElement.textContent")], (
            link
        )
        assert found["ids"] == found["links"] == 0, link
        ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
        assert browser.run(SEEN) is None, link
        assert browser.run("return document.querySelectorAll('[aria-describedby=lmc-preview]').length") == 0, link
    browser.drain(visit)
    assert [url for url in visit.requested if not url.startswith("file://")] == []


def hover(browser: Browser, selector: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser.driver).move_to_element(browser.driver.find_element("css selector", selector)).perform()


@pytest.mark.browser
@pytest.mark.slow
def test_a_mouse_may_rest_on_the_link_or_on_what_it_shows(site, browser):
    browser.resize(None)
    browser.visit((site / "index.html").as_uri())
    link = ".bd-article a[href*='thm-sum']"
    hover(browser, link)
    found = seen(browser)
    assert found is not None and "For all" in found["text"]
    hover(browser, ".lmc-preview")
    assert seen(browser, wanted=False) is not None
    hover(browser, ".bd-article h1")
    assert seen(browser, wanted=False) is None
    # an ordinary link to a page has none
    hover(browser, ".bd-article a[href='theory/laws.html']")
    assert seen(browser, wanted=False) is None


@pytest.mark.browser
@pytest.mark.slow
def test_on_a_phone_there_is_none_and_no_text_is_loaded(site, browser):
    browser.resize(PHONE)
    browser.visit((site / "index.html").as_uri())
    focus(browser, "Theorem 1")
    assert seen(browser, wanted=False) is None
    assert browser.run("return document.querySelectorAll('script[src*=previews-texts]').length") == 0
    browser.resize(None)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("wish", "moves"), [("reduce", "none"), ("no-preference", "lmc-appear")])
def test_nothing_moves_where_the_reader_wants_no_motion(wish, moves, site, browser):
    browser.resize(None)
    features = [{"name": "prefers-reduced-motion", "value": wish}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.visit((site / "index.html").as_uri())
        focus(browser, "Theorem 1")
        found = seen(browser)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found is not None and found["moves"] == moves
