"""Milliseconds to fit an inverse temperature, beside torch's LBFGS, which most temperature scaling uses.

    python benchmarks/calibration.py        # seconds

10,000 × 10 logits: of a classifier that is calibrated, one whose logits are an eighth of that (as those of merged
networks are), one that is overconfident, and one that is always right (smoothed targets). CPU time of one process with
one thread, the median of 20. LBFGS with its usual settings stops before the minimum: the β beside it says how far.
Exits with 1 if a fit of ours takes 20 ms or more.
"""

import statistics
import sys

import torch
from _per_sample import cpu_seconds
from torch import Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.randomness import random_stream

PROMISED = 20.0


def ours(logits: Tensor, labels: Tensor) -> float:
    return fit_inverse_temperature(logits, labels).inverse_temperature


def lbfgs(logits: Tensor, labels: Tensor) -> float:
    """The code that came with Guo et al.'s paper: LBFGS from temperature 1.5, at most 50 steps at rate 0.01."""
    temperature = torch.full((1,), 1.5, requires_grad=True)
    optimiser = torch.optim.LBFGS([temperature], lr=0.01, max_iter=50)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(logits / temperature, labels)
        value.backward()
        return value

    optimiser.step(closure)
    return 1 / float(temperature.detach())


def main() -> int:
    torch.set_num_threads(1)
    logits = 3 * torch.randn(10_000, 10, generator=random_stream(0, "logits"))
    drawn = torch.multinomial(logits.softmax(dim=1), 1, generator=random_stream(0, "labels"))[:, 0]
    cases = {
        "calibrated": (logits, drawn),
        "logits / 8": (logits / 8, drawn),
        "logits × 8": (logits * 8, drawn),
        "always right": (logits, logits.argmax(dim=1)),
    }
    print("10,000 × 10 logits, one thread, median of 20 fits")
    print(f"{'':<16}{'lmcbook':>12}{'β':>10}{'LBFGS':>14}{'β':>10}{'ratio':>8}")
    worst = 0.0
    for name, (values, labels) in cases.items():
        milliseconds, beta = [], []
        for fit in (ours, lbfgs):
            fit(values, labels)
            runs = [cpu_seconds(fit, values, labels) for _ in range(20)]
            milliseconds.append(1000 * statistics.median(seconds for seconds, _ in runs))
            beta.append(runs[0][1])
        fast, slow = milliseconds
        print(f"{name:<16}{fast:9.1f} ms{beta[0]:10.3f}{slow:11.1f} ms{beta[1]:10.3f}{slow / fast:8.1f}")
        worst = max(worst, fast)
    print(f"slowest {worst:.1f} ms, promised below {PROMISED:g} ms: {'kept' if worst < PROMISED else 'BROKEN'}")
    return 0 if worst < PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
