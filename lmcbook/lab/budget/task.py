"""Measurements as tasks, in the order in which they are worth doing, and how many of them a time budget buys."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lmcbook.data import describe
from lmcbook.lab import plan
from lmcbook.lab.budget.costs import Costs, estimated_measuring_seconds, estimated_training_seconds
from lmcbook.lab.budget.order import LAST_STAGE, place, stage
from lmcbook.lab.plain import OPTIONS_OF_CONTROLS
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record
from lmcbook.training.config import TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All missing measurements of one pair of networks: what is done in one go, while its weights are loaded."""

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
        own = plan.recipe(first.recipe).training
        for option in OPTIONS_OF_CONTROLS:
            if getattr(pair.training, option) != getattr(own, option):
                parts.append(f"{option} {getattr(pair.training, option)}")
        if pair.training.spread_penalty:
            parts.append(f"penalty {pair.training.spread_penalty:g}")
        if pair.measurement == "flatness":
            parts.append("flatness")
        if first.short:
            parts.append(f"short ({pair.training.epochs} epochs)")
        return " ".join(parts)


def tasks(planned: Iterable[PlannedPair], *, costs: Costs, records: Sequence[Record] = ()) -> list[Task]:
    """``planned`` grouped by pair of networks: first what has its turn at the paper's scale, then by value per cost.

    ``records`` are those already measured: their training times on the same kind of device replace estimates. Of each
    network the fastest counts: slower trainings had neighbours.
    """
    measured_seconds: dict[str, float] = {}
    for record in records:
        for training in record.provenance.get("training", []):
            if training["device"].split(":")[0] == costs.kind:
                digest, seconds = record.config.training.digest, training["seconds"]
                measured_seconds[digest] = min(seconds, measured_seconds.get(digest, math.inf))
    groups: dict[tuple, list[PlannedPair]] = {}
    for one in planned:
        pair = one.pair
        # walks in many directions cost more than all else, and need nothing that must be loaded
        key = (pair.training.digest, pair.seeds, pair.shared, pair.shared_fraction, pair.measurement == "flatness")
        groups.setdefault(key, []).append(one)
    trained: set[TrainingConfig] = set()
    seen: dict[tuple, int] = {}
    found = []
    # the walks come after what needs the same networks, which trains them
    for (digest, _, *apart), group in sorted(groups.items(), key=lambda item: item[0][-1]):
        pair = group[0].pair
        known = measured_seconds.get(digest)
        seconds = known if known is not None else estimated_training_seconds(pair.training, costs)
        # the value of networks of one kind falls with every pair of them
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
