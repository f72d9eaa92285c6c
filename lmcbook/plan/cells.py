"""Which measurements one process works off."""

from collections.abc import Iterable

from lmcbook.config import digest_of
from lmcbook.plan.planned import PlannedPair


def cells(planned: Iterable[PlannedPair]) -> dict[str, list[PlannedPair]]:
    """The measurements by what one process works off, under a name that changes with their configurations.

    Measurements of one cell share their trained networks, so that each network is loaded once.
    """
    grouped: dict[tuple[str, str], list[PlannedPair]] = {}
    for one in planned:
        grouped.setdefault((one.cell, one.pair.training.digest), []).append(one)
    return {f"{name}_{digest_of([one.pair.digest for one in group])}": group for (name, _), group in grouped.items()}
