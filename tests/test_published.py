"""Tests of what a published book says of itself: nothing without the one address, and all of it with one."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.helpers.loaded import module_of
from tests.helpers.tiny_book import build_tiny_book

pytest.importorskip("sphinx_book_theme")

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/owner/name"
PAGES = {
    "index.md": '# Root & branch\n\nA first sentence that says "what" this is about, in more than sixty letters.\n\n'
    "```{toctree}\nchangelog\ndeep/page\n```\n",
    "changelog.md": "# Changelog\n\nAll changes.\n\n## Unreleased\n\n- A new `thing` <b> & more.\n\n"
    "## 0.1.0 – 2026-11-21\n\n- The first.\n- The second.\n",
    "deep/page.md": "# Page\n\nShort.\n",
}
SITE = "https://owner.github.io/name/"
NAMES = {"": "{http://www.w3.org/2005/Atom}", "map": "{http://www.sitemaps.org/schemas/sitemap/0.9}"}


@pytest.fixture(scope="module")
def extension():
    return module_of(ROOT / "book" / "_extensions" / "published.py")


def build(folder: Path, repository: str, **settings: object) -> Path:
    (folder / ".github").mkdir()
    (folder / ".github" / "averages-card.png").write_bytes(b"a picture")
    options = {"html_theme_options": {"repository_url": repository}, "html_baseurl": "", **settings}
    return build_tiny_book(folder, PAGES, ["published"], options)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("published"), ADDRESS)


@pytest.mark.slow
def test_without_an_address_nothing_is_said(tmp_path):
    site = build(tmp_path, "", html_baseurl="https://example.org/forgotten/")
    assert not [
        name for name in ("sitemap.xml", "changelog.xml", "_static/averages-card.png") if (site / name).exists()
    ]
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'rel="canonical"|og:image|og:url|twitter:card|atom\+xml|example\.org', text), page


@pytest.mark.slow
def test_every_page_has_its_own_address_and_a_card(published):
    for name in ("index.html", "changelog.html", "deep/page.html"):
        text = (published / name).read_text(encoding="utf-8")
        assert re.findall(r'<link rel="canonical" href="([^"]+)"', text) == [SITE + name]
        card = dict(re.findall(r'<meta property="([^"]+)" content="([^"]*)">', text))
        assert card["og:url"] == SITE + name and card["og:image"] == f"{SITE}_static/averages-card.png"
        assert text.count("twitter:card") == text.count(f'href="{SITE}changelog.xml"') == 1
    assert (published / "_static" / "averages-card.png").read_bytes() == b"a picture"
    first = dict(
        re.findall(r'<meta property="([^"]+)" content="([^"]*)">', (published / "index.html").read_text("utf-8"))
    )
    assert first["og:title"] == "Root &amp; branch" and first["og:description"].startswith(
        "A first sentence that says "
    )


def test_the_map_has_every_page_once(published):
    found = [place.text for place in ElementTree.parse(published / "sitemap.xml").iter(f"{NAMES['map']}loc")]
    assert found == [SITE + name for name in ("changelog.html", "deep/page.html", "index.html")]


def test_the_feed_has_an_entry_for_each_version_that_has_a_time(extension, published):
    root = ElementTree.parse(published / "changelog.xml").getroot()
    [entry] = root.findall(f"{NAMES['']}entry")  # no git checkout, so nobody knows when the unreleased was changed
    said = {child.tag.removeprefix(NAMES[""]): child for child in entry}
    assert said["title"].text == "0.1.0 – 2026-11-21" and said["updated"].text == "2026-11-21T00:00:00Z"
    assert said["content"].text == "<ul><li>The first.</li><li>The second.</li></ul>"
    page, _, anchor = str(said["link"].get("href")).partition("#")
    assert page == SITE + "changelog.html"
    assert f'id="{anchor}"' in (published / "changelog.html").read_text(encoding="utf-8")
    assert root.findtext(f"{NAMES['']}updated") == "2026-11-21T00:00:00Z"


def test_an_unreleased_version_has_the_time_of_its_last_commit(extension, published):
    pytest.importorskip("docutils")
    import pickle

    changelog = pickle.loads((published / ".doctrees" / "changelog.doctree").read_bytes())
    found = ElementTree.tostring(
        extension.feed(changelog, "t", "p", "o", "2026-12-01T10:00:00+01:00"), encoding="unicode"
    )
    assert "2026-12-01T10:00:00+01:00" in found and found.count("<entry>") == 2
    assert "A new thing &amp;lt;b&amp;gt; &amp;amp; more." in found


@pytest.mark.parametrize(
    ("repository", "pages"),
    [
        ("https://github.com/Owner/Name", "https://owner.github.io/Name/"),
        ("https://github.com/owner/name.git", SITE),
        ("https://github.com/owner/owner.github.io/", "https://owner.github.io/"),
        ("https://gitlab.com/owner/name", "https://owner.gitlab.io/name/"),
        ("https://example.org/owner/name", ""),
        ("", ""),
    ],
)
def test_the_address_of_the_pages_follows_from_the_repository(repository, pages, extension):
    assert extension.pages_address(repository) == pages


def test_the_picture_that_is_named_is_the_one_that_the_command_draws(extension):
    from lmcbook.pages import readme

    assert f".github/{extension.CARD}" == readme.CARD and (ROOT / readme.CARD).is_file()
