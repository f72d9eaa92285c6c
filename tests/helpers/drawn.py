"""What a figure is drawn and told from, and what it makes of records."""

import base64
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import pandas
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from pandas import DataFrame

from lmcbook.lab.records import Record
from lmcbook.pages.analysis import Measurements
from lmcbook.pages.figures import FIGURES, markup, style, to_html
from lmcbook.pages.figures.svg import to_svg


def drawn_from(draw: Any, records: Sequence[Record]) -> Any:
    """What ``draw`` and its alt text take: the figure's table."""
    return Measurements.of(records).table(FIGURES[draw].table)


def drawn(draw: Any, records: Sequence[Record], *, narrow: bool = False) -> Figure:
    return draw(drawn_from(draw, records), narrow=narrow)


def alt_of(draw: Any, records: Sequence[Record]) -> str:
    return FIGURES[draw].alt(drawn_from(draw, records))


def data_of(draw: Any, records: Sequence[Record]) -> DataFrame:
    """What readers can take away."""
    return FIGURES[draw].data(drawn_from(draw, records))


def text(said: str | Sequence[str]) -> str:
    """Sentences as one, with plain spaces."""
    return " ".join([said] if isinstance(said, str) else said).replace("\u00a0", " ")


def first_of_each_module(draws: Sequence[Any]) -> list[Any]:
    """Parameters of a test of every figure: the fast part takes a figure of each module."""
    first = {draw.__module__: draw for draw in reversed(draws)}.values()
    return [pytest.param(draw, id=draw.__name__, marks=[] if draw in first else pytest.mark.slow) for draw in draws]


@dataclass(frozen=True)
class Page:
    """A figure's part of a page, and the two drawings in it: for a wide page, and for a phone."""

    text: str
    figures: tuple[Figure, ...]


def page_of(draw: Any, records: Sequence[Record]) -> Page:
    """Drawn once for all that is tested of it; drawing takes far longer than looking."""
    with patch.object(markup, "to_svg", wraps=to_svg) as drawing:
        text = to_html(draw, records, ["a finding"], "a command")
    return Page(text, tuple(call.args[0] for call in drawing.call_args_list))


def check_axes(figure: Figure) -> None:
    """Axes are named, nothing is cut off, and there is a legend."""
    assert isinstance(figure, Figure) and figure.axes[0].get_ylabel()
    assert all(axis.get_xlabel() for axis in figure.axes)
    check_layout(figure)
    owners = (figure, *figure.subfigs, *figure.axes)
    assert any(isinstance(each, Legend) for owner in owners for each in owner.get_children())


def check_page(draw: Any, records: Sequence[Record], page: Page) -> str:
    """The page has both drawings, in colours that the dark page knows, and the whole data; gives its alt text."""
    alt = alt_of(draw, records)
    assert "MLP on digits" in alt and "×16" in alt and "nan" not in alt
    drawings = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)
    assert len(drawings) == 2 and all(ElementTree.fromstring(each).get("aria-label") == alt for each in drawings)
    colours = set(re.findall(r"#[0-9a-f]{6}\b", "".join(drawings)))
    assert colours <= {*style.DARK, "#ffffff"}, "every colour has a counterpart on a dark page"
    found = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', page.text)
    assert found is not None
    table = pandas.read_csv(StringIO(base64.b64decode(found[1]).decode()))
    assert len(table) == len(data_of(draw, records)) > 0
    return alt


def check_layout(figure: Figure) -> None:
    """Nothing is drawn beyond the figure's edge, and no two labels of one axis touch."""
    canvas = FigureCanvasAgg(figure)
    if figure.stale:  # what was drawn for a page is laid out already
        canvas.draw()
    renderer = canvas.get_renderer()
    drawn, (width, height) = figure.get_tightbbox(renderer), figure.get_size_inches()
    # inches: the letters of this renderer are up to two pixels wider than those of the SVG that the layout is made for
    assert min(drawn.x0, drawn.y0, width - drawn.x1, height - drawn.y1) > -0.04
    for axis in figure.axes:
        ticks = (axis.get_xticklabels(), axis.get_xlim()), (axis.get_yticklabels(), axis.get_ylim())
        for direction, (labels, (low, high)) in enumerate(ticks):
            shown = [
                label.get_window_extent(renderer)
                for label in labels
                if label.get_text() and low <= label.get_position()[direction] <= high
            ]
            assert not any(one.overlaps(other) for one, other in itertools.combinations(shown, 2))
