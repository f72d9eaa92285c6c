"""The README's picture and table of results, and the pages' card: ``python -m lmcbook.pages.readme`` makes them."""

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from PIL import Image

from lmcbook.errors import InputError
from lmcbook.lab import paths, plan
from lmcbook.lab.records import Record, RecordIndex, read_records
from lmcbook.pages.analysis.curves import accuracy_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.summary import cost_of_averaging
from lmcbook.pages.figures import style
from lmcbook.pages.figures.curves import accuracy_against_coefficient
from lmcbook.pages.tables import to_markdown

BEGIN, END = "<!-- results: python -m lmcbook.pages.readme -->", "<!-- end of results -->"
CARD = ".github/averages-card.png"
PICTURES = {"light": ".github/averages-light.svg", "dark": ".github/averages-dark.svg"}
_ON_DARK = {**style.DARK, style.INK: "#e6edf3", style.GROUND: "#0d1117"}


def front_page() -> list[Record]:
    """The records of the figure of the book's front page that came with the checkout; none measured here since."""
    index = RecordIndex(paths.committed_records())
    planned = plan.width(plan.Selection(recipes=["mlp-digits"]), alignments=["identity"])
    return [record for one in planned if (record := index.find(one.pair)) is not None]


def picture(records: Sequence[Record], *, dark: bool = False) -> str:
    """Accuracy along the line, the figure of the book's front page, as an SVG that stands by itself."""
    figure = accuracy_against_coefficient(Measurements.of(records).table(accuracy_table))
    buffer = io.StringIO()
    with style.applied():
        figure.patch.set_alpha(0)
        metadata = {"Date": None, "Creator": f"matplotlib {matplotlib.__version__}"}
        figure.savefig(buffer, format="svg", metadata=metadata)
    svg = re.sub(r"(\.\d\d)\d+", r"\1", buffer.getvalue())
    svg = svg.replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', sans-serif")
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: _ON_DARK.get(found[0], found[0]), svg) if dark else svg


def card(records: Sequence[Record]) -> bytes:
    """The same figure as PNG, in the size that social networks ask for: 1200 × 630 pixels."""
    figure = accuracy_against_coefficient(Measurements.of(records).table(accuracy_table))
    buffer = io.BytesIO()
    with style.applied():
        figure.set_size_inches(8, 4.2)
        figure.savefig(buffer, format="png", dpi=150, facecolor=style.GROUND)
    small = io.BytesIO()  # few colours take a third of the bytes
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(64).save(small, format="png", optimize=True)
    return small.getvalue()


def with_results(text: str, records: Sequence[Record]) -> str:
    """``text`` with the table of results between its two marks.

    Raises:
        InputError: the marks are not there, each once and in this order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"text has not the marks {BEGIN!r} and {END!r}, each once; put them where the table shall be")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{to_markdown(cost_of_averaging(records))}\n\n{END}{after}"


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write the pictures and the table of results of a checkout's README, and the card of its pages."""
    readme = folder / "README.md"
    text = with_results(readme.read_text(encoding="utf-8"), records)
    for kind, name in PICTURES.items():
        (folder / name).write_text(picture(front_page(), dark=kind == "dark"), encoding="utf-8")
    (folder / CARD).write_bytes(card(front_page()))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "."), read_records(paths.committed_records()))
