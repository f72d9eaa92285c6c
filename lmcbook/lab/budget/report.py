"""The plan in words: what exists, what is missing, and what it would cost."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmcbook.errors import check_choice, check_number
from lmcbook.lab import paths, plan
from lmcbook.lab.budget.costs import Costs
from lmcbook.lab.budget.task import Task, within
from lmcbook.lab.budget.todo import device_and_gpu, planned_of, todo
from lmcbook.lab.progress import duration
from lmcbook.lab.records import left_out


def describe_plan(
    scale: str,
    *,
    device: str = "auto",
    max_minutes: float | None = None,
    folder: Path | None = None,
    precision: str | None = None,
    recipes: Sequence[str] | None = None,
    notebooks: Sequence[str] | None = None,
    shard: str | None = None,
    every: bool = False,
) -> str:
    """Which records of a scale exist, which are missing, what that would cost, and what ``max_minutes`` would buy.

    Args:
        shard: ``"K/N"``: tell of the K-th of N shares alone, as `run_within_budget` takes it.
        every: List each missing piece in its order, in place of the sums of each recipe and width.

    Raises:
        InputError: unknown scale, device, precision, recipe or notebook, ``shard`` no K/N, or ``max_minutes`` not above
            0.
    """
    check_choice("scale", scale, plan.SCALES)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    device, gpu = device_and_gpu(device)
    folders = (paths.fresh_records(), paths.committed_records()) if folder is None else (folder,)
    planned = planned_of(scale, notebooks, precision, recipes, shard)
    found = todo(planned, *folders, device=device, gpu=gpu)
    here = len(planned) - len(found.missing)
    total = here + sum(len(task.planned) for task in found.ready)
    lines = [f"scale {scale}{'' if shard is None else f', shard {shard}'}: {here} of {total} records are there"]
    if found.ready:
        order = "in their order" if found.ready[0].stage is not None else "most worth for its cost first"
        way = order if every else "by recipe and width; --all lists every pair"
        lines.append(f"missing, {way} (time on {device}; ~ estimated, = measured before):")
        lines += map(_line, found.ready) if every else _summary(found.ready)
        lines.append(f"together about {duration(sum(task.seconds for task in found.ready))} on one {device} device")
    if found.waiting:
        names = sorted({task.planned[0].pair.training.dataset for task in found.waiting})
        way_out = f"`python -m lmcbook data get {names[0]}` says where to put them"
        lines.append(f"waiting for data ({', '.join(names)}; {way_out}):")
        lines += map(_line, found.waiting) if every else _summary(found.waiting)
    if found.missing:
        lines.append(_rests_on(found.costs, gpu))
    if max_minutes is not None:
        bought = within(found.ready, 60 * max_minutes, found.costs)
        named = [task.name for task in (bought if every else bought[:5])]
        more = f" and {len(bought) - len(named)} more" if len(bought) > len(named) else ""
        lines.append(
            f"{max_minutes:g} minutes buy {len(bought)} of {len(found.ready)}: {', '.join(named) or 'none'}{more}"
        )
    return "\n".join([*lines, *left_out(*folders)])


def _summary(found: Sequence[Task]) -> Iterator[str]:
    """A line for each recipe, in the order of the first of its tasks, with what each width takes."""
    recipes: dict[str, dict[float, list[Task]]] = {}
    for task in found:
        first = task.planned[0]
        widths = recipes.setdefault(first.recipe, {})
        widths.setdefault(first.pair.training.width_multiplier, []).append(task)
    for name, widths in recipes.items():
        every = [task for tasks in widths.values() for task in tasks]
        parts = [f"×{width:g} {_time(tasks)}" for width, tasks in sorted(widths.items())]
        text = f"  {name:<18} {sum(len(task.planned) for task in every):5d} records {_time(every):>12}: "
        yield textwrap.fill(
            ", ".join(parts).replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", "),
            width=120,
            initial_indent=text,
            subsequent_indent=" " * 22,
        ).replace("\N{NO-BREAK SPACE}", " ")


def _time(found: Sequence[Task]) -> str:
    sign = "=" if all(task.is_measured for task in found) else "~"
    return f"{sign}{duration(sum(task.seconds for task in found))}"


def _line(task: Task) -> str:
    each = duration(task.seconds / len(task.planned))
    return f"  {task.name:<56} {len(task.planned):3d} records {_time([task]):>12}, {each:>8} a record"


def _rests_on(costs: Costs, gpu: str | None) -> str:
    if costs.trained_on:
        return f"estimates from the time that the trainings in the records took on {', '.join(costs.trained_on)}"
    if costs.gpu is None:
        return f"estimates from operations alone, orders of magnitude: no rates were measured on {costs.device}"
    other = "" if gpu in (None, costs.gpu) else f" (this is {gpu}: measure it with `python benchmarks/gpu.py`)"
    return f"estimates from rates that benchmarks/gpu.py measured on {costs.gpu}{other}"
