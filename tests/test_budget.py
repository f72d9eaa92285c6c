"""The time budget: value per cost decides, the plan is told truly, the clock is obeyed."""

from dataclasses import replace

import pytest

from lmcbook import budget, plan
from lmcbook.errors import InputError
from lmcbook.records import find_record

CPU = budget.costs_of("cpu")


@pytest.fixture
def small_plan(pico_pair, monkeypatch):
    """Two pairs of a small network and one of a wider, as the whole plan of the embedded scale."""
    wide = replace(pico_pair, training=replace(pico_pair.training, width_multiplier=64.0))
    planned = [
        plan.PlannedPair(scale="embedded", recipe="mlp-digits", pair=pair)
        for pair in (wide, replace(pico_pair, seeds=(2, 3)), pico_pair)
    ]
    monkeypatch.setattr(plan, "pairs", lambda scale, notebooks=None: planned)
    return planned


def test_cheap_and_first_comes_before_dear_and_repeated(small_plan):
    tasks = budget.tasks(small_plan, costs=CPU)
    names = [task.name for task in tasks]
    assert names == [
        "mlp-digits_L3_x1_wd0.003 seeds 2,3",
        "mlp-digits_L3_x1_wd0.003 seeds 0,1",
        "mlp-digits_L3_x64_wd0.003 seeds 0,1",
    ]
    ratios = [task.value / task.seconds for task in tasks]
    assert ratios == sorted(ratios, reverse=True)
    assert tasks[2].seconds > tasks[0].seconds


def test_a_measured_time_replaces_the_estimate(small_plan, tmp_path):
    from lmcbook.pipeline import measure

    record = measure(small_plan[2], progress=False)
    known = {task.name: task for task in budget.tasks(small_plan, costs=CPU, records=[record])}
    assert known["mlp-digits_L3_x1_wd0.003 seeds 2,3"].is_measured
    assert not known["mlp-digits_L3_x64_wd0.003 seeds 0,1"].is_measured


def test_only_what_fits_is_bought(small_plan):
    tasks = budget.tasks(small_plan, costs=CPU)
    assert budget.within(tasks, 0) == []
    assert budget.within(tasks, tasks[0].seconds) == tasks[:1]
    assert budget.within(tasks, sum(task.seconds for task in tasks)) == tasks
    assert "0.0001 minutes buy 0 of 3: none" in budget.describe_plan("embedded", device="cpu", max_minutes=1e-4)


def test_the_run_stops_at_its_deadline_and_goes_on_afterwards(small_plan, tmp_path, monkeypatch):
    lines: list[str] = []
    written = budget.run_within_budget("embedded", folder=tmp_path, device="cpu", max_minutes=1e-9, report=lines.append)
    assert written == [] and lines[-1] == "0 records written, 3 still missing"
    small = [one for one in small_plan if one.pair.training.width_multiplier == 1]
    monkeypatch.setattr(plan, "pairs", lambda scale, notebooks=None: small)
    written = budget.run_within_budget("embedded", folder=tmp_path, device="cpu", report=lines.append)
    assert {record.digest for record in written} == {one.pair.digest for one in small}
    assert all(find_record(one.pair.digest, tmp_path) for one in small)
    assert budget.run_within_budget("embedded", folder=tmp_path, device="cpu", report=lines.append) == []


def test_the_plan_says_what_is_there_and_what_is_missing(small_plan):
    text = budget.describe_plan("embedded", device="cpu")
    assert text.startswith("scale embedded: 0 of 3 records are there")
    assert "mlp-digits_L3_x64_wd0.003 seeds 0,1" in text and "~" in text


@pytest.mark.parametrize("scale", plan.SCALES)
def test_every_scale_can_be_priced_without_data_or_memory(scale):
    text = budget.describe_plan(scale, device="cuda")
    assert "together about" in text


def test_bad_input_is_refused(small_plan, tmp_path):
    with pytest.raises(InputError, match="scale is 'huge'"):
        budget.run_within_budget("huge", folder=tmp_path)
    with pytest.raises(InputError, match="max_minutes is -1; it must be a number above 0"):
        budget.run_within_budget("embedded", folder=tmp_path, max_minutes=-1)
    with pytest.raises(InputError, match="recipe is 'mlp-moon'; it may be one of: mlp-digits"):
        budget.run_within_budget("embedded", folder=tmp_path, recipes=["mlp-moon"])
    with pytest.raises(InputError, match="device is 'tpu'"):
        budget.describe_plan("embedded", device="tpu")
