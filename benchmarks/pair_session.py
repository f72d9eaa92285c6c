"""What one session for all measurements of a pair saves, beside a session of its own for each measurement.

    python benchmarks/pair_session.py        # about two minutes

A perceptron and a residual network on the digits that come with scikit-learn, trained for an epoch (what the networks
have learnt does not change what is computed). Both sides measure the same: interpolation, calibration, flatness and
layers. CPU seconds, and the bytes of weights that are read and hashed; both sides in turn, the fastest of each. Exits
with 1 if a session does not pay: more than 0.95 of the time, or more bytes than a quarter of those read one by one.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lmcbook.lab import store
from lmcbook.lab.config import PairConfig
from lmcbook.lab.missing import Bench
from lmcbook.lab.plan import PlannedPair, recipe

REPETITIONS = 3
NETWORKS = {"mlp-digits": 1.0, "resnet20-digits": 0.25}
"""Recipe → width multiplier."""
KINDS = ("interpolation", "calibration", "flatness", "layerwise")
"""Measurements that any network can have; some others want a multilayer perceptron, or further networks."""
PROMISED_TIME, PROMISED_BYTES = 0.95, 0.25


def planned(name: str, width: float) -> list[PlannedPair]:
    """All `KINDS` of measurement of one pair of briefly trained networks."""
    training = replace(recipe(name).training, width_multiplier=width, epochs=1, warmup_epochs=0.0)
    pair = PairConfig(training=training, num_directions=1)
    return [
        PlannedPair(scale="embedded", recipe=name, pair=replace(pair, measurement=measurement)) for measurement in KINDS
    ]


def each_alone(wanted: list[PlannedPair]) -> None:
    for one in wanted:
        Bench(progress=False).measure(one)


def in_one_session(wanted: list[PlannedPair]) -> None:
    bench = Bench(progress=False)
    for one in wanted:
        bench.measure(one)


def cost(measure: Callable[[list[PlannedPair]], None], wanted: list[PlannedPair]) -> tuple[float, int]:
    """CPU seconds, and the bytes of weights that were hashed."""
    hashed = 0
    real = store.file_sha256

    def counted(path: Path) -> str:
        nonlocal hashed
        hashed += path.stat().st_size
        return real(path)

    store.file_sha256 = counted
    try:
        started = time.process_time()
        measure(wanted)
        return time.process_time() - started, hashed
    finally:
        store.file_sha256 = real


def main() -> int:
    is_slow = False
    print(
        f"{'network':<24} {'s alone':>9} {'s session':>9} {'ratio':>6} {'MB alone':>9} {'MB session':>10} {'ratio':>6}"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LMCBOOK_RUNS"] = folder
        for name, width in NETWORKS.items():
            wanted = planned(name, width)
            in_one_session(wanted)  # trains the networks, and warms up
            both = [[cost(measure, wanted) for measure in (each_alone, in_one_session)] for _ in range(REPETITIONS)]
            (alone, bytes_alone), (session, bytes_session) = (min(side) for side in zip(*both, strict=True))
            ratios = session / alone, bytes_session / bytes_alone
            is_slow |= ratios[0] > PROMISED_TIME or ratios[1] > PROMISED_BYTES
            print(
                f"{f'{name} ×{width:g}':<24} {alone:9.2f} {session:9.2f} {ratios[0]:6.2f} "
                f"{bytes_alone / 1e6:9.2f} {bytes_session / 1e6:10.2f} {ratios[1]:6.2f}"
            )
    return int(is_slow)


if __name__ == "__main__":
    sys.exit(main())
