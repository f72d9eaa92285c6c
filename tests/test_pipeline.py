"""The pipeline: a record holds what was asked for, twice the same, nothing is done twice, bad input costs nothing."""

import gc
import json
import weakref
from dataclasses import replace

import pytest
import torch

from lmcbook.data import load
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, predict_logits
from lmcbook.lab import pipeline, store
from lmcbook.lab.config import PairConfig
from lmcbook.lab.on_demand import collect, present
from lmcbook.lab.pipeline import measure, measure_missing, resolve_device
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import RecordIndex, read_record, write_record
from lmcbook.matching import weight_matching
from lmcbook.models import build_model


@pytest.fixture
def planned(pico_pair) -> PlannedPair:
    return PlannedPair(scale="embedded", recipe="mlp-digits", pair=pico_pair)


@pytest.fixture(autouse=True)
def trained_already(trained_pair, pico_pair, monkeypatch):
    """The session's trained pair stands in for a training; counts how often one is asked for."""
    states = dict(zip((pico_pair.training_a, pico_pair.training_b), trained_pair, strict=True))
    asked = []

    def train_together(configs, splits, **options):
        asked.extend(configs)
        return ((config, states[config]) for config in configs)

    monkeypatch.setattr(store, "train_together", train_together)
    return asked


def test_a_record_tells_the_truth_about_the_endpoints(planned, digits, trained_pair):
    record = measure(planned, progress=False)
    curve = record.data["curve"]
    model = build_model(planned.pair.training, input_shape=digits.input_shape, num_classes=10)
    for place, trained in ((-1, trained_pair[0]), (0, trained_pair[1])):
        logits = predict_logits(model, trained.state, digits.test.images)
        assert curve["accuracy"][place] == pytest.approx(accuracy(logits, digits.test.labels))
    assert curve["coefficients"] == [0, 0.25, 0.5, 0.75, 1]
    assert record.run_keys == tuple(map(store.run_key, (planned.pair.training_a, planned.pair.training_b)))
    assert record.dataset_sha256 == digits.sha256
    assert record.provenance["versions"]["torch"] == torch.__version__


def test_what_is_present_is_read_and_nothing_is_measured(planned, tmp_path, monkeypatch, trained_already):
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "committed"))
    other = replace(planned, pair=replace(planned.pair, alignment="random"))
    assert present([planned, other]) == [] and trained_already == []
    record = measure(planned, progress=False)
    write_record(record, tmp_path / "committed")
    asked = len(trained_already)
    assert [each.digest for each in present([other, planned])] == [record.digest] and len(trained_already) == asked


def test_two_measurements_differ_in_nothing_but_provenance(planned, tmp_path):
    first, second = measure(planned, progress=False), measure(planned, progress=False)
    assert first.data == second.data and first.digest == second.digest
    read = read_record(write_record(first, tmp_path))
    assert json.dumps(read.data, sort_keys=True) == json.dumps(first.data, sort_keys=True)


def test_a_random_permutation_leaves_the_endpoints_alone(planned):
    plain = measure(planned, progress=False).data["curve"]
    permuted = measure(replace(planned, pair=replace(planned.pair, alignment="random")), progress=False).data["curve"]
    for name in ("accuracy", "loss"):
        assert permuted[name][0] == pytest.approx(plain[name][0], abs=1e-6)
        assert permuted[name][-1] == pytest.approx(plain[name][-1], abs=1e-6)
    assert permuted["loss"][2] != plain["loss"][2]


def test_what_is_there_is_not_measured_again(planned, tmp_path, trained_already, monkeypatch):
    both = [planned, replace(planned, pair=replace(planned.pair, alignment="random"))]
    first = measure_missing(both, folder=tmp_path, progress=False)
    assert len(trained_already) == 2  # two networks, however many measurements
    monkeypatch.setattr(pipeline, "measure", lambda *arguments, **options: pytest.fail("measured again"))
    second = measure_missing(both, folder=tmp_path, progress=False)
    assert [record.data for record in first] == [record.data for record in second]


def test_require_cached_says_what_is_missing(planned, tmp_path, trained_already):
    with pytest.raises(InputError, match=r"require_cached is true, but 1 of 1 records .*mlp-digits ×1\): set requ"):
        collect([planned], folder=tmp_path, require_cached=True)
    collect([planned], folder=tmp_path, progress=False)
    assert RecordIndex(tmp_path).find(planned.pair) is not None
    assert len(collect([planned], folder=tmp_path, require_cached=True)) == 1
    assert len(trained_already) == 2


def test_committed_records_are_used_and_fresh_ones_come_first(planned, tmp_path, monkeypatch, trained_already):
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "committed"))
    record = measure(planned, progress=False)
    write_record(record, tmp_path / "committed")
    (found,) = collect([planned], folder=tmp_path / "fresh", require_cached=True)
    assert found.source == "committed"
    write_record(record, tmp_path / "fresh")
    (found,) = collect([planned], folder=tmp_path / "fresh", require_cached=True)
    assert found.source == "measured here"


def test_bad_input_is_refused_before_any_training(planned, tmp_path, trained_already):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(InputError, match="records folder"):
        measure_missing([planned], folder=blocker / "records")
    with pytest.raises(InputError, match="device is 'tpu'; it may be one of: auto, cpu, cuda"):
        measure_missing([planned], folder=tmp_path, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device is 'cuda', but torch sees no GPU here"):
            measure_missing([planned], folder=tmp_path, device="cuda")
    assert not trained_already


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"


def test_equal_seeds_are_refused(pico):
    with pytest.raises(InputError, match="must differ"):
        PairConfig(training=pico, seeds=(3, 3))


def test_a_search_is_done_once_for_all_measurements_of_a_pair(planned, monkeypatch):
    searches = []

    def counted(*arguments, **options):
        searches.append(options["seed"])
        return weight_matching(*arguments, **options)

    monkeypatch.setattr(pipeline, "weight_matching", counted)
    monkeypatch.setattr(pipeline, "_searched", {})
    matched = replace(planned, pair=replace(planned.pair, alignment="weight_matching"))
    inside = replace(matched, pair=replace(matched.pair, measurement="layerwise"))
    first, *_, second = (measure(each, progress=False) for each in (matched, planned, inside))
    assert searches == [0]
    assert first.data["alignment"] == second.data["alignment"]
    assert first.provenance["alignment_cpu_seconds"] == second.provenance["alignment_cpu_seconds"] > 0
    # the same search for other weights is another one
    run_a, run_b = store.ensure_many((planned.pair.training_a, planned.pair.training_b), progress=False)
    pair, splits = matched.pair, load("digits")
    model = build_model(pair.training, input_shape=splits.input_shape, num_classes=10, device="meta")
    changed = replace(run_b, manifest={**run_b.manifest, "files": {store.WEIGHTS: "0" * 64}})
    pipeline.align(pair, model, run_a, changed, splits, progress=False)
    assert searches == [0, 0]


def test_what_failed_work_holds_is_released():
    class Held:
        pass

    held = Held()
    held.itself = held  # type: ignore[attr-defined]
    gone = weakref.ref(held)
    gc.disable()
    try:
        del held
        assert gone() is not None
        pipeline.release_memory()
        assert gone() is None
    finally:
        gc.enable()
