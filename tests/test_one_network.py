"""What one network tells: what is planned and measured, and what is said of it."""

from dataclasses import replace

import pytest

from lmcbook.evaluation import self_merge, self_merging
from lmcbook.lab import plan
from lmcbook.lab.measurements import (
    _brief,
    measure_common_mode_of,
    measure_interpolation,
    measure_layerwise,
    measure_self_merge,
)
from lmcbook.lab.records import ONE_NETWORK, Record, pairs_table
from lmcbook.pages import claims, figures, sentences, tables
from lmcbook.pages.analysis.common_mode import split_table
from lmcbook.pages.analysis.measurements import Measurements
from lmcbook.pages.analysis.one_network import (
    EXPONENT,
    FROM_BOTH,
    KAPPA,
    LOST,
    ORTHOGONALITY,
    QUANTITIES,
    TEMPERATURE,
    VARYING,
    agreement_table,
    orthogonality_told_table,
    told_table,
)
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.randomness import random_stream
from tests.helpers.calls import counted_calls
from tests.helpers.one_network_records import told_records, told_sweep
from tests.helpers.sessions import session_of


@pytest.mark.parametrize("scale", plan.SCALES)
def test_no_network_is_trained_for_it(scale):
    selection = plan.Selection(scale)
    others = [*plan.width(selection), *plan.depth(selection), *plan.batch_size(selection)]
    others += [*plan.small_batches(selection), *plan.small_batch_decays(selection)]
    is_brief = scale == "embedded"
    trained = {(one.pair.training, one.pair.seeds) for one in others if one.recipe.startswith("mlp") or not is_brief}
    planned = plan.one_network(selection)
    assert {(one.pair.training, one.pair.seeds) for one in planned} == trained
    assert len({one.pair.digest for one in planned}) == len(planned) == 2 * len(trained)
    assert {one.pair.measurement for one in plan.cross_talk(selection)} == {"common_mode"}
    assert {one.pair.digest for one in plan.cross_talk(selection)} <= {one.pair.digest for one in planned}


def test_a_selection_is_kept():
    chosen = plan.Selection("embedded", recipes=["mlp-digits"], width_multipliers=[4.0], seed_pairs=[(6, 7)])
    planned = plan.one_network(chosen)
    assert {one.pair.seeds for one in planned} == {(6, 7)}
    assert {one.pair.training.width_multiplier for one in planned} == {4.0}


@pytest.mark.slow
def test_the_measurements_are_of_this_pair_and_small(pico_pair, trained_pair, digits, monkeypatch):
    a, b = (one.state for one in trained_pair)
    session = session_of(pico_pair, a, b, digits)
    split = measure_common_mode_of(replace(pico_pair, measurement="common_mode"), session)
    last = split["layers"][-1]["metrics"]
    assert {"reciprocal_orthogonality", "predicted", "predicted_from_a", "predicted_from_b"} <= last.keys()
    swapped = measure_common_mode_of(pico_pair, session_of(pico_pair, b, a, digits))["layers"][-1]["metrics"]
    assert swapped["predicted_from_a"] == pytest.approx(last["predicted_from_b"], rel=1e-4)
    assert swapped["reciprocal_orthogonality"] == pytest.approx(last["reciprocal_orthogonality"], rel=1e-4)
    predicted = counted_calls(monkeypatch, self_merging, "predict_logits")
    alone = measure_self_merge(replace(pico_pair, measurement="self_merge"), session)
    # on two sets of examples: both networks once; each with three copies and the pair, as they are and repaired
    assert len(predicted) == 2 * (2 + 2 * (2 * 3 + 1))
    assert set(alone) == {"a", "b", "pair"} and all(set(each) == {"none", "lewc_mean"} for each in alone.values())
    assert [len(each["none"]["merged"]) for each in alone.values()] == [3, 3, 1]
    assert alone["pair"]["none"]["own"] == [alone[name]["none"]["own"] for name in "ab"]
    curve = measure_interpolation(pico_pair, session)
    middle = curve["curve"]["coefficients"].index(0.5)
    assert alone["pair"]["none"]["merged"][0]["loss"] == pytest.approx(curve["curve"]["loss"][middle], rel=1e-4)
    assert alone["pair"]["none"]["accuracy_barrier"] == pytest.approx(curve["barriers"]["midpoint_accuracy_barrier"])
    exponents = {
        entry["layer"]: entry["metrics"]["decay_exponent"]
        for entry in measure_layerwise(pico_pair, session)["layers"]
        if entry["coefficient"] == 0.5
    }
    found = {entry["layer"]: entry["decay_exponent"] for entry in alone["pair"]["none"]["merged"][0]["layers"]}
    assert found == pytest.approx(exponents, rel=1e-4)
    assert alone["a"]["none"]["own"] == alone["a"]["lewc_mean"]["own"] != alone["b"]["none"]["own"]
    for kind, data in (("common_mode", split), ("self_merge", alone)):
        record = Record(
            scale="embedded",
            recipe="mlp-digits",
            config=replace(pico_pair, measurement=kind),
            dataset_sha256=digits.sha256,
            run_keys=("", ""),
            data=data,
            provenance={},
        )
        assert len(str(record.to_dict())) < 20_000


@pytest.mark.slow
def test_what_a_network_is_by_itself_is_measured_once_and_is_what_it_is_alone(pico_pair, trained_pair, digits):
    a, b = (one.state for one in trained_pair)
    alone = measure_self_merge(replace(pico_pair, measurement="self_merge"), session_of(pico_pair, a, b, digits))
    for name, state, seed in zip("ab", (a, b), pico_pair.seeds, strict=True):
        for kind in ("none", "lewc_mean"):
            told = self_merge(
                session_of(pico_pair, a, b, digits).model,
                state,
                calibration=digits.calibration,
                test=digits.test,
                images=digits.train.images[: pico_pair.repair_examples],
                repair=kind,
                generators=[random_stream(seed, "self-merge", draw) for draw in range(3)],
            )
            assert alone[name][kind] == _brief(told)


# --- what is said of it ----------------------------------------------------------------------------------------------


def test_errors_are_told_minus_found_of_the_same_pair():
    records = told_records(lost=0.2, lost_error=0.05)
    rows = told_table(records).to_dict("records")
    table = {(row["quantity"], row["layer"]): [row["told"], row["found"]] for row in rows}
    assert {quantity for quantity, _ in table} == {*QUANTITIES} - {VARYING}, "a perceptron has no batch norm"
    assert table[ORTHOGONALITY, "layer2"] == pytest.approx([0.6, 0.5])
    assert table[FROM_BOTH, "layer2"] == pytest.approx([0.5, 0.5]), "the closed form from both is right here"
    assert table[KAPPA, "layer3"] == pytest.approx([4.0, 3.5])
    assert table[EXPONENT, "layer2"] == pytest.approx([2.25, 2.0])
    assert table[TEMPERATURE, ""] == pytest.approx([3, 2])
    assert table[LOST, ""] == pytest.approx([25, 20])
    assert (ORTHOGONALITY, "layer1") not in table, "the first layer reads the images"
    [row] = pairs_table(records).to_dict("records")
    wanted = {
        "one_network_orthogonality_error": 0.1,
        "one_network_exponent_error": 0.5,
        "self_merge_accuracy_error": 0.05,
        "self_merge_temperature_error": 1,
    }
    assert {name: row[name] for name in wanted} == pytest.approx(wanted) and wanted.keys() == ONE_NETWORK.keys()


def test_what_varies_is_told_of_networks_with_batch_norm():
    rows = told_table(told_records(recipe="resnet20-digits", found=0.5, error=0.1)).to_dict("records")
    found = {row["layer"]: [row["told"], row["found"]] for row in rows if row["quantity"] == VARYING}
    assert found == {layer: pytest.approx([0.35, 0.25]) for layer in ("layer2", "layer3")}


@pytest.mark.slow
def test_an_order_worse_than_chance_is_named():
    assert sentences.wrong_order_finding(told_sweep())[0].endswith("worse than chance: 0 of 4.")
    turned = [
        record
        for index in range(6)
        for record in told_records(
            2.0**index, lost=0.3 - 0.04 * index, lost_error=0.08 * index, found=0.3 + 0.1 * index
        )
    ]
    [said] = sentences.wrong_order_finding(turned)
    rows = numbers_of(said)
    assert set(rows[""]) == {"points lost", "points lost, repaired"} and said.endswith(f": {len(rows)} of 4.")
    assert rows["rank correlation"].str.startswith("−1.00 (").all()
    assert sentences.wrong_order_finding(told_records()) == [], "of few pairs there is no order"


def test_the_claims_are_judged_by_these_errors():
    seeds = ((0, 1), (2, 3), (4, 5))
    good = [each for pair in seeds for each in told_records(seeds=pair, error=0.01, lost_error=0.0)]
    bad = [each for pair in seeds for each in told_records(seeds=pair, error=0.3, lost_error=0.1)]
    asked = [claim for claim in claims.of_chapter("16_one_network") if claim.recipe == "mlp-digits"]
    assert len(asked) == 4
    for records, words in ((good, "reproduced"), (bad, "not reproduced")):
        verdicts = {verdict.claim.id: verdict.word for verdict in claims.judge(records, asked)}
        found = [word for name, word in verdicts.items() if "orthogonality" in name or "accuracy" in name]
        assert found == [words] * 2


def test_groups_are_kept_apart_and_ranks_are_of_pairs():
    records = [*told_sweep(), *told_records(weight_decay=1e-4, lost_error=-0.1)]
    rows = {(row["weight_decay"], row["quantity"]): row for row in agreement_table(records).to_dict("records")}
    strong, weak = rows[3e-3, LOST], rows[1e-4, LOST]
    assert strong["pairs"] == 6 and weak["pairs"] == 1
    assert strong["error"] == pytest.approx(100 * (0.1 * 4 + 0.15 + 0.05) / 12)
    assert strong["bias"] == pytest.approx(100 * (0.1 * 4 + 0.15 - 0.05) / 12)
    assert strong["low"] < strong["bias"] < strong["high"]
    assert strong["rank"] == pytest.approx(1 - 6 * 2 / (6 * 35)), "Spearman's formula: the last two are exchanged"
    assert strong["rank_low"] < strong["rank"] < strong["rank_high"] < 1
    assert weak["rank"] != weak["rank"] and weak["bias"] == pytest.approx(-10)


@pytest.mark.slow
def test_what_is_said_is_what_the_tables_say():
    records = told_sweep()
    [said] = sentences.orthogonality_told_finding(records)
    assert said == "MLP on digits: the pairs show no bias in 0 of 1 kinds of training and quantities."
    [row] = numbers_of([said]).drop(columns="network").to_numpy().tolist()
    assert row[:5] == ["reciprocal orthogonality", "32", "3e-3", "6", "0.100"] and row[-1].startswith("0.94 (")
    worst = sentences.worst_told_finding(records)
    assert all(each.endswith(", the prediction is too high.") for each in worst)
    rows = numbers_of(worst)[["told", "found", "width"]].to_numpy().tolist()
    assert rows == [["0.850", "0.700", "×16"], ["42.5", "35.0", "×16"]]
    verdict = sentences.one_network_verdict(records)
    assert "holds 0 for 0 of them" in verdict and "better than by chance for 1 of 1" in verdict
    assert sentences.one_network_verdict([]) == "**Verdict.** Nothing is measured that could tell."
    shown = tables.told(records)
    assert list(shown["told"]) == [each for each in QUANTITIES if each != VARYING] and set(shown["pairs"]) == {"6"}


@pytest.mark.slow
@pytest.mark.parametrize("draw", [figures.orthogonality_told, figures.lost_told])
@pytest.mark.parametrize("narrow", [False, True])
def test_points_stand_beside_a_diagonal(draw, narrow):
    records = told_sweep()
    table = figures.FIGURES[draw].table(Measurements.of(records))
    figure = draw(table, narrow=narrow)
    [axis] = [axis for part in figure.subfigs for axis in part.axes]
    points = {tuple(map(float, point)) for line in axis.lines[:-1] for point in zip(*line.get_data(), strict=True)}
    assert points == set(zip(table["found"], table["told"], strict=True))
    diagonal = axis.lines[-1].get_data()
    assert list(diagonal[0]) == list(diagonal[1]) and diagonal[0][1] >= max(max(point) for point in points)
    assert "MLP on digits" in figures.FIGURES[draw].alt(table) and len(figures.to_html(draw, records)) > 1000


def test_pairs_of_one_training_are_one_point_of_orthogonality():
    records = [*told_records(seeds=(0, 1), found=0.4), *told_records(seeds=(2, 3), found=0.6)]
    table = orthogonality_told_table(records)
    assert table["found"].tolist() == pytest.approx([0.5, 0.5]) and table["pairs"].tolist() == [2, 2]


def test_the_split_is_of_pairs_and_layers():
    table = split_table(told_records(found=0.4, error=0.1))
    assert list(table["depth"]) == [2, 3] and table["predicted_from"].tolist() == pytest.approx([0.5, 0.5])
    assert table["predicted"].tolist() == [0.4, 0.4] and table["weight_share"].isna().all()
    assert split_table([]).empty
