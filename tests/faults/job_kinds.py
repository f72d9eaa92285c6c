"""The jobs that are killed: one for every kind of file that the package writes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy
from PIL import Image

from lmcbook.data import import_images
from lmcbook.lab import paths
from lmcbook.lab.budget import run_within_budget, work
from lmcbook.lab.missing import measure_missing
from lmcbook.lab.receipts import receipt_path, write_receipt
from lmcbook.pages import notebooks
from lmcbook.training.config import TrainingConfig
from tests.faults.jobs import NARROW, WIDE, import_dots, planned


@dataclass(frozen=True)
class Job:
    """What is run, and where it writes."""

    run: Callable[[], object]
    root: str
    """The folder of the lab that it writes into."""
    keeps_weights: bool = True
    stride: int = 1
    """Errors of the disk are tried at every so many operations."""

    @contextmanager
    def place(self, folder: Path) -> Iterator[Path]:
        """A lab in ``folder``; gives the folder that the job writes into."""
        known = {f"LMCBOOK_{name.upper()}": str(folder / name) for name in ("runs", "records", "data")}
        with mock.patch.dict(os.environ, known | {"TMPDIR": str(folder)}):
            if self.root != "data":
                import_dots()
            _make_photographs(folder / "photographs")
            root = folder / self.root
            root.mkdir(exist_ok=True)
            yield root


def _measure(training: TrainingConfig) -> None:
    records = measure_missing([planned(training)], device="cpu", progress=False)
    write_receipt(receipt_path("embedded", "job"), "job", records)


def _run_and_forget() -> None:
    with mock.patch.object(work, "planned_of", lambda *arguments: [planned(NARROW)]):
        run_within_budget(
            "embedded", folder=paths.fresh_records(), device="cpu", forget_weights=True, report=lambda line: None
        )


def _make_photographs(folder: Path) -> None:
    generator = numpy.random.default_rng(0)
    for split, count in (("train", 5), ("test", 1)):
        for label in ("cat", "dog"):
            place = folder / split / label
            place.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (4, 4), dtype=numpy.uint8)
                Image.fromarray(pixels).save(place / f"{index}.png")


def _import() -> None:
    import_images(paths.runs().parent / "photographs", "pets")


_NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def _execute() -> None:
    execute(paths.runs().parent, "source")


def _key_of(asked: Collection[str]) -> str:
    return "key"


def execute(folder: Path, name: str) -> None:
    """Execute a notebook as papermill does it, without a kernel, if its result is stale."""
    source, target = folder / f"{name}.ipynb", folder / "results" / f"{name}.ipynb"
    source.write_text(json.dumps(_NOTEBOOK))

    def papermill(command: list[str], **options: object) -> subprocess.CompletedProcess:
        Path(command[4]).write_text(json.dumps({**_NOTEBOOK, "metadata": {"papermill": {"exception": None}}}))
        return subprocess.CompletedProcess(command, 0, "", "")

    assert sys.executable
    with mock.patch.object(subprocess, "run", papermill):
        if notebooks.stale(target, _key_of, {"name": name}):
            notebooks.execute(source, target, {"name": name}, key_of=_key_of)
    assert not notebooks.stale(target, _key_of, {"name": name})


JOBS = {
    "networks trained together, a record, a receipt": Job(partial(_measure, NARROW), "runs", stride=19),
    "networks trained alone, a record, a receipt": Job(partial(_measure, WIDE), "runs", stride=19),
    "run --forget-weights": Job(_run_and_forget, "runs", keeps_weights=False, stride=19),
    "import of images": Job(_import, "data"),
    "an executed notebook": Job(_execute, "results"),
}
