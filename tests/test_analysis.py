"""What all tables share: derived once, one vocabulary, one prediction, one way to write names and numbers."""

import pytest
from pandas import DataFrame, Series
from pandas.testing import assert_series_equal

from lmcbook.evaluation import lewc_scale
from lmcbook.evaluation.scale import sum_of_powers
from lmcbook.lab.records import barriers_table
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis import labels, layers, temperatures, vocabulary
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.figures.page import FIGURES, Companions
from tests.helpers.synthetic_records import make_layerwise_record, make_record, width_sweep, with_batch_norm


@pytest.fixture
def records():
    return width_sweep(widths=(1, 2), pairs=2)


def test_measurements_are_the_records(records):
    measured = Measurements.of(records)
    assert len(measured) == len(records) and list(measured) == records and measured[-1] == records[-1]
    assert Measurements.of(measured) is measured
    assert isinstance(measured[:3], Measurements) and list(measured[:3]) == records[:3]
    assert not Measurements([])


def test_each_table_is_derived_once(records):
    asked = []

    def counted(given):
        asked.append(given)
        return barriers_table(given)

    measured = Measurements(records)
    assert measured.table(counted) is measured.table(counted)
    assert asked == [measured]
    Measurements(records).table(counted)
    assert len(asked) == 2, "what another object was asked is not remembered here"


@pytest.mark.slow
def test_a_figure_derives_its_table_once(records, monkeypatch):
    asked = []
    old = FIGURES[figures.barrier_against_width]

    def counted(given):
        asked.append(given)
        return old.table(given)

    new = Companions(counted, old.alt)
    monkeypatch.setitem(FIGURES, figures.barrier_against_width, new)
    measured = Measurements(records)
    figures.to_html(figures.barrier_against_width, measured)
    figures.to_html(figures.barrier_against_width, measured)
    assert asked == [measured]


def test_the_papers_decay_is_that_of_each_recipe():
    table = DataFrame({"recipe": ["a", "a", "b", "b"], "weight_decay": [1e-4, 3e-3, 1e-4, 1e-3]})
    assert list(vocabulary.paper_decay(table)["weight_decay"]) == [3e-3, 1e-3]
    assert vocabulary.paper_decay(table[:0]).empty


def test_selections():
    table = DataFrame(
        {
            "alignment": ["identity", "random", "identity", "identity"],
            "width_multiplier": [1.0, 2.0, 2.0, 2.0],
            "weight_decay": [1e-4, 3e-3, 3e-3, 1e-4],
            "spread_penalty": [0.0, 0.0, 0.1, 0.0],
            "shared": ["nothing", "nothing", "nothing", "start"],
        }
    )
    assert list(vocabulary.as_they_are(table).index) == [0, 2, 3]
    assert list(vocabulary.plain(table).index) == [0, 1]
    assert list(vocabulary.widest(table).index) == [1, 2, 3]
    assert [(decay, list(part.index)) for decay, part in vocabulary.decays(table)] == [(3e-3, [1, 2]), (1e-4, [0, 3])]
    assert [key for key, _ in vocabulary.groups(table, "shared")] == [("nothing",), ("start",)]


def test_pairs_in_two_settings_are_of_the_same_seeds_and_width():
    first = DataFrame(
        {"width_multiplier": [2.0, 1.0, 1.0], "seed_a": [0, 0, 2], "seed_b": [1, 1, 3], "way": list("xyx"), "loss": 1.0}
    )
    second = first[:2].assign(way=["x", "x"], loss=[3.0, 2.0])
    both = vocabulary.paired(first, second)
    assert list(both["way"]) == ["x", "y"] and list(both["loss"]) == [1, 1] and list(both["loss_second"]) == [3, 2]
    assert list(vocabulary.paired(first, second, "way")["width_multiplier"]) == [2.0]


def test_the_width_with_the_most_batch_sizes_is_each_recipes_own():
    rows = [("a", 1.0, 8), ("a", 1.0, 16), ("a", 2.0, 8), ("a", 2.0, 16), ("a", 4.0, 8), ("b", 4.0, 8), ("b", 8.0, 8)]
    table = DataFrame(rows, columns=["recipe", "width_multiplier", "batch_size"])
    assert list(vocabulary.with_most_batch_sizes(table).index) == [2, 3, 6]
    assert vocabulary.with_most_batch_sizes(table[:0]).empty


def test_the_prediction_takes_each_rows_own_exponent():
    """λ = ½: 2^(e−1) times the ensemble's; at the ends nothing is merged, whatever the exponent."""
    ensemble, exponent = Series([1.0, 1.0, 1.5, 1.0]), Series([3.0, 2.0, 4.0, None])
    at_middle = vocabulary.predicted_inverse_temperature(ensemble, exponent)
    assert_series_equal(at_middle, Series([4.0, 2.0, 12.0, None]))
    for end in (0.0, 1.0):
        at_end = vocabulary.predicted_inverse_temperature(ensemble, exponent, Series([end] * 4))
        assert_series_equal(at_end[:3], ensemble[:3])
    quarter = vocabulary.predicted_inverse_temperature(ensemble[:1], exponent[:1], Series([0.25]))
    assert quarter[0] == pytest.approx(1 / (1 / 64 + 27 / 64))


def test_one_scale_serves_numbers_columns_and_many_networks():
    assert sum_of_powers((0.25, 0.75), 3) == lewc_scale((0.25, 0.75), 3) == 28 / 64
    assert sum_of_powers([1 / 3] * 3, 4) == pytest.approx(3**-3)
    column = sum_of_powers((Series([0.5, 0.25]), Series([0.5, 0.75])), Series([4.0, 3.0]))
    assert list(column) == [2**-3, 28 / 64]


def test_two_layers_with_batch_norm_count_as_networks_with_batch_norm():
    """LEWC's exponent of two layers is 2 with batch norm and without, so that it tells nothing there."""
    kinds = {"plain": lambda record: record, "normalised": with_batch_norm}
    made = [make(width, num_layers=2) for width in (1.0, 4.0) for make in (make_record, make_layerwise_record)]
    of = {kind: [change(record) for record in made] for kind, change in kinds.items()}
    assert {record.lewc_exponent for records in of.values() for record in records} == {2}
    errors = {kind: temperatures.temperature_error_table(records) for kind, records in of.items()}
    assert len(errors["plain"]) == 2 and errors["normalised"].empty
    laws = {kind: set(layers.law_errors_table(records)["law"]) for kind, records in of.items()}
    assert laws["plain"] == {"LEWC", "LLFC"} and laws["normalised"] == {*laws["plain"], layers.BATCH_NORM}
    says = {kind: "; ".join(sentences.exponent_finding(records)) for kind, records in of.items()}
    assert "; LEWC says 2" in says["plain"] and "; orthogonal networks with batch norm have 2" in says["normalised"]
    predicts = {kind: "the prediction is" in "".join(sentences.temperature_finding(of[kind])) for kind in kinds}
    assert predicts == {"plain": True, "normalised": False}


def test_numbers_and_names_in_words():
    assert labels.pair_count(3, 3) == "3 pairs" and labels.pair_count(1, 3) == "1 to 3 pairs"
    assert labels.pair_count(1) == "1 pair" and labels.pair_count() == "0 pairs"
    assert labels.signed(-0.001, 2) == "0.00" and labels.signed(-0.5, 1) == "−0.5"
    table = DataFrame({"recipe": ["mlp-digits"] * 3, "width_multiplier": [1.0, 4.0, 4.0], "loss": [0.5, 0.1, 0.3]})
    assert labels.network_of(table[1:]) == "MLP on digits at ×4"
    assert labels.at_width(table[1:], "loss", 10, 1).replace("\u00a0", " ") == "2.0 ± 1.4 at ×4"
    assert labels.ends_in_words(table, "loss") == "0.5 at ×1 and 0.2 at ×4"
    assert labels.ends_in_words(table[:1], "loss", 100) == "50 at ×1"
    assert labels.ends_in_words(table[:0], "loss") == "not measured"
