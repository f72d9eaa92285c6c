"""What measurements cost, which are worth most for their cost, and how many of them fit into a time budget."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lmcbook import paths, plan
from lmcbook.config import TrainingConfig
from lmcbook.data import describe
from lmcbook.errors import check_choice, check_number
from lmcbook.plan import PlannedPair
from lmcbook.records import Record, check_writable, find_record, read_records

# Behind estimates, where nothing of the kind was measured yet: operations a second, and seconds that each step costs.
# CPU: one thread of a server core; GPU: a large card in bfloat16 without tuning. Both are only orders of magnitude.
_RATES = {"cpu": (3e10, 8e-4), "cuda": (1e14, 1.5e-3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All missing measurements of one pair of networks: what is done in one go."""

    planned: tuple[PlannedPair, ...]
    seconds: float
    """Estimated time, trainings included."""
    is_measured: bool
    """Whether the estimate rests on the time that the same networks took in a record."""
    value: float
    """Worth: 1 for the first pair of a width at the main weight decay, less for what adds spread or a contrast."""

    @property
    def name(self) -> str:
        pair = self.planned[0].pair
        return f"{self.planned[0].cell} seeds {pair.seeds[0]},{pair.seeds[1]}"


@lru_cache(maxsize=4096)
def _forward_operations(config: TrainingConfig) -> int:
    from lmcbook.models import build_model, forward_flops

    facts = describe(config.dataset)
    # VGG-11 ×16 has 2.4 billion weights: count with them without making them
    model = build_model(config, input_shape=facts.input_shape, num_classes=facts.num_classes, device="meta")
    return forward_flops(model, facts.input_shape)


def estimated_training_seconds(config: TrainingConfig, device: str) -> float:
    """Time of one training from its operations: forward once, backward twice as much, and a fixed cost a step."""
    rate, overhead = _RATES["cuda" if device.startswith("cuda") else "cpu"]
    examples = describe(config.dataset).num_train
    steps = config.epochs * (examples // config.batch_size)
    return steps * (overhead + 3 * config.batch_size * _forward_operations(config) / rate)


def estimated_measuring_seconds(planned: PlannedPair, device: str) -> float:
    """Time of one measurement: forward passes over test, calibration and batch-norm examples at every coefficient."""
    rate, _ = _RATES["cuda" if device.startswith("cuda") else "cpu"]
    facts = describe(planned.pair.training.dataset)
    examples = facts.num_test + facts.num_calibration + min(planned.pair.batch_norm_examples, facts.num_train)
    return 1.0 + planned.pair.num_coefficients * examples * _forward_operations(planned.pair.training) / rate


def tasks(planned: Iterable[PlannedPair], *, device: str, records: Sequence[Record] = ()) -> list[Task]:
    """``planned`` grouped by pair of networks, in order of value per cost.

    ``records`` are those already measured: their training times on the same kind of device replace estimates.
    """
    measured_seconds = {}
    for record in records:
        for training in record.provenance.get("training", []):
            if training["device"].split(":")[0] == device.split(":")[0]:
                measured_seconds[record.config.training.digest] = training["seconds"]
    groups: dict[tuple, list[PlannedPair]] = {}
    for one in planned:
        groups.setdefault((one.pair.training.digest, one.pair.seeds), []).append(one)
    seen: dict[str, int] = {}
    found = []
    for (training_digest, _), group in groups.items():
        pair = group[0].pair
        known = measured_seconds.get(training_digest)
        seconds = known if known is not None else estimated_training_seconds(pair.training, device)
        earlier = seen.get(training_digest, 0)
        seen[training_digest] = earlier + 1
        is_main = pair.training.weight_decay == plan.MAIN_WEIGHT_DECAY
        found.append(
            Task(
                planned=tuple(group),
                seconds=2 * seconds + sum(estimated_measuring_seconds(one, device) for one in group),
                is_measured=known is not None,
                value=(1.0 if is_main else 0.5) / (1 + earlier),
            )
        )
    return sorted(found, key=lambda task: -task.value / task.seconds)


def _missing(planned: Iterable[PlannedPair], *folders: Path) -> list[PlannedPair]:
    return [one for one in planned if find_record(one.pair.digest, *folders) is None]


def _device_kind(device: str) -> str:
    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    check_choice("device", device.split(":")[0], ("auto", "cpu", "cuda"))
    return device


def within(chosen: Sequence[Task], seconds: float) -> list[Task]:
    """The tasks, in their order, that together fit into ``seconds``."""
    fitting = []
    for task in chosen:
        if task.seconds <= seconds:
            fitting.append(task)
            seconds -= task.seconds
    return fitting


def describe_plan(
    scale: str, *, device: str = "auto", max_minutes: float | None = None, folder: Path | None = None
) -> str:
    """What of a scale exists, what is missing, what each missing piece would cost, and what ``max_minutes`` would buy.

    Raises:
        InputError: unknown scale or device, or ``max_minutes`` is not above 0.
    """
    check_choice("scale", scale, plan.SCALES)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    device = _device_kind(device)
    folders = (paths.fresh_records(), paths.committed_records()) if folder is None else (folder,)
    planned = plan.pairs(scale)
    missing = _missing(planned, *folders)
    lines = [f"scale {scale}: {len(planned) - len(missing)} of {len(planned)} records are there"]
    todo = tasks(missing, device=device, records=read_records(*folders))
    if todo:
        lines.append(f"missing, most worth for its cost first (minutes on {device}; ~ estimated, = measured before):")
    for task in todo:
        sign = "=" if task.is_measured else "~"
        lines.append(f"  {task.name:<48} {len(task.planned)} records  {sign}{task.seconds / 60:8.1f} min")
    if todo:
        lines.append(f"together about {sum(task.seconds for task in todo) / 3600:.1f} hours on one {device} device")
    if max_minutes is not None:
        bought = within(todo, 60 * max_minutes)
        names = ", ".join(task.name for task in bought) or "none"
        lines.append(f"{max_minutes:g} minutes buy {len(bought)} of {len(todo)}: {names}")
    return "\n".join(lines)


def run_within_budget(
    scale: str,
    *,
    folder: Path,
    recipes: Sequence[str] | None = None,
    notebooks: Sequence[str] | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    report: Callable[[str], None] = print,
) -> list[Record]:
    """Work off what is missing of a scale in order of value per cost; stop cleanly when the time is up.

    A training that is running at that moment saves a checkpoint and goes on at the next call. Each record is written as
    soon as it is measured.

    Raises:
        InputError: unknown scale, recipe, notebook or device, a folder that cannot be written, or ``max_minutes`` not
            above 0.
    """
    from lmcbook.pipeline import measure, resolve_device
    from lmcbook.records import write_record
    from lmcbook.training import TimeIsUp

    started = time.monotonic()
    check_choice("scale", scale, plan.SCALES)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    planned = plan.pairs(scale, notebooks)
    for name in recipes or ():
        check_choice("recipe", name, sorted({one.recipe for one in planned}))
    device = resolve_device(device)
    check_writable(folder)
    missing = [one for one in _missing(planned, folder) if recipes is None or one.recipe in recipes]
    deadline = None if max_minutes is None else started + 60 * max_minutes
    written: list[Record] = []
    for task in tasks(missing, device=device, records=read_records(folder)):
        if deadline is not None and time.monotonic() >= deadline:
            break
        report(f"{task.name}: about {task.seconds / 60:.1f} min")
        try:
            for one in task.planned:
                record = measure(one, device=device, deadline=deadline)
                report(f"  {write_record(record, folder)}")
                written.append(record)
        except TimeIsUp as stopped:
            report(f"  {stopped}; the next call goes on from there")
            break
    report(f"{len(written)} records written, {len(missing) - len(written)} still missing")
    return written
