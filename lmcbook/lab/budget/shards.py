"""The part of the plan that one of several machines works off."""

import re
from collections.abc import Sequence

from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab.budget.costs import Costs, estimated_measuring_seconds, estimated_training_seconds
from lmcbook.lab.plan import PlannedPair
from lmcbook.training.config import company, trains_together


def shard_of(planned: Sequence[PlannedPair], shard: str) -> list[PlannedPair]:
    """The measurements of one shard, in the order of the plan.

    Args:
        shard: ``"K/N"``, the K-th of N shards, counted from 1.

    Raises:
        InputError: ``shard`` is of another form, or K is not from 1 to N.
    """
    number, count = _parsed(shard)
    return dealt(planned, count)[number - 1]


def dealt(planned: Sequence[PlannedPair], count: int) -> list[list[PlannedPair]]:
    """The measurements of each of ``count`` shards, in the order of the plan.

    What shares a network, or is trained in one go, is in one shard, so that no two shards train the same. The groups
    are dealt the dearest first, each to the shard that has least so far. Only ``planned`` decides, not what is done
    already, so that shards that begin at different times still make up the whole.
    """
    costed = [(_seconds(group), group) for group in _groups(planned)]
    # images that only some have are dealt by themselves: without them no shard is left with less
    loads = {waits: [0.0] * count for waits in (False, True)}
    owner: dict[str, int] = {}
    for seconds, group in sorted(costed, key=lambda each: -each[0]):
        load = loads[_waits_for_data(group)]
        least = load.index(min(load))
        load[least] += seconds
        owner |= dict.fromkeys((one.pair.digest for one in group), least)
    return [[one for one in planned if owner[one.pair.digest] == number] for number in range(count)]


def _parsed(shard: str) -> tuple[int, int]:
    form = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", shard)
    number, count = map(int, form.groups()) if form else (0, 0)
    if not 1 <= number <= count:
        raise InputError(
            f"shard is {shard!r}; it must be K/N with K from 1 to N, at most 9999: 1/4 is the first of four"
        )
    return number, count


def _groups(planned: Sequence[PlannedPair]) -> list[list[PlannedPair]]:
    """What must stay together, in the order of the plan."""
    from scipy.cluster.hierarchy import DisjointSet  # slow to import, and only a shard of a plan needs it

    from lmcbook.lab.session import same_networks

    trainings = [
        [company(config) if trains_together(config) else config for config in same_networks(one.pair)]
        for one in planned
    ]
    together = DisjointSet(config for configs in trainings for config in configs)
    for first, *others in trainings:
        for other in others:
            together.merge(first, other)
    groups: dict[object, list[PlannedPair]] = {}
    for one, (first, *_) in zip(planned, trainings, strict=True):
        groups.setdefault(together[first], []).append(one)
    return list(groups.values())


def _waits_for_data(group: Sequence[PlannedPair]) -> bool:
    return describe(group[0].pair.training.dataset).streamed


def _seconds(group: Sequence[PlannedPair]) -> float:
    """What a group costs by its operations alone: records and rates may differ from machine to machine."""
    from lmcbook.lab.session import same_networks

    costs = Costs(device="cuda" if group[0].scale == "paper" else "cpu")
    networks = {config for one in group for config in same_networks(one.pair)}
    trainings = sum(sorted(estimated_training_seconds(config, costs) for config in networks))
    return trainings + sum(estimated_measuring_seconds(one, costs) for one in group)
