"""Reproducing: what is done stays done, and one changed number re-does only what depends on it.

What kills do is tested in `tests/faults/test_kills.py`.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.small_checkout import assign, copy_checkout, measured, trained

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


def test_done_once_nothing_is_to_be_done_and_a_changed_number_redoes_only_what_depends_on_it(checkout, tmp_path):
    runs = tmp_path / "runs"
    finish(start(checkout, runs))
    before = trained(runs)
    assert len(before) == 8 and len(measured(runs)) == 8

    output = finish(start(checkout, runs))
    assert "measurements of the scale embedded: nothing to be done" in output
    assert trained(runs) == before

    assign(checkout, "recipes.py", "USUAL_WEIGHT_DECAY", "2e-4")
    output = finish(start(checkout, runs))
    after = trained(runs)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 4  # two widths, two seeds
    assert sorted(set(re.findall(r"wildcards: job=(\S+)_[0-9a-f]{16}", output))) == [
        "mlp-digits_L4_x0.5",
        "mlp-digits_L4_x1",
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
