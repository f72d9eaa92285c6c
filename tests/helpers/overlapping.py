"""Pairs of networks that use the same units, for tests of the theory."""

from typing import Any

import torch

from lmcbook import theory
from lmcbook.randomness import random_stream
from lmcbook.theory import Network, Pair

ROUNDING = 1e-11
EXAMPLES = 6
SIZES: dict[str, Any] = {"num_layers": 4, "units": 48, "num_classes": 5}


def stream(seed: int = 0) -> torch.Generator:
    return random_stream(seed, "common mode")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=random_stream(seed, *shape), dtype=torch.float64)


INPUTS = drawn(EXAMPLES, 12, seed=5)


def overlapping(answers=theory.silent, seed: int = 0, **changes) -> Pair:
    return theory.overlapping_pair(INPUTS, answers, **SIZES | changes, generator=stream(seed))


def shared_activity(pair: Pair) -> list[float]:
    """For each hidden layer the share of unit and example for which the unit is on in *both* networks."""
    layers = zip(*(theory.run(network, INPUTS)[:-1] for network in pair), strict=True)
    return [((of_a.output > 0) & (of_b.output > 0)).double().mean().item() for of_a, of_b in layers]


def outputs(network: Network) -> list[torch.Tensor]:
    return [trace.output for trace in theory.run(network, INPUTS)]


def on_the_line(pair: Pair, coefficient: float) -> list[torch.Tensor]:
    return outputs(theory.merged(pair, (coefficient, 1 - coefficient)))
