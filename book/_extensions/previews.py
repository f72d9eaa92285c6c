"""Sphinx extension: the texts of the previews, which `_assets/previews.js` shows beside a link before it is followed.

A page that is opened from the disk may not read the others. So what links show of other pages (theorems, equations,
captions of figures, references, terms of the glossary) stands in a script, which a page loads when a link asks for it.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection
from html import unescape
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup
from bs4.element import Tag
from sphinx.application import Sphinx

from lmcbook.data.whole_files import content_sha256, read_state, write_whole

FILE = "previews-texts.js"

# Neither has a preview, and both are most of a page.
BULK = re.compile(r"<(svg|script|style)\b.*?</\1\s*>", re.DOTALL)
LINK = re.compile(r'<a\b[^>]*\bhref="([^"#:]*)#([^"]+)"')

SHOWN = "div.proof, div.math, figure, div.citation, dl.glossary dt"
"""What has a preview; previews.js has the same list for the targets on the page itself."""
LEFT_OUT = ".headerlink, .backrefs, .lmc-origin, .lmc-figure, img"
# The ids of what may be shown: to parse a page takes long, and those of the reference have none.
ID = re.compile(r'<(?:div|figure|dt)\b(?![^>]*\bclass="sig)[^>]*\bid="([^"]+)"')


def linked(pages: dict[str, str]) -> dict[str, set[str]]:
    """Every page → the ids of it that other pages link to.

    Args:
        pages: the path of every page in the site → its HTML.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name, text in pages.items():
        for path, target in LINK.findall(text):
            page = normpath(join(dirname(name), unquote(path)))
            if path and page != name and page in pages:
                found[page].add(unquote(target))
    return dict(found)


def text_of(target: Tag) -> str:
    """What a preview shows of its target, as HTML without ids, links and drawings; formulas are TeX in brackets."""
    parts = [target]
    if target.name == "dt" and isinstance(meaning := target.find_next_sibling("dd"), Tag):
        parts.append(meaning)
    if target.name == "figure":
        parts = target.select("figcaption .caption-number, figcaption .caption-text")
    for part in parts:
        for element in part.select(LEFT_OUT):
            element.decompose()
        for element in part.select("a, span, section"):
            element.unwrap()
        for element in part.find_all(True):
            element.attrs = {key: value for key, value in element.attrs.items() if key == "role"}
    return " ".join(" ".join(part.decode_contents() for part in parts).split())


def texts(page: str, targets: Collection[str]) -> dict[str, str]:
    """The id of what stands in ``page`` and has a preview → that preview, for those among ``targets``."""
    if not {unescape(name) for name in ID.findall(page)} & set(targets):
        return {}
    shown = BeautifulSoup(page, "html.parser").select(SHOWN)
    return {name: text_of(target) for target in shown if (name := str(target.get("id", ""))) in targets}


def write_texts(app: Sphinx, exception: Exception | None) -> None:
    """Write the script with the texts into a site that has been built; only what changed since is looked at again."""
    if exception is not None or app.builder.name != "html":
        return
    site, state = Path(app.outdir), Path(app.doctreedir, "previews.json")
    names = (
        app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)
    )  # not the index, which has all terms
    pages = {name: BULK.sub("", (site / name).read_text(encoding="utf-8")) for name in names}
    known, found, shown = read_state(state), {}, {}
    for name, targets in sorted(linked(pages).items()):
        key = content_sha256([pages[name], sorted(targets)])
        found[key] = known[key] if isinstance(known.get(key), dict) else texts(pages[name], targets)
        shown |= {f"{name}#{target}": text for target, text in found[key].items()}
    script = f"window.lmcPreviews={json.dumps(shown, ensure_ascii=False, separators=(',', ':'))};\n"
    (site / "_static" / FILE).write_text(script, encoding="utf-8")
    write_whole(state, json.dumps(found, ensure_ascii=False))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", write_texts)
    app.add_js_file("previews.js", defer="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
