"""Tests of what explorers draw: charts, numbers, and the units of a layer as marks in few bytes."""

import math
import random
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from lmcbook.pages import widgets
from lmcbook.pages.widgets import drawing
from lmcbook.pages.widgets.unit_grid import MARKS
from tests.helpers.explorers import by_layer, sweep


def test_a_chart_puts_values_where_they_belong():
    chart = drawing.Chart(title="t", x=(0.0, 1.0), y=(0.0, 2.0), x_ticks={}, y_ticks={}, x_label="x")
    assert (chart.across(0), chart.across(1)) == (chart.left, chart.right)
    assert (chart.up(0), chart.up(2), chart.up(1)) == (chart.bottom, chart.top, (chart.top + chart.bottom) / 2)
    assert chart.up(50) == pytest.approx(chart.top - 0.03 * (chart.bottom - chart.top))
    logarithmic = drawing.Chart(
        title="t", x=(0.5, 8.0), y=(0.0, 1.0), x_ticks={}, y_ticks={}, x_label="x", logarithmic=True
    )
    assert logarithmic.across(2.0) == pytest.approx((chart.left + chart.right) / 2)


def test_a_line_stops_where_there_is_no_value():
    chart = drawing.Chart(title="t", x=(0.0, 4.0), y=(0.0, 1.0), x_ticks={}, y_ticks={}, x_label="x")
    line = chart.line([(0, 0.0), (1, 0.5), (2, None), (3, 7.0), (4, 1.0)], "l")
    assert re.sub(r"[^MlhvL]", "", line.split(' d="')[1]) == "MlM"
    assert chart.line([(0, None)], "l") == chart.dot(0, None, "k", 3) == chart.value(0, None, "0") == ""


def test_steps_of_a_line_add_up_to_its_places():
    draw = random.Random(0)
    chart = drawing.Chart(title="t", x=(0.0, 200.0), y=(0.0, 1.0), x_ticks={}, y_ticks={}, x_label="x")
    points = [(index, draw.random() if index % 3 else 0.5) for index in range(200)] + [
        (199, 0.5),
        (200, 0.5),
        (200, 0.75),
    ]
    x = y = 0.0
    steps = re.findall(r"([MlhvL])([^MlhvL\"]+)", chart.line(points, "l").split(' d="')[1])
    assert {step for step, _ in steps} == {*"Mlhv"}
    for (place, value), (step, numbers) in zip(points, steps, strict=True):
        given = [float(each) for each in re.findall(r"-?[\d.]+", numbers)]
        across, down = {"h": (given[0], 0), "v": (0, given[0])}.get(step) or given
        x, y = (across, down) if step == "M" else (x + across, y + down)
        assert (x, y) == (pytest.approx(chart.across(place), abs=0.051), pytest.approx(chart.up(value), abs=0.051))


@pytest.mark.parametrize("top", [0.013, 0.4, 1.0, 1.9, 2.31, 7.9, 64.0])
def test_ticks_are_few_round_and_reach_the_top(top):
    ticks = drawing.round_ticks(top)
    assert 3 <= len(ticks) <= 7 and min(ticks) == 0 and top <= max(ticks) <= 2 * top
    assert all(len(label) <= 5 for label in ticks.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.0, "12"), (0.04, "0"), (-0.04, "0"), (-0.51, "-.5"), (0.51, ".5"), (3.25, "3.2"), (170.96, "171")],
)
def test_coordinates_are_short(value, text):
    assert drawing.number(value) == text


def test_amounts_read_well():
    assert drawing.amount(None) == drawing.percent(None) == "–"
    assert drawing.amount(-0.0004, 3, "nats") == "0.000 nats"
    assert drawing.percent(-0.027, 1, "points") == "−2.7 points"
    assert drawing.mean([None, None]) is None and drawing.mean([1.0, None, 2.0]) == 1.5


# --- active units ------------------------------------------------------------------------------------------------


def test_units_are_marked_in_proportion_and_the_first_are_the_most_active_of_a():
    record = by_layer(1.0)
    for entry in record.data["layers"]:
        if "units" in entry:
            entry["units"]["a"]["root_second_moments"] = [0.0, 2.0, 1.0, *[0.0] * 13]
            entry["units"]["b"]["root_second_moments"] = [1.0, 0.0, *[0.0] * 14]
    explorer = widgets.active_units([record]).members[0]
    frame = explorer.draw(explorer.start())[-1]
    discs, squares = units_of(frame)
    assert len(discs) == 2 and len(squares) == 1
    (first, across, down), (second, *_) = discs
    assert first == pytest.approx(2 * second, abs=0.2)
    x, y, side = squares[0]
    third = x + side / 2, y + side / 2
    assert third[0] - discs[1][1] == pytest.approx(discs[1][1] - across, abs=0.2)
    assert third[1] == pytest.approx(down, abs=0.2)
    assert "all 16 units, seeds 0 and 1" in frame


def test_units_stand_in_a_grid_whichever_way_their_marks_are_drawn():
    """Many of one size are points with round caps, few are arcs, and each begins where the one before it stood."""
    record = by_layer(8.0)
    for entry in record.data["layers"]:
        if "units" in entry:
            entry["units"]["a"]["root_second_moments"] = [2.0] * 50 + [1.5, 1.25] + [1.0] * 76
            entry["units"]["b"]["root_second_moments"] = [2.0] * 128
    frame = widgets.active_units([record]).members[0].draw({"width_multiplier": 8.0, "weight_decay": 3e-3, "depth": 2})
    discs, squares = units_of(frame[-1])
    assert frame[-1].count("stroke-width=") == 2 and frame[-1].count(" 0 1 0 ") == 2
    assert len(discs) == len(squares) == 128
    centres = {(x + side / 2, y + side / 2) for x, y, side in squares}
    assert len(centres) == 128
    for _, x, y in discs:
        assert min(math.dist(centre, (x, y)) for centre in centres) < 0.15, "a disc is not in the middle of its square"
    largest = max(size for size, *_ in discs)
    assert sorted({size / largest for size, *_ in discs}) == pytest.approx([0.5, 0.625, 0.75, 1], abs=0.02)


def test_many_units_take_few_bytes():
    record = by_layer(32.0, units=512)
    explorer = widgets.active_units([record]).members[0]
    frame = explorer.draw(explorer.start())[-1]
    discs, squares = units_of(frame)
    assert len(frame) < 17 * (len(discs) + len(squares)) and len(discs) > 400


def test_wide_layers_are_sampled_and_the_frame_says_so():
    records = sweep(by_layer, (8.0, 32.0), num_layers=20, units=2048, recipe="resnet20-cifar10", pairs=1)
    explorer = widgets.active_units(records).members[0]
    frame = explorer.draw(explorer.start())[-1]
    shown = int(frame.split("layer 2: ")[1].split(" of 2048 units, evenly chosen")[0])
    assert shown & (shown - 1) == 0
    assert shown * 2 * 2 * 19 <= MARKS < 2 * shown * 2 * 2 * 19


def units_of(frame: str) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """Of a frame's units: diameter and middle of each disc; corner and side of each square."""
    [group] = [
        each for each in ElementTree.fromstring(f"<div>{frame}</div>").iter("g") if each.get("transform") == "scale(.1)"
    ]
    discs, squares = [], []
    [square_path] = [each for each in group if each.get("class") == "B"]
    for x, y, shape in marks_of(square_path):
        side = float(re.fullmatch(r"h(\d+)v\1h-\1z", shape)[1])  # type: ignore[index]
        squares.append((x / 10, y / 10, side / 10))
    for element in group.iter("path"):
        if size := element.get("stroke-width"):
            assert all(shape == "h0" for *_, shape in marks_of(element))
            discs += [(float(size) / 10, x / 10, y / 10) for x, y, _ in marks_of(element)]
        elif element.get("class") == "A":
            for x, y, shape in marks_of(element):
                radius = float(re.fullmatch(r"a(\S+) \1 0 1 0 1 0z", shape)[1])  # type: ignore[index]
                discs.append((radius / 5, x / 10, (y + radius) / 10))
    return sorted(discs, reverse=True), squares


def marks_of(element: Any) -> list[tuple[int, int, str]]:
    """Where each mark of a path stands, and the steps of it; only marks that end where they begin."""
    found: list[tuple[int, int, str]] = []
    for move, x, y, shape in re.findall(r"([Mm])(-?\d+) ?(-?\d+)([^Mm]*)", element.get("d")):
        start = found[-1][:2] if move == "m" else (0, 0)
        found.append((start[0] + int(x), start[1] + int(y), shape))
    return found
