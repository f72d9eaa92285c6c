"""A reduced `reproduce` whose processes are killed one kind at a time, and what must be true of it afterwards.

Two jobs of MLPs on digits, eight networks, eight records, one notebook, a book of two pages. Every process of it is
found by its environment, which names the folder of this reproduction alone.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcbook.pages.notebooks import KERNEL, stale
from tests.helpers import small_checkout

KINDS = ("worker alone", "whole group", "engine alone", "kernel alone")
"""What is killed: a process that trains, Snakemake, everything that one Ctrl-\\ would reach, or a notebook's kernel."""

WIDTHS = (0.5, 1.0)
"""Of the reduced plan: each is a job of four networks and four records."""

_WORDS = {"worker alone": ("lmcbook", "job"), "engine alone": ("snakemake",), "kernel alone": ("ipykernel_launcher",)}

_TOLD = '''

_write_checkpoint = write_checkpoint


def write_checkpoint(path, config, state, momenta, at):  # noqa: F811
    """As before, and then a line that tells of it."""
    import os

    _write_checkpoint(path, config, state, momenta, at)
    line = f"{path.name.partition('.')[0]} {at.step}\\n".encode()
    descriptor = os.open(os.environ["LMCBOOK_RUNS"] + ".steps", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line)
    os.close(descriptor)
'''

_NOTEBOOK_CODE = """\
import time

from lmcbook.data.whole_files import content_sha256
from lmcbook.lab import paths
from lmcbook.lab.records import read_records

for record in sorted(read_records(paths.fresh_records()), key=lambda record: record.digest):
    print(record.digest, content_sha256(record.data))
time.sleep(3)  # so that there is something to kill
"""


def make_checkout(folder: Path, widths: tuple[float, ...] = WIDTHS) -> Path:
    """A checkout with one notebook and a book of two pages, whose checkpoints come often and are told of."""
    small_checkout.copy_checkout(folder, widths)
    small_checkout.assign(folder, "recipes.py", "DECAY_PRODUCT", "0.5")
    for module in ("loop", "together"):
        path = folder / "lmcbook" / "training" / f"{module}.py"
        text = path.read_text()
        assert text.count("checkpoint_seconds: float = 30.0") == 1
        path.write_text(text.replace("checkpoint_seconds: float = 30.0", "checkpoint_seconds: float = 0.4"))
    with (folder / "lmcbook" / "training" / "checkpoint.py").open("a") as module_file:
        module_file.write(_TOLD)
    shutil.rmtree(folder / "notebooks")
    (folder / "notebooks").mkdir()
    cells = [_cell("scale = 'embedded'\nrequire_cached = True", "parameters"), _cell(_NOTEBOOK_CODE)]
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# What was measured"}
    notebook = {
        "cells": [title, *cells],
        "metadata": {"kernelspec": KERNEL, "jobs": len(widths)},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "notebooks" / "99_all.ipynb").write_text(json.dumps(notebook))
    book = folder / "book"
    book.mkdir()
    (book / "_config.yml").write_text(
        'title: small\nexecute:\n  execute_notebooks: "off"\nonly_build_toc_files: true\n'
        "sphinx:\n  config:\n    suppress_warnings: [mystnb.unknown_mime_type]\n"
    )
    (book / "_toc.yml").write_text("format: jb-book\nroot: intro\nchapters:\n- file: results/99_all\n")
    (book / "intro.md").write_text("# Small\n")
    return folder


def _cell(code: str, *tags: str) -> dict[str, Any]:
    name = tags[0] if tags else "code"
    counted: dict[str, Any] = {"outputs": [], "execution_count": None}
    return {"cell_type": "code", "id": name, "metadata": {"tags": [*tags]}, **counted, "source": code}


@dataclass
class Reproduction:
    """One folder of runs in one checkout, and the command that fills it, started as often as it takes."""

    checkout: Path
    runs: Path
    jobs: int = len(WIDTHS)
    struck: Counter[str] = field(default_factory=Counter)
    process: subprocess.Popen | None = None

    def start(self, command: str = "reproduce", **options: object) -> None:
        """Start the command."""
        known = {"PYTHONPATH": str(self.checkout), "LMCBOOK_RUNS": str(self.runs), "OMP_NUM_THREADS": "1"}
        known |= {"TMPDIR": str(self.runs.parent)}
        options = {"recipe": "mlp-digits", "notebook": "01_width", "device": "cpu"} | (
            options or {"cores": min(2, os.cpu_count() or 1)}
        )
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lmcbook", command, *words],
                cwd=self.checkout,
                env={**os.environ, **known},
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> Path:
        return self.runs.with_suffix(".log")

    @property
    def steps(self) -> list[tuple[str, int]]:
        """The checkpoints that were written, in their order: of which network, at which step."""
        file = Path(f"{self.runs}.steps")
        lines = file.read_text().split("\n")[:-1] if file.is_file() else []
        return [(key, int(step)) for key, step in map(str.split, lines)]

    def processes(self, kind: str | None = None) -> list[int]:
        """Those of this reproduction that live (of one kind)."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                ours = f"LMCBOOK_RUNS={self.runs}".encode() in (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            is_python = "python" in Path(words[0]).name and words[1:2] == ["-m"]
            if ours and (kind is None or (is_python and all(word in words[2:5] for word in _WORDS[kind]))):
                found.append(int(folder.name))
        return sorted(found)

    def kill(self, kind: str, chance: random.Random) -> bool:
        """Kill what is of this ``kind``, some time after there is something of it; whether it came to that.

        The time is so many signs of progress, and a fraction of a second.
        """
        signs, moment, pick = chance.randint(0, 3), chance.random(), chance.random()
        among_work = kind in ("worker alone", "engine alone") or (kind == "whole group" and chance.random() < 0.7)
        waits_for = "worker alone" if among_work and kind == "whole group" else kind
        seen: int | None = None
        while self.process is not None and self.process.poll() is None:
            if among_work and len(list(self.runs.glob("receipts/*/*.json"))) == self.jobs:
                return False
            if self._alive(waits_for):
                seen = self.progress() if seen is None else seen
                if not among_work or self.progress() - seen >= signs:
                    time.sleep(moment / 2 if among_work else 3 * moment)
                    victims = self._alive(kind)
                    if victims and self._send(kind, victims[int(pick * len(victims))]):
                        self.struck[kind] += 1
                        return True
            time.sleep(0.05)
        return False

    def _alive(self, kind: str) -> list[int]:
        if kind == "whole group":
            return [self.process.pid] if self.process is not None and self.process.poll() is None else []
        return self.processes(kind)

    def _send(self, kind: str, victim: int) -> bool:
        try:
            (os.killpg if kind == "whole group" else os.kill)(victim, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def progress(self) -> int:
        """Signs of it so far: checkpoints, and files that are finished."""
        return len(self.steps) + sum(len(list(self.runs.glob(f"{place}/**/*.json"))) for place in ("models", "records"))

    def wait(self) -> int:
        """Wait until the command ends; returns its exit code."""
        assert self.process is not None
        return self.process.wait(timeout=900)

    def finish(self) -> None:
        """Run the command until it has done everything, then check that it has.

        Raises:
            AssertionError: it fails, or something stayed that an undisturbed run does not leave.
        """
        code = None
        for _ in range(3):  # what was killed alone may have left workers that a first try has to wait for
            self.start()
            code = self.wait()
            if code == 0:
                break
        assert code == 0, self.log.read_text()[-4000:]
        limit = time.monotonic() + 60
        while self.processes() and time.monotonic() < limit:
            time.sleep(0.1)
        assert self.processes() == [], "processes were left"

    def check_whole(self) -> None:
        """Check, in the middle, that nothing half-written is under a final name and nothing was done twice.

        Raises:
            AssertionError: it is or was.
            Exception: as the readers of records and networks say it.
        """
        small_checkout.measured(self.runs)
        self.weights()
        target = self.checkout / "book" / "results" / "99_all.ipynb"
        if target.exists():
            key = json.loads(target.read_text())["metadata"]["lmcbook"]["key"]
            assert not stale(target, lambda asked: key), f"{target} is half-written or damaged"
        last: dict[str, int] = {}
        for key, step in self.steps:
            assert step > last.get(key, 0), f"{key} did step {step} again after a checkpoint at {last[key]}"
            last[key] = step

    def weights(self) -> dict[str, str]:
        """The SHA-256 of each stored network, as its manifest has it, compared with the file."""
        from lmcbook.data.whole_files import file_sha256

        found = {}
        for manifest in sorted(self.runs.glob("models/*/manifest.json")):
            stated = json.loads(manifest.read_text())["files"]
            for name, sha256 in stated.items():
                assert file_sha256(manifest.parent / name) == sha256, f"{manifest.parent / name} is half-written"
                found[manifest.parent.name] = sha256
        return found

    def result(self) -> dict[str, Any]:
        """All that a whole run leaves: weights, records, cells of the notebook, and the names of all files."""
        executed = json.loads((self.checkout / "book" / "results" / "99_all.ipynb").read_text())
        places = [self.runs / name for name in ("models", "unfinished", "records", "receipts")]
        places += [self.checkout / "book" / "results"]
        files = {str(path.relative_to(place.parent)) for place in places for path in place.rglob("*")}
        strays = {path.name for path in self.runs.parent.iterdir() if path.name.startswith("lmcbook-")}
        return {
            "weights": self.weights(),
            "records": small_checkout.measured(self.runs),
            "shown": [(cell["source"], cell.get("outputs")) for cell in executed["cells"]],
            "files": files | strays,
        }


def undisturbed(checkout: Path, folder: Path) -> dict[str, Any]:
    """What a reproduction that nobody kills leaves.

    Raises:
        AssertionError: it fails.
    """
    whole = in_place(checkout, folder)
    whole.finish()
    whole.check_whole()
    return whole.result()


def without_engine(checkout: Path, folder: Path) -> dict[str, Any]:
    """The weights and records that one process makes of the same plan, without Snakemake, notebook and book.

    Raises:
        AssertionError: it fails.
    """
    whole = in_place(checkout, folder)
    whole.start("run", threads=1)
    assert whole.wait() == 0, whole.log.read_text()[-4000:]
    return {"weights": whole.weights(), "records": small_checkout.measured(whole.runs)}


def in_place(checkout: Path, folder: Path) -> Reproduction:
    """A reproduction that begins with nothing, in the new ``folder``."""
    for made in (".snakemake", "book/results", "book/_build"):
        shutil.rmtree(checkout / made, ignore_errors=True)
    folder.mkdir()
    notebook = json.loads((checkout / "notebooks" / "99_all.ipynb").read_text())
    return Reproduction(checkout, folder / "runs", jobs=notebook["metadata"]["jobs"])


def killed(checkout: Path, folder: Path, kinds: list[str], chance: random.Random) -> tuple[Counter[str], dict]:
    """A reproduction of which these ``kinds`` are killed, one after the other; what was hit, and what it leaves.

    Raises:
        AssertionError: something is half-written, done twice or left over, or the command does not end well at last.
    """
    one = in_place(checkout, folder)
    one.start()
    for kind in kinds:
        if one.process is None or one.process.poll() is not None:
            one.start()
        if one.kill(kind, chance) and kind != "worker alone":  # that job Snakemake begins again by itself
            one.wait()
        one.check_whole()
    one.wait()
    one.finish()
    one.check_whole()
    return one.struck, one.result()
