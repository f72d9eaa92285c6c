"""Work off what is missing of a scale until it is done or the time is up."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lmcbook.errors import InputError, check_choice, check_number, one_line
from lmcbook.errors.machine import lacks_memory
from lmcbook.lab import paths, plan
from lmcbook.lab.budget.costs import Costs, estimated_measuring_seconds
from lmcbook.lab.budget.task import Task, shortened
from lmcbook.lab.budget.todo import Todo, device_and_gpu, missing_of, planned_of, todo
from lmcbook.lab.failures import of_memory
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.progress import duration
from lmcbook.lab.records import Record, check_writable, left_out
from lmcbook.lab.turns import in_turn
from lmcbook.training.config import TrainingConfig, company
from lmcbook.training.device import resolve_device
from lmcbook.training.execution import Execution

if TYPE_CHECKING:
    from lmcbook.lab.missing import Bench


class TasksFailed(RuntimeError):
    """Some tasks were left out; all others were worked off before it is raised.

    Args:
        written: The records of the others.
        failed: How many tasks were left out; why was reported before.
    """

    def __init__(self, written: Sequence[Record], failed: int) -> None:
        super().__init__(f"{failed} task{'s were' if failed > 1 else ' was'} left out, for the reasons above")
        self.written = list(written)


def run_within_budget(
    scale: str,
    *,
    folder: Path | None = None,
    recipes: Sequence[str] | None = None,
    notebooks: Sequence[str] | None = None,
    shard: str | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    precision: str | None = None,
    forget_weights: bool = False,
    report: Callable[[str], None] = print,
) -> list[Record]:
    """Work off what is missing of a scale in its order; stop cleanly when the time is up.

    A training that is running at that moment saves a checkpoint and goes on at the next call. Each record is written as
    soon as it is measured. What fails (it does not fit on the device, it diverges, its data are not here) is reported
    and left out. With ``max_minutes`` no measurement is begun that is not expected to end in time, and the widest
    networks are trained on a shorter schedule, flagged as such, where only that fits into what is left.

    Args:
        folder: Where records are read from and written to. By default what is neither among the fresh nor among the
            committed records is missing, and is written to the fresh.
        shard: ``"K/N"``: of what is chosen only the K-th of N shares, which together make up the whole.
        forget_weights: Delete the two networks of a pair as soon as all its records are written: a pair of the widest
            takes 20 GB.

    Raises:
        InputError: unknown scale, recipe, notebook, device or precision, a folder that cannot be written, ``shard`` no
            K/N, or ``max_minutes`` not above 0.
        TasksFailed: some tasks were left out; all others were worked off.
        OSError: nothing can be written any more, which would fail after each training again.
    """
    from lmcbook.lab.missing import Bench

    started = time.monotonic()
    chosen, device, gpu = _checked(scale, notebooks, precision, recipes, shard, device, max_minutes)
    folders = (paths.fresh_records(), paths.committed_records()) if folder is None else (folder,)
    for line in left_out(*folders):
        report(line)
    if shard is not None:
        report(f"shard {shard}: {len(chosen)} records of the plan")
    found = todo(chosen, *folders, device=device, gpu=gpu)
    if folder is None and len(chosen) > len(found.missing):
        report(
            f"{len(chosen) - len(found.missing)} of {len(chosen)} records are there, measured here or come with the "
            f"book; --records {folders[0]} measures on this machine what is not there"
        )
    if found.missing:
        check_writable(folders[0])
    if forget_weights:
        _forget_marked(chosen, found.missing)
    end = math.inf if max_minutes is None else started + 60 * max_minutes
    bench = Bench(device=device, deadline=None if max_minutes is None else end)
    bench.expect([one for task in found.ready for one in task.planned])
    worker = Worker(todo=found, folders=folders, bench=bench, end=end, report=report)
    written, failed = worker.work_off_all(forget_weights=forget_weights)
    waiting = sum(len(task.planned) for task in found.waiting)
    if waiting:
        report(f"{waiting} records wait for data that are not here: see `python -m lmcbook plan --scale {scale}`")
    still = len(found.missing) - len(written) - worker.elsewhere - waiting
    report(f"{len(written)} records written, {still} still missing")
    if failed:
        raise TasksFailed(written, failed)
    return written


def _checked(
    scale: str,
    notebooks: Sequence[str] | None,
    precision: str | None,
    recipes: Sequence[str] | None,
    shard: str | None,
    device: str,
    max_minutes: float | None,
) -> tuple[list[PlannedPair], str, str | None]:
    """What is chosen of the plan, the device and its card; all that was given must be right before anything is done."""
    from lmcbook.training.threads import choose_threads

    check_choice("scale", scale, plan.SCALES)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    Execution.from_environment()
    chosen = planned_of(scale, notebooks, precision, recipes, shard)
    device = resolve_device(device)
    choose_threads()
    return chosen, *device_and_gpu(device)


@dataclass(slots=True, kw_only=True)
class Worker:
    """Trains and measures task by task, and writes the records."""

    todo: Todo
    folders: tuple[Path, ...]
    """Of records: what is in one of them is not measured, and what is measured is written to the first."""
    bench: "Bench"
    end: float
    """When the time is up, as `time.monotonic` has it; never, at infinity."""
    report: Callable[[str], None]
    elsewhere: int = 0
    """Measurements that another process has done meanwhile."""
    _trained: set[TrainingConfig] = field(default_factory=set)

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.end - time.monotonic()

    def work_off_all(self, *, forget_weights: bool) -> tuple[list[Record], int]:
        """The records that were written until the time was up, and how many tasks were left out, as was reported."""
        from lmcbook.lab.missing import release_memory
        from lmcbook.training import TimeIsUp

        written: list[Record] = []
        failed = 0
        for task in in_turn(self.todo.ready, lambda task: task.planned[0].pair):
            if self.left <= 0:
                break
            try:
                for record in self.work_off(task, forget_weights=forget_weights):
                    written.append(record)
            except TimeIsUp as stopped:
                self.report(f"  {stopped}; the next call goes on from there")
                break
            except (InputError, RuntimeError, MemoryError) as error:  # torch's errors on a device are RuntimeErrors
                self.report(f"  left out: {of_memory(error) if lacks_memory(error) else one_line(error)}")
                failed += 1
            release_memory()
        return written, failed

    def work_off(self, task: Task, *, forget_weights: bool = False) -> Iterator[Record]:
        """Give each record of a task as soon as it is written; what would not end in time is left for another call.

        Raises:
            TimeIsUp: the time was up in a training, which saved a checkpoint.
            InputError: the device or the data cannot be used.
            RuntimeError: a training diverged, does not fit, or the device failed.
        """
        from lmcbook.lab.records import write_record

        task = _affordable(task, self.left, self.todo.costs)
        missing = missing_of(task.planned, *self.folders)
        if not missing:
            self.report(f"{task.name}: measured by another process meanwhile")
            self.elsewhere += len(task.planned)
            return
        self.report(f"{task.name}: about {duration(task.seconds)}")
        if forget_weights:
            _mark(task)
        self._train_company(task)
        late = 0
        # searches take longest and add least: they come last, should the time be up before
        for one in sorted(missing, key=_searches):
            if self._ends_too_late(one):
                late += 1
                continue
            record = self.bench.measure(one)
            self.report(f"  {write_record(record, self.folders[0])}")
            yield record
        if late:
            self.report(f"  {late} measurements would not end in time and are left for another call")
        elif forget_weights:
            _forget(task)

    def _train_company(self, task: Task) -> None:
        """Train all narrow networks of this shape in one go; with a deadline each pair has its turn."""
        alike = company(task.planned[0].pair.training)
        if math.isinf(self.end) and alike not in self._trained:
            self._trained.add(alike)
            planned = [one for one in self.todo.missing if company(one.pair.training) == alike]
            self.bench.train_narrow(missing_of(planned, *self.folders))

    def _ends_too_late(self, one: PlannedPair) -> bool:
        """Whether it must not be begun: a training stops at the deadline by itself, a measurement does not."""
        from lmcbook.lab.store import is_stored

        is_trained = is_stored(one.pair.training_a) and is_stored(one.pair.training_b)
        return is_trained and estimated_measuring_seconds(one, self.todo.costs) > self.left


def _mark(task: Task) -> None:
    from lmcbook.lab import scratch
    from lmcbook.lab.store import run_key

    scratch.make()
    for config in _networks(task.planned):
        scratch.mark(run_key(config))


def _forget(task: Task) -> None:
    from lmcbook.lab.store import forget

    for config in _networks(task.planned):
        forget(config)


def _forget_marked(chosen: Sequence[PlannedPair], missing: Sequence[PlannedPair]) -> None:
    """Forget what a run that was killed just before meant to forget: it has marked its networks."""
    from lmcbook.lab import scratch
    from lmcbook.lab.store import forget, run_key

    marked = scratch.marked()
    for config in _networks(chosen) - _networks(missing) if marked else ():
        with suppress(InputError):  # data that are not here have no key
            if run_key(config) in marked:
                forget(config)


def _networks(planned: Iterable[PlannedPair]) -> set[TrainingConfig]:
    from lmcbook.lab.session import same_networks

    return {config for one in planned for config in same_networks(one.pair)}


def _searches(one: PlannedPair) -> bool:
    return one.pair.alignment.endswith("matching")


def _affordable(task: Task, seconds: float, costs: Costs) -> Task:
    """The task, or its shortened form where the time that is left is enough for that alone."""
    if task.seconds <= seconds:
        return task
    brief = shortened(task, costs)
    return brief if brief is not None and brief.seconds <= seconds else task
