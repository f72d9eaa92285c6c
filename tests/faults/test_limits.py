"""Odd surroundings: umask, clock, names of folders, no network, older files. The job ends the same in all of them."""

import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from lmcbook.lab import paths, scratch, store
from lmcbook.training import TimeIsUp, team
from lmcbook.training.checkpoint import put_into
from tests.faults.job_kinds import JOBS
from tests.faults.jobs import NARROW, WIDE, at_every_step, content_of, import_dots

JOB = JOBS["networks trained alone, a record, a receipt"]


@contextmanager
def without_network() -> Iterator[None]:
    with mock.patch.object(socket, "socket", side_effect=OSError("no network")):
        yield


SURROUNDINGS: dict[str, Any] = {
    "as usual": nullcontext,
    "a clock of 1970": lambda: mock.patch.object(time, "time", lambda: 0.0),
    "a clock of 2096": lambda: mock.patch.object(time, "time", lambda: 4e9),
    "no network": without_network,
}


def ended(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    with JOB.place(folder) as root, at_every_step():
        JOB.run()
        return content_of(root)


@pytest.mark.slow
def test_a_job_ends_the_same_whatever_is_around_it(tmp_path):
    found = {}
    for name, surroundings in SURROUNDINGS.items():
        with surroundings():
            found[name] = ended(tmp_path / name)
    found["odd names"] = ended(tmp_path / "λ = ½ 'x' $HOME {a}\nb")
    assert all(content == found["as usual"] for content in found.values())


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(4e9, 0.0), (0.0, 4e9)], ids=["back", "on"])
def test_a_clock_that_is_set_in_the_middle_of_a_training_changes_nothing(tmp_path, before, after):
    whole = ended(tmp_path / "whole")
    folder = tmp_path / "set"
    folder.mkdir()
    with JOB.place(folder) as root, at_every_step():
        with mock.patch.object(time, "time", lambda: before), suppress(TimeIsUp):
            store.ensure(WIDE, progress=False, deadline=0.0)
        (checkpoint,) = root.glob("unfinished/*checkpoint*")
        stopped = safe_open(checkpoint, framework="pt").metadata()["progress"]
        for path in folder.rglob("*"):
            os.utime(path, (before, before))
        began = []

        def telling(content: Any, *others: Any) -> None:
            began.append(content[2].step)
            put_into(content, *others)

        with mock.patch.object(time, "time", lambda: after), mock.patch.object(team, "put_into", telling):
            JOB.run()
        assert began == [json.loads(stopped)["step"]], "it did not go on from its checkpoint"
        assert content_of(root) == whole


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o007])
def test_every_file_can_be_read_by_whom_the_umask_allows(tmp_path, mask):
    before = os.umask(mask)
    try:
        ended(tmp_path / "lab")
        with JOB.place(tmp_path / "lab2") as root, suppress(TimeIsUp):
            store.ensure(WIDE, progress=False, deadline=0.0)
    finally:
        os.umask(before)
    files = [path for folder in ("lab", "lab2") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert {".safetensors", ".json"} <= kinds and list(root.glob("unfinished/*checkpoint*"))
    written = [path for path in files if path.suffix in (".safetensors", ".json")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o666 & ~mask}


def test_a_checkpoint_from_before_there_was_a_hash_is_gone_on_from(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    import_dots()
    with at_every_step(), suppress(TimeIsUp):
        store.ensure(NARROW, progress=False, deadline=0.0)
    file = scratch.checkpoint(store.run_key(NARROW))
    with safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        progress = opened.metadata()["progress"]
    save_file(tensors, file, metadata={"progress": progress})
    capsys.readouterr()
    run = store.ensure(NARROW, progress=False)
    assert not capsys.readouterr().err and run.folder.is_dir() and paths.runs().is_dir()
