"""Runs within a budget: beside others, and on a disk that is full after the first training."""

from dataclasses import replace
from typing import Any

import pytest

from lmcbook.lab import budget, paths
from lmcbook.lab.budget import work
from lmcbook.lab.plan import PlannedPair
from tests.faults.jobs import WIDE, at_every_step, import_dots, planned


@pytest.fixture(autouse=True)
def dots(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    import_dots()


def pairs(*seeds: tuple[int, int], training=WIDE):
    return [replace(planned(training), pair=replace(planned(training).pair, seeds=two)) for two in seeds]


@pytest.fixture
def run(monkeypatch):
    """Runs what is planned, without git, and gives the lines that it tells."""

    def act(chosen: list[PlannedPair], **options: Any) -> list[str]:
        monkeypatch.setattr(work, "planned_of", lambda *arguments: chosen)
        lines: list[str] = []
        with at_every_step():
            options = {"report": lines.append} | options
            budget.run_within_budget("embedded", folder=paths.fresh_records(), device="cpu", **options)
        return lines

    return act


def test_a_record_that_cannot_be_written_ends_the_run_before_more_is_trained(run):
    folder = paths.fresh_records()
    folder.mkdir()
    (folder / "embedded").write_text("a file, so that the folder can be written and the record cannot")
    lines: list[str] = []
    with pytest.raises(OSError, match="embedded"):
        run(pairs((0, 1), (2, 3)), report=lines.append)
    assert not any("left out" in line for line in lines)
    assert len(list((paths.runs() / "models").iterdir())) == 2
