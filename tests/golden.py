"""The golden loss curve: 20 steps of training on digits, as they were when it was written.

`python -m tests.golden` prints how far the training of now is from it; `--write` prints the same and replaces it. In
so few steps rounding has not grown yet, so every processor must give these numbers, whatever network comes out in the
end.
"""

import json
import math
import sys
from pathlib import Path
from unittest import mock

from lmcbook.data import load
from lmcbook.training import train
from lmcbook.training.config import TrainingConfig
from lmcbook.training.loop import _end_epoch
from tests.helpers.small_trainings import small_training

FILE = Path(__file__).with_name("golden.json")

TOLERANCE = 1e-4
"""How far a loss may be from the golden one, in parts of it. Another arithmetic (no AVX) and two threads moved it by
3e-7."""

CONFIG = small_training(hidden_width=32, epochs=5, batch_size=200, learning_rate=0.3)
"""Too large a batch to be trained together with others."""


def curve(config: TrainingConfig = CONFIG) -> list[float]:
    """The loss of each step (nats)."""
    losses: list[float] = []

    def end_epoch(at, *arguments):
        losses.extend(at.losses.tolist())
        _end_epoch(at, *arguments)

    with mock.patch("lmcbook.training.loop._end_epoch", end_epoch):
        train(config, load(config.dataset), progress=False)
    return losses


def differences(now: list[float], golden: list[float]) -> list[float]:
    """By how much of the golden loss each loss differs; infinite where there is none."""
    if len(now) != len(golden):
        return [math.inf] * max(len(now), len(golden))
    return [abs(new - old) / abs(old) for new, old in zip(now, golden, strict=True)]


def main(arguments: list[str], file: Path = FILE) -> int:
    """Print the curve beside the golden one; with ``--write`` it becomes the golden one. 1 where they differ."""
    if arguments not in ([], ["--write"]):
        print("usage: python -m tests.golden [--write]", file=sys.stderr)
        return 2
    now, golden = curve(), json.loads(file.read_text()) if file.is_file() else []
    apart = differences(now, golden)
    for step, (new, difference) in enumerate(zip(now, apart, strict=False)):
        old = f"{golden[step]:.6f}" if step < len(golden) else "none"
        print(f"step {step:2d}: golden {old}, now {new:.6f}, apart {difference:.1e}")
    print(f"largest difference {max(apart):.1e}, tolerance {TOLERANCE:g}")
    if arguments:
        file.write_text(json.dumps(now, indent=1) + "\n")
        print(f"written to {file}")
        return 0
    return int(max(apart) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
