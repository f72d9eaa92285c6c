"""Puts a figure on a page: as SVG inside the page, with its finding, its data and where they come from."""

import base64
import hashlib
import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.lab.records import Record
from lmcbook.pages.analysis import layers as of_layers
from lmcbook.pages.analysis import lines as of_lines
from lmcbook.pages.analysis import permutations as matched
from lmcbook.pages.analysis import starts
from lmcbook.pages.analysis import sweeps as varied
from lmcbook.pages.analysis import units as of_units
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.figures import (
    additivity,
    batch_size,
    calibrating,
    costs,
    floors,
    laws,
    layers,
    lines,
    low_rank,
    permutations,
    predictions,
    spawned,
    style,
    temperatures,
    units,
    weight_decay,
)
from lmcbook.pages.figures.barriers import barrier_against_width, barrier_alt, barrier_table
from lmcbook.pages.figures.curves import (
    accuracy_against_coefficient,
    accuracy_alt,
    accuracy_table,
    loss_against_coefficient,
    loss_alt,
    loss_table,
)
from lmcbook.pages.figures.origin import origin
from lmcbook.pages.figures.temperature import (
    inverse_temperature_against_coefficient,
    inverse_temperature_alt,
    inverse_temperature_table,
)

Draw = Callable[..., Figure]


@dataclass(frozen=True, slots=True)
class Companions:
    """What every figure has beside its drawing."""

    table: Callable[[Sequence[Record]], DataFrame]
    """Exactly what it draws, which readers can take away as CSV."""
    alt: Callable[[Any], str]
    """What it shows, for those who do not see it."""
    by_table: bool = False
    """Whether it is drawn and told from its table, and not from the records."""


FIGURES: dict[Draw, Companions] = {
    accuracy_against_coefficient: Companions(accuracy_table, accuracy_alt),
    loss_against_coefficient: Companions(loss_table, loss_alt),
    barrier_against_width: Companions(barrier_table, barrier_alt),
    floors.floor_against_width: Companions(floors.floor_table, floors.floor_alt),
    inverse_temperature_against_coefficient: Companions(inverse_temperature_table, inverse_temperature_alt),
    **{draw: Companions(table, quantity.alt, True) for draw, (table, quantity) in layers.QUANTITIES.items()},
    laws.law_errors_by_layer: Companions(of_layers.law_errors_table, laws.law_errors_alt, True),
    predictions.temperature_against_width: Companions(
        predictions.temperature_width_table, predictions.temperature_width_alt
    ),
    predictions.temperature_against_depth: Companions(
        predictions.temperature_depth_table, predictions.temperature_depth_alt
    ),
    predictions.temperature_error_against_orthogonality: Companions(
        predictions.temperature_error_table, predictions.temperature_error_alt
    ),
    units.histograms_by_layer: Companions(of_units.histogram_table, units.histogram_alt, True),
    units.units_of_both_models: Companions(of_units.both_models_table, units.both_models_alt, True),
    units.active_units_against_width: Companions(of_units.active_table, units.active_alt, True),
    units.ranks_against_width: Companions(of_units.rank_table, units.rank_alt, True),
    additivity.weak_additivity_explained: Companions(of_units.gaussian_table, additivity.gaussian_alt, True),
    permutations.barrier_by_alignment: Companions(matched.alignment_table, permutations.alignment_alt, True),
    permutations.matching_gain: Companions(matched.gain_table, permutations.gain_alt, True),
    permutations.matching_inside: Companions(matched.inside_table, permutations.inside_alt, True),
    permutations.matching_laws: Companions(matched.inside_table, permutations.laws_alt, True),
    permutations.two_mechanisms: Companions(matched.mechanism_table, permutations.mechanism_alt, True),
    temperatures.loss_against_temperature: Companions(
        temperatures.sensitivity_table, temperatures.loss_against_temperature_alt
    ),
    temperatures.temperature_error_against_conditions: Companions(
        temperatures.temperature_conditions_table, temperatures.temperature_conditions_alt
    ),
    calibrating.reliability_diagrams: Companions(calibrating.reliability_table, calibrating.reliability_alt),
    calibrating.temperature_choices: Companions(calibrating.choices_table, calibrating.temperature_choices_alt),
    calibrating.calibration_examples: Companions(calibrating.examples_table, calibrating.calibration_examples_alt),
    costs.cost_against_width: Companions(matched.cost_table, costs.cost_alt, True),
    weight_decay.barriers_against_decay: Companions(varied.decay_table, weight_decay.barriers_against_decay_alt, True),
    weight_decay.conditions_against_decay: Companions(
        varied.decay_table, weight_decay.conditions_against_decay_alt, True
    ),
    batch_size.against_batch_size: Companions(varied.one_width, batch_size.against_batch_size_alt, True),
    batch_size.barrier_by_batch_size: Companions(varied.several_widths, batch_size.barrier_by_batch_size_alt, True),
    low_rank.against_penalty: Companions(varied.penalty_table, low_rank.against_penalty_alt, True),
    lines.loss_along_lines: Companions(of_lines.along_lines_table, lines.along_lines_alt, True),
    lines.halfway_against_width: Companions(of_lines.halfway_table, lines.halfway_alt, True),
    spawned.barriers_by_start: Companions(starts.spawned_table, spawned.barriers_by_start_alt, True),
    spawned.mechanisms_by_start: Companions(starts.mechanisms_table, spawned.mechanisms_by_start_alt, True),
    weight_decay.against_decay_product: Companions(varied.decay_table, weight_decay.against_decay_product_alt, True),
}
"""Every figure of the book; a new one is one more line."""

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
.lmc-origin {{font-size: .875em; margin: .25rem 0 .5rem}}
.lmc-origin ul {{margin: .25rem 0; padding-left: 1.25rem}}
.lmc-origin code {{overflow-wrap: anywhere; white-space: normal}}
html[data-theme="dark"] .bd-content div.cell_output .text_html:has(.lmc-figure) {{
  background-color: transparent !important; color: inherit !important; padding: 0
}}
"""


def show(
    draw: Draw, records: Sequence[Record], finding: Sequence[str] = (), command: str = "", *, name: str = ""
) -> None:
    """Show ``draw(records)`` in a notebook and in the book.

    It is drawn twice, for a wide page and for a phone, and the page shows the one that fits. Caption and number are the
    book's: they stand in the cell's metadata (``mystnb.figure``).

    Args:
        draw: one of `FIGURES`.
        records: what it draws.
        finding: sentences that say what the numbers say, computed from the same records.
        command: what makes the figure again.
        name: of the file of its data; by default the figure's own.

    Raises:
        InputError: there is nothing to draw, or ``draw`` is not one of `FIGURES`.
    """
    from IPython.display import display

    text, alt = _page(draw, records, finding, command, name)
    display({"text/html": text, "text/plain": alt}, raw=True)


def to_html(
    draw: Draw, records: Sequence[Record], finding: Sequence[str] = (), command: str = "", *, name: str = ""
) -> str:
    """What `show` puts on the page; takes the same arguments and raises the same errors."""
    return _page(draw, records, finding, command, name)[0]


def _page(draw: Draw, records: Sequence[Record], finding: Sequence[str], command: str, name: str) -> tuple[str, str]:
    """The figure as HTML, and its alt text; the table is derived once for all that it is needed for."""
    if draw not in FIGURES:
        raise InputError(f"draw is {draw!r}; it may be one of: {', '.join(each.__name__ for each in FIGURES)}")
    name = name or draw.__name__.replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise InputError(f"name is {name!r}; it must be made of small letters, digits and '-'")
    figure, records = FIGURES[draw], Measurements.of(records)
    table = records.table(figure.table)
    if table.empty:
        raise InputError(f"figure {name} has no records to draw; measure some, or ask for others")
    shown = table if figure.by_table else records
    alt = figure.alt(shown)
    drawings = {
        kind: to_svg(draw(shown, narrow=kind == "narrow"), f"{name}-{kind}", alt) for kind in ("wide", "narrow")
    }
    used = {colour for each in drawings.values() for colour in re.findall(r"var\(--lmc-(\w{6})", each)}
    parts = [
        f"<style>{STYLE}{dark_colours(used)}</style>",
        *(f'<div class="lmc-{kind}">{svg}</div>' for kind, svg in drawings.items()),
        f'<ul class="lmc-finding">{"".join(f"<li>{html.escape(each)}</li>" for each in finding)}</ul>'
        if finding
        else "",
        origin_html(records, command=command, table=table, name=name),
    ]
    return f'<div class="lmc-figure">{"".join(parts)}</div>', alt


def origin_html(records: Sequence[Record], *, command: str = "", table: DataFrame | None = None, name: str = "") -> str:
    """Provenance, the command and, of a ``table``, the CSV as a link, folded away under one line."""
    items = [html.escape(line) for line in origin(records)]
    if command:
        items.append(f"Made again by <code>{html.escape(command)}</code>")
    if table is not None:
        csv = base64.b64encode(table.to_csv(index=False, float_format="%.6g").encode()).decode()
        items.append(
            f'<a download="{name}.csv" href="data:text/csv;charset=utf-8;base64,{csv}">'
            f"{html.escape(name)}.csv, {len(table)} rows</a>"
        )
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f'<details class="lmc-origin"><summary>Data and where they come from</summary><ul>{listed}</ul></details>'


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
    # of matplotlib's many ids, those that something refers to; several figures stand in one page, of one kind too, so
    # each gets a mark of its own
    mark = "f" + hashlib.sha256(f"{name}: {svg}".encode()).hexdigest()[:6]
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{mark}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{mark}-", svg)
    svg = re.sub(r"font: (?:(\d+) )?([\d.]+)px [^;\"]+", _font, svg)
    svg = re.sub(r"font-family: [^;\"]+; ?", "", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", _colour, svg)
    svg = re.sub(r' transform="rotate\(-0 [^)]+\)"', "", svg)
    # a hundredth of a point is finer than any screen, and half of the file; but words keep their digits
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), svg)
    svg = re.sub(r"\s+", " ", svg).replace("> <", ">\n<")
    svg, rules = _classes(svg, mark)
    box = re.search(r'viewBox="[^"]+"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img"'
    lines = 'stroke-linejoin="round" stroke-linecap="butt"'  # in matplotlib's style element, which would rule the page
    return f'{opening} aria-label="{html.escape(alt)}" {lines}>{rules}{svg[svg.index(">") + 1 :].strip()}'


def _classes(svg: str, mark: str) -> tuple[str, str]:
    """The drawing with each style as a class, and the rules of these classes: hundreds of marks share a few styles."""
    styles = {
        found: f"{mark}-{index}" for index, found in enumerate(dict.fromkeys(re.findall(r'style="([^"]+)"', svg)))
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


def dark_colours(used: set[str]) -> str:
    changes = "; ".join(f"--lmc-{colour}: {style.DARK['#' + colour]}" for colour in sorted(used))
    # JupyterLab and the book each say in their own way that the page is dark; paper is never dark
    selectors = 'html[data-theme="dark"] .lmc-figure, [data-jp-theme-light="false"] .lmc-figure'
    return f"@media screen {{{selectors} {{{changes}}}}}"
