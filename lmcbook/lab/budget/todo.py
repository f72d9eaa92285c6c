"""Which records of a scale are there and which are missing: by what is planned, measured, and possible here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmcbook.data import describe, is_available
from lmcbook.lab import plan
from lmcbook.lab.budget.costs import Costs, costs_of
from lmcbook.lab.budget.shards import shard_of
from lmcbook.lab.budget.task import Task, tasks
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import RecordIndex, read_records
from lmcbook.training.device import check_device, resolve_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """What is missing, on one device."""

    missing: list[PlannedPair]
    ready: list[Task]
    """In the order in which they are worth doing."""
    waiting: list[Task]
    """Those whose images are neither here nor to be downloaded."""
    costs: Costs


def todo(planned: Sequence[PlannedPair], *folders: Path, device: str, gpu: str | None = None) -> Todo:
    """The measurements in ``planned`` that have no record in ``folders``, as tasks for ``device``.

    Raises:
        InputError: a record is damaged, edited, or of a later version of the format; the rates cannot be read.
    """
    records = read_records(*folders)
    costs = costs_of(device, gpu, records=records)
    missing = missing_of(planned, *folders)
    found: dict[bool, list[Task]] = {True: [], False: []}
    for task in tasks(missing, costs=costs, records=records):
        found[_has_data(task)].append(task)
    return Todo(missing=missing, ready=found[True], waiting=found[False], costs=costs)


def planned_of(
    scale: str,
    notebooks: Iterable[str] | None = None,
    precision: str | None = None,
    recipes: Iterable[str] | None = None,
    shard: str | None = None,
) -> list[PlannedPair]:
    """The measurements of a scale, and those beyond it whose data only some have.

    Args:
        notebooks: those that these show, in place of all.
        precision: in place of the plan's own, for all of them.
        recipes: those of these recipes, in place of all.
        shard: those of one shard of what is chosen: see `lmcbook.lab.budget.shards.shard_of`.

    Raises:
        InputError: unknown scale, notebook or precision, a recipe that is not in this plan, or ``shard`` is no K/N.
    """
    planned = plan.pairs(scale, notebooks, precision=precision)
    if notebooks is None:
        planned = [*planned, *plan.beyond(scale, precision=precision)]
    planned = plan.of_recipes(planned, recipes)
    return planned if shard is None else shard_of(planned, shard)


def missing_of(planned: Iterable[PlannedPair], *folders: Path) -> list[PlannedPair]:
    """The measurements in ``planned`` of which there is no record.

    Raises:
        InputError: a record is damaged, edited, or of a later version of the format.
    """
    index = RecordIndex(*folders)
    distinct = {one.pair.digest: one for one in planned}
    return [one for one in distinct.values() if index.find(one.pair) is None]


def _has_data(task: Task) -> bool:
    dataset = task.planned[0].pair.training.dataset
    return not describe(dataset).streamed or is_available(dataset)


def device_and_gpu(device: str) -> tuple[str, str | None]:
    """``auto`` resolved, and the name of the card; a GPU may be planned for that is not here.

    Raises:
        InputError: there is no such kind of device.
    """
    check_device(device)
    device = resolve_device(device) if device == "auto" else device
    if device == "cpu":
        return device, None
    import torch

    if not torch.cuda.is_available():
        return device, None
    return device, torch.cuda.get_device_name(device if ":" in device else None)
