"""The first 20 steps of a training are what they were; they change by a command that prints the difference."""

import json
from dataclasses import replace

import pytest

from tests import golden


@pytest.fixture(scope="module")
def now() -> list[float]:
    return golden.curve()


def test_twenty_steps_are_those_of_the_golden_curve(now):
    expected = json.loads(golden.FILE.read_text())
    assert len(expected) == 20 and expected[-1] < expected[0] / 2  # it learns
    apart = golden.differences(now, expected)
    assert max(apart) <= golden.TOLERANCE, "`python -m tests.golden` shows the difference"


@pytest.mark.parametrize("change", [{"learning_rate": 0.303}, {"weight_decay": 4e-3}, {"seed": 1}, {"momentum": 0.89}])
def test_what_changes_a_training_is_seen(now, change):
    changed = golden.curve(replace(golden.CONFIG, **change))
    assert max(golden.differences(changed, now)) > golden.TOLERANCE


def test_the_curve_is_replaced_by_a_command_alone_which_prints_the_difference(now, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(golden, "curve", lambda: now)
    file = tmp_path / "golden.json"
    file.write_text(json.dumps([*now[:-1], 2 * now[-1]]))
    before = file.read_text()
    assert golden.main([], file) == 1 and file.read_text() == before
    assert golden.main(["--write"], file) == 0 and json.loads(file.read_text()) == now
    told = capsys.readouterr().out
    assert told.count(f"step 19: golden {2 * now[-1]:.6f}, now {now[-1]:.6f}, apart 5.0e-01") == 2
    assert golden.main([], file) == 0
    assert golden.main(["--rewrite"], file) == 2


def test_a_curve_of_another_length_is_no_golden_one(now):
    assert min(golden.differences(now, now[:-1])) > golden.TOLERANCE
