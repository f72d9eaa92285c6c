"""How many threads the numerical libraries take: the fastest at this moment, by a short timing."""

import os
import time
from collections.abc import Callable

import torch

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What says how many threads there shall be; if one is set, nothing is timed."""

REPETITIONS = 8


def choose_threads() -> int:
    """Let torch compute with the number of threads that is fastest now, and return it.

    With as many threads as cores, each small operation waits for all of them. Where other programs use these cores, it
    takes ten times as long and more than in one thread. Halves of torch's own number, down to one, are timed, in some
    hundredths of a second on an idle machine.
    """
    usual = torch.get_num_threads()
    if any(os.environ.get(name) for name in VARIABLES) or usual == 1:
        return usual
    candidates = [usual]
    while candidates[-1] > 1:
        candidates.append(candidates[-1] // 2)
    fastest = min(candidates, key=_seconds_with)
    torch.set_num_threads(fastest)
    return fastest


def _seconds_with(threads: int) -> float:
    """Time of operations such as those of narrow and of wide networks."""
    torch.set_num_threads(threads)
    images, kernel = torch.ones(32, 32, 8, 8), torch.ones(32, 32, 3, 3)
    rows, weight = torch.ones(500, 512), torch.ones(512, 512)
    operations: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: torch.nn.functional.conv2d(images, kernel, padding=1),
        lambda: rows @ weight,
        lambda: rows.mul(2).relu(),
    )
    for operation in operations:  # the first time allocates
        operation()
    started = time.perf_counter()
    for _ in range(REPETITIONS):
        for operation in operations:
            operation()
    return time.perf_counter() - started
