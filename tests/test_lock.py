"""The lock names the files that pip may install: pip refuses any other, but for PyTorch, which is installed before."""

import re
import subprocess
import sys
import venv
import zipfile
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import lock

LOCKED = lock.parsed(lock.LOCK.read_text(encoding="utf-8"))


def make_wheel(folder: Path, name: str, version: str, *needs: str) -> str:
    """A package without content; gives the SHA-256 of its wheel."""
    about = f"{name}-{version}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {one}" for one in needs),
    ]
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    return sha256(file.read_bytes()).hexdigest()


def test_every_file_but_those_of_torch_has_its_hash():
    assert [name for name, (_, hashes) in LOCKED.items() if not hashes] == [*lock.WITHOUT_HASHES]
    assert all(re.fullmatch("[0-9a-f]{64}", one) for _, hashes in LOCKED.values() for one in hashes)
    for name, (version, _) in LOCKED.items():
        Requirement(f"{name}=={version}")
    assert lock.written(LOCKED) == lock.LOCK.read_text(encoding="utf-8")


def test_what_other_systems_and_newer_pythons_need_is_locked_too():
    # pip refuses what is not in a lock with hashes, so that a package too few stops it
    conditions = {name: version.partition(" ; ")[2] for name, (version, _) in LOCKED.items()}
    assert "win32" in conditions["colorama"] and "darwin" in conditions["appnope"] and "3.12" in conditions["aiohttp"]


@pytest.mark.slow
def test_the_installation_takes_torch_as_it_is_and_refuses_other_files_than_the_locks(tmp_path):
    """The commands of `make setup`, with packages that are made here."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "torch", "2.13.0+cpu", "cudalibraries==1.0", "numpy")
    make_wheel(wheels, "cudalibraries", "1.0")
    numpy = make_wheel(wheels, "numpy", "1.0")
    venv.create(tmp_path / "venv")
    python = str(tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    first, [of_lock], last = (
        re.findall(rf"-m pip install --quiet (.*){what}$", (lock.ROOT / "Makefile").read_text(), re.M)
        for what in (r"\$\(TORCH\)", r"--requirement requirements\.lock", r"--editable \.")
    )
    assert first == ["--no-deps ", ""] and last == ["--no-deps "]

    def install(*what: str) -> subprocess.CompletedProcess:
        only = ["--isolated", "--no-index", f"--find-links={wheels}", "--disable-pip-version-check", "--no-cache-dir"]
        command = [sys.executable, "-m", "pip", "--python", python, "install", *only, *what]
        return subprocess.run(command, capture_output=True, text=True)

    def install_lock(*hashes: str) -> str | None:
        file = tmp_path / "requirements.lock"
        file.write_text(lock.written({"torch": ("2.13.0", frozenset()), "numpy": ("1.0", frozenset(hashes))}))
        done = install(*of_lock.split(), "--requirement", str(file))
        return done.stderr if done.returncode else None

    before = install_lock(numpy)
    assert before is not None and "torch==2.13.0" in before, "torch has no hash, and must be there before"
    assert install(*first[0].split(), "torch==2.13.0").returncode == 0
    refused = install_lock("0" * 64)
    assert refused is not None and "DO NOT MATCH THE HASHES" in refused, refused
    assert install_lock(numpy, "0" * 64) is None
    assert install("torch==2.13.0").returncode == 0
    assert subprocess.run([sys.executable, "-m", "pip", "--python", python, "check"]).returncode == 0


@pytest.mark.slow
def test_what_is_installed_needs_nothing_that_is_not_in_the_lock():
    """Without this, `pip install --no-deps` would leave something out."""
    locked = {*LOCKED, "lmcbook", "pip"}
    missing = []
    for name in LOCKED.keys() - {"torch"}:
        try:
            needs = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:  # of another system or Python
            continue
        wanted = [one for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
        missing += [f"{name} needs {one}" for one in wanted if canonicalize_name(one.name) not in locked]
    assert missing == []


@pytest.mark.slow
def test_the_hashes_are_those_of_the_index(tmp_path):
    """Of three small packages here; `make setup` asks for all of them on each new machine."""
    few = {name: LOCKED[name] for name in ("mdurl", "zipp", "sniffio")}

    def download(locked: lock.Locked) -> str | None:
        file = tmp_path / "few.txt"
        file.write_text(lock.written(locked))
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir"]
        done = subprocess.run(
            [*command, "--retries=0", f"--dest={tmp_path}", "-r", str(file)], capture_output=True, text=True
        )
        return done.stderr if done.returncode else None

    refused = download({name: (version, frozenset({"0" * 64})) for name, (version, _) in few.items()})
    if refused is None or "DO NOT MATCH" not in refused:
        pytest.skip("the index cannot be asked")
    assert download(few) is None


# --- the command -----------------------------------------------------------------------------------------------------

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text(lock.written({"numpy": ("1.0", frozenset({A})), "torch": ("2.13.0", frozenset())}))
    return path


@pytest.fixture
def index(monkeypatch):
    """Let uv print this lock."""

    def give(locked: lock.Locked, code: int = 0) -> None:
        done = SimpleNamespace(stdout=lock.written(locked), stderr="no route\nto the index", returncode=code)
        monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)

    return give


def test_a_file_that_the_index_does_not_have_is_named_and_more_files_there_do_no_harm(file, index, capsys):
    before = file.read_text()
    of_torch = {"torch": ("2.13.0", frozenset({C})), "nvidia-cublas": ("1", frozenset({C}))}
    index({"numpy": ("1.0", frozenset({A, B}))} | of_torch)
    assert lock.main(["--check"], file) == 0
    index({"numpy": ("1.0", frozenset({B})), "tqdm": ("1", frozenset({C}))} | of_torch)
    capsys.readouterr()
    assert lock.main(["--check"], file) == 1
    told = capsys.readouterr().out
    assert f"numpy: the index has no file of {A}\ntqdm: not in the lock\n" in told
    assert file.read_text() == before


def test_the_lock_is_written_anew_without_the_hashes_of_torch(file, index):
    index({"torch": ("2.13.0", frozenset({C})), "triton": ("3", frozenset({C})), "Num_Py": ("1.0", frozenset({A, B}))})
    assert lock.main([], file) == 0
    assert lock.parsed(file.read_text()) == {"num-py": ("1.0", {A, B}), "torch": ("2.13.0", frozenset())}


def test_an_index_that_cannot_be_asked_leaves_the_lock_as_it_is(file, index, capsys):
    before = file.read_text()
    index({}, code=2)
    for arguments in ([], ["--check"]):
        assert lock.main(arguments, file) == 3
        assert "could NOT be asked" in capsys.readouterr().out and file.read_text() == before
