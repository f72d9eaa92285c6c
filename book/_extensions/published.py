"""Sphinx extension: what a published book says to search engines, social networks and readers of feeds.

The switch is that of the buttons, ``repository.url`` of _config.yml: where it is empty no page names an address. With
one on GitHub or GitLab every page says where it is (canonical address) and has a card with the book's picture, and the
site has a map and a feed of the changelog. If the pages lie elsewhere, ``html.baseurl`` says where.
"""

import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

CARD = "averages-card.png"
"""The picture of the cards, which `python -m lmcbook.pages.readme` draws into `.github/`."""
FEED = "changelog.xml"
ATOM = "http://www.w3.org/2005/Atom"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"


def pages_address(repository: str) -> str:
    """Where a repository's pages are published, with a slash at the end; empty where that does not follow from it."""
    found = re.fullmatch(r"https://(github|gitlab)\.com/([^/]+)/([^/]+?)(?:\.git)?/?", repository)
    if found is None:
        return ""
    host, owner, name = found[1], found[2].lower(), found[3]
    root = f"https://{owner}.{host}.io/"
    return root if f"https://{name.lower()}/" == root else f"{root}{name}/"


def configure(app: Sphinx, config: Config) -> None:
    """Let Sphinx write the canonical address of every page, if there is an address."""
    repository = config.html_theme_options.get("repository_url") or ""
    config.html_baseurl = (config.html_baseurl or pages_address(repository)) if repository else ""


def add_card(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put the card and the address of the feed into the head of a page."""
    base = app.config.html_baseurl
    if not base or doctree is None:
        return
    first = next((each.astext() for each in doctree.findall(nodes.paragraph) if len(each.astext()) > 60), "")
    words = " ".join(first.split())
    card = {
        "og:type": "article",
        "og:site_name": app.config.project,
        "og:title": unescape(re.sub("<[^>]+>", "", str(context.get("title", "")))),
        "og:url": base + app.builder.get_target_uri(page),
        "og:image": f"{base}_static/{CARD}",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:description": words if len(words) <= 200 else words[:200].rpartition(" ")[0] + " …",
    }
    tags = [f'<meta property="{name}" content="{escape(said)}">' for name, said in card.items()]
    tags += ['<meta name="twitter:card" content="summary_large_image">']
    tags += [f'<link rel="alternate" type="application/atom+xml" title="Changelog" href="{base}{FEED}">']
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def sitemap(addresses: list[str]) -> ElementTree.Element:
    """The map of a site with pages at these ``addresses``."""
    root = ElementTree.Element("urlset", xmlns=SITEMAP)
    for address in addresses:
        ElementTree.SubElement(ElementTree.SubElement(root, "url"), "loc").text = address
    return root


def feed(changelog: nodes.document, title: str, page: str, own: str, last_changed: str) -> ElementTree.Element:
    """The feed of a changelog: an entry for each version, the newest first.

    Args:
        changelog: a section for each version, with a list of changes and, if it is released, its day in the title.
        title: of the feed.
        page: the address of the changelog.
        own: the address of the feed.
        last_changed: the time of the last change, for a version that is not released; empty leaves it out.
    """
    root = ElementTree.Element("feed", xmlns=ATOM)

    def add(parent: ElementTree.Element, name: str, said: str = "", **given: str) -> ElementTree.Element:
        element = ElementTree.SubElement(parent, name, given)
        element.text = said or None
        return element

    entries = []
    for section in changelog.findall(nodes.section):
        heading = section[0].astext()
        day = re.search(r"\d{4}-\d\d-\d\d", heading)
        time = f"{day[0]}T00:00:00Z" if day else last_changed
        if isinstance(section.parent, nodes.section) and time:
            entries.append((heading, time, section))
    add(root, "title", title)
    add(root, "id", page)
    add(root, "link", rel="self", href=own)
    add(add(root, "author"), "name", title)
    add(root, "updated", max((time for _, time, _ in entries), default="1970-01-01T00:00:00Z"))
    for heading, time, section in entries:
        entry = add(root, "entry")
        address = f"{page}#{section['ids'][0]}"
        add(entry, "title", heading)
        add(entry, "id", address)
        add(entry, "link", href=address)
        add(entry, "updated", time)
        items = "".join(f"<li>{escape(item.astext())}</li>" for item in section.findall(nodes.list_item))
        add(entry, "content", f"<ul>{items}</ul>", type="html")
    return root


def last_change(file: Path) -> str:
    """The time of the last commit that changed ``file``, as feeds want it; empty outside a git checkout."""
    command = ["git", "-C", str(file.parent), "log", "-1", "--format=%cI", "--", file.name]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def write_files(app: Sphinx, exception: Exception | None) -> None:
    """Write the map, the feed and the picture into a site that has been built and has an address."""
    base = app.config.html_baseurl
    if exception is not None or not base or app.builder.name != "html":
        return
    site, checkout = Path(app.outdir), Path(app.srcdir).parent
    pages = {name: base + app.builder.get_target_uri(name) for name in sorted(app.env.found_docs)}
    files = {"sitemap.xml": sitemap(list(pages.values()))}
    if "changelog" in pages:
        changes = app.env.get_doctree("changelog")
        when = last_change(checkout / "CHANGELOG.md")
        files[FEED] = feed(changes, f"{app.config.project}: changes", pages["changelog"], base + FEED, when)
    for name, root in files.items():
        ElementTree.ElementTree(root).write(site / name, encoding="utf-8", xml_declaration=True)
    shutil.copyfile(checkout / ".github" / CARD, site / "_static" / CARD)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", configure, priority=1)
    app.connect("html-page-context", add_card)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
