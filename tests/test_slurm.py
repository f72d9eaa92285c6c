"""The Snakefile on a real SLURM, on this machine's loopback: the engine is killed, and each network is trained once."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmcbook.lab.records import read_records
from tests.helpers.small_checkout import ROOT, copy_checkout
from tests.slurm import loopback

REASON = loopback.missing() or (
    "Snakemake's plugin for SLURM is not installed: see CONTRIBUTING.md"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None
    else None
)

LIMIT = 900
"""Seconds for what takes 120 s at most where nothing else runs; every job starts Snakemake twice."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * LIMIT + 300),
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]

TELLING = """

_publish_it = _publish


def _publish(config, *others):
    with open({file!r}, "a") as file:
        file.write(config.digest + "\\n")
    _publish_it(config, *others)
"""
"""Lines at the end of the store of the copy: every training that ends is told, also one that the store threw away."""


@pytest.fixture
def slurm(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "slurm"
    try:
        loopback.start(folder)
    except RuntimeError as error:  # for want of rights that a container has not
        pytest.skip(f"no SLURM can be started here: {error}")
    yield folder
    loopback.stop(folder)


@pytest.fixture
def checkout(tmp_path) -> Path:
    folder = copy_checkout(tmp_path / "checkout")
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    with (folder / "profiles" / "slurm" / "config.yaml").open("a") as profile:  # not 40 s: these jobs take 20
        profile.write("\nslurm-init-seconds-before-status-checks: 3\n")
    with (folder / "lmcbook" / "lab" / "store.py").open("a") as store:
        store.write(TELLING.format(file=str(folder / "trained.txt")))
    return folder


def environment(slurm: Path, checkout: Path) -> dict[str, str]:
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {name: value for name, value in os.environ.items() if name != "LMCBOOK_RUNS"}
    return found | {"PYTHONPATH": os.pathsep.join(paths), "PATH": f"{slurm / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def reproduce(slurm: Path, checkout: Path) -> subprocess.Popen[str]:
    options = ["--no-book", "--recipe", "mlp-digits", "--notebook", "01_width", "--profile", "profiles/slurm"]
    with (checkout / "engine.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lmcbook", "reproduce", *options],
            cwd=checkout,
            env=environment(slurm, checkout),
            start_new_session=True,
            stdout=log,
            stderr=log,
            text=True,
        )


def trained(checkout: Path) -> list[str]:
    file = checkout / "trained.txt"
    return file.read_text().splitlines() if file.exists() else []


def queue(slurm: Path, column: str, *states: str) -> list[str]:
    command = [str(slurm / "bin" / "squeue"), "--noheader", f"--Format={column}", *states]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_killed_engine_goes_on_and_every_network_is_trained_once(slurm, checkout):
    engine = reproduce(slurm, checkout)
    limit = time.monotonic() + LIMIT
    while not trained(checkout) and engine.poll() is None and time.monotonic() < limit:
        time.sleep(0.1)
    os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    assert 0 < len(trained(checkout)) < 8, (checkout / "engine.log").read_text()[-4000:]
    assert queue(slurm, "jobid"), "jobs that were submitted go on without the engine"

    again = reproduce(slurm, checkout)
    assert again.wait(timeout=LIMIT) == 0, (checkout / "engine.log").read_text()[-4000:]
    assert len(trained(checkout)) == len(set(trained(checkout))) == 8
    assert len(read_records(checkout / "runs" / "records")) == 8
    assert len(list((checkout / "runs" / "models").iterdir())) == 8
    assert len(list((checkout / "runs" / "receipts" / "embedded").iterdir())) == 2
    assert set(queue(slurm, "tres-per-job", "--states=all")) == {"gres:gpu:1"}  # each had a GPU to itself


def test_the_example_of_an_array_is_one_and_measures_everything(slurm, checkout):
    script = (checkout / "profiles" / "array.sbatch").read_text()
    (checkout / "array.sbatch").write_text(script.replace("1-8\n", "1-2\n").replace('ID/8"', 'ID/2"'))
    given = environment(slurm, checkout) | {"PYTHON": sys.executable}
    chosen = ["--scale", "embedded", "--device", "cpu", "--threads", "1"]
    command = ["sbatch", "--wait", "--cpus-per-task=1", "array.sbatch", *chosen]
    done = subprocess.run(command, cwd=checkout, env=given, capture_output=True, text=True, timeout=LIMIT)
    logs = [path.read_text() for path in checkout.glob("lmcbook-*.log")]
    assert done.returncode == 0, (done.stderr, logs)
    assert sum(log.startswith("shard ") for log in logs) == 2
    assert len(trained(checkout)) == len(set(trained(checkout))) == 8
    assert len(read_records(checkout / "runs" / "records")) == 8
