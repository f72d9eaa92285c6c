"""Milliseconds to fit an inverse temperature, beside torch's LBFGS, which most temperature scaling uses.

    python benchmarks/calibration.py        # seconds

10,000 × 10 logits: of a classifier that is calibrated, one whose logits are an eighth of that (as merged networks' are),
one that is overconfident, and one that is always right (smoothed targets). CPU time of one process with one thread, the
median of 20. Exits with 1 if a fit takes 20 ms or more.
"""

import statistics
import sys

import torch
from _per_sample import cpu_seconds
from torch import Tensor

from lmcbook.calibration import fit_inverse_temperature
from lmcbook.randomness import random_stream

PROMISED = 20.0


def lbfgs(logits: Tensor, labels: Tensor) -> float:
    """Guo et al.'s own code: LBFGS from temperature 1.5, at most 50 steps at rate 0.01."""
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
        for fit in (lambda z, y: fit_inverse_temperature(z, y).inverse_temperature, lbfgs):
            fit(values, labels)
            runs = [cpu_seconds(lambda fit=fit, z=values, y=labels: fit(z, y)) for _ in range(20)]
            milliseconds.append(1000 * statistics.median(seconds for seconds, _ in runs))
            beta.append(runs[0][1])
        ratio = milliseconds[1] / milliseconds[0]
        print(
            f"{name:<16}{milliseconds[0]:9.1f} ms{beta[0]:10.3f}{milliseconds[1]:11.1f} ms{beta[1]:10.3f}{ratio:8.1f}"
        )
        worst = max(worst, milliseconds[0])
    print(f"slowest {worst:.1f} ms, promised below {PROMISED:g} ms: {'kept' if worst < PROMISED else 'BROKEN'}")
    return 0 if worst < PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
