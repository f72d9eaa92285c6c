"""The store: trained once, whole or not at all, resumed after a kill, damaged files refused by name."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
import torch

from lmcbook.data.whole_files import private_path
from lmcbook.errors import InputError
from lmcbook.lab import paths, store
from lmcbook.lab.store import DamagedRun, ensure, ensure_many, is_stored, run_folder, run_key
from lmcbook.training import TrainingsDiverged, train, train_together
from lmcbook.training.config import TrainingConfig


@pytest.fixture
def wide(pico) -> TrainingConfig:
    """A network that is trained by itself."""
    return replace(pico, width_multiplier=17, epochs=1)


def equal(run, trained):
    same_weights = all(torch.equal(run.state[name], tensor) for name, tensor in trained.state.items())
    return same_weights and run.state.keys() == trained.state.keys() and run.manifest["history"] == trained.history


def no_training(monkeypatch):
    for name in ("train", "train_together"):
        monkeypatch.setattr(store, name, lambda *arguments, **options: pytest.fail("trained"))


@pytest.mark.slow
def test_the_second_call_reads_what_the_first_has_trained(pico, wide, digits, monkeypatch):
    trained = {wide: train(wide, digits, progress=False)} | dict(train_together([pico], digits, progress=False))
    first = [ensure(config, progress=False) for config in (pico, wide)]
    no_training(monkeypatch)
    second = [ensure(config, progress=False) for config in (pico, wide)]
    for one, other in zip(first, second, strict=True):
        assert equal(one, trained[one.config]) and equal(other, trained[one.config])
        assert one.manifest == other.manifest
        assert one.manifest["dataset_sha256"] and one.manifest["history"]["loss"]
    assert not list((paths.runs() / "unfinished").glob("*checkpoint*"))


@pytest.mark.slow
def test_many_are_what_each_is_alone(pico, wide, digits, monkeypatch):
    """Stored and missing, narrow and wide, twice the same: each is trained once, and comes in its place."""
    base = replace(pico, epochs=2)
    narrow = [replace(base, seed=seed, weight_decay=1e-3 * seed) for seed in range(4)]
    alone = [ensure(config, progress=False) for config in (narrow[1], wide)]
    asked = []
    monkeypatch.setattr(store, "train", lambda config, *rest, **options: pytest.fail("trained again"))

    def noted(group, *rest, **options):
        asked.extend(group)
        return train_together(group, *rest, **options)

    monkeypatch.setattr(store, "train_together", noted)
    runs = ensure_many([narrow[0], wide, *narrow, replace(base, epochs=1)], progress=False)
    assert [run.config for run in runs] == [narrow[0], wide, *narrow, replace(base, epochs=1)]
    assert asked == [narrow[0], *narrow[2:], replace(base, epochs=1)]
    assert runs[3].manifest == alone[0].manifest and runs[1].manifest == alone[1].manifest
    by_themselves = [dict(train_together([config], digits, progress=False))[config] for config in narrow]
    assert all(equal(run, trained) for run, trained in zip(runs[2:6], by_themselves, strict=True))


def test_the_manifest_tells_the_company_and_its_share_of_the_time(pico, wide):
    configs = [replace(pico, epochs=2, seed=seed) for seed in range(3)]
    started = time.monotonic()
    runs = ensure_many([*configs, wide], progress=False)
    seconds = time.monotonic() - started
    assert [run.manifest["execution"].get("together") for run in runs] == [3, 3, 3, None]
    shares = [run.manifest["seconds"] for run in runs[:3]]
    assert all(0 < share < seconds / 3 for share in shares) and sum(shares) < seconds


def test_what_diverges_takes_no_other_with_it(pico, wide):
    good = [replace(pico, epochs=1, seed=seed) for seed in range(2)]
    bad = [replace(one, weight_decay=1e30) for one in (good[0], wide)]
    with pytest.raises(TrainingsDiverged, match=r"×1 .*weight decay 1e\+30.*×17 .*weight decay 1e\+30") as caught:
        ensure_many([*bad, *good, wide], progress=False)
    assert list(caught.value.messages) == bad
    assert all(map(is_stored, [*good, wide])) and not any(map(is_stored, bad))


def test_the_key_moves_with_every_change_of_the_configuration(pico):
    assert run_key(pico) == run_key(replace(pico))
    assert run_key(pico) != run_key(replace(pico, seed=1)) != run_key(replace(pico, weight_decay=0))


def test_require_cached_never_trains(pico):
    with pytest.raises(InputError, match="require_cached is true, but the training .* is not in"):
        ensure(pico, require_cached=True)
    with pytest.raises(InputError, match=r"is not in .* \(nor are 1 others\): train it"):
        ensure_many([pico, replace(pico, seed=1)], require_cached=True)


def test_damaged_weights_are_named_and_refused(pico):
    run = ensure(replace(pico, epochs=1), progress=False)
    weights = run.folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DamagedRun, match=r"weights\.safetensors is missing or differs"):
        ensure(run.config)
    weights.unlink()
    with pytest.raises(DamagedRun, match=r"weights\.safetensors is missing"):
        ensure(run.config)


def test_an_edited_manifest_is_refused(pico):
    run = ensure(replace(pico, epochs=1), progress=False)
    manifest = run.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    content["history"]["accuracy"] = [1.0]
    manifest.write_text(json.dumps(content))
    with pytest.raises(DamagedRun, match="was changed after it was written"):
        ensure(run.config)
    manifest.write_text("{")
    with pytest.raises(DamagedRun, match="cannot be read"):
        ensure(run.config)


def _ensure_in_another_process(many: list[dict]) -> list[float]:
    torch.set_num_threads(1)
    return [run.manifest["seconds"] for run in ensure_many([TrainingConfig(**one) for one in many], progress=False)]


@pytest.mark.slow
def test_two_processes_train_once(pico, wide):
    """They want some of the same networks, in opposite orders; wall-clock times of two trainings would differ."""
    configs = [replace(pico, seed=seed) for seed in range(4)] + [replace(wide, seed=seed) for seed in range(2)]
    first, second = configs[:3] + configs[4:], configs[:0:-1]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        wanted = [[asdict(config) for config in group] for group in (first, second)]
        found = pool.map(_ensure_in_another_process, wanted, chunksize=1)
    seconds = [dict(zip(group, times, strict=True)) for group, times in zip((first, second), found, strict=True)]
    common = set(first) & set(second)
    assert len(common) == 4
    assert all(seconds[0][config] == seconds[1][config] for config in common)


@pytest.mark.slow
@pytest.mark.parametrize("width_multiplier", [1, 17])
def test_killed_trainings_go_on_and_end_the_same(pico, digits, width_multiplier):
    epochs = 400 if width_multiplier == 1 else 40
    configs = [
        replace(pico, epochs=epochs, width_multiplier=width_multiplier, seed=seed, weight_decay=decay)
        for seed, decay in ((0, 3e-3), (1, 0.0))
    ]
    code = (
        "import functools, json, sys, torch; torch.set_num_threads(1); "
        "from lmcbook import training; from lmcbook.lab import store; "
        "from lmcbook.training.config import TrainingConfig; "
        "store.train = functools.partial(training.train, checkpoint_seconds=0.1); "
        "store.train_together = functools.partial(training.train_together, checkpoint_seconds=0.1); "
        "store.ensure_many([TrainingConfig(**one) for one in json.loads(sys.argv[1])], progress=False)"
    )
    command = [sys.executable, "-c", code, json.dumps([asdict(config) for config in configs])]
    names = [run_folder(config).name for config in configs]
    checkpoints = [paths.runs() / "unfinished" / f"{name}.checkpoint.safetensors" for name in names]
    process = subprocess.Popen(command)
    limit = time.monotonic() + 60
    while not checkpoints[0].exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoints[0].exists() and not any(map(is_stored, configs))
    # as if it had been killed while it wrote its result
    left_over = checkpoints[0].with_name(private_path(checkpoints[0]).name.replace(f"{os.getpid()}", f"{process.pid}"))
    left_over.mkdir()

    subprocess.run(command, check=True)
    assert not any(path.exists() for path in (*checkpoints, left_over))
    if width_multiplier == 1:
        uninterrupted = dict(train_together(configs, digits, progress=False))
    else:
        uninterrupted = {config: train(config, digits, progress=False) for config in configs}
    resumed = ensure_many(configs, require_cached=True)
    assert all(equal(run, uninterrupted[run.config]) for run in resumed)


def test_a_folder_that_cannot_be_written_is_said_before_training(pico, monkeypatch, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("LMCBOOK_RUNS", str(blocker / "runs"))
    no_training(monkeypatch)
    with pytest.raises(InputError, match="LMCBOOK_RUNS is .*; it cannot be written"):
        ensure(pico)
