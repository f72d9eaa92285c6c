"""The examples of `run --shard` for clusters, in a small copy of the checkout: their shards make up the whole plan."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lmcbook.lab.records import read_records
from tests.helpers.small_checkout import ROOT, copy_checkout

ARRAY = (ROOT / "profiles" / "array.sbatch").read_text()
SKYPILOT = yaml.safe_load((ROOT / "profiles" / "skypilot.yaml").read_text())


def run(script: str, folder: Path, *arguments: str, **environment: str) -> None:
    given = {name: value for name, value in os.environ.items() if name != "LMCBOOK_RUNS"}
    given |= {"PYTHONPATH": str(folder), "LMCBOOK_RECORDS": str(folder / "none"), **environment}
    (folder / "none").mkdir(exist_ok=True)
    command = ["bash", "-c", script, "bash", *arguments]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_array_has_as_many_tasks_as_shards():
    [count] = re.findall(r"#SBATCH --array=1-(\d+)$", ARRAY, re.M)
    assert f'--shard "$SLURM_ARRAY_TASK_ID/{count}"' in ARRAY
    assert ARRAY.startswith("#!/bin/bash\n")
    subprocess.run(["bash", "-n"], input=ARRAY, text=True, check=True)


def test_skypilots_file_says_what_its_machines_are_and_do():
    assert SKYPILOT.keys() == {"name", "workdir", "num_nodes", "resources", "file_mounts", "setup", "run"}
    subprocess.run(["bash", "-n"], input=SKYPILOT["setup"] + "\n" + SKYPILOT["run"], text=True, check=True)


@pytest.mark.slow
def test_the_array_measures_the_whole_plan_in_one_store(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    script = ARRAY.replace('ID/8"', 'ID/2"')
    chosen = ("--scale", "embedded", "--device", "cpu", "--threads", "1")
    found = []
    for task in ("1", "2"):
        run(script, folder, *chosen, SLURM_ARRAY_TASK_ID=task, PYTHON=sys.executable)
        found.append(len(read_records(folder / "runs" / "records")))
    assert 0 < found[0] < 8 and found[1] == 8


@pytest.mark.slow
def test_skypilots_machines_measure_the_whole_plan_each_in_a_store_of_its_own(tmp_path):
    bucket = tmp_path / "bucket"
    [mounted] = SKYPILOT["file_mounts"]
    script = SKYPILOT["run"].replace(f"{mounted}/", f"{bucket}/").replace(".venv/bin/python", sys.executable)
    script = script.replace("--scale paper", "--scale embedded --device cpu --threads 1")
    assert str(bucket) in script and "embedded" in script and sys.executable in script
    bucket.mkdir()
    found = []
    for rank in ("0", "1"):
        folder = copy_checkout(tmp_path / f"machine {rank}")
        run(script, folder, SKYPILOT_NODE_RANK=rank, SKYPILOT_NUM_NODES="2")
        found.append(len(read_records(bucket)))
    assert 0 < found[0] < 8 and found[1] == 8


def test_the_gate_runs_the_plan_on_a_slurm_with_the_plugin_that_the_guide_names():
    gate, guide = ((ROOT / name).read_text(encoding="utf-8") for name in (".ci/run", "CONTRIBUTING.md"))
    named = [set(re.findall(r"snakemake-executor-plugin-slurm[\w-]*==[\d.]+", text)) for text in (gate, guide)]
    assert len(named[0]) == 2 and named[0] == named[1]
    assert re.search(r"^export PYTHONPATH=\S*plugin$\n(#.*\n)*.*pytest tests/test_slurm\.py", gate, re.MULTILINE)
