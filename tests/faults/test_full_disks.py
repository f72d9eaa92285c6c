"""Real file systems that are full or read-only, and real limits of memory: a line that tells, and nothing lost."""

import os
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from lmcbook.__main__ import main
from lmcbook.errors import InputError
from lmcbook.lab import failures, paths
from lmcbook.lab.budget import work
from lmcbook.lab.missing import measure_missing
from tests.faults.job_kinds import JOBS
from tests.faults.jobs import NARROW, WIDE, at_every_step, content_of, import_dots, planned

pytestmark = pytest.mark.slow


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Callable[..., None]]:
    """A file system of ``size`` kB in ``folder``; gives a function that changes its options."""
    folder.mkdir(parents=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", folder], capture_output=True)
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here: it takes root, and a container that may mount")

    def change(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    try:
        yield change
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def stored(root: Path) -> dict[str, float]:
    """When what is finished was written."""
    finished = [*root.glob("models/*/*"), *root.glob("records/**/*.json")]
    return {str(path): path.stat().st_mtime for path in finished}


@pytest.mark.parametrize("name", JOBS)
def test_a_disk_that_is_full_is_said_and_with_room_the_same_job_ends_the_same(tmp_path, name):
    job = JOBS[name]
    (tmp_path / "whole").mkdir()
    with job.place(tmp_path / "whole") as root, at_every_step():
        job.run()
        whole = content_of(root)
    size, failed = 0, 0
    while True:
        size += 12 if failed else 4
        lab = tmp_path / str(size)
        with mounted(lab / job.root, size) as change, job.place(lab) as root, at_every_step():
            other = root / "of-somebody-else"
            other.write_bytes(bytes(4096))
            try:
                job.run()
                break
            except (OSError, InputError, RuntimeError) as error:
                told = failures.told(error)
            assert told is not None, size
            line, code = told
            assert str(root) in line and ("disk is full" in line or "No space left on device" in line), line
            assert line.count("\n") == 0 and code in (1, 2)
            failed += 1
            before = stored(root)
            change("size=2m")
            other.unlink()
            job.run()
            assert content_of(root) == whole
            assert job.keeps_weights is False or {path: stored(root)[path] for path in before} == before
    assert failed


def test_a_report_of_a_comparison_on_a_full_disk_is_said(tmp_path, trained_pair, digits, monkeypatch):
    from lmcbook.connecting import reporting

    with mounted(tmp_path / "disk", 4):
        monkeypatch.setattr(reporting, "as_json", lambda connection: "x" * 10_000)
        target = tmp_path / "disk" / "report.json"
        with pytest.raises(InputError, match=r"report\.json cannot be written \(No space left on device\)"):
            reporting.write_report(mock.Mock(), target)
        assert list(target.parent.iterdir()) == []


def test_what_is_complete_is_read_from_a_file_system_that_is_read_only(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    import_dots()
    with mounted(tmp_path / "disk", 4096) as change, at_every_step():
        monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "disk" / "runs"))
        monkeypatch.delenv("LMCBOOK_RECORDS")
        records = measure_missing([planned()], progress=False)
        change("ro")
        assert measure_missing([planned()], progress=False) == records
        missing = replace(planned(), pair=replace(planned().pair, seeds=(5, 6)))
        with pytest.raises(InputError, match=r"disk/runs/records.*Read-only file system"):
            measure_missing([missing], progress=False)


WIDEST = replace(WIDE, hidden_width=3000, num_layers=3)
"""A layer of 36 MB."""


def run_with(megabytes: int | None) -> str:
    """What `run` says, started in a process that may take so many megabytes more than it has."""
    told, answers = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(answers, 1)
            os.dup2(answers, 2)
            # those of pytest's workers stand at a place of a file, and a pipe has no places
            sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
            if megabytes is not None:
                now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20,) * 2)
            os._exit(main(["run", "--recipe", "mlp-digits", "--device", "cpu", "--threads", "1"]))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(99)
    os.close(answers)
    with os.fdopen(told) as lines:
        text = lines.read()
    return f"{text}\n{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"


def test_too_little_memory_is_said_and_with_enough_the_same_command_ends(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    import_dots()
    pairs = [planned(NARROW), planned(WIDEST)]
    monkeypatch.setattr(work, "planned_of", lambda *arguments: pairs)
    with capfd.disabled(), at_every_step():
        said = run_with(90)
        assert "Traceback" not in said and said.endswith("\n1"), said
        assert "there is not enough memory" in said and "take a smaller width or batch size" in said, said
        records = list(paths.fresh_records().rglob("*.json"))
        assert len(records) == 1, said
        before = stored(paths.runs())
        said = run_with(None)
    assert said.endswith("\n0") and len(list(paths.fresh_records().rglob("*.json"))) == 2, said
    assert {path: stored(paths.runs())[path] for path in before} == before
