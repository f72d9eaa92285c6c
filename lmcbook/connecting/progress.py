"""How far a comparison is, on stderr: the stage, its number, and the time that is left."""

import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO


class Progress:
    """Tells stages as they begin; the time left is estimated from what the stages before took per image.

    On a terminal one line is written over and over; elsewhere each stage is a line of its own. All of it is ASCII.

    Args:
        costs: stage → images that go through a network in it, in their order.
        show: whether to tell anything.
        max_minutes: after which `time_is_up`.
    """

    def __init__(
        self, costs: Mapping[str, float], *, show: bool, max_minutes: float | None, stream: TextIO | None = None
    ) -> None:
        self._costs, self._show, self._stream = dict(costs), show, stream or sys.stderr
        self._began = time.perf_counter()
        self._done: list[str] = []
        self._max_seconds = None if max_minutes is None else 60 * max_minutes
        self._width = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._began

    @property
    def time_is_up(self) -> bool:
        """Whether the minutes that were given are over."""
        return self._max_seconds is not None and self.seconds > self._max_seconds

    def begin(self, stage: str) -> None:
        """Tell that a stage begins."""
        done = sum(self._costs[name] for name in self._done)
        left = sum(self._costs.values()) - done
        self._done.append(stage)
        if self._show:
            rest = f", about {max(1, round(self.seconds * left / done))} s left" if done else ""
            self._write(f"[{len(self._done)}/{len(self._costs)}] {stage}{rest}")

    def tell(self, text: str) -> None:
        """A line that stays, above what comes next."""
        if self._show:
            self._put("\r" + text.ljust(self._width) + "\n" if self._stream.isatty() else text + "\n")

    def end(self) -> None:
        """Clear the line."""
        if self._show and self._stream.isatty():
            self._put("\r" + " " * self._width + "\r")

    def _write(self, text: str) -> None:
        if self._stream.isatty():
            self._put("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._put(text + "\n")

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:  # whoever read it has read enough; the comparison goes on
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
