"""A handful of the kills that `python -m tests.faults.kills` tries sixty of."""

import random

import pytest

from tests.faults.reproductions import KINDS, killed, make_checkout, without_engine

pytestmark = pytest.mark.slow


def test_whichever_process_of_a_reproduction_is_killed_it_then_ends_the_same(tmp_path):
    checkout = make_checkout(tmp_path / "checkout", widths=(0.5,))
    whole = without_engine(checkout, tmp_path / "whole")
    assert len(whole["weights"]) == len(whole["records"]) == 4

    struck, left = killed(checkout, tmp_path / "killed", list(KINDS), random.Random(0))
    assert len(struck) > 1, "hardly anything was killed"
    assert {what: left[what] for what in whole} == whole
    names = {name.rpartition("/")[2] for name in left["files"] if not name.endswith((".lock", ".json"))}
    stored = {"weights.safetensors", *whole["weights"]}
    assert names == stored | {"embedded", "99_all.ipynb"}, "something stray was left"
