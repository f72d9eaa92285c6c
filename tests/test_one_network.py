"""What one network tells: what is planned and measured, and what is said of it."""

from dataclasses import replace

import pytest

from lmcbook.lab import plan
from lmcbook.lab.measurements import (
    measure_common_mode_of,
    measure_interpolation,
    measure_layerwise,
    measure_self_merge,
)
from lmcbook.lab.records import Record
from tests.helpers.sessions import session_of


@pytest.mark.parametrize("scale", plan.SCALES)
def test_no_network_is_trained_for_it(scale):
    selection = plan.Selection(scale)
    others = [*plan.width(selection), *plan.depth(selection), *plan.batch_size(selection)]
    trained = {(one.pair.training, one.pair.seeds) for one in others}
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


def test_the_measurements_are_of_this_pair_and_small(pico_pair, trained_pair, digits):
    a, b = (one.state for one in trained_pair)
    session = session_of(pico_pair, a, b, digits)
    split = measure_common_mode_of(replace(pico_pair, measurement="common_mode"), session)
    last = split["layers"][-1]["metrics"]
    assert {"reciprocal_orthogonality", "predicted", "predicted_from_a", "predicted_from_b"} <= last.keys()
    swapped = measure_common_mode_of(pico_pair, session_of(pico_pair, b, a, digits))["layers"][-1]["metrics"]
    assert swapped["predicted_from_a"] == pytest.approx(last["predicted_from_b"], rel=1e-4)
    assert swapped["reciprocal_orthogonality"] == pytest.approx(last["reciprocal_orthogonality"], rel=1e-4)
    alone = measure_self_merge(replace(pico_pair, measurement="self_merge"), session)
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
