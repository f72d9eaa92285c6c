"""Committed records are held against a new training: what is wrong is found, and the user's store is left alone."""

import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmcbook.__main__ import main
from lmcbook.lab import paths
from lmcbook.lab.missing import Bench
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record, read_record, write_record
from lmcbook.lab.verify import _MAIN, AGREES, DISAGREES, UNJUDGED, judge, verify
from tests.helpers.synthetic_records import make_record


@pytest.fixture(scope="module")
def measured(pico_pair, tmp_path_factory) -> Record:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LMCBOOK_RUNS", str(tmp_path_factory.mktemp("runs")))
        return Bench(progress=False).measure(PlannedPair(scale="embedded", recipe="mlp-digits", pair=pico_pair))


def with_barrier(record: Record, barrier: float) -> Record:
    data = deepcopy(record.data)
    data["barriers"]["midpoint_accuracy_barrier"] = barrier
    return replace(record, data=data)


def of_other_networks(record: Record, final_loss: float = 0.5) -> Record:
    training = [{"final_loss": final_loss, "final_accuracy": 1.0, "threads": 1}] * 2
    provenance = record.provenance | {"training": training, "processor": "Another", "versions": {}}
    return replace(record, provenance=provenance)


@pytest.mark.slow
def test_the_same_training_agrees_to_the_bit_and_the_store_stays_empty(measured, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "runs"))
    path = write_record(measured, tmp_path / "records")
    before = path.read_bytes()
    assert main(["verify", "--records", str(tmp_path / "records"), "--sample", "3"]) == 0
    told = capsys.readouterr().out
    assert "1 of 1 records of scale embedded, drawn with seed 0" in told and "another seed" in told
    assert f"agrees           {path.name}: the same networks, and " in told and "values to the bit" in told
    assert told.endswith("1 agrees, 0 disagrees, 0 cannot be judged\n")
    assert not (tmp_path / "runs").exists() and path.read_bytes() == before
    assert [*(tmp_path / "records").rglob("*.json")] == [path]
    assert os.environ["LMCBOOK_RUNS"] == str(tmp_path / "runs") and torch.get_num_threads() == 1


def test_networks_in_the_users_store_are_not_taken(measured, tmp_path, monkeypatch):
    mine, seen = paths.runs(), []

    def measure(bench, one):
        seen.append(paths.runs())
        return measured

    monkeypatch.setattr(Bench, "measure", measure)
    write_record(measured, tmp_path)
    assert [verdict.word for verdict in verify("embedded", folder=tmp_path, report=print)] == [AGREES]
    assert len(seen) == 1 and mine not in (seen[0], *seen[0].parents) and not seen[0].exists() and paths.runs() == mine


@pytest.mark.slow
def test_a_value_that_was_changed_and_sealed_again_is_found(measured, tmp_path, capsys):
    barrier = measured.data["barriers"]["midpoint_accuracy_barrier"]
    write_record(with_barrier(measured, barrier + 0.01), tmp_path)
    assert main(["verify", "--records", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "the same networks, but 1 of " in told
    assert f"barriers.midpoint_accuracy_barrier is {barrier}, the record has {barrier + 0.01}" in told


def test_an_edited_file_is_bad_input(measured, tmp_path, capsys):
    path = write_record(measured, tmp_path)
    path.write_text(path.read_text().replace('"lewc_exponent": 3', '"lewc_exponent": 4'))
    assert main(["verify", "--records", str(tmp_path)]) == 2
    assert "was edited or damaged" in capsys.readouterr().err


def test_rounding_is_no_disagreement_and_a_missing_value_is(measured):
    loss = [value * (1 + 1e-5) for value in measured.data["curve"]["loss"]]
    rounded = replace(measured, data=measured.data | {"curve": measured.data["curve"] | {"loss": loss}})
    assert judge(rounded, measured, []).word == AGREES
    assert "within the tolerance" in judge(rounded, measured, []).why
    lacking = {name: value for name, value in measured.data.items() if name != "temperatures"}
    assert "the record has absent" in judge(replace(measured, data=lacking), measured, []).why


@pytest.fixture
def group() -> list[Record]:
    """Five pairs that lose 40 points, give or take a few: as another processor measured them."""
    dips = {(0, 1): 0.40, (2, 3): 0.37, (4, 5): 0.44, (6, 7): 0.42, (8, 9): 0.39}
    return [of_other_networks(make_record(seeds=seeds, depth_of_dip=dip)) for seeds, dip in dips.items()]


@pytest.mark.parametrize(
    ("recorded", "again", "word"),
    [
        (0.40, 0.47, AGREES),  # what a second pair of seeds could have been
        (0.40, 0.95, DISAGREES),  # the code measures something else now
        (0.95, 0.40, DISAGREES),  # the record was tampered with
    ],
)
def test_a_record_of_another_processor_is_held_against_the_spread_of_its_pairs(group, recorded, again, word):
    anew = of_other_networks(make_record(seeds=(0, 1), depth_of_dip=again), final_loss=0.6)
    record = of_other_networks(make_record(seeds=(0, 1), depth_of_dip=recorded))
    verdict = judge(record, anew, group[1:])
    assert verdict.word == word
    assert f"midpoint_accuracy_barrier {again:.4g} (record {recorded:.4g}, 5 pairs give " in verdict.why


def test_the_interval_is_where_one_more_pair_lies(group):
    anew = of_other_networks(make_record(seeds=(0, 1), depth_of_dip=0.40), final_loss=0.6)
    why = judge(group[0], anew, group[1:]).why
    # mean 0.404, standard deviation 0.02702, t of 4 degrees of freedom at 1 − 0.01/8 = 6.75 (tables: 5.60 to 7.17)
    low, high = (float(word) for word in why.partition("pairs give ")[2].partition(")")[0].split(" to "))
    half = (high - low) / 2
    assert (low + high) / 2 == pytest.approx(0.404, abs=1e-3)
    assert 5.60 < half / (0.02702 * (1 + 1 / 5) ** 0.5) < 7.17


def test_too_few_pairs_and_measurements_without_a_main_number_cannot_be_judged(group):
    anew = of_other_networks(make_record(seeds=(0, 1), depth_of_dip=0.95), final_loss=0.6)
    assert judge(group[0], anew, []).word == judge(group[0], anew, group[1:2]).word == UNJUDGED
    assert "no spread of 1 committed pair" in judge(group[0], anew, []).why
    assert "no spread of 2 committed pairs" in judge(group[0], anew, group[1:2]).why
    pair = replace(group[0].config, measurement="calibration")
    calibrated = replace(group[0], config=pair, measurement="calibration", digest="")
    again = replace(calibrated, provenance=anew.provenance)
    assert "no main number of calibration" in judge(calibrated, again, group).why


def test_other_networks_under_the_same_names_of_processor_and_libraries_are_named(group):
    other = of_other_networks(group[0], final_loss=0.6)
    assert "although processor and libraries have the same names" in judge(group[0], other, group[1:]).why
    elsewhere = replace(other, provenance=other.provenance | {"processor": "A third"})
    assert "although" not in judge(group[0], elsewhere, group[1:]).why


@pytest.mark.slow
def test_each_record_may_be_drawn_and_the_seed_decides(group, tmp_path, monkeypatch):
    for record in group:
        write_record(record, tmp_path)
    known = {record.digest: record for record in group}
    monkeypatch.setattr(Bench, "measure", lambda bench, one: known[one.pair.digest])

    def drawn(seed: int) -> list[str]:
        found = verify("embedded", sample=2, seed=seed, folder=tmp_path, report=print)
        return sorted(verdict.record.digest for verdict in found)

    draws = [drawn(seed) for seed in range(5)]
    assert {digest for each in draws for digest in each} == set(known) and all(len(set(each)) == 2 for each in draws)
    assert drawn(3) == draws[3]


def test_what_is_not_reached_in_time_is_no_agreement(measured, tmp_path, capsys):
    write_record(measured, tmp_path)
    assert main(["verify", "--records", str(tmp_path), "--max-minutes", "1e-9"]) == 1
    assert "0 agrees, 0 disagrees, 0 cannot be judged, 1 not reached in time" in capsys.readouterr().out


def test_what_cannot_be_measured_again_disagrees(measured, tmp_path, monkeypatch):
    def fail(bench, one):
        raise RuntimeError("the loss is nan")

    monkeypatch.setattr(Bench, "measure", fail)
    write_record(measured, tmp_path)
    [verdict] = verify("embedded", folder=tmp_path, report=print)
    assert verdict.word == DISAGREES and verdict.why == "it cannot be measured again: the loss is nan"


def test_the_main_numbers_are_in_the_committed_records_of_each_measurement():
    """One record of each measurement that has main numbers, against itself as if it were of other networks."""
    folder = Path(__file__).parents[1] / "records" / "embedded"
    for measurement in _MAIN:
        first = min(folder.glob(f"*_identity_{measurement}_*.json"))
        record = read_record(first)
        other = of_other_networks(record)
        told = judge(record, other, [record, record])
        assert told.word == AGREES and all(name in told.why for name in _MAIN[measurement][1]), told
