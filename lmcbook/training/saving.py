"""When a training saves what it has and when it stops: one rule for all ways to train."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

GO_ON, SAVE, STOP = 0, 1, 2

MOST_SAVING = 20
"""The pause between two checkpoints is at least this many times as long as the longest of them took."""


class TimeIsUp(RuntimeError):
    """A training stopped at its deadline; its checkpoint holds all that was done."""


class Saving:
    """The moments of one training at which it is saved, and its deadline.

    Args:
        pause: seconds between two checkpoints; None where there is no place for any, 0 for a checkpoint at every step.
        deadline: a moment of `time.monotonic`; None where there is none.
    """

    def __init__(self, pause: float | None, deadline: float | None) -> None:
        self._pause, self._deadline = pause, deadline
        self._saved_at = time.monotonic()

    def wanted(self) -> int:
        """What is to be done now: `GO_ON`, `SAVE`, or save and `STOP`."""
        now = time.monotonic()
        if self._deadline is not None and now > self._deadline:
            return STOP
        return SAVE if self._pause is not None and now - self._saved_at > self._pause else GO_ON

    @contextmanager
    def timed(self) -> Iterator[None]:
        """While a checkpoint is written: a long write takes longer than is worth doing after every short pause."""
        began = time.monotonic()
        yield
        self._saved_at = time.monotonic()
        if self._pause is not None and self._pause > 0:
            self._pause = max(self._pause, MOST_SAVING * (self._saved_at - began))
