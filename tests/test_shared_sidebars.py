"""Pages outside the table of contents share a sidebar by folder: each still leads to every chapter."""

import re
from pathlib import Path

import pytest

from tests.helpers.tiny_book import build_tiny_book

pytestmark = pytest.mark.slow

PAGES = {
    "index.md": "# Start\n\n```{toctree}\nfirst\nparts/second\n```\n",
    "first.md": "# First\n\n{py:func}`os.path.join <posixpath.join>`\n\n```{eval-rst}\n.. automodule:: posixpath\n"
    "   :members: join\n```\n",
    "parts/second.md": "# Second\n\n```{eval-rst}\n.. automodule:: json.decoder\n   :members: JSONDecoder\n```\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "shared_sidebars"]
    return build_tiny_book(tmp_path_factory.mktemp("sidebars"), PAGES, extensions)


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


def test_a_chapters_own_place_is_marked_and_of_no_other_page(site):
    marked = re.compile(r'class="toctree-l1 current active')
    for name, times in {"first.html": 1, "parts/second.html": 1, "_modules/posixpath.html": 0}.items():
        assert len(marked.findall((site / name).read_text(encoding="utf-8"))) == times, name
