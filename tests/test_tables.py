"""Tables: means and spreads by hand, numbers of pairs, the paper's values, whole HTML."""

import html
from xml.etree import ElementTree

import pytest
from pandas import DataFrame

from lmcbook.pages import claims, tables
from lmcbook.pages.analysis.durations import COLUMNS, durations_table
from lmcbook.pages.analysis.labels import mean_and_deviation
from tests.helpers.synthetic_records import make_record, width_sweep


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        ([1.0, 2.0, 3.0], {}, "2.00 ± 1.00 (3)"),
        ([0.5], {"factor": 100, "digits": 0}, "50 (1)"),
        ([], {}, "–"),
        ([float("nan"), 2.0], {"digits": 1}, "2.0 (1)"),
        ([-1.0, -3.0], {"digits": 1}, "−2.0 ± 1.4 (2)"),
        ([-1e-9], {}, "0.00 (1)"),
        ([1.0, 3.0], {"digits": 0, "count": False}, "2 ± 1"),
    ],
)
def test_means_come_with_spread_and_number(values, options, text):
    assert mean_and_deviation(values, **{"count": True} | options).replace("\u00a0", " ") == text


def test_barriers_have_a_row_for_each_network_decay_and_width():
    table = tables.barriers([*width_sweep(widths=(1, 2), pairs=3), make_record(2, recipe="vgg11-digits")])
    assert list(table["network"]) == ["MLP on digits"] * 4 + ["VGG-11 on digits"]
    assert list(table["weight decay"]) == ["3e-3", "3e-3", "1e-4", "1e-4", "3e-3"]
    assert list(table["width"]) == ["×1", "×2", "×1", "×2", "×2"]
    assert list(table["pairs"]) == [3, 3, 3, 3, 1]


def test_a_barrier_stands_in_its_cell():
    dips = (0.1, 0.2, 0.3)
    records = [make_record(seeds=(2 * i, 2 * i + 1), depth_of_dip=dip) for i, dip in enumerate(dips)]
    row = tables.barriers(records).iloc[0]
    assert row["accuracy barrier (points)"].replace("\u00a0", " ") == "20.0 ± 10.0"
    assert row["calibrated loss barrier (nats)"].replace("\u00a0", " ") == "0.300 ± 0.150"
    control = tables.barriers(records, alignment="random")
    assert control.empty and "accuracy barrier (points)" in control.columns


def test_alignments_stand_side_by_side():
    records = [
        make_record(width, seeds=(2 * i, 2 * i + 1), alignment=alignment, depth_of_dip=dip / width)
        for width in (1, 2)
        for alignment, dips in (("identity", (0.1, 0.2)), ("weight_matching", (0.01, 0.02)))
        for i, dip in enumerate(dips)
    ]
    table = tables.alignments([*records, make_record(1, weight_decay=1e-4)])
    assert list(table.columns) == ["network", "barrier:", "width", "pairs", "unpermuted", "b matched by weights"]
    assert len(table) == 3 * 2 and set(table["pairs"]) == {"2"}
    row = table.iloc[0]
    assert (row["barrier:"], row["width"]) == ("accuracy (points)", "×1")
    assert row["unpermuted"].replace("\u00a0", " ") == "15.0 ± 7.1"
    assert row["b matched by weights"].replace("\u00a0", " ") == "1.5 ± 0.7"
    assert tables.alignments([]).empty


def test_html_is_whole_and_escaped():
    table = DataFrame([["a", "x", "1 < 2"], ["a", "x", "3"], ["a", "y", "4"]], columns=["network", "decay", "value"])
    page = tables.to_html(table, caption="A & B", groups=2)
    root = ElementTree.fromstring(f"<page>{page}</page>")
    assert ["".join(each.itertext()) for each in root.iter("caption")] == ["A & B"]
    assert ["".join(each.itertext()) for each in root.iter("th")] == ["value", "a, decay x", "a, decay y"]
    assert [each.text for each in root.iter("td")] == ["1 < 2", "3", "4"]
    region = next(each for each in root.iter("div") if each.get("role") == "region")
    assert region.get("tabindex") == "0" and region.get("aria-label") == "A & B"


def test_a_table_says_where_its_numbers_come_from():
    records = [make_record()]
    page = tables.to_html(tables.barriers(records), caption="c", records=records, command="run me", name="barriers")
    assert "Test Processor 3000" in page and "<code>run me</code>" in page and 'download="barriers.csv"' in page


def test_markdown():
    table = DataFrame([["a|b", 1]], columns=["x", "y"])
    assert tables.to_markdown(table) == "| x | y |\n| --- | --- |\n| a\\|b | 1 |"


@pytest.mark.slow
def test_the_ledger_is_in_parts_that_open():
    verdicts = [
        verdict for verdict in claims.judge(width_sweep() + width_sweep("mlp-mnist", (1, 2, 4))) if verdict.values
    ]
    page = tables.ledger_html(verdicts, records=width_sweep(), command="a command")
    groups = {verdict.claim.group for verdict in verdicts}
    assert len(groups) > 1 and page.count("</table></div></details>") == len(groups)
    assert page.count("<details open>") == 1
    assert page.count('<th scope="rowgroup"') >= len({verdict.claim.statement for verdict in verdicts})
    for group in groups:
        given = [verdict for verdict in verdicts if verdict.claim.group == group]
        assert f"<summary>{len(given)} on {html.escape(group)}: " in page
    assert page.count("a command") >= 1


def test_minutes_of_measuring_are_added_up_for_each_network_and_scale():
    times: dict[str, list[float | None]] = {"embedded": [90.0, 30.0, None], "desk": [600.0]}
    records = [
        make_record(scale=scale, seeds=(2 * place, 2 * place + 1), provenance={"seconds": seconds})
        for scale, of_scale in times.items()
        for place, seconds in enumerate(of_scale)
    ]
    table = durations_table([*records, make_record(recipe="vgg11-digits", provenance={"seconds": 42})])
    assert tuple(table.columns) == COLUMNS
    assert table.to_numpy().tolist() == [
        ["desk", "mlp-digits", 1, 10.0],
        ["embedded", "mlp-digits", 3, 2.0],
        ["embedded", "vgg11-digits", 1, 0.7],
    ]
    assert durations_table([make_record(provenance={"seconds": None})]).iloc[0, 3] == 0
