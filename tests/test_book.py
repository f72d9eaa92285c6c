"""Tests of the built book: its links as files, and every page in a real browser, over http and from the disk.

They run where `book/_build/html` exists; the browser tests need Debian's chromium and chromedriver too. With
``LMCBOOK_REQUIRE_BOOK=1`` what would be skipped fails instead. Screenshots of every page are left in
`book/screenshots/` for a person to look at.
"""

import functools
import html.parser
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.helpers.browser import (
    AXE,
    PAGES,
    PHONE,
    ROOT,
    SITE,
    Browser,
    assert_clean,
    need,
    opened_browser,
    served_site,
)
from tests.helpers.counting import numbers_in

MOST_NUMBERS = 12
BULK = r"<(svg|script|style)\b.*?</\1\s*>"
"""What of a page is no text."""
SOURCES = sorted(page.relative_to(SITE).as_posix() for page in SITE.glob("_modules/lmcbook/*.html"))[:1]
"""One page of highlighted source, which is looked at for all of them."""


@pytest.fixture(scope="session", autouse=True)
def built_book() -> None:
    need((SITE / "index.html").is_file(), "the book is not built: make book")


# --- the site as files ---------------------------------------------------------------------------------------


class _Links(html.parser.HTMLParser):
    """Every id, link and image of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.images_without_text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.add(str(given["href"]))
        if tag in ("img", "script", "iframe", "source") and given.get("src"):
            self.loads.add(str(given["src"]))
        if (
            tag == "link"
            and given.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon")
            and given.get("href")
        ):
            self.loads.add(str(given["href"]))
        if tag == "img" and not (given.get("alt") or "").strip() and given.get("role") != "presentation":
            self.images_without_text.append(str(given.get("src"))[:80])


@functools.cache
def links_of(path: Path) -> _Links:
    parser = _Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_book_leads_somewhere(page: str) -> None:
    broken = []
    for link in links_of(SITE / page).links | links_of(SITE / page).loads:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = ((SITE / page).parent / unquote(parts.path)).resolve() if parts.path else SITE / page
        known = links_of(target).ids | {"#", ""} if target.suffix == ".html" and target.is_file() else {parts.fragment}
        if not target.is_file() or unquote(parts.fragment) not in known:
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_every_image_says_in_words_what_it_shows(page: str) -> None:
    assert links_of(SITE / page).images_without_text == []


def test_no_page_loads_anything_from_another_host() -> None:
    foreign = {load for page in PAGES for load in links_of(SITE / page).loads if urlsplit(load).netloc}
    assert foreign == set()


def test_pages_with_records_say_whether_they_were_measured_here() -> None:
    texts = {page: (SITE / page).read_text(encoding="utf-8") for page in PAGES if page.startswith("results/")}
    stamped = {page: text for page, text in texts.items() if "Scale:" in text and "records" in text}
    assert {"results/00_claim.html", "results/01_width.html", "results/99_reproduction.html"} <= stamped.keys()
    words = ("came with this book", "measured on the machine that built this page")
    assert [page for page, text in stamped.items() if not any(word in text for word in words)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("results/")])
def test_every_figure_has_number_caption_words_data_origin_and_command(page: str) -> None:
    text = (SITE / page).read_text(encoding="utf-8")
    figures = re.findall(r"<figure\b.*?</figure>", text, re.DOTALL)
    assert text.count('class="lmc-figure"') == len(figures), "a drawing that is no figure"
    for figure in figures:
        name = re.search(r'id="([^"]+)"', figure)
        assert name is not None
        [caption] = re.findall(r"<figcaption>.*?</figcaption>", figure, re.DOTALL)
        assert re.search(r'class="caption-number">Fig\. \d+(\.\d+)?', caption), name[1]
        assert len(re.sub(r"<[^>]+>", "", caption)) > 80, name[1]
        # as a vector drawing, once for wide and once for narrow pages or as several states, and in words
        words = re.findall(r'role="img" aria-label="([^"]+)"', figure)
        assert len(words) >= 2 and min(map(len, words)) > 40, name[1]
        assert figure.count("<svg") >= 2 and "<img" not in figure, name[1]
        assert figure.count("data:text/csv") == 1 and figure.count('class="lmc-origin"') == 1, name[1]
        command = re.search(r"Made again by <code>(?:papermill|python) ((?:notebooks|benchmarks)/\w+\.\w+)", figure)
        assert command is not None and (ROOT / command[1]).is_file(), name[1]
        stamp = ("Scale:", "commit", "Computed on this page", "Measured on", "A drawing; nothing in it is measured")
        assert any(word in figure for word in stamp), name[1]


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("results/")])
def test_no_generated_sentence_is_a_table_in_disguise(page: str) -> None:
    """Numbers by the dozen stand in tables; a sentence says what they mean."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(re.sub(BULK, "", (SITE / page).read_text("utf-8"), flags=re.DOTALL), "html.parser")
    for element in soup.select(".lmc-origin, table"):
        element.decompose()
    said = [element.get_text() for element in soup.select(".cell_output :is(p, li)")]
    sentences = [sentence for text in said for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z*])", text)]
    assert [sentence for sentence in sentences if len(numbers_in(sentence)) > MOST_NUMBERS] == []


def test_buttons_lead_elsewhere_only_where_the_configuration_has_an_address() -> None:
    settings = re.search(r"^  url: *(.*)$", (ROOT / "book" / "_config.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert settings is not None
    has_address = settings[1].strip("\"' ") != ""
    for page in PAGES:
        if page.startswith("results/"):
            assert ("dropdown-launch-buttons" in (SITE / page).read_text(encoding="utf-8")) == has_address, page


def test_the_source_of_every_documented_name_is_a_click_away() -> None:
    for page in PAGES:
        text = (SITE / page).read_text(encoding="utf-8") if page.startswith("api/") else ""
        documented = re.findall(r'<dt class="sig[^"]*" id="(lmcbook\.[\w.]+)"', text)
        functions = [name for name in documented if re.fullmatch(r"lmcbook(\.\w+)+\.[a-z]\w*", name)]
        assert not functions or "../_modules/lmcbook/" in text, page


def test_citations_can_be_copied() -> None:
    text = (SITE / "cite.html").read_text(encoding="utf-8")
    assert text.count("@inproceedings") == 1 and text.count("@software") == 1
    assert "_static/copybutton.js" in text and "_static/clipboard.min.js" in text


def test_the_site_is_small_enough_to_send_around() -> None:
    sizes = {file: file.stat().st_size for file in SITE.rglob("*") if file.is_file()}
    assert sum(sizes.values()) < 25e6
    # the page of the explorers is the largest: each of them may have 1.5 MB
    assert not [file for file, size in sizes.items() if size > 7e6]


def test_the_texts_of_the_previews_are_few_enough_to_be_loaded_at_a_link() -> None:
    texts = (SITE / "_static" / "previews-texts.js").read_text(encoding="utf-8")
    assert len(texts.encode()) + (SITE / "_static" / "previews.js").stat().st_size < 40_000
    for kind in ("#thm-", "#equation-", "#id", "#term-", "#fig-"):
        assert kind in texts, kind


# --- the site in a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with served_site() as address:
        yield address


LOOK = r"""
const article = document.querySelector("article") || document.body;
const skip = "pre, code, script, style, mjx-container, .highlight, textarea";
const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
const text = [];
while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(skip)) text.push(walker.currentNode.data);
const TeX = /\\[(\[]|\\(begin|frac|lambda|theta|mathbb|ell)\b|\$[^$ ][^$]{0,60}\$/g;
return {
  rawTeX: (text.join(" ").match(TeX) || []).slice(0, 5),
  unset: [...document.querySelectorAll(".math")].filter((e) => !e.querySelector("mjx-container")).length,
  errors: document.querySelectorAll("mjx-merror, merror, [data-mjx-error]").length,
  headings: article.querySelectorAll("h1").length,
  broken: [...document.images].filter((i) => i.complete && !i.naturalWidth).map((i) => i.src.slice(0, 90)),
};
"""
AUDIT = """
const done = arguments[arguments.length - 1];
const places = (violation) => violation.nodes.slice(0, 3).map((node) => node.target.join(" "));
const shorter = (violation) => [violation.impact, violation.id, places(violation)];
axe.run(document, {preload: false, runOnly: arguments[0], resultTypes: ["violations"]})
  .then((found) => done(found.violations.map(shorter)), (error) => done([["critical", String(error), []]]));
"""
GAPS = """
return [...document.querySelectorAll("main :is(h1, h2, h3, h4) > a.headerlink")].filter((link) => {
  const words = document.createRange();
  words.selectNodeContents(link.parentElement);
  words.setEndBefore(link);
  return link.getBoundingClientRect().top >= words.getBoundingClientRect().bottom;
}).map((link) => link.parentElement.textContent);
"""
"""Headings of a page that end with a line in which nothing stands."""
AUDITED = {"light": ["wcag2a", "wcag2aa"], "dark": ["color-contrast", "link-in-text-block"]}
"""axe's rules by theme: all of them, then those about colours, as the other theme changes colours alone."""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES + SOURCES)
def test_page_over_http(page: str, browser: Browser, server: str) -> None:
    browser.resize(None)
    visit = browser.visit(server + page)
    if page == "index.html":  # leads on to the first page, which is tested by itself
        return assert_clean(visit, server)
    browser.use_theme("light")
    seen = browser.run(LOOK)
    wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
    gaps = browser.run(GAPS)
    browser.photograph(f"{page.removesuffix('.html')}_1280", 1280)
    browser.resize(PHONE)
    narrow = browser.run("return document.documentElement.scrollWidth")
    offenders = browser.run(
        "return [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility()"
        " && e.getBoundingClientRect().right > arguments[0] + 1).slice(0, 6)"
        ".map((e) => e.tagName + '.' + e.getAttribute('class'))",
        PHONE["width"],
    )
    browser.photograph(f"{page.removesuffix('.html')}_390", 390)
    browser.drain(visit)

    assert_clean(visit, server)
    assert seen == {"rawTeX": [], "unset": 0, "errors": 0, "headings": 1, "broken": []}
    assert wide[0] <= wide[1], "the page scrolls sideways at 1280 pixels"
    # not its innerWidth: a phone zooms out of what is too wide
    assert narrow <= PHONE["width"], f"the page scrolls sideways at 390 pixels: {offenders}"
    assert gaps == [], "the mark of a link behind a heading wraps into a line of its own"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES + SOURCES if page != "index.html"])
def test_page_has_no_serious_barrier_for_readers(page: str, browser: Browser, server: str) -> None:
    need(AXE.is_file(), "axe-core is not there: python book/vendor_js.py --tests")
    browser.resize(None)
    browser.visit(server + page)
    browser.run(AXE.read_text(encoding="utf-8"))
    found = []
    for theme, rules in AUDITED.items():
        browser.use_theme(theme)
        found += [(theme, *violation) for violation in browser.run_async(AUDIT, rules)]
    browser.photograph(f"{page.removesuffix('.html')}_dark", 1280)
    assert [violation for violation in found if violation[1] in ("serious", "critical")] == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_page_from_the_disk(page: str, browser: Browser) -> None:
    browser.resize(None)
    visit = browser.visit((SITE / page).as_uri())
    seen = browser.run(LOOK)
    assert_clean(visit, "file://")
    assert seen["unset"] == seen["errors"] == 0 and seen["broken"] == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http", "file"])
def test_search_finds_a_word_of_the_book(protocol: str, browser: Browser, server: str) -> None:
    base = server if protocol == "http" else SITE.as_uri() + "/"
    visit = browser.visit(base + "search.html?q=permutation")
    hits: list[str] = []
    for _ in range(40):
        hits = browser.run("return [...document.querySelectorAll('#search-results li a')].map((a) => a.textContent)")
        if hits:
            break
        time.sleep(0.25)
    browser.drain(visit)
    assert hits
    assert {urlsplit(url).hostname for url in visit.requested} <= {None, "127.0.0.1"}
    if protocol == "http":  # a page from the disk may not read the others, from which the previews would be
        assert_clean(visit, server)


@pytest.mark.browser
@pytest.mark.slow
def test_a_solution_is_hidden_until_it_is_opened_by_keyboard(browser: Browser, server: str) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.resize(None)
    browser.visit(server + "background.html")
    folded = browser.driver.find_elements("css selector", "details.sd-dropdown")
    assert folded
    for solution in folded:
        content = solution.find_element("css selector", ".sd-card-text")
        assert not content.is_displayed()
        solution.find_element("css selector", "summary").send_keys(Keys.ENTER)
        assert content.is_displayed()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http", "file"])
def test_a_link_shows_the_theorem_of_another_chapter_with_its_formulas_set(
    protocol: str, browser: Browser, server: str
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    base = server if protocol == "http" else SITE.as_uri() + "/"
    browser.resize(None)
    visit = browser.visit(base + "results/02_temperature.html")
    browser.run(
        "const before = document.createElement('button');"
        "document.querySelector('.bd-article a[href*=\"_theorem.html#thm-\"]').before(before); before.focus();"
    )
    ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    formulas = 0
    for _ in range(80):
        formulas = browser.run("return document.querySelectorAll('.lmc-preview:not([hidden]) mjx-container').length")
        if formulas:
            break
        time.sleep(0.1)
    text = browser.run("return document.querySelector('.lmc-preview').textContent")
    browser.drain(visit)
    assert formulas and text.lstrip().startswith("Theorem") and "\\(" not in text
    assert_clean(visit, base if protocol == "http" else "file://")


SAVED = """
const done = arguments[arguments.length - 1];
HTMLAnchorElement.prototype.click = function () {
  const name = this.download, image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const points = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const drawn = points.filter((point) => point !== points[0]).length;
    done([name, canvas.width, canvas.height, points[0], new Set(points).size, drawn]);
  };
  image.src = this.href;
};
[...document.querySelectorAll(".lmc-slide button")].find((button) => button.textContent === arguments[0]).click();
"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PNG", "SVG"])
def test_a_figure_is_saved_for_a_slide_from_the_disk_and_on_white_in_the_dark(kind: str, browser: Browser) -> None:
    browser.resize(None)
    visit = browser.visit((SITE / "results" / "01_width.html").as_uri())
    browser.use_theme("dark")
    name, width, height, corner, colours, drawn = browser.run_async(SAVED, kind)
    assert name == f"accuracy-against-coefficient.{kind.lower()}"
    assert (width, height, corner) == (1920, 1080, 0xFFFFFFFF)
    assert colours > 20 and drawn > 50_000  # lines, letters and axes, not a blank page
    browser.drain(visit)
    assert_clean(visit, "file://")
