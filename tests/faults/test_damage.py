"""Damaged files of every kind, some hundreds: each is named, mended or without effect; none changes what is read."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lmcbook.data import dataset_sha256, load
from lmcbook.data.locks import held
from lmcbook.data.whole_files import read_state, write_whole
from lmcbook.errors import InputError
from lmcbook.lab import paths, scratch, store
from lmcbook.lab.missing import measure_missing
from lmcbook.lab.receipts import open_jobs, receipt_path, write_receipt
from lmcbook.lab.records import RecordIndex
from lmcbook.pages.notebooks import stale
from lmcbook.training import TimeIsUp
from tests.faults import report
from tests.faults.damage import DAMAGES
from tests.faults.job_kinds import execute
from tests.faults.jobs import NARROW, at_every_step, import_dots, planned
from tests.faults.operations import State, look, restore

pytestmark = pytest.mark.slow

SEEDS = range(5)
OTHER = replace(planned(), pair=replace(planned().pair, seeds=(5, 6)))
UNFINISHED = replace(NARROW, seed=9)


@dataclass(frozen=True)
class Kind:
    """A kind of file: two of it, and what its reader makes of the first."""

    files: Callable[[], tuple[Path, Path]]
    read: Callable[[], Any]
    """What must be the same; the word ``again`` where it is made again instead."""


def _weights_of(config: Any) -> Any:
    return {name: tensor.tolist() for name, tensor in store.ensure(config, progress=False).state.items()}


def _in_runs(config: Any, name: str) -> Path:
    return store.run_folder(config) / name


def _both(name: str) -> Callable[[], tuple[Path, Path]]:
    return lambda: (_in_runs(NARROW, name), _in_runs(replace(NARROW, seed=1), name))


def _checkpoints() -> tuple[Path, Path]:
    keys = [store.run_key(replace(UNFINISHED, seed=seed)) for seed in (9, 10)]
    return scratch.checkpoint(keys[0]), scratch.checkpoint(keys[1])


def _records() -> tuple[Path, Path]:
    index = RecordIndex()
    found = [index.find(one.pair) for one in (planned(), OTHER)]
    names = [paths.fresh_records() / "embedded" / record.file_name for record in found if record is not None]
    return names[0], names[1]


def _read_record() -> Any:
    record = RecordIndex().find(planned().pair)
    return None if record is None else record.to_dict()


def _datasets() -> tuple[Path, Path]:
    folder = paths.runs().parent / "data"
    return folder / "dots.safetensors", folder / "more.safetensors"


def _read_dataset() -> Any:
    before = (paths.runs().parent / "sha256").read_text()
    if dataset_sha256("dots") != before:  # other images have other addresses
        return "again"
    splits = load("dots")
    parts = (splits.train, splits.calibration, splits.test)
    return [(part.images.tolist(), part.labels.tolist()) for part in parts], splits.class_names


def _receipts() -> tuple[Path, Path]:
    return receipt_path("embedded", "a"), receipt_path("embedded", "b")


def _read_receipt() -> Any:
    return "again" if open_jobs("embedded", {"a": [planned()]}) else "holds"


def _notebooks() -> tuple[Path, Path]:
    results = paths.runs().parent / "results"
    return results / "source.ipynb", results / "other.ipynb"


def _read_notebook() -> Any:
    target = _notebooks()[0]
    return "again" if stale(target, lambda asked: "key", {"name": "source"}) else json.loads(target.read_text())


def _states() -> tuple[Path, Path]:
    results = paths.runs().parent / "results"
    return results / "made_from.json", results / "made_from_other.json"


def _read_state() -> Any:
    return "holds" if read_state(_states()[0]) == _STATE else "again"


_STATE = {"book": "a", "foundations": "b", "pages": "c"}


def _read_lock() -> Any:
    with held([scratch.lock("a")], "trains"):
        return "held"


KINDS = {
    "weights": Kind(_both(store.WEIGHTS), lambda: _weights_of(NARROW)),
    "manifest": Kind(_both(store.MANIFEST), lambda: _weights_of(NARROW)),
    "checkpoint": Kind(_checkpoints, lambda: _weights_of(UNFINISHED)),
    "record": Kind(_records, _read_record),
    "dataset": Kind(_datasets, _read_dataset),
    "receipt": Kind(_receipts, _read_receipt),
    "state of the book": Kind(_states, _read_state),
    "executed notebook": Kind(_notebooks, _read_notebook),
    "lock": Kind(lambda: (scratch.lock("a"), scratch.lock("b")), _read_lock),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Iterator[State]:
    """A lab with two of each kind of file."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, at_every_step():
        _settle(folder, patch)
        import_dots()
        import_dots(seed=1, name="more")
        (folder / "sha256").write_text(dataset_sha256("dots"))
        for job, one in (("a", planned()), ("b", OTHER)):
            write_receipt(receipt_path("embedded", job), job, measure_missing([one], progress=False))
        for seed in (9, 10):
            with suppress(TimeIsUp):
                store.ensure(replace(UNFINISHED, seed=seed), progress=False, deadline=0.0)
        for name in ("source", "other"):
            execute(folder, name)
        for file, content in zip(_states(), (_STATE, {**_STATE, "book": "d"}), strict=True):
            write_whole(file, json.dumps(content))
        for name in "ab":
            scratch.lock(name).write_text("left")
        locks: State = {str(file.relative_to(folder)): file.read_bytes() for file in scratch.folder().glob("?.lock")}
        yield look(folder) | locks


def _settle(folder: Path, patch: pytest.MonkeyPatch) -> None:
    for name in ("runs", "records", "data"):
        patch.setenv(f"LMCBOOK_{name.upper()}", str(folder / name))


def outcome(folder: Path, kind: Kind, damage: str, seed: int, wanted: Any, capsys: Any) -> str:
    """What became of one case: named, made again, or harmless."""
    file, other = kind.files()
    DAMAGES[damage](file, other, random.Random(seed))
    of_somebody = {path: path.read_bytes() for path in folder.rglob(".of-somebody-*")}
    capsys.readouterr()
    try:
        found = kind.read()
    except (InputError, store.DamagedRun) as error:
        assert "\n" not in str(error), error
        assert any(name in str(error) for name in (file.name, file.stem, file.parent.name)), error
        found = "named"
    assert all(path.read_bytes() == content for path, content in of_somebody.items()), "it was written through a link"
    if found in ("named", "again"):
        return "named" if found == "named" else "made again"
    assert found == wanted, "silent"
    return "made again" if file.name in capsys.readouterr().err else "harmless"


@pytest.mark.parametrize("name", KINDS)
def test_no_damage_is_silent(whole, name, tmp_path, monkeypatch, capsys):
    kind = KINDS[name]
    counts: Counter[str] = Counter()
    with at_every_step():
        wanted: Any = None
        for number, (damage, seed) in enumerate([("", 0), *((damage, seed) for damage in DAMAGES for seed in SEEDS)]):
            folder = tmp_path / f"{number}"
            restore(folder, whole)
            _settle(folder, monkeypatch)
            if not damage:
                wanted = kind.read()
                assert wanted not in (None, "again")
                continue
            counts[outcome(folder, kind, damage, seed, wanted, capsys)] += 1
    assert counts["named"] + counts["made again"] > 0
    report.check("damaged files", name, {"cases": counts.total()})
