"""The audit names a licence for what the lock brings, and says plainly when it could not ask for advisories."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from tests import audit


@pytest.fixture
def answer(monkeypatch):
    """Let pip-audit print this."""

    def give(stdout: str, stderr: str = "") -> None:
        done = SimpleNamespace(stdout=stdout, stderr=stderr, returncode=1)
        monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)

    return give


def test_every_locked_package_has_a_licence_that_can_be_named():
    packages = audit.locked()
    assert len(packages) > 100 and {"torch", "numpy", "snakemake"} <= set(packages)
    assert [package for package in packages if audit.licence(package) == audit.UNKNOWN] == []
    assert "BSD" in audit.licence("numpy") and "Apache" in audit.licence("safetensors")
    assert audit.licence("no-such-package") == "not installed here"


def test_what_is_known_against_a_package_is_told_and_is_1(answer, capsys):
    found = {"id": "PYSEC-1", "fix_versions": ["1.2"], "aliases": [], "description": "x"}
    packages = [
        {"name": "a", "version": "1.1", "vulns": [found]},
        {"name": "b", "version": "2", "vulns": []},
        {"name": "c", "skip_reason": "not on the index"},
    ]
    answer(json.dumps({"dependencies": packages, "fixes": []}))
    assert audit.main(["numpy"]) == 1
    told = capsys.readouterr().out
    assert "a 1.1: PYSEC-1, mended in ['1.2']\n1 known weaknesses\n" in told


def test_nothing_known_is_0(answer, capsys):
    answer(json.dumps({"dependencies": [{"name": "a", "version": "1.1", "vulns": []}], "fixes": []}))
    assert audit.main(["numpy"]) == 0
    assert "0 known weaknesses" in capsys.readouterr().out


def test_an_index_that_cannot_be_asked_is_never_all_is_well(answer, capsys):
    answer("", "usage\nConnectionError: no route to the index")
    assert audit.main(["numpy"]) == 3
    told = capsys.readouterr().out
    assert "could NOT be asked" in told and "no route to the index" in told and "known weaknesses\n" not in told
