"""How far a long piece of work is: a line for each network, with the time that is left, wherever somebody looks."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lmcbook.training.config import TrainingConfig

_HOUR, _YEAR = 3600.0, 365.25 * 24 * 3600.0

_UNITS = (
    (90, 1, "{:.0f} s"),
    (90 * 60, 60, "{:.0f} min"),
    (48 * _HOUR, _HOUR, "{:.1f} hours"),
    (365 * 24 * _HOUR, 24 * _HOUR, "{:.1f} days"),
    (10 * _YEAR, _YEAR, "{:.1f} years"),
    (math.inf, _YEAR, "{:,.0f} years"),
)
"""Below which seconds a time is written in which unit, of how many seconds, and how."""

SECONDS_BETWEEN = 15.0
"""Lines on measurements come no more often; those on networks always."""


def duration(seconds: float) -> str:
    """A time in the unit in which a person thinks of it: seconds, minutes, hours, days or years.

    >>> duration(40), duration(600), duration(7200), duration(3e5), duration(6.8e8)
    ('40 s', '10 min', '2.0 hours', '3.5 days', '22 years')
    """
    size, text = next((size, text) for limit, size, text in _UNITS if seconds < limit)
    return text.format(max(seconds / size, 1))


def wants_bars() -> bool:
    """Whether bars that overwrite themselves are seen as such: on a terminal and in a notebook, not in a file."""
    return type(sys.stderr).__module__.startswith("ipykernel") or sys.stderr.isatty()


def tell(line: str) -> None:
    """Say ``line`` on stderr; from a notebook also where its kernel was started, as papermill's own terminal.

    papermill puts what a notebook prints into the notebook, so that on the terminal nothing moves for an hour.
    """
    print(line, file=sys.stderr, flush=True)
    tell_the_terminal(line)


def tell_the_terminal(line: str) -> None:
    """Say ``line`` where the kernel of a notebook was started, and not in the notebook; without effect elsewhere."""
    terminal = getattr(sys.stderr, "_original_stdstream_copy", None)  # ipykernel keeps it, under this name only
    if isinstance(terminal, int):
        start = "\n" if os.isatty(terminal) else ""  # papermill's bar stands in the line
        encoding = getattr(sys.__stderr__, "encoding", None) or "ascii"
        with suppress(OSError):
            os.write(terminal, f"{start}{line}\n".encode(encoding, "replace"))


class Work:
    """Trainings and measurements that are to be done, and what is left of them.

    Time is named once something was done: what is left then takes in proportion to what it was estimated to take.

    Args:
        trainings: The networks, and the seconds that they are estimated to take.
        measurements: Digests of measurements, likewise.
        say: What a line is written with.
    """

    def __init__(
        self,
        trainings: Mapping[TrainingConfig, float],
        measurements: Mapping[str, float],
        say: Callable[[str], None] = tell,
    ) -> None:
        self._left: dict[str, dict[Any, float]] = {"network": dict(trainings), "measurement": dict(measurements)}
        self._total = {kind: len(left) for kind, left in self._left.items()}
        self._done = {kind: [0.0, 0.0] for kind in self._left}
        self._say = say
        self._told_at = time.monotonic()

    @contextmanager
    def training(self, configs: Sequence[TrainingConfig]) -> Iterator[None]:
        """Tell that these networks are being trained, together if they are several."""
        todo = [config for config in dict.fromkeys(configs) if config in self._left["network"]]
        if todo:
            first = todo[0]
            seeds = ", ".join(str(config.seed) for config in todo[:4]) + (", …" if len(todo) > 4 else "")
            name = f"{first.architecture} ×{first.width_multiplier:g} on {first.dataset}"
            kind = "seed" if len(todo) == 1 else "together, seeds"
            self._tell("network", len(todo), f"{name}, weight decay {first.weight_decay:g}, {kind} {seeds}")
        with self._timed("network", todo):
            yield

    @contextmanager
    def measuring(self, digest: str, name: str) -> Iterator[None]:
        """Tell that this is being measured, unless the last line is only seconds old."""
        if digest in self._left["measurement"] and time.monotonic() - self._told_at >= SECONDS_BETWEEN:
            self._tell("measurement", 1, name)
        before = self._done["network"][1]
        started = time.monotonic()
        yield
        trained = self._done["network"][1] - before  # a session trains its own networks
        self._count("measurement", [digest], time.monotonic() - started - trained)

    @contextmanager
    def _timed(self, kind: str, what: Sequence[Any]) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._count(kind, what, time.monotonic() - started)

    def _count(self, kind: str, what: Sequence[Any], seconds: float) -> None:
        estimated = sum(self._left[kind].pop(each, 0.0) for each in what)
        if estimated:
            self._done[kind] = [self._done[kind][0] + estimated, self._done[kind][1] + seconds]

    def _tell(self, kind: str, count: int, name: str) -> None:
        first = self._total[kind] - len(self._left[kind]) + 1
        place = f"{kind} {first}" if count == 1 else f"{kind}s {first} to {first + count - 1}"
        seconds = self._seconds_left()
        left = "" if seconds is None else f", about {duration(seconds)} left"
        self._told_at = time.monotonic()
        self._say(f"{place} of {self._total[kind]}{left}: {name}")

    def _seconds_left(self) -> float | None:
        rates = {kind: spent / estimated for kind, (estimated, spent) in self._done.items() if estimated}
        if not rates:
            return None
        usual = sum(rates.values()) / len(rates)
        return sum(sum(left.values()) * rates.get(kind, usual) for kind, left in self._left.items())
