"""Tests of lmcbook.pages.figures.costs and of what is said of it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis import permutations
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.figures import costs
from lmcbook.pages.search_costs import show_search_costs
from tests.helpers.synthetic_records import make_record

ROOT = Path(__file__).resolve().parents[1]


def searched(width: float, alignment: str, seconds: float, training: float = 10.0, seeds: tuple[int, int] = (0, 1)):
    record = make_record(width, alignment=alignment, seeds=seeds)
    given = {"alignment_cpu_seconds": seconds, "training": [{"seconds": training}, {"seconds": 3 * training}]}
    return replace(record, provenance=record.provenance | given)


@pytest.fixture
def records():
    found = [make_record(width) for width in (1.0, 2.0)]
    for width in (1.0, 2.0):
        for seeds in ((0, 1), (2, 3)):
            found.append(searched(width, "weight_matching", 0.5 * width**3, 5 * width, seeds))
            found.append(searched(width, "activation_matching", 0.1 * width, 5 * width, seeds))
    return found


def test_the_table_has_each_search_and_one_training_beside_it(records):
    table = permutations.cost_table(records)
    assert set(table["what"]) == {permutations.WEIGHTS, permutations.ACTIVATIONS, permutations.TRAINING}
    wide = table[(table["width_multiplier"] == 2) & (table["seed_a"] == 0)].set_index("what")["seconds"]
    assert wide[permutations.WEIGHTS] == 4.0
    assert wide[permutations.ACTIVATIONS] == 0.2
    assert wide[permutations.TRAINING] == 20.0, "the mean of the pair's two trainings"


def test_records_that_do_not_say_how_long_the_search_took_are_left_out(records):
    silent = make_record(4.0, alignment="weight_matching")
    assert 4.0 not in set(permutations.cost_table([*records, silent])["width_multiplier"])
    with pytest.raises(InputError, match="has no records to draw"):
        figures.to_html(figures.cost_against_width, [silent])


@pytest.mark.slow
def test_the_figure_is_drawn_and_says_its_numbers(records):
    finding = sentences.cost_finding(records)
    page = figures.to_html(figures.cost_against_width, records, finding)
    assert page.count("<svg") == 2
    assert "matching by weights: 0.5 at ×1 and 4 at ×2" in costs.cost_alt(permutations.cost_table(records))
    (sentence,) = finding
    assert sentence.replace("\N{NO-BREAK SPACE}", " ") == (
        "MLP on digits at ×2: one search takes 20 % of the time of one training (2 pairs)."
    )
    assert str(numbers_of(sentence).iloc[0, 1]).startswith("4.00") and numbers_of(sentence).iloc[0, 2] == "20"


def test_a_power_law_is_found_in_the_two_widest():
    units = [128, 256, 512]
    rows = [{"units": each, "starts": "fast", "cpu_seconds": each**2.5, "peak_memory_bytes": 2**30} for each in units]
    assert "grows like the 2.5th power" in sentences.search_cost_finding(DataFrame(rows[::-1]))


def test_a_file_that_is_something_else_is_refused_in_one_line(tmp_path):
    file = tmp_path / "costs.json"
    with pytest.raises(InputError, match="must be what benchmarks/matching_cost.py writes"):
        permutations.read_search_costs(file)
    file.write_text('{"rows": []}')
    with pytest.raises(InputError, match="provenance"):
        permutations.read_search_costs(file)


def test_the_committed_costs_reach_the_widest_of_the_paper_within_its_memory():
    table, measured = permutations.read_search_costs(ROOT / "benchmarks" / "results" / "matching_cost.json")
    assert table["units"].max() == 8192
    assert table["peak_memory_bytes"].max() < 24 * 2**30
    assert measured["commit"]
    assert (table["objective"] > table["identity_objective"]).all()


@pytest.mark.slow
def test_the_page_shows_them_with_where_they_come_from(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    content = json.loads((ROOT / "benchmarks" / "results" / "matching_cost.json").read_text())
    measured = {"date": "2026-01-02T03:04:05", "processor": "Test Processor 3000", "commit": 40 * "0", "threads": 1}
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(content | {"provenance": measured}))
    show_search_costs(file)
    [page] = [bundle["text/html"] for bundle in shown]
    assert "2026-01-02, Test Processor 3000; commit 0000000000." in page
    assert "Made again by <code>python benchmarks/matching_cost.py</code>" in page
    assert 'download="search-cost-wide.csv"' in page and "th power" in page
    file.write_text("{}")
    with pytest.raises(InputError, match="must be what benchmarks/matching_cost.py writes"):
        show_search_costs(file)


@pytest.mark.slow
def test_the_benchmark_writes_what_the_figure_reads(tmp_path):
    out = tmp_path / "costs.json"
    command = [sys.executable, "matching_cost.py", "--width-multipliers", "0.0625", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT / "benchmarks", timeout=120)
    table, _ = permutations.read_search_costs(out)
    assert list(table["starts"]) == ["fast", "best"]
    assert json.loads(out.read_text())["provenance"]["threads"] == 1
    figures.search_cost_against_units(table)
