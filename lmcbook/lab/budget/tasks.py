"""The missing measurements of a scale as tasks, in their order, and what of them a time budget buys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lmcbook.data import describe, is_available
from lmcbook.errors import check_choice, check_number
from lmcbook.lab import paths, plan
from lmcbook.lab.budget.costs import Costs, costs_of, estimated_measuring_seconds, estimated_training_seconds
from lmcbook.lab.budget.order import LAST_STAGE, place, stage
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record, RecordIndex, read_records
from lmcbook.training.config import TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All missing measurements of one pair of networks: what is done in one go, while its weights are at hand."""

    planned: tuple[PlannedPair, ...]
    seconds: float
    """Estimated time, trainings included."""
    is_measured: bool
    """Whether the estimate rests on the time that the same networks took in a record."""
    value: float
    """Worth: 1 for the first pair of a width at the main weight decay, less for what adds spread or a contrast."""
    stage: int | None = None
    """Its turn at the paper's scale (see `lmcbook.lab.budget.order.stage`)."""

    @property
    def name(self) -> str:
        """Network, weight decay and seeds, and what sets this task apart from others of the same networks."""
        first = self.planned[0]
        pair = first.pair
        parts = [f"{first.job} seeds {pair.seeds[0]},{pair.seeds[1]}"]
        if pair.shared != "nothing":
            parts.append(f"shared {pair.shared}" + (f" {pair.shared_fraction:g}" if pair.shared == "start" else ""))
        if not pair.training.decay_normalisation:
            parts.append("normalisation spared")
        if pair.training.batch_size != plan.recipe(first.recipe).training.batch_size:
            parts.append(f"batch {pair.training.batch_size}")
        if pair.training.spread_penalty:
            parts.append(f"penalty {pair.training.spread_penalty:g}")
        if pair.measurement == "flatness":
            parts.append("flatness")
        if first.short:
            parts.append(f"short ({pair.training.epochs} epochs)")
        return " ".join(parts)


def planned_of(scale: str, notebooks: Iterable[str] | None = None, precision: str | None = None) -> list[PlannedPair]:
    """The measurements of a scale, and those beyond it whose data only some have.

    Args:
        precision: in place of the plan's own, for all of them.

    Raises:
        InputError: unknown scale, notebook or precision.
    """
    planned = plan.pairs(scale, notebooks, precision=precision)
    return planned if notebooks is not None else [*planned, *plan.beyond(scale, precision=precision)]


def tasks(planned: Iterable[PlannedPair], *, costs: Costs, records: Sequence[Record] = ()) -> list[Task]:
    """``planned`` grouped by pair of networks: first what has its turn at the paper's scale, then by value per cost.

    ``records`` are those already measured: their training times on the same kind of device replace estimates.
    """
    measured_seconds = {}
    for record in records:
        for training in record.provenance.get("training", []):
            if training["device"].split(":")[0] == costs.kind:
                measured_seconds[record.config.training.digest] = training["seconds"]
    groups: dict[tuple, list[PlannedPair]] = {}
    for one in planned:
        pair = one.pair
        # walks in many directions cost more than all else, and need nothing that must be at hand
        key = (pair.training.digest, pair.seeds, pair.shared, pair.shared_fraction, pair.measurement == "flatness")
        groups.setdefault(key, []).append(one)
    trained: set[TrainingConfig] = set()
    seen: dict[tuple, int] = {}
    found = []
    for (digest, _, *apart), group in groups.items():
        pair = group[0].pair
        known = measured_seconds.get(digest)
        seconds = known if known is not None else estimated_training_seconds(pair.training, costs)
        # what the networks of one kind are worth falls with every pair of them
        kind = (digest, *apart)
        earlier = seen.get(kind, 0)
        seen[kind] = earlier + 1
        networks = {pair.training_a, pair.training_b} - trained
        trained |= networks
        is_main = pair.training.weight_decay == plan.MAIN_WEIGHT_DECAY
        turns = [turn for turn in map(stage, group) if turn is not None]
        found.append(
            Task(
                planned=tuple(group),
                seconds=len(networks) * seconds + sum(estimated_measuring_seconds(one, costs) for one in group),
                is_measured=known is not None,
                value=(1.0 if is_main else 0.5) / (1 + earlier),
                stage=min(turns, default=None),
            )
        )
    return sorted(found, key=_turn)


def _turn(task: Task) -> tuple[float, ...]:
    if task.stage is not None:
        return (0.0, task.stage, *place(task.planned[0]))
    return (1.0, -task.value / task.seconds)


def shortened(task: Task, costs: Costs) -> Task | None:
    """The task with the fewest epochs that keep the rule of the recipes (`lmcbook.lab.plan.DECAY_PRODUCT`), or None.

    Its measurements are flagged as short. Only the widest networks are shortened, those that come last in the order.
    """
    training = task.planned[0].pair.training
    if task.stage != LAST_STAGE:
        return None
    facts = describe(training.dataset)
    epochs = plan.epochs_for(facts.num_train, training.batch_size, training.learning_rate, momentum=training.momentum)
    if epochs >= training.epochs:
        return None
    brief = [
        replace(one, pair=replace(one.pair, training=plan.with_epochs(one.pair.training, epochs)))
        for one in task.planned
    ]
    return replace(tasks(brief, costs=costs)[0], stage=task.stage)


def lacks_data(task: Task) -> bool:
    """Whether its images are neither here nor to be downloaded."""
    dataset = task.planned[0].pair.training.dataset
    return describe(dataset).streamed and not is_available(dataset)


def missing_of(planned: Iterable[PlannedPair], *folders: Path) -> list[PlannedPair]:
    """What of ``planned`` no record is there of.

    Raises:
        InputError: a record is damaged, edited, or of a later version of the format.
    """
    index = RecordIndex(*folders)
    distinct = {one.pair.digest: one for one in planned}
    return [one for one in distinct.values() if index.find(one.pair) is None]


def within(chosen: Sequence[Task], seconds: float, costs: Costs | None = None) -> list[Task]:
    """The tasks, in their order, that together fit into ``seconds``; with ``costs`` shortened where only that fits."""
    fitting: list[Task] = []
    spent = 0.0
    for task in chosen:
        bought: Task | None = task
        if spent + task.seconds > seconds:
            bought = shortened(task, costs) if costs is not None else None
        if bought is not None and spent + bought.seconds <= seconds:
            fitting.append(bought)
            spent += bought.seconds
    return fitting


def device_and_gpu(device: str) -> tuple[str, str | None]:
    """``auto`` resolved without asking torch for more than it knows, and the name of the card.

    Raises:
        InputError: there is no such kind of device.
    """
    check_choice("device", device.split(":")[0], ("auto", "cpu", "cuda"))
    if device == "cpu":
        return device, None
    import torch

    if not torch.cuda.is_available():
        return ("cpu" if device == "auto" else device), None
    return ("cuda" if device == "auto" else device), torch.cuda.get_device_name(device if ":" in device else None)


def describe_plan(
    scale: str,
    *,
    device: str = "auto",
    max_minutes: float | None = None,
    folder: Path | None = None,
    precision: str | None = None,
) -> str:
    """What of a scale exists, what is missing, what each missing piece would cost, and what ``max_minutes`` would buy.

    Raises:
        InputError: unknown scale, device or precision, or ``max_minutes`` is not above 0.
    """
    check_choice("scale", scale, plan.SCALES)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    device, gpu = device_and_gpu(device)
    folders = (paths.fresh_records(), paths.committed_records()) if folder is None else (folder,)
    records = read_records(*folders)
    costs = costs_of(device, gpu, records=records)
    planned = planned_of(scale, precision=precision)
    missing = missing_of(planned, *folders)
    todo = tasks(missing, costs=costs, records=records)
    waiting = [task for task in todo if lacks_data(task)]
    todo = [task for task in todo if not lacks_data(task)]
    here = len(planned) - len(missing)
    total = here + sum(len(task.planned) for task in todo)
    lines = [f"scale {scale}: {here} of {total} records are there"]
    if todo:
        order = "in their order" if todo[0].stage is not None else "most worth for its cost first"
        lines.append(f"missing, {order} (minutes on {device}; ~ estimated, = measured before):")
        lines += [_line(task) for task in todo]
        lines.append(f"together about {sum(task.seconds for task in todo) / 3600:.1f} hours on one {device} device")
    if waiting:
        names = sorted({task.planned[0].pair.training.dataset for task in waiting})
        way_out = f"`python -m lmcbook data get {names[0]}` says where to put them"
        lines.append(f"waiting for data ({', '.join(names)}; {way_out}):")
        lines += [_line(task) for task in waiting]
    if todo or waiting:
        lines.append(_rests_on(costs, gpu))
    if max_minutes is not None:
        bought = within(todo, 60 * max_minutes, costs)
        listed = ", ".join(task.name for task in bought) or "none"
        lines.append(f"{max_minutes:g} minutes buy {len(bought)} of {len(todo)}: {listed}")
    return "\n".join(lines)


def _line(task: Task) -> str:
    sign = "=" if task.is_measured else "~"
    minutes = task.seconds / 60
    each = minutes / len(task.planned)
    return f"  {task.name:<56} {len(task.planned):3d} records {sign}{minutes:9.1f} min, {each:7.2f} a record"


def _rests_on(costs: Costs, gpu: str | None) -> str:
    if costs.trained_on:
        return f"estimates from the time that the trainings in the records took on {', '.join(costs.trained_on)}"
    if costs.gpu is None:
        return f"estimates from operations alone, orders of magnitude: no rates were measured on {costs.device}"
    other = "" if gpu in (None, costs.gpu) else f" (this is {gpu}: measure it with `python benchmarks/gpu.py`)"
    return f"estimates from rates that benchmarks/gpu.py measured on {costs.gpu}{other}"
