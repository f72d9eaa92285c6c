"""Which measurements one process works off."""

from collections.abc import Iterable

from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.training.config import TrainingConfig, company, digest_of, trains_together


def jobs(planned: Iterable[PlannedPair]) -> dict[str, list[PlannedPair]]:
    """The measurements by what one process works off, under a name that changes with their configurations.

    Measurements of one job share their trained networks, so that each network is loaded once; and narrow networks of
    one shape are in one job whatever their weight decay, for they are trained together.
    """
    grouped: dict[tuple[str, TrainingConfig], list[PlannedPair]] = {}
    for one in planned:
        training = one.pair.training
        together = trains_together(training)
        key = (one.network, company(training)) if together else (one.job, training)
        grouped.setdefault(key, []).append(one)
    return {f"{name}_{digest_of([one.pair.digest for one in group])}": group for (name, _), group in grouped.items()}
