"""The book states the counts that the suite finds: the other tests here compare them, this one the page."""

import json
import random
import sys
from collections import Counter

import pytest

from tests.faults import kills, report
from tests.faults.damage import DAMAGES
from tests.faults.report import COUNTS, shown, tables
from tests.faults.reproductions import KINDS
from tests.faults.test_damage import SEEDS


def test_the_page_shows_what_was_counted():
    assert shown() == tables(json.loads(COUNTS.read_text()))


def test_the_page_says_in_how_many_ways_and_how_often_files_are_damaged():
    assert len(SEEDS) == 5
    assert f"damaged in {len(DAMAGES)} ways, five times each" in report.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "before"), [([], 33), (["--anew"], 0)])
def test_kills_go_on_from_what_is_counted(tmp_path, monkeypatch, words, before):
    counts, page = tmp_path / "tested.json", tmp_path / "tested.md"
    counts.write_text(COUNTS.read_text())
    page.write_text(report.PAGE.read_text())
    monkeypatch.setattr(report, "COUNTS", counts)
    monkeypatch.setattr(report, "PAGE", page)
    first = dict(zip(KINDS, (9, 8, 8, 8), strict=True))
    for kind, number in first.items():
        report.state(kills.PART, kind, {"SIGKILL": number})
    whole = {"weights": [*range(8)], "records": [*range(8)]}
    drawn: list[tuple[list[str], float]] = []

    def killed(checkout: object, folder: object, kinds: list[str], chance: random.Random) -> tuple[Counter, dict]:
        drawn.append((kinds, chance.random()))
        return Counter(kinds), whole

    monkeypatch.setattr(kills, "make_checkout", lambda folder: folder)
    monkeypatch.setattr(kills, "undisturbed", lambda *folders: whole)
    monkeypatch.setattr(kills, "killed", killed)
    monkeypatch.setattr(sys, "argv", ["kills", "--count", "60", *words])
    kills.main()
    assert sum(len(kinds) for kinds, _ in drawn) == 60 - before
    assert len({number for _, number in drawn}) == len(drawn), "every series draws anew"
    assert sorted(row["SIGKILL"] for row in report.stated(kills.PART).values()) == [15] * 4
    assert shown() == tables(json.loads(counts.read_text()))
