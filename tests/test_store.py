"""The store: trained once, whole or not at all, resumed after a kill, damaged files refused by name."""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
import torch

from lmcbook import paths, store
from lmcbook.config import TrainingConfig
from lmcbook.errors import InputError
from lmcbook.store import DamagedRun, ensure, is_stored, run_folder, run_key
from lmcbook.training import train


def test_the_second_call_reads_what_the_first_has_trained(pico, trained_pair, monkeypatch):
    first = ensure(pico, progress=False)
    monkeypatch.setattr(store, "train", lambda *arguments, **options: pytest.fail("trained again"))
    second = ensure(pico, progress=False)
    for run in (first, second):
        assert all(torch.equal(run.state[name], tensor) for name, tensor in trained_pair[0].state.items())
    assert first.manifest == second.manifest
    assert first.manifest["dataset_sha256"] and first.manifest["history"]["loss"]
    assert not list((paths.runs() / "unfinished").glob("*checkpoint*"))


def test_the_key_moves_with_every_change_of_the_configuration(pico):
    assert run_key(pico) == run_key(replace(pico))
    assert run_key(pico) != run_key(replace(pico, seed=1)) != run_key(replace(pico, weight_decay=0))


def test_require_cached_never_trains(pico):
    with pytest.raises(InputError, match="require_cached is true, but the training .* is not in"):
        ensure(pico, require_cached=True)


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


def _ensure_in_another_process(fields: dict) -> float:
    torch.set_num_threads(1)
    return ensure(TrainingConfig(**fields), progress=False).manifest["seconds"]


def test_two_processes_train_once(pico):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        seconds = pool.map(_ensure_in_another_process, [asdict(pico)] * 2)
    assert seconds[0] == seconds[1]  # wall-clock times of two trainings would differ


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_the_same(pico, digits):
    config = replace(pico, epochs=400)
    code = (
        "import functools, json, sys, torch; torch.set_num_threads(1); from lmcbook import store, training; "
        "from lmcbook.config import TrainingConfig; "
        "store.train = functools.partial(training.train, checkpoint_seconds=0.1); "
        "store.ensure(TrainingConfig(**json.loads(sys.argv[1])), progress=False)"
    )
    command = [sys.executable, "-c", code, json.dumps(asdict(config))]
    checkpoint = paths.runs() / "unfinished" / f"{run_folder(config).name}.checkpoint.safetensors"
    process = subprocess.Popen(command)
    limit = time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists() and not is_stored(config)
    left_over = checkpoint.with_name(f"{run_folder(config).name}.private-0badc0de")
    left_over.mkdir()  # as if it had been killed while it wrote its result

    subprocess.run(command, check=True)
    assert is_stored(config) and not checkpoint.exists() and not left_over.exists()
    uninterrupted = train(config, digits, progress=False)
    resumed = ensure(config, require_cached=True)
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in uninterrupted.state.items())
    assert resumed.manifest["history"] == uninterrupted.history


def test_a_folder_that_cannot_be_written_is_said_before_training(pico, monkeypatch, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("LMCBOOK_RUNS", str(blocker / "runs"))
    monkeypatch.setattr(store, "train", lambda *arguments, **options: pytest.fail("trained"))
    with pytest.raises(InputError, match="LMCBOOK_RUNS is .*; it cannot be written"):
        ensure(pico)
