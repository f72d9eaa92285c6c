"""Progress: which network of how many, and the time that is left by what was done."""

import sys
import time

import pytest

from lmcbook.lab.progress import Work, tell


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_what_is_left_is_told_by_what_was_done(clock, pico):
    from dataclasses import replace

    lines: list[str] = []
    networks = {replace(pico, seed=seed): 10.0 for seed in range(4)}
    work = Work(networks, {"first": 5.0, "second": 5.0}, lines.append)
    for config in list(networks)[:2]:
        with work.training([config]):
            clock[0] += 120  # twelve times of what was estimated
    with work.training([config]):
        pass  # it is there already
    with work.training(list(networks)[2:]):
        clock[0] += 240
    with work.measuring("first", "mlp, interpolation"):
        clock[0] += 30
    with work.measuring("second", "mlp, layerwise"):
        clock[0] += 30
    named = "mlp ×1 on digits, weight decay 0.003"
    assert lines == [
        f"network 1 of 4: {named}, seed 0",
        f"network 2 of 4, about 8 min left: {named}, seed 1",
        f"networks 3 to 4 of 4, about 6 min left: {named}, together, seeds 2, 3",
        "measurement 1 of 2, about 2 min left: mlp, interpolation",
        "measurement 2 of 2, about 30 s left: mlp, layerwise",
    ]


def test_a_training_within_a_measurement_is_not_counted_twice(clock, pico):
    lines: list[str] = []
    work = Work({pico: 1.0}, {"first": 1.0, "second": 1.0}, lines.append)
    with work.measuring("first", "a"):
        with work.training([pico]):
            clock[0] += 3600
        clock[0] += 20
    with work.measuring("second", "b"):
        pass
    assert lines[-1] == "measurement 2 of 2, about 20 s left: b"


def test_a_line_of_a_notebook_reaches_the_terminal_too(tmp_path, monkeypatch):
    class KernelStream:
        """What ipykernel puts in the place of stderr: it keeps the descriptor of the terminal."""

        def __init__(self, terminal):
            self._original_stdstream_copy = terminal
            self.told = ""

        def write(self, text):
            self.told += text

        def flush(self):
            pass

    with (tmp_path / "terminal").open("w+") as terminal:
        stream = KernelStream(terminal.fileno())
        monkeypatch.setattr(sys, "stderr", stream)
        tell("network 1 of 2: mlp ×1")
        assert stream.told == "network 1 of 2: mlp ×1\n"
        assert (tmp_path / "terminal").read_text() == "network 1 of 2: mlp ×1\n"
