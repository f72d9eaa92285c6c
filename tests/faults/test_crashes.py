"""Wherever a process dies in the middle of a job, the same job then ends the same, and nothing stray stays."""

import errno
import json
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from safetensors import SafetensorError, safe_open

from lmcbook.data.whole_files import read_json
from lmcbook.errors import InputError
from lmcbook.lab import store
from lmcbook.lab.records import read_records
from lmcbook.training import checkpoint, together
from lmcbook.training.config import TrainingConfig
from tests.faults import report
from tests.faults.job_kinds import JOBS, Job
from tests.faults.jobs import at_every_step, content_of
from tests.faults.operations import LOSSES, distinct, failing, restore, states, watched

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown() -> Iterator[dict[str, Any]]:
    """The undisturbed end of each job and all that its death can leave, computed when first asked for."""
    yield {}


@contextmanager
def at(job: Job) -> Iterator[Path]:
    """An empty place for the job."""
    with tempfile.TemporaryDirectory() as folder, job.place(Path(folder)) as root, at_every_step():
        yield root


def known(shown: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, list]]:
    if name not in shown:
        job = JOBS[name]
        with at(job) as root:
            job.run()
            whole = content_of(root)
        with at(job) as root:
            shown[name] = whole, states(root, job.run)
    return shown[name]


@contextmanager
def steps_written() -> Iterator[list[tuple[str, int]]]:
    """The checkpoints that are written meanwhile: which training, which step."""
    written: list[tuple[str, int]] = []
    write = checkpoint.write_checkpoint

    def noting(path: Path, config: Any, state: Any, momenta: Any, at: Any) -> None:
        written.append((path.name.partition(".")[0], at.step))
        write(path, config, state, momenta, at)

    with (
        mock.patch.object(checkpoint, "write_checkpoint", noting),
        mock.patch.object(together, "write_checkpoint", noting),
    ):
        yield written


def check_whole(root: Path) -> None:
    """Nothing half-written is under a final name."""
    for manifest in (root / "models").glob("*/manifest.json"):
        config = TrainingConfig(**read_json(manifest)["config"])
        store._read(manifest.parent, config)
    read_records(root / "records")


def begun(root: Path) -> dict[str, int]:
    """The last step of each training that is in a checkpoint, or that it is stored (then far beyond any step)."""
    found = {folder.parent.name: 10**9 for folder in (root / "models").glob("*/manifest.json")}
    for file in (root / "unfinished").glob("*.checkpoint.safetensors"):
        key = file.name.partition(".")[0]
        try:
            with safe_open(file, framework="pt") as opened:
                step = json.loads(opened.metadata()["progress"])["step"]
            found.setdefault(key, step)
        except (SafetensorError, OSError):
            pass
    return found


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("name", JOBS)
def test_whenever_a_job_dies_the_same_job_then_ends_the_same(shown, name, kind, capfd):
    job = JOBS[name]
    whole, points = known(shown, name)
    ends = distinct(points[kind], [] if kind == "kill" else points["kill"])
    report.check("ways to die", name, {"moments": len(points["kill"]), f"states after {kind}": len(ends)})
    for point, state in ends:
        with at(job) as root, steps_written() as steps:
            shutil.rmtree(root)
            root.mkdir()
            restore(root, state)
            check_whole(root)
            done = begun(root) if job.keeps_weights else {}
            job.run()
            assert content_of(root) == whole, f"{kind} {point}"
            again = [(key, step) for key, step in steps if step <= done.get(key, 0)]
            assert again == [] or (kind != "kill" and "dropped" in capfd.readouterr().err), f"{kind} {point}"


def fails(root: Path, job: Job, number: int, code: int, *, for_ever: bool) -> bool | None:
    """Whether the job stops, with words, if its operation of this ``number`` fails; None if it has fewer."""
    stopped = False
    try:
        with failing(root, number, code, for_ever=for_ever) as done:
            job.run()
    except (OSError, InputError, RuntimeError, SafetensorError) as error:
        stopped = True
        assert str(error)
    return None if len(done) < number else stopped


def in_a_process_of_its_own(act: Callable[[], bool | None]) -> bool | None:
    """What ``act`` returns in a process that is dead afterwards."""
    child = os.fork()
    if child == 0:
        try:
            answer = act()
            os._exit({None: 2, False: 0, True: 1}[answer])
        finally:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code < 3, "an error of another kind"
    return {2: None, 0: False, 1: True}[code]


@pytest.mark.parametrize(("code", "for_ever"), [(errno.EIO, False), (errno.ENOSPC, True)])
@pytest.mark.parametrize("name", JOBS)
def test_after_an_error_of_the_disk_the_same_job_ends_the_same(shown, name, code, for_ever):
    job = JOBS[name]
    whole, _ = known(shown, name)
    number, failed = 0, 0
    while True:
        number += job.stride
        with at(job) as root:
            stopped = in_a_process_of_its_own(partial(fails, root, job, number, code, for_ever=for_ever))
            if stopped is None:
                break
            failed += stopped
            check_whole(root)
            job.run()
            assert content_of(root) == whole, f"operation {number}"
    assert failed > 1
    report.check("errors of the disk", name, {os.strerror(code): (number - 1) // job.stride})


@pytest.mark.parametrize("name", JOBS)
def test_killed_for_real_it_ends_the_same_too(shown, name):
    """What the tests above take from one run, tried with processes that are killed: seeded, up to three in a row."""
    job = JOBS[name]
    whole, points = known(shown, name)
    chance = random.Random(name)
    kills = 0
    for _ in range(4):
        with at(job) as root:
            for _ in range(chance.randint(1, 3)):
                kills += killed_at(root, job, chance.randint(1, len(points["kill"]) // 2))
                check_whole(root)
            job.run()
            assert content_of(root) == whole
    report.check("killed for real", name, {"SIGKILL": kills})


def killed_at(root: Path, job: Job, number: int) -> bool:
    """Run the job until its operation of this ``number``, where its process is killed; whether it came to that."""
    child = os.fork()
    if child == 0:
        left = [number]

        def before(name: str, place: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with watched(root) as watching:
                watching.before = before
                job.run()
            os._exit(0)
        finally:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0
