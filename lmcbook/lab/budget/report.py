"""The plan in words: what exists, what is missing, and what it would cost."""

from pathlib import Path

from lmcbook.errors import check_choice, check_number
from lmcbook.lab import paths, plan
from lmcbook.lab.budget.costs import Costs
from lmcbook.lab.budget.tasks import Task, within
from lmcbook.lab.budget.todo import device_and_gpu, planned_of, todo
from lmcbook.lab.records import left_out


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
    planned = planned_of(scale, precision=precision)
    found = todo(planned, *folders, device=device, gpu=gpu)
    here = len(planned) - len(found.missing)
    total = here + sum(len(task.planned) for task in found.ready)
    lines = [f"scale {scale}: {here} of {total} records are there"]
    if found.ready:
        order = "in their order" if found.ready[0].stage is not None else "most worth for its cost first"
        lines.append(f"missing, {order} (minutes on {device}; ~ estimated, = measured before):")
        lines += [_line(task) for task in found.ready]
        lines.append(
            f"together about {sum(task.seconds for task in found.ready) / 3600:.1f} hours on one {device} device"
        )
    if found.waiting:
        names = sorted({task.planned[0].pair.training.dataset for task in found.waiting})
        way_out = f"`python -m lmcbook data get {names[0]}` says where to put them"
        lines.append(f"waiting for data ({', '.join(names)}; {way_out}):")
        lines += [_line(task) for task in found.waiting]
    if found.missing:
        lines.append(_rests_on(found.costs, gpu))
    if max_minutes is not None:
        bought = within(found.ready, 60 * max_minutes, found.costs)
        listed = ", ".join(task.name for task in bought) or "none"
        lines.append(f"{max_minutes:g} minutes buy {len(bought)} of {len(found.ready)}: {listed}")
    return "\n".join([*lines, *left_out(*folders)])


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
