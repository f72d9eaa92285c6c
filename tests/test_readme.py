"""The picture and the table at the top of the README are those of the records."""

import io
import re
from dataclasses import replace

import matplotlib
import pytest
from PIL import Image

from lmcbook.errors import InputError
from lmcbook.lab import paths, plan, present
from lmcbook.lab.records import write_record
from lmcbook.pages import readme
from lmcbook.pages.figures import style
from tests.helpers.chapters import ROOT
from tests.helpers.synthetic_records import make_record, width_sweep

TEXT = (ROOT / "README.md").read_text("utf-8")


def test_the_table_is_that_of_the_committed_records(committed_records):
    current = [record for record in committed_records if not record.outdated]
    assert readme.with_results(TEXT, current) == TEXT, "run python -m lmcbook.pages.readme"


def test_what_was_measured_here_since_is_not_in_the_picture(monkeypatch):
    monkeypatch.setattr(paths, "committed_records", lambda: ROOT / "records")
    committed = readme.front_page()
    first = committed[0]
    data = {**first.data, "measured_since": True}
    write_record(replace(first, data=data), paths.fresh_records())
    assert present([one for one in plan.width(plan.Selection()) if one.pair == first.config])[0].data == data
    assert len(committed) > 20 and readme.front_page() == committed


def test_the_table_follows_the_records():
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter"
    found = readme.with_results(text, [make_record(width, depth_of_dip=0.4 / width) for width in (1, 16)])
    assert found.startswith("before\n") and found.endswith("\nafter") and "old" not in found
    assert "| MLP on digits |" in found and "40.0" in found and "2.5" in found
    assert readme.with_results(found, [make_record(1), make_record(4)]) != found


@pytest.mark.parametrize(
    "text", ["no marks", f"{readme.END} {readme.BEGIN}", f"{readme.BEGIN} {readme.BEGIN} {readme.END}"]
)
def test_a_text_without_marks_is_refused(text):
    with pytest.raises(InputError, match="put them where the table shall be"):
        readme.with_results(text, [])


def test_the_readme_opens_with_both_pictures():
    first = TEXT.split("\n## ")[0]
    assert re.findall(r'(?:srcset|src)="([^"]+)"', first) == [readme.PICTURES["dark"], readme.PICTURES["light"]]
    assert re.search(r'<img alt="[^"]{40,}"', first)
    for name in readme.PICTURES.values():
        svg = (ROOT / name).read_text("utf-8")
        assert svg.rstrip().endswith("</svg>") and len(svg) < 80_000 and "http://localhost" not in svg


def drawn(svg: str) -> tuple[str, list[float]]:
    """What a picture shows: its text without numbers, names of parts and matplotlib's version, and the numbers."""
    named = re.sub(r"<metadata>.*?</metadata>|\b[mp][0-9a-f]{10}\b", "", svg, flags=re.DOTALL)
    return re.sub(r"-?\d+(?:\.\d+)?", "0", named), [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", named)]


def differs(one: str, other: str) -> bool:
    (words, numbers), (other_words, other_numbers) = drawn(one), drawn(other)
    return words != other_words or max(abs(a - b) for a, b in zip(numbers, other_numbers, strict=True)) > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", readme.PICTURES)
def test_the_picture_is_that_of_the_committed_records(kind, monkeypatch):
    monkeypatch.setattr(paths, "committed_records", lambda: ROOT / "records")
    records = readme.front_page()
    committed = (ROOT / readme.PICTURES[kind]).read_text("utf-8")
    assert not differs(readme.picture(records, dark=kind == "dark"), committed), "run python -m lmcbook.pages.readme"
    stale = [record for record in records if tuple(record.config.seeds) != (0, 1)]
    assert 0 < len(stale) < len(records) and differs(readme.picture(stale, dark=kind == "dark"), committed)


@pytest.mark.slow
def test_the_picture_is_the_same_each_time_and_has_two_grounds():
    records = width_sweep(widths=(1, 16), pairs=1)
    light, dark = (readme.picture(records, dark=each) for each in (False, True))
    assert light == readme.picture(records) and light != dark
    assert style.INK in light and style.INK not in dark and style.DARK[style.FAINT] in dark
    assert f"matplotlib {matplotlib.__version__}" in light


@pytest.mark.slow
def test_the_card_has_the_size_that_is_asked_for_and_shows_its_records():
    sizes = {}
    for widths in ((1, 16), (1, 4)):
        content = readme.card(width_sweep(widths=widths, pairs=1))
        with Image.open(io.BytesIO(content)) as image:
            sizes[content] = image.size
    assert list(sizes.values()) == [(1200, 630)] * 2
    assert (ROOT / readme.CARD).stat().st_size < 150_000
    with Image.open(ROOT / readme.CARD) as image:
        assert image.size == (1200, 630)
