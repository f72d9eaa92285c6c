"""Figures, sentences and table on weight decay: what they draw and say, against hand-made records."""

from functools import cache

import numpy
import pytest

from lmcbook.data import describe
from lmcbook.lab.records import pairs_table
from lmcbook.pages import claims, figures, sentences, tables
from lmcbook.pages.analysis.sweeps import decay_table
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.claims.catalogue import of_chapter
from lmcbook.pages.claims.statistics import decay_advantage
from lmcbook.training.schedule import decay_product
from tests.helpers.control_records import (
    DECAYS,
    changed,
    control_sweep,
    decay_sweep,
)
from tests.helpers.drawn import check_axes, check_layout, check_page, drawn, first_of_each_module, page_of, text
from tests.helpers.synthetic_records import make_record

ALL = [figures.barriers_against_decay, figures.conditions_against_decay, figures.against_decay_product]


@pytest.fixture(scope="module")
def records():
    """Each figure's own: what its chapter measures."""
    return control_sweep()


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


@pytest.mark.slow
def test_one_decay_alone_can_be_drawn():
    for decay in (0.0, 3e-3):
        records = decay_sweep(dips={decay: (0.05,)})
        for draw in ALL:
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


def test_no_decay_at_all_is_compared_at_one_width():
    table = pairs_table(decay_sweep(dips={0.0: (0.1, 0.2), 3e-3: (0.04, 0.05)}))
    assert decay_advantage(table, weak=0.0).values == pytest.approx([0.06, 0.15])


def test_the_chapter_has_claims_that_its_records_can_decide():
    records = decay_sweep()
    verdicts = [verdict for verdict in claims.judge(records, of_chapter("08_weight_decay")) if verdict.values]
    assert verdicts and {verdict.claim.recipe for verdict in verdicts} == {records[0].recipe}


def test_a_sweep_of_lengths_does_not_decide_claims():
    full, shorter = decay_sweep(dips={0.0: (0.1,), 3e-3: (0.04,)}), decay_sweep(dips={3e-3: (0.9,)}, epochs=3)
    assert all(record.short for record in shorter) and not any(record.short for record in full)
    [claim] = [each for each in of_chapter("08_weight_decay") if each.id == "no-weight-decay-mlp-digits"]
    [verdict] = claims.judge(full + shorter, [claim])
    assert verdict.values == pytest.approx((0.06,))


def test_changed_records_have_their_own_address():
    record = make_record(4.0)
    assert changed(record, epochs=3).digest != record.digest and changed(record, epochs=3).digest
