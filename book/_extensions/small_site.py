"""Sphinx extension: the site holds what a reader can see or ask for, and says it in as few bytes as the tools allow.

Nothing here changes how a page looks or what it does.
"""

import base64
import functools
import itertools
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ipywidgets
from sphinx.application import Sphinx
from sphinx.util.parallel import ParallelTasks

from lmcbook.data.whole_files import read_state, write_whole

# The theme's style sheet has every icon as a font already; this script has them once more, 1.5 MB that every page would
# load, and it replaces the icons of widgets while they work.
ICON_SCRIPT = re.compile(r"\s*<script[^>]*/fontawesome\.js[^>]*></script>")

# Names, punctuation and spaces have the colour of the text around them in both of the theme's code styles.
PLAIN = re.compile(r'<span class="(?:n|nn|nx|p|w)">([^<]*)</span>')

FIGURE = re.compile(r'(?<=<div class="lmc-wide">)<svg.*?</svg>|(?<=<div class="lmc-narrow">)<svg.*?</svg>', re.DOTALL)
# What lmcbook.pages.figures.svg calls styles and shapes, so that no two figures of a page share a name.
FIGURE_NAME = re.compile(r"\bf[0-9a-f]{6}-\w+")

WIDGET_STATE = re.compile(r'(<script type="application/vnd\.jupyter\.widget-state\+json">)(.*?)(</script>)', re.DOTALL)
# What stands between the numbers of the widgets' drawings, again and again, and what takes its place: Cyrillic letters
# and their neighbours, of two bytes each, in which no word of the book is written.
BETWEEN_NUMBERS = re.compile(r"[^\d.]{4,}")
LETTERS = [chr(number) for number in range(0x400, 0x800)]
ANY_LETTER = re.compile(f"[{LETTERS[0]}-{LETTERS[-1]}]")
UNPACK = (
    "<script>(e=>{const w=%s;e.textContent=e.textContent.replace(/[\\u0400-\\u07ff]/g,c=>w[c.charCodeAt()-1024])})"
    "(document.currentScript.previousElementSibling)</script>"
)
WIDGET_VIEW = re.compile(r'("model_id": ?")([^"]+)(")')

# A tag as lmcbook's frames have them: names and values without brackets, and double quotes around every value.
TAG = re.compile(r"""</?[A-Za-z][^\s<>"'/=]*(?:\s+[^\s<>"'/=]+(?:="[^"'<>]*")?)*\s*/?>""")

# What stands in these is no HTML, and what looks like a tag there is none.
RAW_TEXT = re.compile(
    r"<(?:iframe|noembed|noframes|noscript|plaintext|script|style|textarea|title|xmp)\b", re.IGNORECASE
)

# Lists that the page takes to be empty where a widget does not say what they hold; ipywidgets says it every time,
# because to traitlets a list has no default value but a way to make one.
EMPTY_LISTS = ("_dom_classes", "titles")

# Where the marks and lines of a figure stand, in points: a tenth of them is an eighth of a pixel.
PLACES = re.compile(r' (?:d|x|y|cx|cy)="[^"]*"')
HUNDREDTHS = re.compile(r"(?<![\d.])-?\d+\.\d\d(?!\d)")

# A style sheet of a figure or table, the same for each of its kind; what stands in scripts is none.
STYLES = re.compile(r"(<script\b.*?</script\s*>)|<style>.*?</style>", re.DOTALL | re.IGNORECASE)

# Data to take away: base64 is a third longer than what it holds.
DATA = re.compile(r'(?<=href="data:text/csv;charset=utf-8);base64,([A-Za-z0-9+/=]+)(?=")')

# Lines between two tags, or an element in which they count, or which is not to be touched, that stands before them.
LINES = re.compile(
    r"(<(pre|script|style|svg|textarea)\b.*?</\2\s*>|<!--.*?-->)|(?<=>)[ \t]*\n\s*(?=<)", re.DOTALL | re.IGNORECASE
)


# What the theme puts on every page for nobody: comments for its makers, and a place for advertisements.
FOR_NOBODY = re.compile(
    r'(<(pre|script|style|svg|textarea)\b.*?</\2\s*>)|<!--(?!\[if).*?-->|<div id="ethical-ad-placement"[^>]*>\s*</div>',
    re.DOTALL | re.IGNORECASE,
)

# Line breaks between the attributes of a tag, and what is not to be touched.
BROKEN_TAGS = re.compile(
    r'(<(pre|script|style|svg|textarea)\b.*?</\2\s*>)|(?<=")[ \t]*\n\s*(?=[a-z-]+="[^"<>]*")', re.DOTALL | re.IGNORECASE
)

# Files and settings of what a page of source code has none of: folded parts, tabs, theorems, outputs of notebooks.
NOT_FOR_SOURCES = re.compile(r"toggle|design|proof\.css|mystnb", re.IGNORECASE)


def leave_navigation_off_sources(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """A hundred pages of highlighted source need no side bar each; their [docs] links lead back to the book."""
    if page.startswith("_modules/"):
        context["sidebars"] = []
        context["body"] = PLAIN.sub(r"\1", context.get("body", ""))
        for files in ("script_files", "css_files"):
            context[files] = [file for file in context.get(files, ()) if not NOT_FOR_SOURCES.search(_said(file))]


def _said(file: Any) -> str:
    """The name of a page's script or style sheet, or what it says where it stands in the page."""
    return f"{getattr(file, 'filename', None) or file} {getattr(file, 'attributes', {}).get('body', '')}"


def drop_what_no_reader_asks_for(app: Sphinx, exception: Exception | None) -> None:
    """Take out of the site what no page loads, and make what the pages hold twice short."""
    if exception is not None:
        return
    static = Path(app.outdir, "_static")
    fonts = [font for font in static.rglob("*.ttf") if font.with_suffix(".woff2").is_file()]
    scripts = static.glob("scripts/fontawesome.js*")
    for file in [*static.rglob("*.map"), *static.glob("*webpack-macros.html"), *fonts, *scripts]:
        file.unlink(missing_ok=True)
    shutil.rmtree(static / "locales", ignore_errors=True)  # the book is in English
    state = Path(app.doctreedir, "shortened.json")
    known = read_state(state)
    pages = {str(page.relative_to(app.outdir)): page for page in Path(app.outdir).rglob("*.html")}
    # the longest first, so that processes end together
    due = sorted(
        (page for name, page in pages.items() if known.get(name) != _written(page)),
        key=lambda page: page.stat().st_size,
        reverse=True,
    )
    processes = min(os.cpu_count() or 1, len(due) // _WORTH_A_PROCESS)
    if processes > 1 and sys.platform == "linux":  # elsewhere forks of a program with threads may hang
        tasks = ParallelTasks(processes)
        for first in range(processes):
            tasks.add_task(_shorten, due[first::processes])
        tasks.join()
    else:
        _shorten(due)
    write_whole(state, json.dumps({name: _written(page) for name, page in pages.items()}))


_WORTH_A_PROCESS = 10
"""Pages that take longer to shorten than a process to begin."""


def _shorten(pages: Iterable[Path]) -> None:
    for page in pages:
        text = page.read_text(encoding="utf-8")
        shorter = FOR_NOBODY.sub(lambda found: found[1] or "", ICON_SCRIPT.sub("", text))
        shorter = BROKEN_TAGS.sub(lambda found: found[1] or " ", shorter)
        shorter = shorten_lines(pack_widgets(shorten_widgets(shorten_figures(shorter))))
        shorter = DATA.sub(plain_data, styles_once(rounded_figures(shorter)))
        if shorter != text:
            page.write_text(shorter, encoding="utf-8")


def _written(page: Path) -> list[int]:
    """When a page was written last and how long it is, by which a page that is short already is known."""
    found = page.stat()
    return [found.st_mtime_ns, found.st_size]


def rounded_figures(page: str) -> str:
    """The page with the places in its figures to a tenth of a point, half of which nobody sees."""

    def tenth(number: re.Match[str]) -> str:
        return f"{float(number[0]):.1f}".removesuffix(".0")

    def rounded(drawing: re.Match[str]) -> str:
        return PLACES.sub(lambda places: HUNDREDTHS.sub(tenth, places[0]), drawing[0])

    return FIGURE.sub(rounded, page)


def styles_once(page: str) -> str:
    """The page with each of its style sheets once, where it stands first."""
    known: set[str] = set()

    def first(found: re.Match[str]) -> str:
        if found[1]:
            return found[0]
        new = found[0] not in known
        known.add(found[0])
        return found[0] if new else ""

    return STYLES.sub(first, page)


def plain_data(found: re.Match[str]) -> str:
    """The same data as text of an address, if that is shorter than base64."""
    text = "," + quote(base64.b64decode(found[1]), safe="!$'()*+,/:;=?@[]^_`{|}~")
    return min(found[0], text, key=len)


def shorten_lines(page: str) -> str:
    """The page without indentation and blank lines between tags; one line break stays, because it parts words."""
    return LINES.sub(lambda found: found[1] or "\n", page)


def shorten_figures(page: str) -> str:
    """The page with the same drawings: without groups that say nothing, and with short names for styles and shapes."""
    names: dict[str, str] = {}

    def shorter(drawing: re.Match[str]) -> str:
        pieces: list[str] = []
        groups: list[bool] = []  # of those that are open, whether they say anything
        for piece in re.split(r"(<g\b[^>]*>|</g>)", drawing[0]):
            says_something = True
            if piece == "</g>":
                says_something = groups.pop()
            elif piece.startswith("<g"):
                says_something = piece != "<g>"
                groups.append(says_something)
            if says_something:
                pieces.append(piece.strip())
        text = FIGURE_NAME.sub(lambda name: names.setdefault(name[0], f"v{len(names)}"), "".join(pieces))
        return re.sub(r' ([MLCQ]) |(?<= d="M) | z "', lambda blank: blank[0].replace(" ", ""), text)

    return FIGURE.sub(shorter, page)


def shorten_widgets(page: str) -> str:
    """The page with the same widgets: without what every widget has by itself, and with short names for them."""
    found = WIDGET_STATE.search(page)
    if found is None:
        return page
    stored = json.loads(found[2])
    names = {model: f"w{index}" for index, model in enumerate(stored["state"])}
    stored["state"] = {names[model]: _own(state, names) for model, state in stored["state"].items()}
    # HTML in JSON in HTML: only the end of a script would end the script
    text = json.dumps(stored, ensure_ascii=False, separators=(",", ":")).replace("</script", "<\\/script")
    start, end = page[: found.start()], page[found.end() :]
    start, end = (WIDGET_VIEW.sub(lambda view: view[1] + names[view[2]] + view[3], part) for part in (start, end))
    return start + found[1] + text + found[3] + end


def pack_widgets(page: str) -> str:
    """The page with a letter for each text that its widgets repeat; a script puts the texts back before they are read.

    What is packed has a mark, by which a page that is not written anew stays unchanged.
    """
    found = WIDGET_STATE.search(page)
    if found is None or ANY_LETTER.search(found[2]):
        return page
    counts = Counter(BETWEEN_NUMBERS.findall(found[2]))
    saved = {text: count * (len(text) - 2) - len(json.dumps(text)) - 1 for text, count in counts.items()}
    words = [text for text in sorted(saved, key=lambda text: -saved[text]) if saved[text] > 0][: len(LETTERS)]
    letters = dict(zip(words, LETTERS, strict=False))
    text = BETWEEN_NUMBERS.sub(lambda part: letters.get(part[0], part[0]), found[2])
    unpack = UNPACK % json.dumps(words, ensure_ascii=False, separators=(",", ":"))
    packed = found[1].replace(">", " data-packed>") + text + found[3] + unpack
    return page[: found.start()] + packed + page[found.end() :] if len(packed) < len(found[0]) else page


def _own(model: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A widget's model with only the values that are not its kind's defaults, as ipywidgets itself embeds it."""
    defaults = _defaults(model["model_module"], model["model_name"])
    state = {key: value for key, value in model["state"].items() if key not in defaults or defaults[key] != value}
    if model["model_name"] == "HTMLModel" and isinstance(state.get("value"), str):
        state["value"] = single_quoted(state["value"])
    return {**model, "state": _renamed(state, names)}


def single_quoted(value: str) -> str:
    """The same HTML with single quotes, which JSON need not escape; unchanged, if that might be something else."""
    # a bracket or a quote outside plain tags: a comment, a text in quotes, a value without them
    if "'" in value or RAW_TEXT.search(value) or not {*'<>"'}.isdisjoint(TAG.sub("", value)):
        return value
    return value.replace('"', "'")


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("IPY_MODEL_"):
        return "IPY_MODEL_" + names[value.removeprefix("IPY_MODEL_")]
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    return value


@functools.cache
def _defaults(module: str, name: str) -> dict[str, Any]:
    """The default of every value that a kind of widget shares with the page."""
    for kind in _kinds(ipywidgets.Widget):
        traits = kind.class_traits(sync=True)
        if (traits["_model_module"].default_value, traits["_model_name"].default_value) == (module, name):
            values = {key: () if key in EMPTY_LISTS else trait.default_value for key, trait in traits.items()}
            return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {}


def _kinds(kind: Any) -> list[Any]:
    return [kind, *itertools.chain.from_iterable(_kinds(each) for each in kind.__subclasses__())]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", leave_navigation_off_sources, priority=900)
    app.connect("build-finished", drop_what_no_reader_asks_for, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
