"""Tests of lmcbook.pages.widgets: what a browser shows without a kernel and with it, and what stands on paper."""

import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import ipywidgets
import pytest

from lmcbook.errors import InputError
from lmcbook.lab.config import PairConfig
from lmcbook.lab.records import Record
from lmcbook.pages import widgets
from lmcbook.pages.analysis.labels import width_label
from lmcbook.pages.widgets import drawing
from lmcbook.pages.widgets.explorer import states
from lmcbook.pages.widgets.source import sources
from lmcbook.pages.widgets.unit_grid import MARKS
from tests.helpers.synthetic_records import make_record, width_sweep

LIMIT = 1.5e6
"""Bytes that one network's explorer may take."""

WIDTHS = (1.0, 4.0, 32.0)
FACTORS = [2 ** (half / 2) for half in range(-6, 7)]


def along_the_line(**options: Any) -> Record:
    """A made-up interpolation record with what other temperatures would do."""
    record = make_record(**options)
    fitted = record.data["curve"]["inverse_temperature"][12]
    sweep = [
        {
            "inverse_temperature": fitted * factor,
            "loss": 0.3 + math.log2(factor) ** 2 / 10,
            "expected_calibration_error": abs(math.log2(factor)) / 10,
            "counts": [0, *[10] * 14],
            "confidence": [None, *((place + 0.5) / 15 for place in range(1, 15))],
            "accuracy": [None, *((place + 0.5) / 15 for place in range(1, 15))],
        }
        for factor in FACTORS
    ]
    return replace(record, data={**record.data, "temperatures": {"merged": sweep, "ensemble": sweep}})


def by_layer(width: float, *, num_layers: int = 4, units: int | None = None, **options: Any) -> Record:
    """A made-up layerwise record whose cosines rise with the width."""
    record = make_record(width, **options)
    draw = random.Random(str((width, record.config.seeds)))
    count = units or round(16 * width)
    layers: list[dict[str, Any]] = []
    for depth in range(1, num_layers + 1):
        metrics: dict[str, float] = {}
        more: dict[str, Any] = {}
        if depth < num_layers:
            metrics = {
                "overlap": 1 / width,
                "expected_overlap": 0.9 / width,
                "active_share_a": 0.5,
                "active_share_b": 0.5,
            }
            roots = {model: [draw.random() for _ in range(min(count, 1024))] for model in "ab"}
            more = {"units": {model: {"num_units": count, "root_second_moments": roots[model]} for model in "ab"}}
        layers.append({"layer": f"layer{depth}", "depth": depth, "coefficient": None, "metrics": metrics, **more})
    for depth in range(1, num_layers + 1):
        cosine = 1 - depth / 10 / width
        metrics = {"lewc_cosine": cosine, "decay_exponent": depth * cosine, "lewc_error": 0.1, "llfc_error": 0.5}
        layers.append({"layer": f"layer{depth}", "depth": depth, "coefficient": 0.5, "metrics": metrics})
        layers.append({"layer": f"layer{depth}", "depth": depth, "coefficient": 0.25, "metrics": {}})
    config = PairConfig(training=record.config.training, seeds=record.config.seeds, measurement="layerwise")
    return replace(record, config=config, measurement="layerwise", digest=config.digest, data={"layers": layers})


def sliding_rows(units: int = 8, num_layers: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "shared_units": shared,
            "units": units,
            "depth": depth,
            "decay_exponent": depth - (depth - 1) * shared / units,
            "lewc_error": shared / units,
            "llfc_error": 1 - shared / units,
            "orthogonality": math.nan if depth == 1 else shared / units,
            "commutativity": math.nan if depth == 1 else 1 - shared / units,
        }
        for shared in (0, 2, 4, units)
        for depth in range(1, num_layers + 1)
    ]


def sweep(make: Any, widths: tuple[float, ...] = WIDTHS, pairs: int = 2, **options: Any) -> list[Record]:
    return [
        make(width=width, weight_decay=decay, seeds=seeds, **options)
        for width in widths
        for decay in (3e-3, 1e-4)
        for seeds in ((0, 1), (2, 3), (4, 5))[:pairs]
    ]


@pytest.fixture(autouse=True)
def no_widgets_left() -> Iterator[None]:
    ipywidgets.Widget.close_all()
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture(scope="module")
def explorers() -> dict[str, widgets.Explorer]:
    """One network's explorer of each kind."""
    lines, layers = sweep(along_the_line), sweep(by_layer)
    return {
        "barrier": widgets.barrier(lines).members[0],
        "layers": widgets.layers(layers).members[0],
        "active_units": widgets.active_units(layers).members[0],
        "temperature": widgets.temperature(lines).members[0],
        "theorem": widgets.theorem(sliding_rows()),
    }


KINDS = ("barrier", "layers", "active_units", "temperature", "theorem")


class Page:
    """What html-manager does with a page's widgets, as far as these explorers need it: links, stacks, nothing else."""

    def __init__(self) -> None:
        self.models = ipywidgets.Widget.get_manager_state()["state"]
        links = [each["state"] for each in self.models.values() if each["model_name"].endswith("LinkModel")]
        self.links = [(link["source"], link["target"], "Directional" not in link["_model_name"]) for link in links]

    @property
    def size(self) -> int:
        return len(json.dumps(self.models))

    def named(self, model_name: str) -> dict[str, dict[str, Any]]:
        """Models of one kind, by reference."""
        found = self.models.items()
        return {f"IPY_MODEL_{key}": model["state"] for key, model in found if model["model_name"] == model_name}

    def state(self, reference: str) -> dict[str, Any]:
        return self.models[reference.removeprefix("IPY_MODEL_")]["state"]

    def control(self, label: str) -> str:
        names = ("SelectionSliderModel", "ToggleButtonsModel", "DropdownModel")
        [found] = [key for name in names for key, state in self.named(name).items() if state["description"] == label]
        return found

    def set(self, reference: str, trait: str, value: int) -> None:
        """Set a value and follow the links."""
        if self.state(reference)[trait] == value:
            return
        self.state(reference)[trait] = value
        for source, target, both_ways in self.links:
            for here, there in ((source, target), (target, source))[: 2 if both_ways else 1]:
                if here == [reference, trait]:
                    self.set(there[0], there[1], value)

    def shown(self, reference: str) -> list[str]:
        """The HTML that is visible under a widget, in order."""
        state = self.state(reference)
        if "children" not in state:
            return [state["value"]] if state["_model_name"] == "HTMLModel" else []
        if state["_model_name"] == "StackModel":
            return self.shown(state["children"][state["selected_index"]])
        return [text for child in state["children"] for text in self.shown(child)]


def stage_of(page: Page) -> str:
    [stage] = [key for key, state in page.named("GridBoxModel").items() if "lmc-stage" in state["_dom_classes"]]
    return stage


# --- without a kernel --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_kernel_the_page_shows_what_the_controls_say(kind, explorers):
    explorer = explorers[kind]
    explorer.widget()
    page = Page()
    stage = stage_of(page)
    assert page.shown(stage) == explorer.draw(explorer.start())
    every = states(explorer.controls)
    for state in random.Random(0).sample(every, min(12, len(every))):
        for control in explorer.controls:
            page.set(page.control(control.label), "index", control.values.index(state[control.name]))
        assert page.shown(stage) == explorer.draw(state)


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_well_formed_and_says_what_it_shows(kind, explorers):
    explorer = explorers[kind]
    labels = []
    for state in states(explorer.controls):
        layers = [ElementTree.fromstring(f"<div>{layer}</div>") for layer in explorer.draw(state)]
        named = [each for layer in layers for each in layer.iter() if each.get("role") == "img"]
        assert len(named) == 1, "one picture, however many layers it is made of"
        labels.append(named[0].get("aria-label") or "")
        bare = [each for layer in layers for each in layer.iter("svg") if not each.get("viewBox")]
        assert bare == []
    assert all(len(label) > 40 for label in labels)
    assert len(set(labels)) == len(labels), "two states sound the same"


@pytest.mark.parametrize("kind", KINDS)
def test_play_runs_through_one_slider(kind, explorers):
    explorer = explorers[kind]
    explorer.widget()
    page = Page()
    [played] = [control for control in explorer.controls if control.play]
    [play] = page.named("PlayModel")
    assert page.state(play)["max"] == len(played.options) - 1
    for value in range(len(played.options)):
        page.set(play, "value", value)
        assert page.state(page.control(played.label))["index"] == value
        assert page.shown(stage_of(page)) == explorer.draw({**explorer.start(), played.name: played.values[value]})


def test_the_barrier_has_thirteen_stops_and_draws_the_curve_once(explorers):
    explorer = explorers["barrier"]
    by_name = {control.name: control for control in explorer.controls}
    assert [len(control.options) for control in explorer.controls] == [3, 2, 2, 13]
    assert list(by_name["coefficient"].options)[::3] == ["0", "1/4", "1/2", "3/4", "1"]
    explorer.widget()
    frames = [state["value"] for state in Page().named("HTMLModel").values() if 'class="lmc-panels"' in state["value"]]
    assert sum("aria-hidden" in frame.split(">")[0] for frame in frames) == 3 * 2 * 2
    assert sum('role="img"' in frame.split(">")[0] for frame in frames) == 3 * 2 * 2 * 13


def test_numbers_on_a_frame_are_the_records(explorers):
    first, second = (make_record(32.0, seeds=seeds).data["curve"] for seeds in ((0, 1), (2, 3)))
    state = {"width_multiplier": 32.0, "weight_decay": 3e-3, "calibrated": True, "coefficient": 0.25}
    text = explorers["barrier"].draw(state)[1]
    assert f"<b>{50 * (first['accuracy'][6] + second['accuracy'][6]):.1f} %</b>" in text
    assert f"<b>{(first['calibrated_loss'][6] + second['calibrated_loss'][6]) / 2:.3f} nats</b>" in text
    assert f"<b>{(first['inverse_temperature'][6] + second['inverse_temperature'][6]) / 2:.2f}</b>" in text
    assert "mean of 2 pairs" in text


@pytest.mark.parametrize("kind", KINDS)
def test_largest_explorers_stay_small(kind):
    """The widest sweep of the plan: seven widths, three pairs; ResNet-20's layers with as many units as are kept."""
    widths = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    if kind in ("layers", "active_units"):
        records = sweep(by_layer, widths[:6], pairs=1, num_layers=20, units=2048, recipe="resnet20-cifar10")
    elif kind == "theorem":
        records = []
    else:
        records = sweep(along_the_line, widths, pairs=3)
    made = widgets.theorem(sliding_rows()) if kind == "theorem" else getattr(widgets, kind)(records).members[0]
    made.widget()
    assert Page().size < LIMIT
    assert len(made.still_html()) < LIMIT / 5


def test_a_choice_of_networks_shows_one_explorer_at_a_time():
    records = [*sweep(along_the_line), *sweep(along_the_line, recipe="resnet20-digits", pairs=1)]
    whole = widgets.barrier(records)
    root = f"IPY_MODEL_{whole.widget().model_id}"
    page = Page()
    assert [member.network for member in whole.members] == ["MLP on digits", "ResNet-20 on digits"]
    for index, title in enumerate(("The barrier: MLP on digits", "The barrier: ResNet-20 on digits")):
        page.set(page.control("network"), "index", index)
        assert [title in text for text in page.shown(root) if "lmc-title" in text] == [True]


def test_a_control_with_one_option_is_no_control():
    explorer = widgets.barrier([along_the_line(width=4.0)]).members[0]
    explorer.widget()
    labels = {
        state["description"]
        for name in ("SelectionSliderModel", "ToggleButtonsModel")
        for state in Page().named(name).values()
    }
    assert labels == {"loss", "λ"}


def test_what_was_not_measured_says_so():
    records = [
        record
        for record in sweep(by_layer)
        if record.config.training.width_multiplier != 4 or record.config.training.weight_decay == 3e-3
    ]
    explorer = widgets.layers(records).members[0]
    layers = explorer.draw({**explorer.start(), "width_multiplier": 4.0, "weight_decay": 1e-4})
    assert "No record of width ×4, weight decay 1e-4." in layers[0]
    explorer.widget()


@pytest.mark.parametrize("kind", ["barrier", "layers", "active_units", "temperature"])
@pytest.mark.parametrize("everywhere", [3e-3, 1e-4])
def test_a_weight_decay_that_some_widths_lack_breaks_nothing(kind, everywhere):
    """One of the two weight decays was trained at a single width, neither the narrowest nor the widest."""
    make = by_layer if kind in ("layers", "active_units") else along_the_line
    widths = (1.0, 4.0, 8.0, 32.0)
    records = [
        record
        for record in sweep(make, widths, recipe="mlp-mnist")
        if record.config.training.weight_decay == everywhere or record.config.training.width_multiplier == 4.0
    ]
    explorer = getattr(widgets, kind)(records).members[0]
    by_name = {control.name: control.values for control in explorer.controls}
    assert (by_name["width_multiplier"], by_name["weight_decay"]) == ([*widths], [3e-3, 1e-4])
    start = explorer.start()
    assert (start["weight_decay"], start["width_multiplier"] == 4.0) == (3e-3, everywhere != 3e-3)
    explorer.widget()
    page = Page()
    assert page.shown(stage_of(page)) == explorer.draw(start)
    for state in states(explorer.controls):
        text = "".join(explorer.draw(state))
        ElementTree.fromstring(f"<div>{text}</div>")
        measured = state["weight_decay"] == everywhere or state["width_multiplier"] == 4.0
        missing = f"No record of width {width_label(state['width_multiplier'])}, "
        assert (missing in text) is not measured
        assert (f'aria-label="{missing}' in text) is not measured, "those who listen are not told what is missing"
        assert "nan" not in text
    still = explorer.still_html()
    ElementTree.fromstring(f"<div>{still}</div>")
    assert "No record" not in still
    assert not re.search(r"(?<!\w)–(?!\w)", explorer.finding()), explorer.finding()
    assert not explorer.table().empty


def test_a_width_without_a_record_of_the_weight_decays_to_choose_from_is_not_offered():
    odd = make_record(16.0, weight_decay=1e-2)
    [source] = sources([*width_sweep(pairs=1, widths=(1.0, 2.0)), odd], "interpolation")
    assert (source.width_multipliers, source.weight_decays) == ((1.0, 2.0), (3e-3, 1e-4))


def test_networks_of_the_papers_data_come_first_and_the_one_of_most_widths_is_shown_first():
    records = [
        *sweep(along_the_line, pairs=1),
        *sweep(along_the_line, (1.0, 4.0), pairs=1, recipe="mlp-fashion_mnist", scale="paper"),
        *sweep(along_the_line, (1.0, 4.0), pairs=1, recipe="mlp-mnist", scale="paper"),
    ]
    whole = widgets.barrier(records)
    assert [member.network.split(" on ")[1] for member in whole.members] == ["MNIST", "Fashion-MNIST", "digits"]
    root = f"IPY_MODEL_{whole.widget().model_id}"
    page = Page()
    assert page.state(page.control("network"))["index"] == whole.start == 2
    assert ["MLP on digits" in text for text in page.shown(root) if "lmc-title" in text] == [True]
    [first, *_] = widgets.barrier(records, recipes=["mlp-digits", "mlp-mnist"]).members
    assert first.network == "MLP on digits", "who names the networks puts them in order"


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


# --- with a kernel -----------------------------------------------------------------------------------------------


def test_a_live_explorer_shows_what_compute_gives():
    asked: list[dict[str, Any]] = []

    def compute(**given: Any) -> list[Record]:
        asked.append(given)
        if given["width_multiplier"] == 9:
            raise InputError("epochs is 0; it must be at least 1")
        return [make_record(given["width_multiplier"], weight_decay=given["weight_decay"], depth_of_dip=0.123)]

    whole = widgets.barrier(compute=compute, recipes=["mlp-digits"], width_multipliers=[3, 5, 9], weight_decays=[1e-3])
    [explorer] = whole.members
    root = explorer.widget()
    [frame] = [each for each in _all(root) if isinstance(each, ipywidgets.HTML) and "lmc-stage" in each._dom_classes]
    width, _, coefficient = (each for each in _all(root) if hasattr(each, "index"))
    assert not [each for each in _all(root) if isinstance(each, ipywidgets.Stack)]
    assert "width ×3, weight decay 1e-3, λ = 1/2" in frame.value and "<b>83.7 %</b>" in frame.value

    width.index = 1
    assert "width ×5" in frame.value
    coefficient.index = 0
    assert "λ = 0:" in frame.value and "<b>96.0 %</b>" in frame.value
    width.index = 0
    assert asked == [{"recipe": "mlp-digits", "width_multiplier": each, "weight_decay": 1e-3} for each in (3.0, 5.0)]

    width.index = 2
    assert frame.value.startswith('<p class="lmc-failed" role="alert">epochs is 0')
    width.index = 1
    assert "width ×5" in frame.value


@pytest.mark.parametrize("kind", ["layers", "active_units"])
def test_live_explorers_of_layers_begin_with_a_first_computation(kind):
    def compute(recipe: str, width_multiplier: float, weight_decay: float) -> list[Record]:
        return [by_layer(width_multiplier, weight_decay=weight_decay, recipe=recipe)]

    made = getattr(widgets, kind)
    [explorer] = made(compute=compute, recipes=["mlp-digits"], width_multipliers=[2], weight_decays=[1e-3]).members
    root = explorer.widget()
    assert any("width ×2" in each.value for each in _all(root) if isinstance(each, ipywidgets.HTML))


def test_a_live_temperature_explorer():
    [explorer] = widgets.temperature(
        compute=lambda recipe, width_multiplier, weight_decay: [
            along_the_line(width=width_multiplier, weight_decay=weight_decay)
        ],
        recipes=["mlp-digits"],
        width_multipliers=[2, 6],
        weight_decays=[1e-3],
    ).members
    assert "width ×6" in explorer.draw(explorer.start())[1]


def test_a_live_theorem_computes_any_number_of_shared_units():
    def compute(shared: int) -> list[dict[str, Any]]:
        return [{**row, "shared_units": shared, "units": 8} for row in sliding_rows() if row["shared_units"] == 2]

    explorer = widgets.theorem(compute=compute, units=8)
    assert list(explorer.controls[0].options) == [f"{each} of 8" for each in range(9)]
    root = explorer.widget()
    slider = next(each for each in _all(root) if isinstance(each, ipywidgets.SelectionSlider))
    slider.index = 5
    assert any("<b>5 of 8</b>" in each.value for each in _all(root) if isinstance(each, ipywidgets.HTML))


def test_compute_must_give_what_it_is_asked_for():
    [source] = sources(
        [],
        "interpolation",
        compute=lambda **_: [make_record(2.0)],
        recipes=["mlp-digits"],
        width_multipliers=[1],
        weight_decays=[3e-3],
    )
    with pytest.raises(
        InputError, match="compute gave 1 interpolation records of unpermuted pairs, not all of width multiplier 1"
    ):
        source.of(1.0, 3e-3)


def _all(widget: Any) -> list[Any]:
    return [widget, *(each for child in getattr(widget, "children", ()) for each in _all(child))]


# --- on paper ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_still_figure_has_states_a_finding_and_its_data(kind, explorers):
    explorer = explorers[kind]
    text = explorer.still_html("papermill notebooks/x.ipynb out.ipynb")
    ElementTree.fromstring(f"<div>{text}</div>")
    assert text.count('role="img"') == len(explorer.stills) >= 2
    for title, state in explorer.stills.items():
        assert f">{title}<" in text
        assert {*state} <= {control.name for control in explorer.controls}
    assert 'class="lmc-finding"' in text and len(explorer.finding()) > 60
    assert f'download="{explorer.name}.csv"' in text and "papermill notebooks/x.ipynb" in text
    assert "Test Processor 3000" in text or kind == "theorem"
    assert not explorer.table().empty


def test_findings_are_computed_from_the_records(explorers):
    assert "accuracy of 83.7 %" in widgets.barrier([along_the_line(depth_of_dip=0.123)]).members[0].finding()
    assert "0.60 and 2.40 at width ×1, 0.99 and 3.95 at width ×32" in explorers["layers"].finding()
    assert "1.00 at width ×1 (in random order 0.90), 0.03 at width ×32" in explorers["active_units"].finding()
    assert "3.00 with 0 shared units" in explorers["theorem"].finding()
    assert "to 0.0 points" in explorers["temperature"].finding()


# --- where numbers come from -------------------------------------------------------------------------------------


def test_pairs_that_were_trained_otherwise_are_left_out():
    odd = make_record(1.0, seeds=(4, 5))
    odd = replace(odd, config=replace(odd.config, training=replace(odd.config.training, num_layers=6)))
    permuted = make_record(1.0, alignment="random")
    [source] = sources([*width_sweep(pairs=2), odd, permuted], "interpolation")
    assert {record.config.training.num_layers for record in source.records} == {4}
    assert {record.config.alignment for record in source.records} == {"identity"}
    assert source.width_multipliers == (1.0, 2.0, 4.0, 8.0, 16.0, 32.0) and source.weight_decays == (3e-3, 1e-4)
    assert len(source.of(4.0, 1e-4)) == 2


def test_weight_decays_of_a_sweep_at_one_width_are_no_buttons():
    extra = [make_record(4.0, weight_decay=decay) for decay in (0.0, 1e-3, 1e-2)]
    [source] = sources([*width_sweep(pairs=1), *extra], "interpolation")
    assert source.weight_decays == (3e-3, 1e-4)
    [source] = sources(extra, "interpolation")
    assert source.weight_decays == (1e-2, 1e-3, 0.0)
    [source] = sources([*width_sweep(pairs=1), *extra], "interpolation", weight_decays=[0.0, 3e-3])
    assert source.weight_decays == (3e-3, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: widgets.barrier([]), "records hold no interpolation of pairs"),
        (lambda: widgets.layers(width_sweep()), "records hold no layerwise of pairs"),
        (lambda: widgets.barrier(width_sweep(), recipes=["mlp-mnist"]), "records hold no interpolation of mlp-mnist"),
        (lambda: widgets.temperature(width_sweep()), "records hold no interpolation of pairs"),
        (lambda: widgets.theorem(), "rows is empty"),
        (lambda: widgets.theorem(compute=lambda shared: []), "units is 0; with compute it must say"),
    ],
)
def test_nothing_to_show_is_said(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.slow
def test_the_committed_records_make_explorers(committed_records):
    records = [record for record in committed_records if not record.outdated]
    for make in (widgets.barrier, widgets.layers, widgets.active_units, widgets.temperature):
        for explorer in make(records).members:
            ipywidgets.Widget.close_all()
            explorer.widget()
            assert Page().size < LIMIT


# --- drawing -----------------------------------------------------------------------------------------------------


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
