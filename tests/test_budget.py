"""The time budget: value per cost decides, the plan is told truly, the clock is obeyed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab import budget, paths, plan, progress, store
from lmcbook.lab.budget import report
from lmcbook.lab.config import ALIGNMENTS
from lmcbook.lab.records import Record, RecordIndex, write_record
from lmcbook.training import DoesNotFit, TrainingDiverged
from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import decay_product
from tests.helpers.synthetic_records import make_record

CPU = budget.costs_of("cpu")


@pytest.fixture
def small_plan(pico_pair, monkeypatch):
    """Two pairs of a small network and one of a wider, as the whole plan of the embedded scale."""
    wide = replace(pico_pair, training=replace(pico_pair.training, width_multiplier=64.0))
    planned = [
        plan.PlannedPair(scale="embedded", recipe="mlp-digits", pair=pair)
        for pair in (wide, replace(pico_pair, seeds=(2, 3)), pico_pair)
    ]
    monkeypatch.setattr(plan, "pairs", lambda scale, notebooks=None, precision=None: planned)
    return planned


@pytest.fixture
def small(small_plan, monkeypatch):
    """Its two narrow pairs as the whole plan, trained as briefly as can be: nothing asks how well."""
    planned = [replace(one, pair=brief(one.pair)) for one in small_plan[1:]]
    monkeypatch.setattr(plan, "pairs", lambda scale, notebooks=None, precision=None: planned)
    return planned


def brief(pair):
    return replace(pair, training=replace(pair.training, epochs=1))


def test_cheap_and_first_comes_before_dear_and_repeated(small_plan):
    tasks = budget.tasks(small_plan, costs=CPU)
    names = [task.name for task in tasks]
    assert names == [
        "mlp-digits_L3_x1_wd0.003 seeds 2,3 batch 100 short (20 epochs)",
        "mlp-digits_L3_x1_wd0.003 seeds 0,1 batch 100 short (20 epochs)",
        "mlp-digits_L3_x64_wd0.003 seeds 0,1 batch 100 short (20 epochs)",
    ]
    ratios = [task.value / task.seconds for task in tasks]
    assert ratios == sorted(ratios, reverse=True)
    assert tasks[2].seconds > tasks[0].seconds


@pytest.mark.slow
def test_a_measured_time_replaces_the_estimate(small_plan, tmp_path):
    from lmcbook.lab.missing import Bench

    record = Bench(progress=False).measure(small_plan[2])
    known = {task.name: task for task in budget.tasks(small_plan, costs=CPU, records=[record])}
    assert known["mlp-digits_L3_x1_wd0.003 seeds 2,3 batch 100 short (20 epochs)"].is_measured
    assert not known["mlp-digits_L3_x64_wd0.003 seeds 0,1 batch 100 short (20 epochs)"].is_measured


@pytest.mark.slow
def test_of_measured_times_the_fastest_counts_and_the_first_task_of_a_pair_trains_it(small_plan):
    from lmcbook.lab.missing import Bench

    record = Bench(progress=False).measure(small_plan[2])
    [quick, slow] = (
        replace(record, provenance={**record.provenance, "training": [{"device": "cpu", "seconds": seconds}]})
        for seconds in (20.0, 900.0)
    )
    pair = replace(small_plan[2].pair, measurement="flatness", num_directions=3)
    plan = [replace(small_plan[2], pair=pair), small_plan[2]]  # the walk is named first
    for records in ([quick, slow], [slow, quick]):
        found = budget.tasks(plan, costs=CPU, records=records)
        seconds = {one.planned[0].pair.measurement: one.seconds for one in found}
        assert 40 < seconds["interpolation"] < 60 and seconds["flatness"] < 20


def test_only_what_fits_is_bought(small_plan):
    tasks = budget.tasks(small_plan, costs=CPU)
    assert budget.within(tasks, 0) == []
    assert budget.within(tasks, tasks[0].seconds) == tasks[:1]
    assert budget.within(tasks, sum(task.seconds for task in tasks)) == tasks
    assert "0.0001 minutes buy 0 of 3: none" in budget.describe_plan("embedded", device="cpu", max_minutes=1e-4)


@pytest.mark.slow
def test_the_run_stops_at_its_deadline_and_goes_on_afterwards(small, tmp_path):
    lines: list[str] = []
    written = budget.run_within_budget("embedded", folder=tmp_path, device="cpu", max_minutes=1e-9, report=lines.append)
    assert written == [] and lines[-1] == "0 records written, 2 still missing"
    written = budget.run_within_budget("embedded", folder=tmp_path, device="cpu", report=lines.append)
    assert {record.digest for record in written} == {one.pair.digest for one in small}
    assert all(RecordIndex(tmp_path).find(one.pair) for one in small)
    assert budget.run_within_budget("embedded", folder=tmp_path, device="cpu", report=lines.append) == []


@pytest.mark.slow
def test_what_is_there_anywhere_is_not_measured_unless_its_folder_is_named(small, tmp_path):
    """The plan counts committed records too; to measure them on this machine, its folder is named."""
    [record, other] = budget.run_within_budget("embedded", folder=tmp_path / "elsewhere", device="cpu")
    write_record(record, paths.committed_records())
    lines: list[str] = []
    written = budget.run_within_budget("embedded", device="cpu", report=lines.append)
    assert [one.digest for one in written] == [other.digest]
    assert lines[0].startswith("1 of 2 records are there, measured here or come with the book; --records ")
    assert RecordIndex(paths.fresh_records()).find(other.config) is not None
    assert budget.run_within_budget("embedded", device="cpu", report=lines.append) == []


@pytest.mark.slow
def test_the_networks_are_counted_where_bars_are_not_seen(small, tmp_path, capsys):
    budget.run_within_budget("embedded", folder=tmp_path, device="cpu", report=lambda line: None)
    told = capsys.readouterr().err
    assert told.startswith("networks 1 to 4 of 4: mlp ×1 on digits, weight decay 0.003, together, seeds ")
    assert "\r" not in told


@pytest.mark.slow
def test_weights_are_forgotten_only_if_asked_for_and_not_before_their_records(small, tmp_path):
    written = budget.run_within_budget("embedded", folder=tmp_path, device="cpu", forget_weights=True)
    assert len(written) == 2
    assert not any(store.is_stored(config) for one in small for config in (one.pair.training_a, one.pair.training_b))
    budget.run_within_budget("embedded", folder=tmp_path / "others", device="cpu")
    assert all(store.is_stored(config) for one in small for config in (one.pair.training_a, one.pair.training_b))


def test_the_plan_says_what_is_there_and_what_is_missing(small_plan):
    text = budget.describe_plan("embedded", device="cpu", every=True)
    assert text.startswith("scale embedded: 0 of 3 records are there")
    assert "mlp-digits_L3_x64_wd0.003 seeds 0,1 batch 100 short (20 epochs)" in text and "~" in text
    [line] = [line for line in budget.describe_plan("embedded", device="cpu").splitlines() if line.startswith("  ")]
    assert re.fullmatch(r"  mlp-digits +3 records +~\d+ s: ×1 ~\d+ s, ×64 ~\d+ s", line)


def test_a_plan_can_be_reduced(small_plan):
    wide = [one for one in small_plan if one.pair.training.width_multiplier == 64]
    other = [replace(one, recipe="vgg11-digits") for one in wide]
    assert plan.of_recipes([*small_plan, *other], None) == [*small_plan, *other]
    assert plan.of_recipes([*small_plan, *other], ["vgg11-digits"]) == other
    assert budget.describe_plan("embedded", device="cpu", recipes=["mlp-digits"]).startswith("scale embedded: 0 of 3 ")
    with pytest.raises(InputError, match="recipe is 'mlp-moon'; it may be one of: mlp-digits"):
        budget.describe_plan("embedded", device="cpu", recipes=["mlp-moon"])
    with pytest.raises(InputError, match="notebook is '99'; it may be one of: 01_width"):
        plan.experiments.pairs("embedded", ["99"])


def test_a_time_is_told_in_a_unit_that_people_think_in():
    times = {0.2: "1 s", 40: "40 s", 600: "10 min", 7200: "2.0 hours", 3e5: "3.5 days", 679928100: "22 years"}
    assert {seconds: progress.duration(seconds) for seconds in times} == times


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["embedded", "desk", pytest.param("paper", marks=pytest.mark.slow)])
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


# --- what things cost -------------------------------------------------------------------------------------------------


@pytest.fixture
def rates(tmp_path):
    """A file of two cards; a step of an MLP was measured at two sizes, one of them ten thousand times the other."""

    def rows(factor: float) -> list[dict]:
        common = {"architecture": "mlp", "precision": "float32", "variant": "eager"}
        sizes = ((1e8, 1e-3), (1e12, 1e-1))
        return [
            {**common, "step_operations": operations, "step_seconds": factor * seconds, "forward_operations": 1e6,
             "forward_seconds": factor * 1e-6}
            for operations, seconds in sizes
        ] + [{**common, "variant": "graphs", "step_operations": 1e9, "step_seconds": 1e-9}]  # fmt: skip

    cards = [{"gpu": "fast", "rows": rows(1)}, {"gpu": "slow", "rows": rows(10)}]
    (tmp_path / "gpu.json").write_text(json.dumps({"cards": cards}))
    return tmp_path


def test_measured_rates_are_interpolated_and_carried_on(rates):
    points = budget.costs_of("cuda", "fast", rates).steps["mlp", "float32"]
    assert points == [(1e8, 1e-3), (1e12, 1e-1)]
    between = budget.costs.between
    assert between(points, 1e12) == pytest.approx(1e-1)
    assert between(points, 1e10) == pytest.approx(1e-2)  # half-way in logarithms
    assert between(points, 1e6) == 1e-3  # nothing takes less than its launches
    assert between(points, 3e12) == pytest.approx(0.3)  # the rate of the largest


def test_the_card_at_hand_decides_whose_rates_count(rates, pico):
    fast, slow, unknown = (budget.costs_of("cuda", gpu, rates) for gpu in ("fast", "slow", "another"))
    assert (fast.gpu, slow.gpu, unknown.gpu) == ("fast", "slow", "fast")
    assert slow.step_seconds(pico) == pytest.approx(10 * fast.step_seconds(pico))
    assert budget.costs_of("cpu", None, rates).gpu is None
    # what was not measured is estimated from its operations
    rounded = replace(pico, precision="bfloat16")
    assert fast.step_seconds(rounded) == budget.costs_of("cuda", None, rates / "nowhere").step_seconds(rounded)


def test_a_damaged_file_of_rates_is_named(tmp_path):
    (tmp_path / "gpu.json").write_text('{"cards": [{"gpu": "A", "rows": [{}]}]}')
    with pytest.raises(InputError, match=r"gpu\.json cannot be read as rates .*python benchmarks/gpu\.py"):
        budget.costs_of("cuda", None, tmp_path)


def test_the_plan_says_what_its_estimates_rest_on(small_plan, rates, monkeypatch):
    empty = rates / "none"
    assert "no rates were measured on cpu" in budget.describe_plan("embedded", device="cpu", folder=empty)
    monkeypatch.setattr(paths, "rates", lambda: rates / "gpu.json")
    text = budget.describe_plan("embedded", device="cuda")
    assert text.endswith("estimates from rates that benchmarks/gpu.py measured on fast")


def trained(config: TrainingConfig, seconds: float, **origin) -> Record:
    """A made-up record of a pair whose second training was slowed down by a neighbour."""
    record = make_record()
    told = {"device": "cpu", "gpu": None, "processor": "Test Processor", "threads": 1, **origin}
    training = [{**told, "seconds": each} for each in (seconds, 5 * seconds)]
    pair = replace(record.config, training=config)
    return replace(record, config=pair, digest=pair.digest, provenance={**record.provenance, "training": training})


def test_without_rates_the_trainings_in_the_records_say_what_things_cost(pico):
    steps = pico.epochs * (describe(pico.dataset).num_train // pico.batch_size)
    slow = budget.costs_of("cpu", records=[trained(pico, 100.0 * steps)])
    costs = budget.costs_of("cpu", records=[trained(pico, 3.0 * steps), trained(pico, 100.0 * steps)])
    assert costs.trained_on == ("Test Processor (1 thread)",)
    assert costs.step_seconds(pico) == pytest.approx(3.0), "the fastest of all trainings of this network"
    assert slow.step_seconds(pico) == pytest.approx(100.0)
    assert costs.forward_seconds(pico, 3 * pico.batch_size) == pytest.approx(3.0), "a third of a step's operations"
    wider = replace(pico, hidden_width=64)
    share = budget.costs.forward_operations(wider) / budget.costs.forward_operations(pico)
    assert costs.step_seconds(wider) == pytest.approx(3.0 * share)
    assert costs.step_seconds(replace(pico, precision="bfloat16")) == pytest.approx(3.0)


def test_trainings_on_another_kind_of_device_say_nothing(pico):
    on_a_card = trained(pico, 1.0, device="cuda:0", gpu="Test Card")
    assert budget.costs_of("cpu", records=[on_a_card]) == budget.costs_of("cpu")
    costs = budget.costs_of("cuda", folder=Path("nowhere"), records=[on_a_card, trained(pico, 1.0)])
    assert costs.trained_on == ("Test Card",) and costs.gpu is None
    rounded = replace(pico, precision="bfloat16")
    assert costs.step_seconds(rounded) == budget.costs_of("cuda", folder=Path("nowhere")).step_seconds(rounded)


def test_the_plan_names_what_the_trainings_in_the_records_ran_on(small_plan, tmp_path):
    write_record(trained(small_plan[0].pair.training, 60.0), tmp_path)
    text = budget.describe_plan("embedded", device="cpu", folder=tmp_path)
    assert text.endswith("estimates from the time that the trainings in the records took on Test Processor (1 thread)")


def test_the_operations_of_a_network_do_not_depend_on_its_training(pico):
    other = replace(pico, weight_decay=0.0, seed=7, epochs=99, learning_rate=0.3)
    assert budget.costs.forward_operations(pico) == budget.costs.forward_operations(other) == 2 * (64 * 16 + 256 + 160)
    # two groups of 16 units; each unit has its incoming and outgoing weights
    assert budget.costs.matching_operations(pico) == 2 * budget.costs._SWEEPS * 16 * (16 * (64 + 16) + 16 * (16 + 10))


# --- the order of the paper's scale -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper():
    return budget.tasks(budget.planned_of("paper"), costs=budget.costs_of("cuda"))


@pytest.mark.slow
def test_the_plan_of_the_paper_fits_on_a_screen(paper):
    lines = list(report._summary(paper))
    assert len(lines) < 25 and sum(line.count("\n") + 1 for line in lines) < 40
    assert not [line for line in lines if re.search(r"\d{5,}(\.\d)? (s|min|hours|days)\b", line)]


@pytest.mark.slow
def test_the_papers_claim_comes_first_in_the_order_of_the_plan(paper):
    first = [task for task in paper if task.stage is not None]
    assert paper[: len(first)] == first
    stages = [task.stage for task in first]
    assert stages == sorted(stages) and set(stages) == {0, 1, 2, 3, 4, 5}
    named = {stage: [task.name for task in first if task.stage == stage] for stage in set(stages)}
    widths = ("0.25", "0.5", "1", "2", "4", "8", "16")
    assert named[0] == [f"mlp-mnist_L4_x{width}_wd0.003 seeds {a},{a + 1}" for a in (0, 2, 4) for width in widths]
    assert [name.replace("fashion_", "") for name in named[1]] == named[0]
    conv = [f"x{width}_wd0.003 seeds {a},{a + 1}" for a in (0, 2, 4) for width in widths[2:6]]
    assert named[2] == [f"resnet20-cifar10_{each}" for each in conv]
    assert named[3] == [f"vgg11-cifar10_{each}" for each in conv]
    recipes = ("mlp-mnist_L4", "mlp-fashion_mnist_L4", "resnet20-cifar10", "vgg11-cifar10")
    assert set(named[4]) == {f"{name}_x8_wd0.0001 seeds {a},{a + 1}" for name in recipes for a in (0, 2, 4)}
    assert [name.partition(" ")[0] for name in named[5]] == 3 * [
        "resnet20-cifar10_x16_wd0.003",
        "vgg11-cifar10_x16_wd0.003",
        "resnet20-cifar10_x32_wd0.003",
    ]


@pytest.mark.slow
def test_each_pair_is_measured_in_all_ways_while_its_weights_are_at_hand(paper):
    for task in paper:
        if task.stage is not None and task.stage < 4:
            done = {(one.pair.measurement, one.pair.alignment) for one in task.planned}
            assert {("interpolation", name) for name in ALIGNMENTS} <= done
            assert {("layerwise", "identity"), ("layerwise", "weight_matching")} <= done


@pytest.mark.slow
def test_one_plan_for_every_device_says_the_arithmetic():
    precisions: dict[str, set[str]] = {"float32": set(), "bfloat16": set()}
    for one in budget.planned_of("paper"):
        training = one.pair.training
        if training.dataset == "digits":  # the networks of the scale desk, which are not trained again
            continue
        precisions[training.precision].add(f"{training.architecture} ×{training.width_multiplier:g}")
    assert precisions["float32"] == {
        *(f"mlp ×{width}" for width in ("0.25", "0.5", "1", "2", "4")),
        *(f"resnet20 ×{width}" for width in ("0.25", "0.5", "1")),
        *(f"vgg11 ×{width}" for width in ("0.25", "0.5")),
    }
    assert {"mlp ×8", "mlp ×16", "resnet20 ×2", "vgg11 ×1", "vgg11 ×16", "resnet50 ×0.5"} <= precisions["bfloat16"]
    assert not precisions["float32"] & precisions["bfloat16"]
    assert {one.pair.training.precision for one in budget.planned_of("paper", ["01_width"], "float32")} == {"float32"}
    assert {one.pair.training.precision for one in budget.planned_of("embedded")} == {"float32"}
    with pytest.raises(InputError, match="precision is 'float16'"):
        budget.planned_of("embedded", None, "float16")


@pytest.mark.slow
def test_the_widest_are_shortened_where_the_budget_asks_for_it(paper):
    costs = budget.costs_of("cuda")
    widest = next(task for task in paper if task.name.startswith("resnet20-cifar10_x32"))
    brief = budget.shortened(widest, costs)
    assert brief is not None and brief.seconds < 0.8 * widest.seconds
    assert brief.name.endswith("short (10 epochs)") and all(one.short for one in brief.planned)
    training = brief.planned[0].pair.training
    assert decay_product(training, 45_000) >= plan.DECAY_PRODUCT
    # VGG-11 has no epoch to spare, and what comes earlier is never shortened
    assert budget.shortened(next(task for task in paper if task.name.startswith("vgg11-cifar10_x16")), costs) is None
    assert budget.shortened(paper[0], costs) is None
    assert budget.within([widest], brief.seconds, costs) == [brief]
    assert budget.within([widest], brief.seconds) == []
    assert budget.within([widest], widest.seconds, costs) == [widest]


@pytest.mark.slow
def test_imagenet_is_priced_but_waits_for_its_data(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    text = budget.describe_plan("paper", device="cuda", max_minutes=1e9, every=True)
    waiting = text.partition("waiting for data")[2]
    assert waiting.startswith(" (imagenet; `python -m lmcbook data get imagenet` says where to put them):")
    assert "resnet50-imagenet_x1_wd0.003 seeds 0,1" in waiting
    assert "imagenet_x" not in text.partition("waiting for data")[0] + text.partition("minutes buy")[2]
    lines: list[str] = []
    written = budget.run_within_budget(
        "paper", folder=tmp_path / "records", recipes=["resnet50-imagenet"], device="cpu", report=lines.append
    )
    assert written == []
    assert lines == [
        "12 records wait for data that are not here: see `python -m lmcbook plan --scale paper`",
        "0 records written, 0 still missing",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "problems",
    [
        (DoesNotFit("mlp ×1 does not fit"), TrainingDiverged("the loss is nan")),
        (InputError("mnist is not here"), torch.OutOfMemoryError("out of memory")),
        (RuntimeError("cuDNN error"), store.DamagedRun("weights are missing")),
    ],
)
def test_what_fails_is_left_out_and_the_rest_is_measured(problems, small_plan, tmp_path, monkeypatch):
    from lmcbook.lab.missing import Bench

    found = iter(problems)
    real = Bench.measure

    def measure(bench, one):
        problem = next(found, None)
        if problem is not None:
            raise problem
        return real(bench, replace_width(one))

    def replace_width(one):
        pair = brief(one.pair)
        return replace(one, pair=replace(pair, training=replace(pair.training, width_multiplier=1.0)))

    monkeypatch.setattr(Bench, "measure", measure)
    lines: list[str] = []
    with pytest.raises(budget.TasksFailed, match="2 tasks were left out, for the reasons above") as failed:
        budget.run_within_budget("embedded", folder=tmp_path, device="cpu", report=lines.append)
    assert len(failed.value.written) == 1
    no_memory = "there is not enough memory: take a smaller width or batch size, or fewer processes at a time"
    said = [no_memory if isinstance(problem, torch.OutOfMemoryError) else problem for problem in problems]
    assert [line for line in lines if "left out" in line] == [f"  left out: {reason}" for reason in said]
    assert lines[-1] == "1 records written, 2 still missing"


@pytest.mark.slow
def test_a_measurement_that_would_not_end_in_time_is_not_begun(pico_pair, tmp_path, monkeypatch):
    from lmcbook.lab.budget import work

    pico_pair = brief(pico_pair)
    matched = replace(pico_pair, alignment="weight_matching")
    planned = [plan.PlannedPair(scale="embedded", recipe="mlp-digits", pair=pair) for pair in (matched, pico_pair)]
    monkeypatch.setattr(plan, "pairs", lambda scale, notebooks=None, precision=None: planned)
    seconds = {"weight_matching": 1e6, "identity": 1.0}
    monkeypatch.setattr(work, "estimated_measuring_seconds", lambda one, costs: seconds[one.pair.alignment])
    lines: list[str] = []
    options = {"folder": tmp_path, "device": "cpu", "report": lines.append, "forget_weights": True}
    [record] = budget.run_within_budget("embedded", max_minutes=10, **options)
    assert record.config.alignment == "identity", "searches come last"
    assert "  1 measurements would not end in time and are left for another call" in lines
    assert store.is_stored(pico_pair.training_a), "its networks are still wanted"
    [record] = budget.run_within_budget("embedded", **options)
    assert record.config.alignment == "weight_matching"
    assert not store.is_stored(pico_pair.training_a)


def test_what_the_environment_asks_for_is_checked_first(small_plan, tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_GRAPHS", "maybe")
    with pytest.raises(InputError, match="LMCBOOK_GRAPHS is 'maybe'; it may be 0 or 1"):
        budget.run_within_budget("embedded", folder=tmp_path, device="cpu")
