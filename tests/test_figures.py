"""Figures: drawn from records alone, the same twice, readable in light, dark and grey, at home in any page."""

import re
from functools import cache
from io import StringIO
from xml.etree import ElementTree

import numpy
import pandas
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from lmcbook.errors import InputError
from lmcbook.pages import figures
from lmcbook.pages.analysis.barriers import barrier_table
from lmcbook.pages.analysis.curves import accuracy_table, inverse_temperature_table, loss_table
from lmcbook.pages.analysis.labels import coefficient_label, decay_label, recipe_label, width_label
from lmcbook.pages.figures import style
from lmcbook.pages.figures.svg import to_svg
from tests.helpers.drawn import alt_of, check_layout, data_of, drawn, first_of_each_module, page_of
from tests.helpers.synthetic_records import layers_sweep, make_record, width_sweep

ELSEWHERE = (
    *("batch_size", "calibrating", "chain", "common_mode_controls", "costs", "lines", "low_rank"),
    *("one_network", "parts", "repairs", "spawned", "temperatures", "weight_decay"),
)
"""Modules whose figures are drawn from other measurements or at one width, and tested with records of that kind."""

ALL = [draw for draw in figures.FIGURES if draw.__module__.split(".")[-1] not in ELSEWHERE]


@pytest.fixture(scope="module")
def sweep():
    return width_sweep(widths=(1, 4, 16), pairs=2) + width_sweep("vgg11-digits", (2, 8), pairs=1)


@pytest.fixture(scope="module")
def everything(sweep):
    return sweep + layers_sweep() + layers_sweep("vgg11-digits", (2, 8), pairs=1)


@pytest.fixture(scope="module")
def pages(everything):
    return cache(lambda draw: page_of(draw, everything))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in to_rgb(colour)]
    return float(numpy.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("draw", first_of_each_module(ALL))
@pytest.mark.parametrize("narrow", [False, True])
def test_every_axis_is_named_and_nothing_is_cut_off(draw, narrow, pages):
    figure = pages(draw).figures[narrow]
    assert isinstance(figure, Figure)
    owners = (figure, *figure.subfigs)
    # panels that share their axes share the names of them too
    shared = [each.get_supylabel() for each in owners if each.get_supylabel()]
    assert shared or (all(axis.get_ylabel() or not narrow for axis in figure.axes) and figure.axes[0].get_ylabel())
    assert figure.axes[-1].get_xlabel() or any(each.get_supxlabel() for each in owners)
    check_layout(figure)
    legends = [each for owner in (*owners, *figure.axes) for each in owner.get_children() if isinstance(each, Legend)]
    assert legends, "what the colours mean must be said"


@pytest.mark.slow
@pytest.mark.parametrize("draw", {draw.__module__: draw for draw in ALL}.values())
def test_the_same_records_give_the_same_text(draw, everything, pages):
    """A figure of each module; what could differ, ids and dates, is `to_svg`'s."""
    assert figures.to_html(draw, everything, ["a finding"], "a command") == pages(draw).text


def test_the_text_does_not_hang_on_the_last_bits_of_places():
    """A layout adds numbers in an order that is not the same in every process, and matplotlib makes ids of them."""
    texts = set()
    for change in (0.0, 1e-13):
        figure = Figure(figsize=(3, 2))
        for left in (0.1, 0.6):
            figure.add_axes((left + change, 0.2, 0.3, 0.6 + change)).plot([0, 1], [0, 1], marker="o")
        texts.add(to_svg(figure, "name", "words"))
    assert len(texts) == 1
    assert len(set(re.findall(r'<clipPath id="([^"]+)"', texts.pop()))) == 2


@pytest.mark.parametrize("draw", first_of_each_module(ALL))
def test_the_page_gets_whole_svg_with_words_for_those_who_do_not_see_it(draw, everything, pages):
    page = pages(draw).text
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 2
    alt = alt_of(draw, everything)
    assert "MLP on digits" in alt and "×16" in alt
    ids = []
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("role") == "img" and root.get("aria-label") == alt
        assert "DejaVu" not in drawing and "*{" not in drawing, "fonts and rules would leak into the page"
        here = re.findall(r' id="([^"]+)"', drawing)
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', drawing)) == set(here)
        ids += here
    assert len(ids) == len(set(ids)), "an id is one element's in a page of several figures"
    colours = set(re.findall(r"#[0-9a-f]{6}\b", "".join(drawings)))
    assert colours <= {*figures.style.DARK, "#ffffff"}, "every colour has a counterpart on a dark page"


@pytest.mark.parametrize("draw", first_of_each_module(ALL))
def test_the_data_of_a_figure_can_be_taken_away(draw, everything, pages):
    import base64

    found = re.search(r'download="([^"]+)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', pages(draw).text)
    assert found is not None and found[1] == draw.__name__.replace("_", "-") + ".csv"
    table = pandas.read_csv(StringIO(base64.b64decode(found[2]).decode()))
    expected = data_of(draw, everything)
    assert list(table.columns) == list(expected.columns) and len(table) == len(expected)
    for column in expected.select_dtypes("number"):
        numpy.testing.assert_allclose(table[column], expected[column].astype(float), rtol=1e-5)


def test_every_pair_is_a_point_and_the_line_is_their_mean(sweep):
    figure = drawn(figures.barrier_against_width, sweep)
    points, line = figure.axes[0].lines[:2]
    table = barrier_table(sweep)
    chosen = table[
        (table["recipe"] == "mlp-digits") & (table["weight_decay"] == 3e-3) & (table["alignment"] == "identity")
    ]
    assert len(points.get_xdata()) == len(chosen) == 6  # type: ignore[arg-type]
    means = 100 * chosen.groupby("width_multiplier")["midpoint_accuracy_barrier"].mean()
    numpy.testing.assert_allclose(line.get_ydata(), means)  # type: ignore[arg-type]


def test_barriers_that_are_not_above_zero_are_shown_on_an_axis_that_says_so():
    records = [make_record(width, depth_of_dip=dip) for width, dip in ((1, 0.5), (4, 0.05), (16, -0.004))]
    axis = drawn(figures.barrier_against_width, records).axes[0]
    assert axis.get_yscale() == "symlog" and "linear where shaded" in axis.get_ylabel()
    assert axis.get_ylim()[0] < -0.4 < axis.get_ylim()[1]
    assert drawn(figures.barrier_against_width, records[:2]).axes[0].get_yscale() == "log"


def test_random_permutations_are_no_curves_of_figure_one(sweep):
    assert len(accuracy_table(sweep)) == 25 * len([one for one in sweep if one.config.alignment == "identity"])
    assert set(loss_table(sweep)["weight_decay"]) == {3e-3}


def test_the_prediction_is_that_of_definition_4_1():
    table = inverse_temperature_table([make_record(), make_record(recipe="vgg11-digits")])
    middle = table[table["coefficient"] == 0.5].set_index("recipe")["predicted_inverse_temperature"]
    # the ensemble's own, 1.1 in these records, times 2^(4 - 1); twice that where batch norm rescales every layer
    assert middle["mlp-digits"] == pytest.approx(8.8) and middle["vgg11-digits"] == pytest.approx(2.2)
    end = table[(table["coefficient"] == 1) & (table["recipe"] == "mlp-digits")]
    assert end["predicted_inverse_temperature"].item() == pytest.approx(1.1)


def test_the_prediction_takes_each_pairs_own_depth():
    own, shallow = make_record(), make_record(num_layers=3)
    for records in ([own, shallow], [shallow, own]):
        table = inverse_temperature_table(records)
        middle = table[table["coefficient"] == 0.5]["predicted_inverse_temperature"]
        assert sorted(middle) == pytest.approx([1.1 * 4, 1.1 * 8])


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(InputError, match="figure barrier-against-width has no records to draw"):
        figures.to_html(figures.barrier_against_width, [])
    with pytest.raises(InputError, match="it may be one of: accuracy_against_coefficient"):
        figures.to_html(lambda records, narrow: Figure(), [make_record()])
    with pytest.raises(InputError, match="name is 'A b'; it must be made of small letters"):
        figures.to_html(figures.barrier_against_width, [make_record()], name="A b")


def test_without_records_no_figure_is_shown_where_there_need_not_be_any(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *output, **_: shown.append(output))
    figures.show_any(figures.barrier_against_width, [], ["finding"], "command")
    assert shown == []
    with pytest.raises(InputError, match="has no records to draw"):
        figures.show(figures.barrier_against_width, [], ["finding"], "command")


def test_where_the_numbers_come_from_is_said(sweep):
    text = " ".join(figures.origin(sweep))
    assert "embedded" in text and "32 records, n = 1 to 2 pairs" in text
    assert "Test Processor 3000 (1 thread)" in text and "on 2026-01-02" in text and "0123456789" in text
    changed = make_record(provenance={"dirty": True, "gpu": "Test GPU"}, short=True)
    text = " ".join(figures.origin([changed]))
    assert (
        "0123456789 with changes" in text and "Test GPU" in text and "1 of 1 records are of trainings shortened" in text
    )
    assert "unknown (measured outside git)" in " ".join(figures.origin([make_record(provenance={"commit": None})]))


def test_widths_can_be_told_apart_in_light_dark_and_grey():
    colours = list(style.width_colours([1, 2, 4, 8, 16, 32, 64]).values())
    light = [luminance(colour) for colour in colours]
    dark = [luminance(style.DARK[colour]) for colour in colours]
    assert light == sorted(light, reverse=True) and dark == sorted(dark), "lightness runs one way"
    assert min(contrast(colour, "#ffffff") for colour in colours) > 1.7
    assert min(contrast(style.DARK[colour], "#121212") for colour in colours) > 3


@pytest.mark.parametrize("colour", [style.STRONG, style.WEAK, style.CONTROL, style.FOURTH])
def test_marks_stand_out_on_either_page(colour):
    assert contrast(colour, "#ffffff") >= 4.5 and contrast(style.DARK[colour], "#121212") >= 4.5


@pytest.mark.parametrize(
    ("width", "label"), [(1.0, "×1"), (0.25, "×1/4"), (0.0625, "×1/16"), (16.0, "×16"), (1.5, "×1.5"), (0.3, "×0.3")]
)
def test_widths_are_written_as_in_the_paper(width, label):
    assert width_label(width) == label


@pytest.mark.parametrize(("coefficient", "label"), [(0.25, "¼"), (0.5, "½"), (0.75, "¾"), (0.1, "0.1"), (0.0, "0")])
def test_coefficients_are_written_as_on_the_axes(coefficient, label):
    assert coefficient_label(coefficient) == label


def test_other_labels():
    assert [decay_label(each) for each in (3e-3, 1e-4, 0.0, 2.5e-3)] == ["3e-3", "1e-4", "0", "2.5e-3"]
    assert recipe_label("resnet20-cifar10") == "ResNet-20 on CIFAR-10"
    assert recipe_label("mlp-our_photos") == "MLP on our_photos" and recipe_label("mine") == "mine"


def test_the_readers_own_settings_are_back_after_drawing(sweep):
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawn(figures.accuracy_against_coefficient, sweep)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
def test_a_figure_is_shown_in_a_notebook(sweep, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    figures.show(figures.barrier_against_width, sweep, ["a <finding>"], "papermill x.ipynb")
    assert "a &lt;finding&gt;" in shown[0]["text/html"] and "<code>papermill x.ipynb</code>" in shown[0]["text/html"]
    assert shown[0]["text/plain"].startswith("Barriers in accuracy")
    figures.show_any(figures.barrier_against_width, sweep, ["a <finding>"], "papermill x.ipynb")
    assert shown[1] == shown[0]
