"""Figures, sentences and claims of the controls: temperatures and weight decay, against hand-made records."""

import re
from dataclasses import replace
from functools import cache

import numpy
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from lmcbook.data import describe
from lmcbook.lab.records import pairs_table
from lmcbook.pages import claims, figures, sentences, tables
from lmcbook.pages.analysis import calibrating, temperatures
from lmcbook.pages.analysis.sweeps import decay_table
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.claims.catalogue import of_chapter
from lmcbook.pages.claims.statistics import batch_norm_temperature_error, decay_advantage, depth_temperature_error
from lmcbook.training.schedule import decay_product
from tests.helpers.control_records import (
    CURVATURE,
    DECAYS,
    changed,
    control_sweep,
    decay_sweep,
    diagram,
    make_calibration_record,
    temperature_sweep,
    with_temperatures,
)
from tests.helpers.drawn import check_layout, check_page, drawn, first_of_each_module, page_of, text
from tests.helpers.synthetic_records import make_record

OF_TEMPERATURES = (
    figures.loss_against_temperature,
    figures.temperature_error_against_conditions,
    figures.reliability_diagrams,
    figures.temperature_choices,
    figures.calibration_examples,
)
OF_WEIGHT_DECAY = (figures.barriers_against_decay, figures.conditions_against_decay, figures.against_decay_product)
ALL = [*OF_TEMPERATURES, *OF_WEIGHT_DECAY]


@pytest.fixture(scope="module")
def records():
    """Each figure's own: what its chapter measures."""
    of_temperatures = [*temperature_sweep(), *temperature_sweep("vgg11-digits", (2, 8), pairs=1)]
    of_decay = control_sweep()
    return {draw: of_temperatures if draw in OF_TEMPERATURES else of_decay for draw in ALL}


@pytest.fixture(scope="module")
def pages(records):
    return cache(lambda draw: page_of(draw, records[draw]))


# --- every figure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", first_of_each_module(ALL))
@pytest.mark.parametrize("narrow", [False, True])
def test_axes_are_named_and_nothing_is_cut_off(draw, narrow, pages):
    figure = pages(draw).figures[narrow]
    assert isinstance(figure, Figure) and figure.axes[0].get_ylabel()
    assert all(axis.get_xlabel() for axis in figure.axes)
    check_layout(figure)
    owners = (figure, *figure.subfigs, *figure.axes)
    assert any(isinstance(each, Legend) for owner in owners for each in owner.get_children())


@pytest.mark.parametrize("draw", first_of_each_module(ALL))
def test_pages_are_whole_and_have_their_data(draw, records, pages):
    check_page(draw, records[draw], pages(draw))


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
    assert "in the mean over λ, the best is “predicted” (" in text(said)
    costs = dict(numbers_of(said).drop(columns="network").iloc[0])
    assert costs == {"predicted": "0.002", "one for all λ": "0.050", "that of λ = ½": "0.080", "none": "0.400"}
    assert "Of those of 10, 15 % were all right" in text(sentences.examples_finding(records))
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


# --- weight decay ----------------------------------------------------------------------------------------------------


def test_kinds_of_training_are_told_apart():
    table = decay_table(control_sweep())
    counted = table.groupby(["recipe", "kind"]).size().to_dict()
    assert counted == {
        ("mlp-digits", "full"): 12,
        ("mlp-digits", "shorter"): 4,
        ("vgg11-digits", "full"): 12,
        ("vgg11-digits", "spared"): 12,
    }
    alone = decay_table(decay_sweep(dips={3e-3: (0.05,)}, epochs=3))
    assert set(alone["kind"]) == {"full"}, "a reader's own length is no contrast to anything"


def test_the_axis_is_the_decay_product():
    records = decay_sweep(dips={1e-3: (0.05,)})
    [product] = decay_table(records)["decay_product"]
    assert product == pytest.approx(decay_product(records[0].config.training, describe("digits").num_train))
    assert product > 0


def test_no_decay_has_a_place_on_the_axis_and_the_papers_is_marked():
    figure = figures.barriers_against_decay(decay_table(decay_sweep()))
    axis = figure.axes[0]
    figure.canvas.draw()
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels == ["0", "1e-5", "1e-4", "1e-3", "1e-2"]
    assert list(axis.get_xticks()) == [-6, -5, -4, -3, -2]
    marked = [line for line in axis.lines if numpy.array_equal(line.get_xdata(), [numpy.log10(3e-3)] * 2)]
    assert len(marked) == 1
    points = axis.lines[0]
    assert len(points.get_xdata()) == 2 * len(DECAYS)  # type: ignore[arg-type]


def test_one_decay_alone_can_be_drawn():
    for decay in (0.0, 3e-3):
        records = decay_sweep(dips={decay: (0.05,)})
        for draw in OF_WEIGHT_DECAY:
            check_layout(drawn(draw, records))


def verdict_of(strong, weak) -> str:
    return text(sentences.decay_verdict(decay_sweep(dips={1e-4: weak, 3e-3: strong})))


def test_the_verdict_on_decay_says_a_direction_only_where_all_pairs_agree():
    assert "merges better with weight decay 3e-3 than with 1e-4 in all 2 pairs, by 2.0 ± 0.0 points" in verdict_of(
        (0.01, 0.02), (0.03, 0.04)
    )
    worse = verdict_of((0.03, 0.04), (0.01, 0.02))
    assert "merges worse" in worse and "by 2.0 ± 0.0 points of accuracy, against the paper, while" in worse
    undecided = verdict_of((0.03, 0.02), (0.02, 0.05))
    assert "merges neither better nor worse" in undecided and "a mean difference of 1.0 ± 2.8 points" in undecided
    assert "in the one pair measured, by 1.0 points" in verdict_of((0.01,), (0.02,))
    assert "there is none" in sentences.decay_verdict(decay_sweep(dips={3e-3: (0.05,)}))


def test_sentences_on_decay_say_what_the_records_say():
    records = decay_sweep(dips={0.0: (0.1, 0.2), 3e-3: (0.05, 0.05)})
    said = sentences.decay_finding(records)
    assert text(said) == (
        "MLP on digits at ×16: averaging costs least with weight decay 3e-3 and most with 0 (2 pairs)."
    )
    assert [text(" ".join(row)) for row in numbers_of(said).drop(columns="network").to_numpy().tolist()] == [
        "0 15.0 ± 7.1 96.0 ± 0.0",
        "3e-3 5.0 ± 0.0 96.0 ± 0.0",
    ]
    assert sentences.normalisation_finding(records) == []
    spared = decay_sweep("vgg11-digits", {3e-3: (0.02, 0.03)}) + decay_sweep(
        "vgg11-digits", {3e-3: (0.05, 0.05)}, decay_normalisation=False
    )
    found = sentences.normalisation_finding(spared)
    assert "leaving batch norm's own parameters alone lowers the accuracy barrier with 0 of 1 decays (2 pairs)" in text(
        found
    )
    [row] = numbers_of(found).to_numpy().tolist()
    assert row[0].startswith("VGG-11 on digits at ×") and text(" ".join(row[1:])) == "3e-3 2.5 ± 0.7"
    conditions = sentences.decay_condition_finding(records)
    assert "from the least weight decay to the most, reciprocal orthogonality" in text(conditions)
    assert list(numbers_of(conditions).columns) == ["network", "", "weight decay 0", "weight decay 3e-3"]
    cosines = sentences.last_layer_finding(decay_sweep())
    assert len(cosines) == 1 and cosines[0].endswith(" with 3e-3.") and " with 1e-4, " in cosines[0]
    assert list(numbers_of(cosines)["weight decay"]) == ["1e-4", "3e-3"]
    assert numbers_of(cosines)["at the logits"].str.match(r"0\.\d{3}").all()


def test_trainings_of_one_product_are_set_beside_each_other():
    # ten epochs at 1e-3 and three at 3e-3 have products of 0.9 to 1; those at 1e-2 have no counterpart
    records = decay_sweep(dips={1e-3: (0.05, 0.06)}) + decay_sweep(
        dips={3e-3: (0.04, 0.05), 1e-2: (0.04, 0.05)}, epochs=3
    )
    [sentence] = sentences.product_finding(records)
    assert "3 and 10 epochs with weight decay 3e-3 and 1e-3" in text(sentence)
    assert text(sentence).endswith("(2 pairs each).")
    assert [text(each) for each in numbers_of(sentence)["points lost"]] == ["4.5 ± 0.7", "5.5 ± 0.7"]


def test_the_table_has_a_row_for_each_network_and_decay():
    table = tables.weight_decays(control_sweep())
    assert list(table["network"].unique()) == ["MLP on digits, ×16", "VGG-11 on digits, ×4"] and len(table) == 12
    assert list(table["weight decay"][:6]) == ["0", "1e-5", "1e-4", "1e-3", "3e-3", "1e-2"]
    assert table["accuracy barrier (points)"][0].replace("\u00a0", " ") == "5.5 ± 0.7"


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


def test_no_decay_at_all_is_compared_at_one_width():
    table = pairs_table(decay_sweep(dips={0.0: (0.1, 0.2), 3e-3: (0.04, 0.05)}))
    assert decay_advantage(table, weak=0.0).values == pytest.approx([0.06, 0.15])


def test_the_chapters_have_claims_that_their_records_can_decide():
    for chapter, records in (
        ("02_temperature", [deep(3, 4.4), deep(4, 8.8)]),
        ("02_temperature", [make_record(4.0, recipe="vgg11-digits")]),
        ("08_weight_decay", decay_sweep()),
    ):
        verdicts = [verdict for verdict in claims.judge(records, of_chapter(chapter)) if verdict.values]
        assert verdicts, chapter
        assert all(claim.recipe == records[0].recipe for claim in (verdict.claim for verdict in verdicts))


def test_a_sweep_of_lengths_does_not_decide_claims():
    full, shorter = decay_sweep(dips={0.0: (0.1,), 3e-3: (0.04,)}), decay_sweep(dips={3e-3: (0.9,)}, epochs=3)
    assert all(record.short for record in shorter) and not any(record.short for record in full)
    [claim] = [each for each in of_chapter("08_weight_decay") if each.id == "no-weight-decay-mlp-digits"]
    [verdict] = claims.judge(full + shorter, [claim])
    assert verdict.values == pytest.approx((0.06,))


def test_changed_records_have_their_own_address():
    record = make_record(4.0)
    assert changed(record, epochs=3).digest != record.digest and changed(record, epochs=3).digest
