"""Training in two processes against training in one: the same weights up to rounding, and the same command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lmcbook.errors import InputError
from lmcbook.training import train
from lmcbook.training.config import TrainingConfig
from lmcbook.training.processes import conduct
from tests.helpers.distributed_trainings import MLP, TRAININGS

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")


def torchrun(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    given = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([*launcher, *command], capture_output=True, text=True, cwd=ROOT, env=given, timeout=500)


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """The trainings of distributed_trainings.py, done once by two processes."""
    folder = tmp_path_factory.mktemp("together")
    done = torchrun(str(ROOT / "tests" / "helpers" / "distributed_trainings.py"), str(folder), PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return folder


def check(folder: Path, name: str, config: TrainingConfig, digits, **told) -> None:
    alone = train(config, digits, progress=False)
    content = json.loads((folder / f"{name}.json").read_text())
    state = load_file(folder / f"{name}.safetensors")
    assert state.keys() == alone.state.keys()
    # Batch norm amplifies rounding. Statistics of each half batch by itself, the fault to look for, would move biases
    # by their own size, 0.01 and more.
    rtol, atol = (2e-3, 1e-4) if config.architecture == "resnet20" else (1e-5, 1e-6)
    for key, expected in alone.state.items():
        torch.testing.assert_close(state[key], expected, rtol=rtol, atol=atol, msg=key)
    assert content["history"]["loss"] == pytest.approx(alone.history["loss"], rel=1e-5)
    assert content["history"]["accuracy"] == alone.history["accuracy"]
    assert content["execution"] == {"processes": 2, **told}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_the_same_network_as_one(name, together, digits):
    config, execution = TRAININGS[name]
    check(together, name, config, digits, **execution.told())


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["data", "parameters"])
def test_two_processes_go_on_from_their_checkpoint(shard, together, digits):
    check(together, f"interrupted-{shard}", MLP, digits, **({} if shard == "data" else {"shard": shard}))


@pytest.mark.slow
def test_a_checkpoint_of_two_processes_is_one_of_one(together, digits, tmp_path):
    expected = train(MLP, digits, progress=False)
    for shard in ("data", "parameters"):
        went_on = train(MLP, digits, checkpoint=together / f"{shard}.checkpoint.safetensors", progress=False)
        assert went_on.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-5)
        for key, tensor in expected.state.items():
            torch.testing.assert_close(went_on.state[key], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_command_line_trains_in_two_processes_and_stops_in_time(tmp_path):
    done = torchrun(
        *("-m", "lmcbook", "run", "--recipe", "resnet20-digits", "--notebook", "01_width", "--device", "cpu"),
        *("--max-minutes", "0.1", "--threads", "1"),
        LMCBOOK_RUNS=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "the training stopped at its deadline after" in done.stdout
    assert "0 records written, 8 still missing" in done.stdout
    assert len(list(tmp_path.glob("unfinished/*.checkpoint.safetensors"))) == 1


def test_one_gpu_for_all_is_refused():
    with pytest.raises(InputError, match="device is 'cuda:0'; under torchrun each process takes a GPU of its own"):
        conduct(lambda: None, device="cuda:0")
