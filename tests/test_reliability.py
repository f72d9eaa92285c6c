"""Reproducing: killed in the middle it ends the same; one changed number re-does only what depends on it."""

import ast
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

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of this checkout whose plan is small: MLPs of two widths, one pair, two weight decays, a few epochs."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("lmcbook", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "CHANGELOG.md").touch()
    every_scale = '{scale: ("mlp-digits",) for scale in ("embedded", "desk", "paper")}'
    assign(folder, "plan/grid.py", "SCALE_RECIPES", every_scale)
    assign(folder, "plan/grid.py", "SEED_PAIRS", "((0, 1),)")
    assign(folder, "recipes.py", "DECAY_PRODUCT", "1.0")
    two_widths = "lambda selection: width(selection.filled(width_multipliers=(1.0, 16.0)))"
    assign(folder, "plan/experiments.py", "EXPERIMENTS", f'{{"01_width": ({two_widths},)}}')
    return folder


def assign(folder: Path, module: str, name: str, value: str) -> None:
    """Give the name of a module of the lab another value, however its assignment is written."""
    path = folder / "lmcbook" / "lab" / module
    source = path.read_text()
    found = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in [ast.unparse(at) for at in targets(node)]
    ]
    assert len(found) == 1 and found[0] is not None, f"{module} does not assign {name} once"
    old = ast.get_source_segment(source, found[0])
    lines = source.splitlines(keepends=True)
    before = "".join(lines[: found[0].lineno - 1]) + lines[found[0].lineno - 1][: found[0].col_offset]
    assert old is not None and source.startswith(before + old)
    path.write_text(before + value + source[len(before + old) :])


def targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def start(folder: Path, runs: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(folder), "LMCBOOK_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lmcbook", "reproduce", "--no-book", "--cores", "2", "--device", "cpu"]
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
