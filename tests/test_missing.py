"""What is missing is measured: what was asked for, twice the same, nothing twice, and bad input costs nothing."""

import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, predict_logits, prediction
from lmcbook.lab import session, store
from lmcbook.lab.config import PairConfig
from lmcbook.lab.missing import Bench, measure_missing, release_memory
from lmcbook.lab.on_demand import collect, present
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import RecordIndex, read_record, write_record
from lmcbook.models import build_model
from lmcbook.training import memory, train_together
from tests.helpers.calls import counted_calls
from tests.helpers.loaded import module_of

PAIR_SESSION = Path(__file__).parents[1] / "benchmarks" / "pair_session.py"


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
    record = Bench(progress=False).measure(planned)
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
    record = Bench(progress=False).measure(planned)
    write_record(record, tmp_path / "committed")
    asked = len(trained_already)
    assert [each.digest for each in present([other, planned])] == [record.digest] and len(trained_already) == asked


@pytest.mark.slow
def test_two_measurements_differ_in_nothing_but_provenance(planned, tmp_path):
    first, second = Bench(progress=False).measure(planned), Bench(progress=False).measure(planned)
    assert first.data == second.data and first.digest == second.digest
    read = read_record(write_record(first, tmp_path))
    assert json.dumps(read.data, sort_keys=True) == json.dumps(first.data, sort_keys=True)


def test_a_random_permutation_leaves_the_endpoints_alone(planned):
    plain = Bench(progress=False).measure(planned).data["curve"]
    permuted = (
        Bench(progress=False).measure(replace(planned, pair=replace(planned.pair, alignment="random"))).data["curve"]
    )
    for name in ("accuracy", "loss"):
        assert permuted[name][0] == pytest.approx(plain[name][0], abs=1e-6)
        assert permuted[name][-1] == pytest.approx(plain[name][-1], abs=1e-6)
    assert permuted["loss"][2] != plain["loss"][2]


@pytest.mark.slow
def test_what_is_there_is_not_measured_again(planned, tmp_path, trained_already, monkeypatch):
    both = [planned, replace(planned, pair=replace(planned.pair, alignment="random"))]
    first = measure_missing(both, folder=tmp_path, progress=False)
    assert len(trained_already) == 2  # two networks, however many measurements
    monkeypatch.setattr(Bench, "measure", lambda *arguments: pytest.fail("measured again"))
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
    record = Bench(progress=False).measure(planned)
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


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (1e-9, "width_multiplier is 1e-09; a layer of 16 units would have none left: it must be at least 0.0625"),
        (1e4, r"mlp ×10000 on digits does not fit into memory: .* take \d+\.?\d* GiB, and cpu has 1"),
        (1e9, r"mlp ×1e\+09 on digits does not fit into memory: .* at least .* take a smaller width_multiplier"),
        (1e200, r"mlp ×1e\+200 on digits does not fit into memory"),
    ],
)
def test_a_width_that_cannot_be_is_refused_before_any_training(
    width, message, planned, tmp_path, trained_already, monkeypatch
):
    monkeypatch.setattr(memory, "memory_of", lambda device: 2**30)
    wide = replace(planned, pair=replace(planned.pair, training=replace(planned.pair.training, width_multiplier=width)))
    with pytest.raises(InputError, match=message):
        measure_missing([planned, wide], folder=tmp_path, progress=False)
    assert not trained_already and not list(tmp_path.rglob("*.json"))


@pytest.mark.slow
def test_damaged_weights_cost_their_own_pair_only(planned, pico, tmp_path, digits, trained_pair, monkeypatch):
    record = Bench(progress=False).measure(planned)
    folder = store.run_folder(planned.pair.training_a)
    (folder / "weights.safetensors").write_bytes(b"no weights")
    other = replace(planned, pair=replace(planned.pair, seeds=(2, 3)))
    stand_in = iter(trained_pair)
    monkeypatch.setattr(store, "train_together", lambda configs, *_, **__: ((each, next(stand_in)) for each in configs))
    with pytest.raises(store.DamagedRun, match=f"{folder.name}/weights.safetensors") as error:
        measure_missing([planned, other], folder=tmp_path, progress=False)
    assert "\n" not in str(error.value)
    index = RecordIndex(tmp_path)
    assert index.find(other.pair) is not None and index.find(record.config) is None


def test_equal_seeds_are_refused(pico):
    with pytest.raises(InputError, match="must differ"):
        PairConfig(training=pico, seeds=(3, 3))


@pytest.mark.slow
def test_a_search_is_done_once_for_all_measurements_of_a_pair(planned, monkeypatch):
    searches = counted_calls(monkeypatch, session, "weight_matching")
    matched = replace(planned, pair=replace(planned.pair, alignment="weight_matching"))
    inside = replace(matched, pair=replace(matched.pair, measurement="layerwise"))
    bench = Bench(progress=False)
    first, *_, second = (bench.measure(each) for each in (matched, planned, inside))
    assert [search["seed"] for search in searches] == [0]
    assert first.data["alignment"] == second.data["alignment"]
    assert first.provenance["alignment_cpu_seconds"] == second.provenance["alignment_cpu_seconds"] > 0
    # the same search with other images is another one
    assert bench.session(matched.pair).aligned(matched.pair) is bench.session(inside.pair).aligned(inside.pair)
    bench.session(matched.pair).aligned(replace(matched.pair, matching_examples=7))
    assert len(searches) == 2


def every_measurement(planned: PlannedPair) -> list[PlannedPair]:
    kinds = [
        ("interpolation", "identity"),
        ("calibration", "identity"),
        ("flatness", "identity"),
        ("repair", "identity"),
    ]
    kinds += [("layerwise", alignment) for alignment in ("identity", "random")]
    kinds += [("interpolation", alignment) for alignment in ("random", "weight_matching")]
    return [
        replace(planned, pair=replace(planned.pair, measurement=measurement, alignment=alignment, num_directions=1))
        for measurement, alignment in kinds
    ]


@pytest.mark.slow
def test_a_measurement_alone_and_after_others_of_its_pair_is_the_same(planned, monkeypatch):
    wanted = every_measurement(planned)
    alone = [Bench(progress=False).measure(one).data for one in wanted]
    for order in (wanted, wanted[::-1]):
        bench = Bench(progress=False)
        together = {one.pair.digest: bench.measure(one).data for one in order}
        assert [together[one.pair.digest] for one in wanted] == alone


@pytest.mark.slow
def test_the_networks_of_a_pair_are_read_once_and_its_line_is_walked_once(planned, tmp_path, monkeypatch):
    store.ensure_many((planned.pair.training_a, planned.pair.training_b), progress=False)
    read = counted_calls(monkeypatch, store, "opened")
    merged = counted_calls(monkeypatch, prediction, "interpolate")
    other = replace(planned, pair=replace(planned.pair, seeds=(1, 0)))
    wanted = [one for pair in zip(every_measurement(planned)[:2], [other] * 2, strict=True) for one in pair][:3]
    records = measure_missing([*wanted[:2], wanted[2]], folder=tmp_path, progress=False)
    assert [record.config for record in records] == [one.pair for one in wanted], "in the order of the plan"
    assert len(read) == 4, "two networks of each pair"
    assert len(merged) == 2 * planned.pair.num_coefficients, "of three measurements two share a line"


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
        release_memory()
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("name", module_of(PAIR_SESSION).NETWORKS)
def test_the_benchmark_of_sessions_measures_both_networks(name, tmp_path, monkeypatch):
    """Narrower, at fewer coefficients."""
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path))
    monkeypatch.setattr(store, "train_together", train_together)  # in place of what `trained_already` put there
    benchmark = module_of(PAIR_SESSION)
    wanted = [
        replace(one, pair=replace(one.pair, num_coefficients=3, batch_norm_examples=20))
        for one in benchmark.planned(name, benchmark.NETWORKS[name] / 4)
    ]
    assert {one.pair.measurement for one in wanted} == {"interpolation", "calibration", "flatness", "layerwise"}
    benchmark.in_one_session(wanted)  # trains both networks
    _, alone = benchmark.cost(benchmark.each_alone, wanted)
    _, shared = benchmark.cost(benchmark.in_one_session, wanted)
    assert alone == 4 * shared > 0, "the bytes that are hashed"
