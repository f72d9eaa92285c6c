"""What stands on a page of a figure: its drawings, for a wide page and for a phone, and its finding."""

import html
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from lmcbook.errors import InputError
from lmcbook.pages.analysis.told import tables_of, together
from lmcbook.pages.figures.svg import dark_colours, to_svg
from lmcbook.pages.table_markup import HEADING, head_and_body

_PHONE = "600px"

STYLE = f"""
.lmc-figure svg {{display: block; width: 100%; height: auto; margin: 0 auto; font-family: inherit; overflow: visible}}
.lmc-figure .lmc-wide {{max-width: 48rem}}
.lmc-figure .lmc-narrow {{display: none; max-width: 30rem}}
@media screen and (max-width: {_PHONE}) {{
  .lmc-figure .lmc-wide {{display: none}} .lmc-figure .lmc-narrow {{display: block}}
}}
.lmc-figure {{text-align: left}}
.lmc-finding {{margin: .75rem 0 .25rem; padding-left: 1.25rem; font-size: .9375em}}
.lmc-numbers {{overflow-x: auto; font-size: .875em; margin: .25rem 0 .5rem}}
.lmc-numbers td, .lmc-numbers th {{padding: .1rem .75rem .1rem 0; text-align: left; vertical-align: top}}
.lmc-numbers th {{font-weight: inherit}}
.lmc-numbers th[scope="rowgroup"] {{padding-top: .4rem; font-weight: 600}}
.lmc-numbers th[scope="rowgroup"] span {{{HEADING}}}
.lmc-numbers td {{font-variant-numeric: tabular-nums}}
.lmc-origin {{font-size: .875em; margin: .25rem 0 .5rem}}
.lmc-origin ul {{margin: .25rem 0; padding-left: 1.25rem}}
.lmc-origin code {{overflow-wrap: anywhere; white-space: normal}}
html[data-theme="dark"] .bd-content div.cell_output .text_html:has(.lmc-figure) {{
  background-color: transparent !important; color: inherit !important; padding: 0
}}
"""


def figure_html(
    draw: Callable[[bool], Figure], *, name: str, alt: str, finding: str | Sequence[str] = (), origin: str
) -> str:
    """A figure drawn for a wide page and for a phone; the page shows that which fits.

    Args:
        draw: whether for a phone → the figure.
        name: of the figure, in small letters, digits and hyphens.
        alt: what it shows, for those who do not see it.
        finding: what its numbers say: one sentence, or a list of them.
        origin: of `origin_html`.
    """
    drawings = {kind: to_svg(draw(kind == "narrow"), f"{name}-{kind}", alt) for kind in ("wide", "narrow")}
    said = f'<p class="lmc-finding">{html.escape(finding)}</p>' if isinstance(finding, str) else listed(finding)
    parts = [
        f"<style>{STYLE}</style><style>{dark_colours(drawings.values())}</style>",
        *(f'<div class="lmc-{kind}">{svg}</div>' for kind, svg in drawings.items()),
        said if finding else "",
        origin,
    ]
    return f'<div class="lmc-figure">{"".join(parts)}</div>'


def listed(finding: Sequence[str]) -> str:
    """Sentences as a list, and below it the numbers that they have beside them, as one small table."""
    said = f'<ul class="lmc-finding">{"".join(f"<li>{html.escape(each)}</li>" for each in together(finding))}</ul>'
    return said + numbers_html(finding)


def numbers_html(finding: str | Sequence[str]) -> str:
    """The numbers that sentences have beside them as a small table for each kind; nothing, where they have none.

    Where rows that follow each other begin alike, as with the same network, that becomes a heading over them.
    """
    parts: list[str] = []
    for table in tables_of(finding):
        first = list(table.iloc[:, 0])
        repeats = any(one == other for one, other in pairwise(first))
        name = f"Numbers of this figure{f', part {len(parts) + 1}' if parts else ''}"
        region = f'<div class="lmc-numbers" role="region" tabindex="0" aria-label="{name}">'
        parts.append(f"{region}<table>{head_and_body(table, groups=int(repeats))}</table></div>")
    return "".join(parts)


def file_name(name: str) -> str:
    """``name`` itself, if it can be a file's.

    Raises:
        InputError: it has other characters than small letters, digits and hyphens.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise InputError(f"name is {name!r}; it must be made of small letters, digits and '-'")
    return name
