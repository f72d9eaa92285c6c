"""Which measurements one process works off."""

from collections.abc import Iterable

from lmcbook.lab.addresses import address, images_now, is_pinned
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.training.config import TrainingConfig, company, digest_of, trains_together


def jobs(planned: Iterable[PlannedPair]) -> dict[str, list[PlannedPair]]:
    """The measurements by what one process works off, under a name that changes with configurations and images.

    Measurements of one job share their trained networks, so that each network is loaded once; and narrow networks of
    one shape are in one job whatever their weight decay, because they are trained together.
    """
    grouped: dict[tuple[str, TrainingConfig], list[PlannedPair]] = {}
    for one in planned:
        training = one.pair.training
        together = trains_together(training)
        key = (one.network, company(training)) if together else (one.job, training)
        grouped.setdefault(key, []).append(one)
    datasets = {training.dataset for _, training in grouped}
    images = {dataset: None if is_pinned(dataset) else images_now(dataset) for dataset in datasets}

    def address_of(one: PlannedPair) -> str:
        return address(one.pair.digest, one.pair.training.dataset, images[one.pair.training.dataset])

    return {f"{name}_{digest_of(list(map(address_of, group)))}": group for (name, _), group in grouped.items()}
