"""The records that a notebook asks for: read where they exist, measured where they do not (only then with torch)."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lmcbook.errors import InputError
from lmcbook.lab import paths
from lmcbook.lab.plan import PlannedPair, Selection
from lmcbook.lab.records import Record, RecordIndex


def collect(
    planned: Iterable[PlannedPair],
    *,
    folder: Path | None = None,
    device: str = "auto",
    require_cached: bool = False,
    progress: bool = True,
) -> list[Record]:
    """The record of every planned measurement, in the order of the plan.

    Records measured on this machine (``folder``, by default `lmcbook.lab.paths.fresh_records`) come before the
    committed; what is in neither is measured, its networks trained where needed, and written to ``folder``.

    Raises:
        InputError: with ``require_cached``, records are missing; the message says how to measure them.
    """
    planned = list(planned)
    fresh = paths.fresh_records() if folder is None else Path(folder)
    index = RecordIndex(fresh, paths.committed_records())
    found = {one.pair.digest: index.find(one.pair) for one in planned}
    missing = [one for one in planned if found[one.pair.digest] is None]
    if missing and require_cached:
        networks = sorted({f"{one.recipe} ×{one.pair.training.width_multiplier:g}" for one in missing})
        raise InputError(
            f"require_cached is true, but {len(missing)} of {len(planned)} records are neither in {fresh} nor in "
            f"{paths.committed_records()} ({', '.join(networks)}): set require_cached to false to measure them"
        )
    if missing:
        from lmcbook.lab.missing import measure_missing
        from lmcbook.training.threads import choose_threads

        choose_threads()
        measured = measure_missing(missing, folder=fresh, device=device, progress=progress)
        found |= {record.digest: record for record in measured}
    return [record for one in planned if (record := found[one.pair.digest]) is not None]


def present(planned: Iterable[PlannedPair]) -> list[Record]:
    """The records of those planned measurements that have one already, in the order of the plan; none is measured.

    For what a chapter shows beside its own scale: the committed records of a larger scale, as far as they reach.
    """
    index = RecordIndex()
    found = [index.find(one.pair) for one in planned]
    return [record for record in found if record is not None]


def recorded(
    plan_of: Callable[[Selection], list[PlannedPair]], *scales: str, recipes: Sequence[str] | None = None
) -> list[Record]:
    """What is `present` of a plan at each of ``scales``, in this order; of ``recipes`` alone, where they are given."""
    return [record for scale in scales for record in present(plan_of(Selection(scale, recipes=recipes)))]
