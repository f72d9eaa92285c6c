"""Reproducing: killed in the middle it ends the same; one changed number re-does only what depends on it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmcbook.lab.records import read_records
from tests.helpers.small_checkout import assign, copy_checkout

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path) -> Path:
    return copy_checkout(tmp_path / "checkout")


def start(folder: Path, runs: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(folder), "LMCBOOK_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    cores = str(min(2, os.cpu_count() or 1))
    command = [sys.executable, "-m", "lmcbook", "reproduce", "--no-book", "--cores", cores, "--device", "cpu"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output[-4000:]
    return output


def measured(runs: Path) -> dict[str, str]:
    return {record.digest: json.dumps(record.data, sort_keys=True) for record in read_records(runs / "records")}


def trained(runs: Path) -> dict[str, float]:
    return {folder.name: folder.stat().st_mtime for folder in (runs / "models").iterdir()}


def test_killed_and_started_again_it_ends_with_the_same_records(checkout, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(checkout, whole))
    assert len(trained(whole)) == 8 and len(measured(whole)) == 8

    shutil.rmtree(checkout / ".snakemake")
    process = start(checkout, broken)
    limit = time.monotonic() + 200
    while not list((broken / "models").glob("*")) and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert 0 < len(trained(broken)) < 8, "it was not killed in the middle"

    finish(start(checkout, broken))
    assert measured(broken) == measured(whole)

    before = trained(broken)
    output = finish(start(checkout, broken))
    assert "measurements of the scale embedded: nothing to be done" in output
    assert trained(broken) == before

    assign(checkout, "recipes.py", "USUAL_WEIGHT_DECAY", "2e-4")
    output = finish(start(checkout, broken))
    assert {name for name in trained(broken) if name in before} == set(before)
    assert len(trained(broken)) == len(before) + 4  # two widths, two seeds
    assert sorted(set(re.findall(r"wildcards: job=(\S+)_[0-9a-f]{16}", output))) == [
        "mlp-digits_L4_x1",
        "mlp-digits_L4_x16",
    ]


def test_two_reproductions_do_not_meet(checkout, tmp_path):
    first = start(checkout, tmp_path / "runs")
    limit = time.monotonic() + 100
    while not (tmp_path / "runs" / "reproduce.lock").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    second = start(checkout, tmp_path / "others")  # both would build the same pages
    output, _ = second.communicate(timeout=100)
    assert second.returncode == 2
    assert "another reproduction is running" in output
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
