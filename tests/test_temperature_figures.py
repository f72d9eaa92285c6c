"""Figures and sentences on temperatures and calibration: what they draw and say, against hand-made records."""

import re
from dataclasses import replace
from functools import cache

import numpy
import pytest

from lmcbook.lab.records import pairs_table
from lmcbook.pages import claims, figures, sentences
from lmcbook.pages.analysis import calibrating, temperatures
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.claims.catalogue import of_chapter
from lmcbook.pages.claims.statistics import batch_norm_temperature_error, depth_temperature_error
from tests.helpers.control_records import (
    CURVATURE,
    diagram,
    make_calibration_record,
    temperature_sweep,
    with_temperatures,
)
from tests.helpers.drawn import check_axes, check_page, first_of_each_module, page_of, text
from tests.helpers.synthetic_records import make_record

ALL = [
    figures.loss_against_temperature,
    figures.temperature_error_against_conditions,
    figures.reliability_diagrams,
    figures.temperature_choices,
    figures.calibration_examples,
]


@pytest.fixture(scope="module")
def records():
    """Each figure's own: what its chapter measures."""
    return [*temperature_sweep(), *temperature_sweep("vgg11-digits", (2, 8), pairs=1)]


@pytest.fixture(scope="module")
def pages(records):
    return cache(lambda draw: page_of(draw, records))


# --- every figure ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("draw", first_of_each_module(ALL))
@pytest.mark.parametrize("narrow", [False, True])
def test_axes_are_named_and_nothing_is_cut_off(draw, narrow, pages):
    check_axes(pages(draw).figures[narrow])


@pytest.mark.parametrize("draw", first_of_each_module(ALL))
def test_pages_are_whole_and_have_their_data(draw, records, pages):
    check_page(draw, records, pages(draw))


@pytest.mark.slow
def test_words_of_a_figure_keep_their_digits():
    page = figures.to_html(figures.reliability_diagrams, [make_calibration_record(16.0)])
    assert "ECE 0.300 → 0.010" in page
    places = re.findall(r"<(?:path|use)[^>]+>", page)
    assert places and not any(re.search(r"\.\d{3}", place) for place in places), "places are rounded"


# --- temperatures ----------------------------------------------------------------------------------------------------


def test_the_interval_of_a_parabola_is_known():
    octaves = (temperatures.TOLERANCE / CURVATURE) ** 0.5
    [row] = temperatures.sensitivity([with_temperatures(make_record(4.0))]).intervals.to_dict("records")
    # 0.5 of the steps of the spline's own grid, a 400th of an octave
    assert numpy.log2(row["high"]) == pytest.approx(octaves, abs=0.003)
    assert numpy.log2(row["low"]) == pytest.approx(-octaves, abs=0.003)
    assert numpy.isnan(row["low_absolute"]), "the barrier itself is far above the tolerance"


def test_a_low_barrier_is_kept_between_bounds_around_the_best_not_the_fitted():
    record = make_record(4.0)
    ends = record.data["curve"]["calibrated_loss"][0]
    record = with_temperatures(record, least=ends, tilt=0.5)
    [row] = temperatures.sensitivity([record]).intervals.to_dict("records")
    assert row["least_barrier"] == pytest.approx(0, abs=1e-6)
    octaves = (temperatures.TOLERANCE / CURVATURE) ** 0.5
    assert numpy.log2(row["low_absolute"]) == pytest.approx(0.5 - octaves, abs=0.003)
    assert numpy.log2(row["high_absolute"]) == pytest.approx(0.5 + octaves, abs=0.003)
    assert "1 of 1 pairs have a β that keeps the barrier" in text(sentences.sensitivity_finding([record]))


def test_the_barrier_is_against_the_calibrated_parents():
    record = with_temperatures(make_record(4.0))
    curve = record.data["curve"]
    table = temperatures.sensitivity([record, make_record(8.0)]).losses
    assert len(table) == 13, "a record without a sweep of temperatures has nothing to show"
    at_fitted = table[table["inverse_temperature"] == table["fitted_inverse_temperature"]].iloc[0]
    assert at_fitted["loss_barrier"] == pytest.approx(curve["calibrated_loss"][12] - curve["calibrated_loss"][0])
    # 1.1 is the ensemble's: 2^(4 − 1) times that for four layers, twice with batch norm
    assert at_fitted["predicted_inverse_temperature"] == pytest.approx(8.8)
    of_vgg = temperatures.sensitivity([with_temperatures(make_record(4.0, recipe="vgg11-digits"))]).losses
    assert of_vgg["predicted_inverse_temperature"].unique() == pytest.approx([2.2])


def test_the_ratio_of_temperatures_stands_beside_both_conditions():
    table = temperatures.temperature_conditions_table(temperature_sweep(widths=(4,), pairs=1))
    assert list(table["weight_decay"]) == [3e-3, 1e-4] and (table["weak_additivity"] == 0.99 - 0.05 / 4).all()
    fitted = make_record(4.0).data["curve"]["inverse_temperature"][12]
    assert table["ratio"].iloc[0] == pytest.approx(fitted / 8.8)


def test_bins_of_several_diagrams_are_weighted_by_their_examples():
    first = diagram([1, 3], [0.2, 0.8], [0.0, 1.0], 0.1)
    second = diagram([0, 6], [None, 0.9], [None, 0.5], 0.1)
    low, high = calibrating._pooled([first, second])
    assert low == {"confidence": 0.2, "accuracy": 0.0, "share": 0.1}
    assert high["confidence"] == pytest.approx((3 * 0.8 + 6 * 0.9) / 9) and high["share"] == pytest.approx(0.9)
    assert high["accuracy"] == pytest.approx((3 * 1.0 + 6 * 0.5) / 9)


def test_the_widest_of_each_recipe_is_shown_at_the_papers_decay():
    records = [
        *(make_calibration_record(width, seeds=seeds) for width in (4, 16) for seeds in ((0, 1), (2, 3))),
        make_calibration_record(32, weight_decay=1e-4),
        make_calibration_record(2, recipe="vgg11-digits", weight_decay=1e-4),
    ]
    table = calibrating.choices_table(records)
    shown = set(zip(table["recipe"], table["width_multiplier"], table["weight_decay"], strict=True))
    assert shown == {("mlp-digits", 16, 3e-3), ("vgg11-digits", 2, 1e-4)}
    assert len(table) == 3 * 5 * 25


def test_samples_are_compared_with_all_examples():
    table = calibrating.examples_table([make_calibration_record()])
    assert len(table) == 60 and table["excess_loss"].min() == pytest.approx(0)
    ten = table[table["examples"] == 10]
    assert ten["ratio"].max() == pytest.approx(1 + 19 / 10) and ten["excess_loss"].max() == pytest.approx(0.19)


def test_sentences_on_temperatures_say_what_the_records_say():
    records = [make_calibration_record(predicted_cost=0.002, single_cost=0.05)]
    said = sentences.choice_finding(records)
    assert "“predicted” costs least, in nats above fitting it at each λ, in the mean over λ (" in text(said)
    costs = dict(numbers_of(said).drop(columns="network").iloc[0])
    assert costs == {"predicted": "0.002", "one for all λ": "0.050", "that of λ = ½": "0.080", "none": "0.400"}
    assert "In 15 % of the samples of 10 images every label was right" in text(sentences.examples_finding(records))
    errors = numbers_of(sentences.reliability_finding(records)).set_index("expected calibration error")
    assert list(errors.loc["merged", ["uncalibrated", "calibrated"]]) == ["0.300", "0.010"]
    found = sentences.condition_finding(temperature_sweep(widths=(4,), pairs=1))
    assert text(found) == "MLP on digits at ×4: the fitted β is below the prediction with weight decay 3e-3 and 1e-4."
    table = numbers_of(found)
    assert list(table["weight decay"]) == ["3e-3", "1e-4"]
    assert table["reciprocal orthogonality"].str.match(r"\d\.\d\d").all()


@pytest.mark.parametrize(
    ("predicted", "single", "said"),
    [
        (0.0, 0.1, ["does as well as one fitted at each λ for MLP on digits at ×8; one β", "λ for none of MLP"]),
        (0.1, 0.0, ["without the merged network does as well as one fitted at each λ for none of MLP", "λ for MLP"]),
    ],
)
def test_the_verdict_on_temperatures_follows_the_numbers(predicted, single, said):
    record = make_calibration_record(predicted_cost=predicted, single_cost=single)
    verdict = text(sentences.temperature_verdict([record]))
    assert all(each in verdict for each in said), verdict


def test_the_verdict_names_both_kinds_of_networks():
    records = [
        make_calibration_record(predicted_cost=0.0),
        make_calibration_record(2, recipe="vgg11-digits", predicted_cost=0.1),
    ]
    verdict = text(sentences.temperature_verdict(records))
    assert "for MLP on digits at ×8, and does not for VGG-11 on digits at ×2;" in verdict
    assert "nothing is measured" in sentences.temperature_verdict([])


# --- claims ----------------------------------------------------------------------------------------------------------


def deep(num_layers: int, fitted: float, seeds=(0, 1)):
    """A record of so many layers whose fitted β at λ = ½ is this; 1.1·2^(L−1) is predicted."""
    record = make_record(16.0, num_layers=num_layers, seeds=seeds)
    barriers = record.data["barriers"] | {"inverse_temperature_midpoint": fitted}
    return replace(record, data=record.data | {"barriers": barriers})


def test_the_worst_depth_decides():
    found = depth_temperature_error(pairs_table([deep(2, 2.2), deep(3, 2.2), deep(4, 8.8 * 1.5)])).values
    assert found == pytest.approx([1.0]), "of three layers 4.4 is predicted, twice what is fitted"
    assert depth_temperature_error(pairs_table([deep(4, 8.8)])).values == [], "one depth is no contrast"
    others = [deep(4, 8.8, seeds) for seeds in ((2, 3), (4, 5))]
    alone = depth_temperature_error(pairs_table([deep(2, 2.2), deep(4, 8.8 * 1.5), *others])).values
    assert alone == pytest.approx([numpy.log2(1.5)]), "only the pair with several depths has a contrast"


def test_with_batch_norm_twice_the_ensembles_temperature_is_asked_for():
    record = make_record(4.0, recipe="vgg11-digits")
    fitted = record.data["curve"]["inverse_temperature"][12]
    assert batch_norm_temperature_error(pairs_table([record])).values == pytest.approx([numpy.log2(fitted / 2.2)])


@pytest.mark.parametrize(
    "records", [[deep(3, 4.4), deep(4, 8.8)], [make_record(4.0, recipe="vgg11-digits")]], ids=["perceptrons", "vgg"]
)
def test_the_chapter_has_claims_that_its_records_can_decide(records):
    verdicts = [verdict for verdict in claims.judge(records, of_chapter("02_temperature")) if verdict.values]
    assert verdicts and {verdict.claim.recipe for verdict in verdicts} == {records[0].recipe}
