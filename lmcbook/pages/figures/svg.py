"""A figure as SVG inside a page: in the page's own font and colours; the same figure gives the same text."""

import hashlib
import html
import io
import re
from collections.abc import Iterable

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lmcbook.pages.figures import style

_MARK = "\ue000"
"""Where a figure's mark comes into its ids and classes: a character that no drawing has."""


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an ``<svg>`` element in the page's own font and colours; the same figure gives the same text."""
    buffer = io.StringIO()
    with style.applied():
        # neither date nor version: the same numbers must give the same page
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.patch.set_alpha(0)
        # straight to the canvas: savefig draws everything a first time to find its own renderer
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    # of matplotlib's many ids, those that something refers to, by their order: its own are hashes of numbers that are
    # not the same to the last bit in every process
    used = {name: str(index) for index, name in enumerate(dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg)))}
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{_MARK}i{used[found[1]]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(href="|url\()#([^")]+)', lambda found: f"{found[1]}#{_MARK}i{used[found[2]]}", svg)
    svg = re.sub(r"font: (?:(\d+) )?([\d.]+)px [^;\"]+", _font, svg)
    svg = re.sub(r"font-family: [^;\"]+; ?", "", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", _colour, svg)
    svg = re.sub(r' transform="rotate\(-0 [^)]+\)"', "", svg)
    # a hundredth of a point is finer than any screen, and half of the file; but words keep their digits
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), svg)
    svg = re.sub(r"\s+", " ", svg).replace("> <", ">\n<")
    svg, rules = _classes(svg)
    # several figures stand in one page, of one kind too, so each gets a mark of its own
    mark = "f" + hashlib.sha256(f"{name}: {svg}".encode()).hexdigest()[:6] + "-"
    svg, rules = svg.replace(_MARK, mark), rules.replace(_MARK, mark)
    box = re.search(r'viewBox="[^"]+"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img"'
    lines = 'stroke-linejoin="round" stroke-linecap="butt"'  # in matplotlib's style element, which would rule the page
    return f'{opening} aria-label="{html.escape(alt)}" {lines}>{rules}{svg[svg.index(">") + 1 :].strip()}'


def _classes(svg: str) -> tuple[str, str]:
    """The drawing with each style as a class, and the rules of these classes: hundreds of marks share a few styles."""
    styles = {
        found: f"{_MARK}{index}" for index, found in enumerate(dict.fromkeys(re.findall(r'style="([^"]+)"', svg)))
    }
    rules = "".join(f".{name}{{{style}}}" for style, name in styles.items())
    return re.sub(r'style="([^"]+)"', lambda found: f'class="{styles[found[1]]}"', svg), f"<style>{rules}</style>"


def _font(found: re.Match) -> str:
    weight = f"; font-weight: {found[1]}" if found[1] else ""
    return f"font-size: {found[2]}px{weight}"


def _colour(found: re.Match) -> str:
    colour = found[0]
    if colour == style.INK:
        return "currentColor"
    if colour == style.GROUND:
        return "var(--pst-color-background, #ffffff)"
    return f"var(--lmc-{colour[1:]}, {colour})" if colour in style.DARK else colour


def dark_colours(drawings: Iterable[str]) -> str:
    """What the colours of ``drawings`` become on a dark page, as a style sheet."""
    used = {colour for each in drawings for colour in re.findall(r"var\(--lmc-(\w{6})", each)}
    changes = "; ".join(f"--lmc-{colour}: {style.DARK['#' + colour]}" for colour in sorted(used))
    # JupyterLab and the book say in two ways that the page is dark; paper is never dark
    selectors = 'html[data-theme="dark"] .lmc-figure, [data-jp-theme-light="false"] .lmc-figure'
    return f"@media screen {{{selectors} {{{changes}}}}}"
