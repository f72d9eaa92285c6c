"""Work off what is missing of a scale until it is done or the time is up."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.lab import plan
from lmcbook.lab.budget.costs import Costs, costs_of, estimated_measuring_seconds
from lmcbook.lab.budget.tasks import (
    Task,
    device_and_gpu,
    lacks_data,
    missing_of,
    planned_of,
    shortened,
    tasks,
)
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record, check_writable, read_records
from lmcbook.training.config import TrainingConfig, company
from lmcbook.training.execution import Execution


def run_within_budget(
    scale: str,
    *,
    folder: Path,
    recipes: Sequence[str] | None = None,
    notebooks: Sequence[str] | None = None,
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
        forget_weights: Delete the two networks of a pair as soon as all its records are written: a pair of the widest
            takes 20 GB.

    Raises:
        InputError: unknown scale, recipe, notebook, device or precision, a folder that cannot be written, or
            ``max_minutes`` not above 0.
    """
    from lmcbook.lab.pipeline import measure, release_memory, resolve_device, train_narrow
    from lmcbook.lab.records import write_record
    from lmcbook.lab.store import is_stored, run_folder
    from lmcbook.training import TimeIsUp

    started = time.monotonic()
    check_choice("scale", scale, plan.SCALES)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    Execution.from_environment()  # what it says must be right before anything is trained
    planned = planned_of(scale, notebooks, precision)
    for name in recipes or ():
        check_choice("recipe", name, sorted({one.recipe for one in planned}))
    device = resolve_device(device)
    check_writable(folder)
    missing = [one for one in missing_of(planned, folder) if recipes is None or one.recipe in recipes]
    records = read_records(folder)
    costs = costs_of(*device_and_gpu(device), records=records)
    deadline = None if max_minutes is None else started + 60 * max_minutes
    written: list[Record] = []
    trained: set[TrainingConfig] = set()
    waiting = 0
    for task in tasks(missing, costs=costs, records=records):
        if lacks_data(task):
            waiting += len(task.planned)
            continue
        if deadline is not None and time.monotonic() >= deadline:
            break
        chosen = _affordable(task, None if deadline is None else deadline - time.monotonic(), costs)
        report(f"{chosen.name}: about {chosen.seconds / 60:.1f} min")
        try:
            alike = company(chosen.planned[0].pair.training)
            if deadline is None and alike not in trained:  # with a deadline each pair has its turn
                trained.add(alike)
                train_narrow([one for one in missing if company(one.pair.training) == alike], device=device)
            late = 0
            # searches take longest and add least: they come last, should the time be up before
            for one in sorted(missing_of(chosen.planned, folder), key=_searches):
                # a training stops at the deadline by itself, a measurement does not
                is_trained = is_stored(one.pair.training_a) and is_stored(one.pair.training_b)
                ends = time.monotonic() + estimated_measuring_seconds(one, costs)
                if deadline is not None and is_trained and ends > deadline:
                    late += 1
                    continue
                record = measure(one, device=device, deadline=deadline)
                report(f"  {write_record(record, folder)}")
                written.append(record)
            if late:
                report(f"  {late} measurements would not end in time and are left for another call")
            elif forget_weights:
                for config in {each for one in chosen.planned for each in (one.pair.training_a, one.pair.training_b)}:
                    shutil.rmtree(run_folder(config), ignore_errors=True)
        except TimeIsUp as stopped:
            report(f"  {stopped}; the next call goes on from there")
            break
        except (InputError, RuntimeError) as problem:  # torch's errors on a device are RuntimeErrors
            report(f"  left out: {problem}")
        release_memory()
    if waiting:
        report(f"{waiting} records wait for data that are not here: see `python -m lmcbook plan --scale {scale}`")
    report(f"{len(written)} records written, {len(missing) - len(written) - waiting} still missing")
    return written


def _searches(one: PlannedPair) -> bool:
    return one.pair.alignment.endswith("matching")


def _affordable(task: Task, seconds: float | None, costs: Costs) -> Task:
    """The task, or its shortened form where the time that is left is enough for that alone."""
    if seconds is None or task.seconds <= seconds:
        return task
    brief = shortened(task, costs)
    return brief if brief is not None and brief.seconds <= seconds else task
