"""Tests of lmcbook.pages.widgets: what a browser shows without a kernel and with it, and what stands on paper."""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import ipywidgets
import pytest

from lmcbook.errors import InputError
from lmcbook.lab.records import Record
from lmcbook.pages import widgets
from lmcbook.pages.analysis.labels import width_label
from lmcbook.pages.widgets.explorer import states
from lmcbook.pages.widgets.source import sources
from tests.helpers.explorers import FACTORS, Page, along_the_line, by_layer, sliding_rows, sweep, widgets_under
from tests.helpers.synthetic_records import make_record, width_sweep, with_batch_norm

LIMIT = 1.5e6
"""Bytes that one network's explorer may take."""


@pytest.fixture(autouse=True)
def no_widgets_left() -> Iterator[None]:
    ipywidgets.Widget.close_all()
    yield
    ipywidgets.Widget.close_all()


KINDS = ("barrier", "layers", "active_units", "reliability", "theorem")


@pytest.fixture(scope="module")
def explorers() -> dict[str, widgets.Explorer]:
    """One network's explorer of each kind."""
    lines, layers = sweep(along_the_line), sweep(by_layer)
    return {
        "barrier": widgets.barrier(lines).members[0],
        "layers": widgets.layers(layers).members[0],
        "active_units": widgets.active_units(layers).members[0],
        "reliability": widgets.reliability(lines).members[0],
        "theorem": widgets.theorem(sliding_rows()),
    }


@pytest.fixture(scope="module")
def frames(explorers) -> dict[str, dict[tuple[Any, ...], list[str]]]:
    """What each of them draws, by the values of its controls."""
    return {
        kind: {tuple(state.values()): explorer.draw(state) for state in states(explorer.controls)}
        for kind, explorer in explorers.items()
    }


# --- without a kernel --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_kernel_the_page_shows_what_the_controls_say(kind, explorers, frames):
    explorer = explorers[kind]
    explorer.widget()
    page = Page()
    assert page.shown(page.stage) == frames[kind][tuple(explorer.start().values())]
    every = list(frames[kind])
    for values in random.Random(0).sample(every, min(12, len(every))):
        for control, value in zip(explorer.controls, values, strict=True):
            page.set(page.control(control.label), "index", control.values.index(value))
        assert page.shown(page.stage) == frames[kind][values]

    [played] = [control for control in explorer.controls if control.play]
    [play] = page.named("PlayModel")
    assert page.state(play)["max"] == len(played.options) - 1
    for value in range(len(played.options)):
        page.set(play, "value", value)
        assert page.state(page.control(played.label))["index"] == value


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_well_formed_and_says_what_it_shows(kind, frames):
    parsed = {
        layer: ElementTree.fromstring(f"<div>{layer}</div>") for layer in {*itertools.chain(*frames[kind].values())}
    }
    labels = []
    for layers in frames[kind].values():
        named = [each for layer in layers for each in parsed[layer].iter() if each.get("role") == "img"]
        assert len(named) == 1, "one picture, however many layers it is made of"
        labels.append(named[0].get("aria-label") or "")
    assert [each for layer in parsed.values() for each in layer.iter("svg") if not each.get("viewBox")] == []
    assert all(len(label) > 40 for label in labels)
    assert len(set(labels)) == len(labels), "two states sound the same"


def test_the_barrier_has_thirteen_stops_and_draws_the_curve_once(explorers, frames):
    controls = explorers["barrier"].controls
    assert [len(control.options) for control in controls] == [2, 2, 2, 13]
    assert list(controls[-1].options)[::3] == ["0", "1/4", "1/2", "3/4", "1"]
    ground, marks = ({layers[index] for layers in frames["barrier"].values()} for index in (0, 1))
    assert (len(ground), len(marks)) == (2 * 2 * 2, 2 * 2 * 2 * 13)


def test_numbers_on_a_frame_are_the_records(explorers):
    first, second = (make_record(32.0, seeds=seeds).data["curve"] for seeds in ((0, 1), (2, 3)))
    state = {"width_multiplier": 32.0, "weight_decay": 3e-3, "calibrated": True, "coefficient": 0.25}
    text = explorers["barrier"].draw(state)[1]
    assert f"<b>{50 * (first['accuracy'][6] + second['accuracy'][6]):.1f} %</b>" in text
    assert f"<b>{(first['calibrated_loss'][6] + second['calibrated_loss'][6]) / 2:.3f} nats</b>" in text
    assert f"<b>{(first['inverse_temperature'][6] + second['inverse_temperature'][6]) / 2:.2f}</b>" in text
    assert "mean of 2 pairs" in text


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_largest_explorers_stay_small(kind):
    """The widest sweep of the plan: seven widths, three pairs; ResNet-20's layers with as many units as are kept."""
    widths = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    if kind in ("layers", "active_units"):
        records = sweep(by_layer, widths[:6], pairs=1, num_layers=20, units=2048, recipe="resnet20-cifar10")
    elif kind == "theorem":
        records = []
    else:
        records = sweep(along_the_line, widths, pairs=3, factors=FACTORS)
    made = widgets.theorem(sliding_rows()) if kind == "theorem" else getattr(widgets, kind)(records).members[0]
    made.widget()
    assert Page().size < LIMIT
    assert len(made.still_html()) < LIMIT / 5


def test_a_control_with_one_option_is_no_control():
    explorer = widgets.barrier([along_the_line(width=4.0)]).members[0]
    explorer.widget()
    labels = {
        state["description"]
        for name in ("SelectionSliderModel", "ToggleButtonsModel")
        for state in Page().named(name).values()
    }
    assert labels == {"loss", "λ"}


@pytest.mark.parametrize("kind", ["barrier", "layers", "active_units", "reliability"])
@pytest.mark.parametrize("everywhere", [3e-3, 1e-4])
def test_a_weight_decay_that_some_widths_lack_breaks_nothing(kind, everywhere):
    """One of the two weight decays was trained at a single width, neither the narrowest nor the widest."""
    make = by_layer if kind in ("layers", "active_units") else along_the_line
    widths = (1.0, 4.0, 32.0)
    records = [
        record
        for record in sweep(make, widths, pairs=1, recipe="mlp-mnist")
        if record.config.training.weight_decay == everywhere or record.config.training.width_multiplier == 4.0
    ]
    explorer = getattr(widgets, kind)(records).members[0]
    by_name = {control.name: control for control in explorer.controls}
    width, decay = by_name["width_multiplier"], by_name["weight_decay"]
    assert (width.values, decay.values) == ([*widths], [3e-3, 1e-4])
    start = explorer.start()
    assert (start["weight_decay"], start["width_multiplier"] == 4.0) == (3e-3, everywhere != 3e-3)
    # what is missing hangs on nothing but these two
    for state in states([width, decay]):
        text = "".join(explorer.draw({**start, **state}))
        ElementTree.fromstring(f"<div>{text}</div>")
        assert text.count('role="img"') == 1
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
        *sweep(along_the_line, (4.0,), pairs=1, recipe="mlp-fashion_mnist", scale="paper"),
        *sweep(along_the_line, (4.0,), pairs=1, recipe="mlp-mnist", scale="paper"),
    ]
    whole = widgets.barrier(records)
    networks = [member.network for member in whole.members]
    assert networks == ["MLP on MNIST", "MLP on Fashion-MNIST", "MLP on digits"]
    root = f"IPY_MODEL_{whole.widget().model_id}"
    page = Page()
    assert page.state(page.control("network"))["index"] == whole.start == 2
    for index in (2, 0, 1):
        page.set(page.control("network"), "index", index)
        titles = [text for text in page.shown(root) if "lmc-title" in text]
        assert [f"The barrier: {networks[index]}<" in text for text in titles] == [True]
    [first, *_] = widgets.barrier(records, recipes=["mlp-digits", "mlp-mnist"]).members
    assert first.network == "MLP on digits", "who names the networks puts them in order"


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
    [frame] = [
        each for each in widgets_under(root) if isinstance(each, ipywidgets.HTML) and "lmc-stage" in each._dom_classes
    ]
    width, _, coefficient = (each for each in widgets_under(root) if hasattr(each, "index"))
    assert not [each for each in widgets_under(root) if isinstance(each, ipywidgets.Stack)]
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
def test_live_explorers_of_layers_begin_with_a_first_computation_and_have_room_for_the_next(kind):
    def compute(recipe: str, width_multiplier: float, weight_decay: float) -> list[Record]:
        return [by_layer(width_multiplier, weight_decay=weight_decay, recipe=recipe)]

    made = getattr(widgets, kind)
    [explorer] = made(
        compute=compute, recipes=["mlp-digits"], width_multipliers=[2, 4, 6], weight_decays=[1e-3]
    ).members
    under = widgets_under(explorer.widget())
    [stage] = [each for each in under if isinstance(each, ipywidgets.HTML) and "lmc-stage" in each._dom_classes]
    width = next(each for each in under if isinstance(each, ipywidgets.SelectionSlider))
    for index in (2, 0, 1):
        width.index = index
        assert f"width {('×2', '×4', '×6')[index]}, weight decay 1e-3" in stage.value


def test_a_live_temperature_explorer():
    [explorer] = widgets.reliability(
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
    slider = next(each for each in widgets_under(root) if isinstance(each, ipywidgets.SelectionSlider))
    slider.index = 5
    assert any("<b>5 of 8</b>" in each.value for each in widgets_under(root) if isinstance(each, ipywidgets.HTML))


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
    assert "to 0.0 points" in explorers["reliability"].finding()


def test_which_laws_the_layers_have_follows_the_network():
    """Of two layers LEWC's exponent is 2 with batch norm and without."""
    four = by_layer(1.0)
    training = replace(four.config.training, num_layers=2)
    two = replace(four, config=replace(four.config, training=training), digest="", lewc_exponent=2)
    for record in (four, two):
        for given, said in ((record, False), (with_batch_norm(record), True)):
            assert ("Batch norm removes" in widgets.layers([given]).members[0].note) == said


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
        (lambda: widgets.reliability(width_sweep()), "records hold no interpolation of pairs"),
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
    for make in (widgets.barrier, widgets.layers, widgets.active_units, widgets.reliability):
        for explorer in make(records).members:
            ElementTree.fromstring(f"<div>{explorer.still_html()}</div>")
