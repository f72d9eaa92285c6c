"""Sidebars are made of titles, and shared by pages outside the table of contents; they are as Sphinx makes them."""

import re
from pathlib import Path

import pytest

from tests.helpers.tiny_book import build_tiny_book

pytestmark = pytest.mark.slow

PAGES = {
    "index.md": "# Start\n\n```{toctree}\nfirst\nparts/second\n```\n",
    "inside.md": "# Inside\n\n## Its section\n\nWords.\n",
    "first.md": "# First\n\n## A section\n\n### A deeper one\n\n```{toctree}\ninside\n```\n\n"
    "## Another\n\n{py:func}`os.path.join <posixpath.join>`\n\n```{eval-rst}\n.. automodule:: posixpath\n"
    "   :members: join\n```\n",
    "parts/second.md": "# Second\n\n```{eval-rst}\n.. automodule:: json.decoder\n   :members: JSONDecoder\n```\n",
}


EXTENSIONS = ["sphinx.ext.autodoc", "sphinx.ext.viewcode"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_book(tmp_path_factory.mktemp("sidebars"), PAGES, [*EXTENSIONS, "shared_sidebars"])


def sidebar(page: Path) -> list[str]:
    """Where the table of contents beside a page leads."""
    nav = re.search(r'<nav class="bd-links.*?</nav>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert nav is not None
    return re.findall(r'href="([^"]+)"', nav[0])


def test_every_page_leads_to_every_chapter_from_where_it_is(site):
    pages = ["_modules/posixpath.html", "_modules/json/decoder.html", "_modules/index.html", "genindex.html"]
    for name in [*pages, "first.html", "parts/second.html"]:
        page = site / name
        reached = {(page.parent / link).resolve() for link in sidebar(page) if link != "#"}
        assert {site / "first.html", site / "parts" / "second.html"} <= reached | {page}, name


def test_pages_are_as_sphinx_makes_them(site, tmp_path):
    """To the letter: sidebars, and what stands on the page, which still shows its sections."""
    plain = build_tiny_book(tmp_path, PAGES, EXTENSIONS)
    pages = [page.relative_to(plain) for page in plain.rglob("*.html")]
    assert len(pages) >= 8
    for page in pages:
        assert (site / page).read_text(encoding="utf-8") == (plain / page).read_text(encoding="utf-8"), page
    assert "inside.html" in (site / "parts" / "second.html").read_text(encoding="utf-8"), "a table in a section"
    assert 'href="#a-deeper-one"' in (site / "first.html").read_text(encoding="utf-8")


def test_a_chapters_own_place_is_marked_and_of_no_other_page(site):
    marked = re.compile(r'class="toctree-l1 current active')
    for name, times in {"first.html": 1, "parts/second.html": 1, "_modules/posixpath.html": 0}.items():
        assert len(marked.findall((site / name).read_text(encoding="utf-8"))) == times, name
