"""Several processes at once: done once where there are locks, done twice and kept once where there are none."""

import errno
import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lmcbook.data.locks import held, held_if_free
from lmcbook.data.whole_files import private_path, read_json, sweep
from lmcbook.errors import InputError
from lmcbook.lab import paths, scratch, store
from lmcbook.lab.missing import measure_missing
from lmcbook.lab.receipts import open_jobs, receipt_path, write_receipt
from lmcbook.lab.records import read_records
from tests.faults.jobs import NARROW, at_every_step, import_dots, planned

pytestmark = pytest.mark.slow

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def dots(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    import_dots()


def crowd(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What ``act`` returns, or the error it ends with, in so many processes that begin at once."""
    results: Any = FORK.Queue()
    start = FORK.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            results.put((number, act(number)))
        except BaseException as error:
            results.put((number, repr(error)))

    members = [FORK.Process(target=run, args=(number,)) for number in range(count)]
    for member in members:
        member.start()
    found = dict(results.get(timeout=100) for _ in members)
    for member in members:
        member.join()
    return [found[number] for number in range(count)]


def trained_seconds(number: int) -> list[float]:
    """Wall-clock times of the trainings as stored: two trainings of one network would differ."""
    configs = [replace(NARROW, seed=seed) for seed in range(4)]
    with at_every_step():
        runs = store.ensure_many(configs[number % 2 :] + configs[: number % 2], progress=False)
    return sorted(run.manifest["seconds"] for run in runs)


def test_eight_processes_train_each_network_once():
    found = crowd(8, trained_seconds)
    assert all(times == found[0] for times in found), found


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_work_is_done_twice_and_none_crashes(monkeypatch, code):
    def flock(*arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    found = crowd(2, trained_seconds)
    assert all(isinstance(times, list) for times in found), found
    assert [path.name for path in (paths.runs() / "unfinished").iterdir() if path.suffix != ".lock"] == []
    assert len(list((paths.runs() / "models").iterdir())) == 4


def measured(number: int) -> list[int]:
    """The numbers of the pairs that this process measured itself."""
    mine = []

    def digests(pair: Any, session: Any) -> dict[str, Any]:
        mine.append(pair.seeds[0])
        return {"layers": []}

    with at_every_step(), mock.patch.dict("lmcbook.lab.missing.MEASUREMENTS", {"layerwise": digests}):
        pairs = [replace(planned().pair, seeds=(seed, seed + 10)) for seed in range(4)]
        records = measure_missing([replace(planned(), pair=pair) for pair in pairs], progress=False)
    assert len(records) == 4
    return mine


def test_what_one_process_measures_no_other_does():
    found = crowd(3, measured)
    assert sorted(seed for mine in found for seed in mine) == [0, 1, 2, 3], found


def test_readers_beside_a_writer_see_whole_records_alone():
    def act(number: int) -> int:
        if number:
            return max(len(read_records(paths.fresh_records())) for _ in range(50))
        return len(measured(0))

    assert all(isinstance(count, int) for count in crowd(3, act))


def test_a_wait_is_said_and_a_dead_holder_is_not_waited_for(tmp_path, capsys, monkeypatch):
    file = tmp_path / "a.lock"
    with held([file], "trains"), held_if_free(file) as free:
        assert not free
        with pytest.raises(InputError, match="another process trains and has held"), held([file], "trains", limit=0.05):
            pass
    assert "waiting for another process that trains" in capsys.readouterr().err

    def take(number: int) -> None:
        fcntl.flock(file.open(), fcntl.LOCK_EX)
        os._exit(0)

    child = FORK.Process(target=take, args=(0,))
    child.start()
    child.join()
    with held([file], "trains"):
        assert capsys.readouterr().err == ""


def test_a_lock_that_is_a_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lock .* is a folder or a link"), held([tmp_path], "trains"):
        pass


def test_what_the_dead_left_is_swept_and_what_the_living_write_is_not(tmp_path):
    tmp_path = tmp_path / "shared"
    tmp_path.mkdir()
    child = FORK.Process(target=lambda: private_path(tmp_path / "a").mkdir())
    child.start()
    child.join()
    mine, (dead,) = private_path(tmp_path / "b"), list(tmp_path.iterdir())
    elsewhere = tmp_path / ".c.00000000-1.00000000.partial"
    for path in (mine, elsewhere):
        path.mkdir()
    sweep(tmp_path)
    assert mine.exists() and elsewhere.exists() and not dead.exists()
    os.utime(elsewhere, (0, 0))
    sweep(tmp_path)
    assert mine.exists() and not elsewhere.exists()


@pytest.mark.parametrize("now", [0.0, 4e9], ids=["1970", "2096"])
def test_what_another_machine_writes_stays_whatever_this_ones_clock_says(tmp_path, monkeypatch, now):
    monkeypatch.setattr(time, "time", lambda: now)
    living, older, later = (tmp_path / f".{name}.00000000-1.00000000.partial" for name in "abc")
    for path, date in ((living, None), (older, 0), (later, 4_000_000_000)):
        path.mkdir()
        if date is not None:
            os.utime(path, (date, date))
    sweep(tmp_path)
    assert list(tmp_path.glob(".*")) == [living]


def test_checkpoints_beside_a_stored_run_and_old_temporary_files_are_removed():
    scratch.make()
    beside, other = scratch.checkpoint("stored"), scratch.checkpoint("other")
    old, young = scratch.folder() / ".tmpABCDEF", scratch.folder() / ".tmpGHIJKL"
    (paths.runs() / "models" / "stored").mkdir()
    (paths.runs() / "models" / "stored" / "manifest.json").touch()
    for path in (beside, other, old, young):
        path.touch()
    os.utime(old, (0, 0))
    scratch.make()
    assert [path.exists() for path in (beside, other, old, young)] == [False, True, False, True]


@pytest.mark.parametrize("content", ["", "[]", "3", "null", '{"job": "a"}', None])
def test_a_receipt_that_does_not_hold_is_removed_and_its_job_open(content):
    with at_every_step():
        records = measure_missing([planned()], progress=False)
    jobs = {"a": [planned()]}
    receipt = receipt_path("embedded", "a")
    write_receipt(receipt, "a", records)
    assert open_jobs("embedded", jobs) == [] and receipt.exists()
    if content is None:
        (paths.fresh_records() / "embedded" / records[0].file_name).unlink()
    else:
        receipt.write_text(content)
    assert open_jobs("embedded", jobs) == ["a"] and not receipt.exists()


def test_what_is_in_the_way_of_a_trained_network_is_moved_aside(capsys):
    folder = store.run_folder(NARROW)
    folder.mkdir(parents=True)
    (folder / ".DS_Store").write_text("of somebody")
    with at_every_step():
        store.ensure(NARROW, progress=False)
    (aside,) = folder.parent.glob("*.set-aside-*")
    assert (aside / ".DS_Store").read_text() == "of somebody" and str(aside) in capsys.readouterr().err


def once(act: Callable[[], Any]) -> Callable[[], None]:
    """The same, and nothing when it is called again: the act itself may come by."""
    left = [act]
    return lambda: left.pop()() if left else None


@pytest.mark.parametrize("stored", [True, False], ids=["that was stored", "that was trained just now"])
def test_a_network_that_another_process_forgets_while_it_is_read_is_trained_again(monkeypatch, stored):
    if stored:
        store.ensure(NARROW, progress=False)
    forget = once(lambda: store.forget(NARROW))

    def reading(path: Any) -> Any:
        forget()
        return read_json(path)

    monkeypatch.setattr(store, "read_json", reading)
    assert store.ensure(NARROW, progress=False).folder.is_dir()


def test_two_processes_may_forget_the_same_network(monkeypatch):
    store.ensure(NARROW, progress=False)
    make, forget = scratch.make, once(lambda: store.forget(NARROW))

    def making() -> None:
        make()
        forget()

    monkeypatch.setattr(scratch, "make", making)
    store.forget(NARROW)
    assert not store.is_stored(NARROW)


def forgetting(number: int) -> int:
    """How often this process has had a network that the others forget all the time."""
    with at_every_step():
        for _ in range(5):
            assert store.ensure(NARROW, progress=False).state
            store.forget(NARROW)
    return 5


def test_processes_that_train_and_forget_the_same_network_all_end_well():
    assert crowd(4, forgetting) == [5] * 4


@pytest.mark.parametrize("aside", [False, True], ids=["forgotten", "set aside"])
def test_a_trained_network_takes_its_place_though_others_come_and_go_there(monkeypatch, aside):
    """Without locks: the run that was in the way is gone, or a rest of it is set aside by another, before we are."""
    folder = store.run_folder(NARROW)
    rename, left = os.rename, [None, None]

    def renaming(source: Any, target: Any) -> None:
        if Path(target) == folder and left:
            left.pop()
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(target))
        if Path(source) == folder:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
        rename(source, target)

    if aside:
        folder.mkdir(parents=True)
    monkeypatch.setattr(os, "rename", renaming)
    assert store.ensure(NARROW, progress=False).state and not left


def test_more_networks_than_files_may_be_open_are_trained(monkeypatch):
    monkeypatch.setattr(store, "_MOST_AT_ONCE", 2)
    most: list[int] = []
    real = held

    def noting(files: Any, doing: str) -> Any:
        files = list(files)
        most.append(len(files))
        return real(files, doing)

    monkeypatch.setattr(store, "held", noting)
    runs = store.ensure_many([replace(NARROW, seed=seed) for seed in range(5)], progress=False)
    assert len(runs) == 5 and max(most) == 2


def test_what_is_complete_is_read_where_nothing_can_be_written(monkeypatch):
    with at_every_step():
        records = measure_missing([planned()], progress=False)
        for name in ("mkdir", "open", "rename", "replace"):
            monkeypatch.setattr(os, name, mock.Mock(side_effect=OSError(errno.EROFS, os.strerror(errno.EROFS))))
        assert measure_missing([planned()], progress=False) == records
        missing = replace(planned(), pair=replace(planned().pair, seeds=(5, 6)))
        with pytest.raises(InputError, match="cannot be written|can be written"):
            measure_missing([missing], progress=False)
