"""Several processes that measure the same things at once: each does what no other is doing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lmcbook.data.locks import held, held_if_free
from lmcbook.errors import InputError
from lmcbook.lab import scratch
from lmcbook.lab.config import PairConfig
from lmcbook.training.config import digest_of

Work = TypeVar("Work")


def in_turn(work: Iterable[Work], pair_of: Callable[[Work], PairConfig]) -> Iterator[Work]:
    """Give every piece of ``work`` while no other process measures the networks of its pair.

    What another process works on comes last. By then it may be done: what is missing of it is to be asked once it is
    given. Where there are no locks, or the store cannot be written, all is given at once.
    """
    with suppress(InputError):  # whoever trains hears of it
        scratch.make()
    busy = []
    for one in work:
        with held_if_free(_lock(pair_of(one))) as ours:
            if ours:
                yield one
            else:
                busy.append(one)
    for one in busy:
        with held([_lock(pair_of(one))], "measures the same networks"):
            yield one


def _lock(pair: PairConfig) -> Path:
    return scratch.lock("measuring-" + digest_of([pair.training_a.digest, pair.training_b.digest]))
