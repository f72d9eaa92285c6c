"""The audit names a licence for what the lock brings, and says plainly when it could not ask for advisories."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from tests import audit
from tests.lock import LOCK, parsed


@pytest.fixture
def answer(monkeypatch):
    """Let pip-audit print this."""

    def give(stdout: str, stderr: str = "") -> None:
        done = SimpleNamespace(stdout=stdout, stderr=stderr, returncode=1)
        monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)

    return give


@pytest.mark.slow
def test_every_locked_package_has_a_licence_that_can_be_named():
    packages = parsed(LOCK.read_text(encoding="utf-8"))
    assert len(packages) > 100 and {"torch", "numpy", "snakemake"} <= set(packages)
    assert [package for package in packages if audit.licence(package) == audit.UNKNOWN] == []
    assert "BSD" in audit.licence("numpy") and "Apache" in audit.licence("safetensors")
    assert audit.licence("no-such-package") == "not installed here"


def report(*packages: dict) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_what_is_known_against_a_package_is_told_and_is_1(answer, capsys):
    found = {"id": "PYSEC-1", "fix_versions": ["1.2"], "aliases": [], "description": "x"}
    answer(
        report({"name": "numpy", "version": "1.1", "vulns": [found]}, {"name": "SciPy", "version": "2", "vulns": []})
    )
    assert audit.main(["numpy", "scipy"]) == 1
    told = capsys.readouterr().out
    assert told.endswith("numpy 1.1: PYSEC-1, mended in ['1.2']\n1 known weaknesses in 2 packages\n")


def test_nothing_known_is_0(answer, capsys):
    answer(report({"name": "numpy", "version": "1.1", "vulns": []}))
    assert audit.main(["numpy"]) == 0
    assert capsys.readouterr().out.endswith("0 known weaknesses in 1 packages\n")


def test_an_index_that_cannot_be_asked_is_never_all_is_well(answer, capsys):
    answer("", "usage\nConnectionError: no route to the index")
    assert audit.main(["numpy"]) == 3
    told = capsys.readouterr().out.splitlines()
    assert "could NOT be asked" in told[-1] and "no route to the index" in told[-1] and "weaknesses" not in told[-2]


def test_an_index_without_advisories_is_never_all_is_well(answer, capsys):
    """pip-audit calls it well: it says of each package that it was skipped, "no known vulnerabilities", and 0."""
    skipped = {"name": "numpy", "skip_reason": "Dependency not found on PyPI"}
    answer(report(skipped), "No known vulnerabilities found")
    assert audit.main(["numpy"]) == 3
    told = capsys.readouterr().out.splitlines()
    assert "could NOT be asked for of 1 packages (Dependency not found on PyPI)" in told[-1]
    assert "weaknesses" not in told[-2]

    answer(report(skipped, {"name": "scipy", "version": "2", "vulns": []}))
    assert audit.main(["numpy", "scipy", "tqdm"]) == 3
    told = capsys.readouterr().out.splitlines()
    assert told[-2] == "0 known weaknesses in 1 packages" and "of 2 packages" in told[-1]
