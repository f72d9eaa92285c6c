"""What is said of the controls of the common mode: points lost, verdicts by intervals, figures, on made-up records."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lmcbook.errors import InputError
from lmcbook.lab import plan
from lmcbook.lab.plan.changed_trainings import noise_or_passes, training_options
from lmcbook.lab.records import Record
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis.common_mode_controls import (
    controls_table,
    many_table,
    merges_table,
    outcomes_table,
    placed_beside_trained,
    placement_table,
)
from lmcbook.pages.analysis.labels import mean_and_deviation
from lmcbook.pages.analysis.predictions import PREDICTIONS, STATISTICS, Prediction, judged, read_predictions
from lmcbook.pages.analysis.told import numbers_of
from tests.helpers.drawn import alt_of, data_of, drawn
from tests.helpers.synthetic_records import make_layerwise_record, make_record

PLAIN_LOST = {
    "as the recipe": 20.0,
    "batches of 500": 10.0,
    "batches of 125": 2.0,
    "weights of losses": 3.0,
    "tanh": 4.0,
}


def entries(
    plain: float, repaired: float, *, accuracy: float = 0.95, beta: float = 8.0, **place: Any
) -> list[dict[str, Any]]:
    lost = {"networks": 0.0, "ensemble": -0.01, "plain": plain, "mean": 2 * repaired, "lewc_mean": repaired}
    lost |= {"without_common_cross_talk": repaired + 3, "without_mean_cross_talk": repaired + 1}
    return [
        place
        | {
            "kind": kind,
            "accuracy": accuracy - points / 100,
            "loss": 1.0,
            "inverse_temperature": 1.0 if kind == "ensemble" else beta,
            "calibrated_loss": 0.5,
        }
        for kind, points in lost.items()
    ]


def record_of(one: plan.PlannedPair, merges: list[dict[str, Any]]) -> Record:
    return Record(
        scale=one.scale, recipe=one.recipe, config=one.pair, dataset_sha256="0" * 64, run_keys=("a", "b"),
        data={"merges": merges, "alignment": {}}, provenance={"device": "cpu"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found = []
    planned = [*training_options(plan.Selection("desk")), *noise_or_passes(plan.Selection("paper"))]
    for one in planned:
        name = plan.control_of(one.recipe, one.pair.training, scale=one.scale)
        if one.pair.measurement == "common_mode":
            parts = [(2, 0.1, 0.2), (3, 0.3, 0.2), (4, 0.9, 0.9)]  # the fourth reads units, and is the classifier
            layers = [
                {"layer": f"layer{depth}", "depth": depth, "metrics": {"common": common, "isotropic": isotropic}}
                for depth, common, isotropic in parts
            ]
            found.append(
                replace(record_of(one, []), data={"layers": layers, "alignment": {}}, measurement="common_mode")
            )
            continue
        spread = 0.1 * (one.pair.seeds[0] % 3)
        lost = PLAIN_LOST.get(str(name), 12.0) + spread
        accuracy = 0.1 if name == "layer norm" else 0.95
        found.append(record_of(one, entries(lost, 4.0 + spread, accuracy=accuracy)))
    for one in plan.common_mode_controls(plan.Selection("desk")):
        spread = 0.1 * (one.pair.seeds[0] % 3)
        if one.pair.measurement == "many":
            merges = [
                entry
                for count in (2, 3, 4)
                for entry in entries(10 + spread, 1, beta=2.0 ** (count + 1), networks=count)
            ]
            found.append(record_of(one, merges))
        elif one.pair.measurement == "placement":
            merges = [
                entry
                for units, copies, share, lost in ((32, 1, 1.0, 20), (256, 1, 0.125, 1), (512, 16, 1.0, 6))
                for draw in range(3)
                for entry in entries(lost + spread + draw - 1, 1, units=units, copies=copies, share=share, draw=draw)
            ]
            found.append(record_of(one, merges))
    return found


# --- predictions -----------------------------------------------------------------------------------------------------


def test_every_prediction_is_of_a_control_that_is_planned_and_every_control_has_one():
    names = {*plan.CONTROLS, *plan.NOISE, "4 networks", "placed, an eighth used", "placed, all used"}
    assert {prediction.control for prediction in PREDICTIONS} == names - {"batches of 500", "batches of 125"}
    assert {prediction.statistic for prediction in PREDICTIONS} == set(STATISTICS)
    assert len({(prediction.control, prediction.statistic) for prediction in PREDICTIONS}) == len(PREDICTIONS)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([], "not measured"),
        ([0.5], "undecided"),
        ([0.4, 0.5, 0.6], "held"),
        ([1.9, 2.0, 2.1], "refuted"),
        ([-2.0, -2.1, -2.2], "refuted"),
        ([0.0, 1.0, 2.0], "undecided"),
        ([0.9, 1.0, 1.1], "undecided"),
    ],
)
def test_a_verdict_is_that_of_the_interval_and_not_of_the_mean(values, word):
    between = Prediction(control="tanh", statistic="gain", statement="…", low=-1, high=1)
    assert judged(between, values) == word


@pytest.mark.parametrize("prediction", PREDICTIONS, ids=lambda each: f"{each.control}-{each.statistic}")
def test_every_prediction_can_hold_and_can_be_refuted(prediction):
    low, high = prediction.low, prediction.high
    middle = (
        (low + high) / 2 if math.isfinite(low) and math.isfinite(high) else low + 1 if math.isfinite(low) else high - 1
    )
    step = 0.001 * min(high - low, 1)
    assert judged(prediction, [middle - step, middle, middle + step]) == "held"
    outside = [bound + sign for bound, sign in ((low, -1), (high, 1)) if math.isfinite(bound)]
    assert outside
    for beyond in outside:
        assert judged(prediction, [beyond - step, beyond, beyond + step]) == "refuted"
    edge = low if math.isfinite(low) else high
    assert judged(prediction, [edge - step, edge, edge + step]) == "undecided"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "its bounds are -inf and inf; give some, low < high"),
        ("low = 1\nhigh = 1", "its bounds are 1 and 1; give some, low < high"),
        ("low = 0\ncolour = 3", "a key is 'colour'; it may be one of: control, statistic, statement, low, high"),
        ('low = "0"', "low is '0'; it must be a number"),
        ("low = true", "low is True; it must be a number"),
        ("low = nan", "gain.low is nan; it must be a number"),
    ],
)
def test_a_bad_prediction_is_refused_in_one_line_that_names_it(line, message):
    head = '[[prediction]]\ncontrol = "tanh"\nstatistic = "gain"\nstatement = "…"\n'
    with pytest.raises(InputError) as failed:
        read_predictions(head + line)
    assert str(failed.value) == f"prediction 'tanh': {message}"
    with pytest.raises(InputError, match="prediction 'tanh': statistic is 'luck'; it may be one of: gain, "):
        read_predictions(head.replace("gain", "luck") + "low = 0")
    with pytest.raises(InputError, match="prediction 'tahn': control is 'tahn'; it may be one of: as the recipe, "):
        read_predictions(head.replace("tanh", "tahn") + "low = 0")
    with pytest.raises(InputError, match="statement must be given; a prediction needs control, statistic, statement"):
        read_predictions(head.replace('statement = "…"', "low = 0"))
    with pytest.raises(InputError, match="the file of predictions is no TOML: "):
        read_predictions(head + "low")


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_points_lost_are_told_of_each_pair(records):
    table = controls_table(records)
    chosen = table[(table["control"] == "as the recipe") & (table["batch_size"] == 128)]
    assert len(chosen) == 6 and chosen["plain"].tolist() == pytest.approx(
        [20 + 0.1 * (a % 3) for a in chosen["seed_a"]]
    )
    assert not table[table["control"] == "layer norm"]["trained"].any() and chosen["trained"].all()
    assert len(merges_table(records)) == sum(len(record.data.get("merges", [])) for record in records)
    assert merges_table([]).empty and controls_table([]).empty and many_table([]).empty and placement_table([]).empty


@pytest.mark.slow
def test_placements_are_means_over_draws_and_groups_know_the_prediction_of_their_temperature(records):
    placed = placement_table(records)
    single = placed[(placed["share"] == 1) & (placed["copies"] == 16) & (placed["seed_a"] == 0)]
    assert single["plain"].tolist() == pytest.approx([6.0])
    many = many_table(records)
    errors = many[(many["networks"] == 4) & (many["seed_a"] == 0)]["lewc_mean_error"]
    assert errors.tolist() == pytest.approx([math.log2(2.0**5 / 4**3)])
    [embedded] = [one for one in plan.common_mode_controls(plan.Selection("embedded")) if one.pair.more_seeds]
    again = record_of(embedded, entries(10, 1, networks=4))
    assert len(many_table([*records, again])) == len(many), "the first four networks are in another group already"


@pytest.mark.slow
def test_each_prediction_has_its_statistic_and_its_verdict(records):
    table: Any = outcomes_table(records).set_index(["control", "statistic", "batch_size"])
    row = table.loc[("tanh", "better", 128)]
    assert row["mean"] == pytest.approx(16.0) and row["verdict"] == "held" and row["pairs"] == 6
    assert table.loc[("tanh", "gain", 128), "mean"] == pytest.approx(0.0)
    assert table.loc[("layer norm", "mean_gain", 32), "verdict"] == "not trained"
    common, rest = (table.loc[("as the recipe", f"{name}_gain", 32), "mean"] for name in ("common", "rest"))
    assert common == pytest.approx(13.0) and rest == pytest.approx(2.0)
    nearer = table.loc[("weights of losses", "beyond_middle", 500)]
    assert nearer["mean"] == pytest.approx(3.0) and nearer["verdict"] == "held" and nearer["pairs"] == 4
    assert table.loc[("four times the rate", "beyond_middle", 500), "verdict"] == "refuted"
    assert table.loc[("placed, an eighth used", "lost", 32), "verdict"] == "held"
    assert table.loc[("placed, all used", "lost", 32), "mean"] == pytest.approx(6.1, abs=0.1)
    assert table.loc[("4 networks", "exponent_error", 32), "verdict"] == "refuted"
    assert table.loc[("4 networks", "ensemble_gap", 32), "mean"] == pytest.approx(1.01)
    part = table.loc[("tanh", "common_part", 128)]
    assert part["mean"] == pytest.approx(0.2) and part["pairs"] == 6, "the classifier is not between hidden units"
    assert table.loc[("layer norm", "common_part", 32), "verdict"] == "not trained"


@pytest.mark.slow
def test_placed_networks_are_compared_at_the_active_share_of_trained_ones(records):
    trained = []
    for width, active, lost in ((2.0, 0.5, 20.0), (8.0, 0.25, 9.0), (16.0, 0.6, 5.0), (32.0, 0.01, 3.0)):
        for seeds in ((0, 1), (2, 3)):
            whole, inside = make_record(width, seeds=seeds), make_layerwise_record(width, seeds=seeds)
            whole.data["barriers"]["midpoint_accuracy_barrier"] = lost / 100
            for entry in inside.data["layers"]:
                if "active_share_a" in entry["metrics"]:
                    entry["metrics"] |= {f"active_share_{network}": active for network in "ab"}
            trained += [whole, inside]
    table = placed_beside_trained(records, trained).set_index("width_multiplier")
    assert list(table.index) == [8], "not itself, and no placement has a larger share than all places, or one so small"
    assert table.loc[8, "active"] == pytest.approx(0.25) and table.loc[8, "lost"] == pytest.approx([9.0, 9.0])
    # half of the active units of the narrow networks: a third of the way from all places to an eighth, in octaves
    found: Any = table.loc[8, "placed_lost"]
    assert found[0] == pytest.approx(20 - 19 / 3) and len(found) == 8
    said = sentences.placed_beside_trained_finding(records, trained)
    assert said == [
        "MLP on digits: placed networks lose more than trained networks with as few active units at 1 of 1 widths."
    ]
    [row] = numbers_of(said).to_dict("records")
    assert row["width"] == "×8" and row["units that carry 90 % of the second moment"] == "25 %"
    assert row["points lost by averaging"] == "9.0\xa0±\xa00.0 (2 pairs)"
    assert placed_beside_trained([], trained).empty and placed_beside_trained(records, []).empty


@pytest.mark.slow
def test_both_parts_are_told_of_each_control(records):
    said = sentences.common_parts_finding(records)
    rows = {(row["batches"], row["changed"]): row for row in numbers_of(said).to_dict("records")}
    assert list(rows["batches of 128", "tanh"].values())[2:] == [
        mean_and_deviation([0.2, 0.2]),
        mean_and_deviation([0.2, 0.2]),
        "6",
    ]
    assert len(rows) == 2 * len(plan.CONTROLS) and sentences.common_parts_finding([]) == []
    assert said[0].endswith(f"the common part is the larger in 0 of {len(plan.CONTROLS)} trainings.")


# --- sentences and figures -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_verdict_says_every_prediction_with_its_numbers(records):
    said = sentences.controls_verdict(records)
    outcomes = outcomes_table(records)
    rows = numbers_of(said)
    assert len(rows) == len(outcomes) and "nan" not in rows.to_string()
    held = (outcomes["verdict"] == "held").sum()
    assert f"Of {len(outcomes)} predictions: {held} held, " in said and "4 not trained" in said
    rate = rows[rows["training"] == "four times the rate, batches of 500"]
    assert list(rate["verdict"]) == ["refuted"] and list(rate["bounds"]) == ["at least 0"]
    assert (rows["bounds"] == "between −2 and 2").any()
    assert list(rate["n"]) == ["3"]
    common = rows[rows["prediction"].str.contains("between hidden units")]
    assert common["seen (95 % interval)"].str.startswith("0.20 (").any()
    assert sentences.controls_verdict([]) == "**Verdict.** Nothing is measured that could tell."


@pytest.mark.slow
def test_findings_say_what_the_records_say(records):
    found = sentences.control_sentences(records)
    rows = {(row["batches"], row["changed"]): row for row in numbers_of(found).to_dict("records")}
    tanh = rows["batches of 128", "tanh"]
    assert [tanh[name].replace("\u00a0", " ") for name in ("points lost, plain", "repaired")] == ["4.1 ± 0.1"] * 2
    assert tanh["pairs"] == "6"
    norm = rows["batches of 32", "layer norm"]
    assert norm["networks are right (%)"] == "10.0" and norm["repaired"] == "–"
    assert any("did not train" in each for each in found)
    [placed] = sentences.placement_finding(records)
    lost = {row["placed"]: row["points lost"].replace("\u00a0", " ") for row in numbers_of(placed).to_dict("records")}
    assert lost["both use 1/8 of them"] == "1.1 ± 0.1" and "all of 512 places used, by split units" in lost
    assert "less is lost where they use few places" in placed
    many, less = sentences.many_finding(records)
    rows = numbers_of(many).set_index("networks").apply(lambda column: column.str.replace("\u00a0", " "))
    assert list(rows.index) == ["2", "3", "4"] and "–" not in rows.to_numpy()
    kinds = ("plain", "repaired", "ensemble")
    assert [rows.loc["4", f"points lost, {kind}"] for kind in kinds] == ["10.1 ± 0.1", "1.0 ± 0.0", "0.0 ± 0.0"]
    assert [rows.loc["4", f"calibrated loss, {kind}"] for kind in kinds] == ["0.50 ± 0.00"] * 3
    assert rows.loc["3", "β over LEWC's, plain"] == f"{2.0**4 / 3**3:.2f} ± 0.00"
    assert many == (
        "MLP on digits: repaired averages of 2 and 4 networks lose 1.0 and 1.0 points, ensembles 0.0 at most "
        "(6 groups of networks)."
    )
    assert less == "MLP on digits: averages of the most networks lose less repaired than plain."


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_the_ensemble_stands_beside_the_averages_of_many_networks(records, narrow):
    figure = drawn(figures.lost_by_number, records, narrow=narrow)
    lost, loss, _ = figure.axes
    table = many_table(records)
    for axis, column in ((lost, "ensemble"), (loss, "ensemble_loss")):
        assert [*table[column]] in [[*np.asarray(line.get_ydata())] for line in axis.lines]
    # dots and a line through means of each, and the line of nothing lost or of LEWC
    assert [len(axis.lines) for axis in figure.axes] == [7, 6, 5] and loss.get_ylabel() == "calibrated loss (nats)"
    assert {text.get_text() for text in figure.legends[0].texts} == {"plain average", "repaired", "ensemble"}
    assert {"plain_loss", "lewc_mean_loss", "ensemble_loss"} <= set(data_of(figures.lost_by_number, records).columns)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [figures.lost_by_control, figures.lost_by_placement, figures.lost_by_number])
@pytest.mark.parametrize("narrow", [False, True])
def test_figures_are_drawn_of_what_they_are_told_from(records, draw, narrow):
    figure = drawn(draw, records, narrow=narrow)
    assert all(axis.lines for axis in figure.axes)
    assert "points" in alt_of(draw, records).lower() and not data_of(draw, records).empty
