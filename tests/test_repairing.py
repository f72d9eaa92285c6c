"""The study of repairs: its numbers are those of the curve and of the repaired networks; its plan trains nothing."""

from dataclasses import replace

import pytest

from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, barriers, loss, predict_logits, repair_study
from lmcbook.lab import plan
from lmcbook.lab.config import PairConfig
from lmcbook.lab.measurements import measure_repair
from lmcbook.lab.records import read_record, write_record
from lmcbook.merging import REPAIRS, add_biases, merge
from tests.helpers.evaluation_pairs import GRID, random_pair
from tests.helpers.sessions import session_of
from tests.helpers.synthetic_records import make_record


def test_without_a_repair_the_curve_is_that_of_the_line_and_so_are_the_ends_and_the_ensemble():
    pair = random_pair("mlp")
    found, curve = repair_study(pair.line(), coefficients=GRID, images=pair.train_images), pair.curve()
    assert set(found["curves"]) == {*REPAIRS, "ensemble"} == set(found["barriers"])
    for name in ("loss", "accuracy", "inverse_temperature", "calibrated_loss"):
        assert found["curves"]["none"][name] == pytest.approx(getattr(curve, name), rel=1e-5)
        assert found["curves"]["ensemble"][name] == pytest.approx(getattr(curve.ensemble, name), rel=1e-5)
        for kind in REPAIRS:
            for end in (GRID.index(0.0), GRID.index(1.0)):
                assert found["curves"][kind][name][end] == found["curves"]["none"][name][end]
    for name, value in found["barriers"]["none"].items():
        assert value == pytest.approx(barriers(curve)[name], rel=1e-4, abs=1e-6)
    assert found["layers"] == {"hidden1.linear": 1, "hidden2.linear": 2}


@pytest.mark.parametrize("kind", REPAIRS[1:])
def test_repaired_points_are_those_of_the_repaired_networks(kind):
    pair = random_pair("mlp", bias=True)
    found = repair_study(pair.line(), coefficients=GRID, images=pair.train_images)["curves"][kind]
    for index, coefficient in enumerate(GRID):
        state = merge(pair.model, pair.state_a, pair.state_b, coefficient, pair.train_images, repair=kind)
        logits = predict_logits(add_biases(pair.model), state, pair.test.images)
        assert found["loss"][index] == pytest.approx(loss(logits, pair.test.labels), rel=1e-4)
        assert found["accuracy"][index] == pytest.approx(accuracy(logits, pair.test.labels), abs=1e-6)


@pytest.mark.slow
def test_where_batch_norm_follows_every_hidden_layer_all_repairs_are_none():
    pair = random_pair("resnet20")
    found = repair_study(pair.line(), coefficients=GRID, images=pair.train_images)
    assert found["layers"] == {} and all(found["curves"][kind] == found["curves"]["none"] for kind in REPAIRS)


def test_a_grid_without_the_middle_is_refused():
    pair = random_pair("mlp")
    with pytest.raises(InputError, match=r"coefficients is \(0\.0, 1\.0\); it must hold 0, 0\.5 and 1"):
        repair_study(pair.line(), coefficients=[0, 1], images=pair.train_images)


@pytest.mark.slow
def test_a_record_is_small_and_comes_back(pico_pair, trained_pair, digits, tmp_path):
    config = replace(pico_pair, measurement="repair", num_coefficients=13, repair_examples=100)
    data = measure_repair(config, session_of(config, trained_pair[0].state, trained_pair[1].state, digits))
    record = replace(make_record(), config=config, measurement="repair", digest="", data=data)
    path = write_record(record, tmp_path)
    assert path.stat().st_size < 12_000 and read_record(path).data == record.data
    less = measure_repair(
        replace(config, repair_examples=50), session_of(config, trained_pair[0].state, trained_pair[1].state, digits)
    )
    assert less["curves"]["none"] == data["curves"]["none"] and less["curves"]["mean"] != data["curves"]["mean"]


def test_the_number_of_images_is_part_of_the_address_only_where_it_is_not_the_usual(pico_pair):
    usual = replace(pico_pair, measurement="repair")
    assert "repair_examples" not in usual.to_dict() and usual.repair_examples == 500
    other = replace(usual, repair_examples=100)
    assert other.digest != usual.digest and PairConfig.from_dict(other.to_dict()) == other
    with pytest.raises(InputError, match="repair_examples is 1; it must be a whole number at least 2"):
        replace(usual, repair_examples=1)


@pytest.mark.parametrize("scale", plan.SCALES)
def test_the_plan_trains_nothing_that_other_chapters_do_not(scale):
    planned = plan.common_mode(plan.Selection(scale))
    others = (plan.width, plan.batch_size, plan.small_batch_decays)
    trained = {one.pair.training.digest for plan_of in others for one in plan_of(plan.Selection(scale))}
    assert planned and {one.pair.training.digest for one in planned} <= trained
    repairs = [one.pair for one in planned if one.pair.measurement == "repair"]
    assert {pair.num_coefficients for pair in repairs} == {5 if scale == "paper" else 13} and {
        pair.training.architecture for pair in repairs
    } == {"mlp"}
    matched = {pair.training.digest for pair in repairs if pair.alignment == "weight_matching"}
    assert matched <= {pair.training.digest for pair in repairs if pair.alignment == "identity"}
    sizes = {pair.training.batch_size for pair in repairs}
    assert sizes == ({16, 32, 128} if scale != "paper" else {62, 125, 500, 2000})
