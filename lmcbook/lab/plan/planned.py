"""One measurement of the plan, and all measurements of one network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmcbook.lab.config import PairConfig
from lmcbook.lab.recipes import Recipe, epochs_with_batches_of, warmup
from lmcbook.training.config import TrainingConfig

SCALES: tuple[str, ...] = ("embedded", "desk", "paper")

SEED_PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (2, 3), (4, 5))
"""Three disjoint pairs, so that pairs are independent of each other."""


SCALE_RECIPES = {
    "embedded": ("mlp-digits", "resnet20-digits", "vgg11-digits"),
    "desk": ("mlp-digits", "resnet20-digits", "vgg11-digits"),
    "paper": ("mlp-mnist", "mlp-fashion_mnist", "resnet20-cifar10", "vgg11-cifar10", "resnet20-cifar100"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPair:
    """One measurement of the plan."""

    scale: str
    recipe: str
    pair: PairConfig
    short: bool = False
    """Whether its schedule is shorter than its recipe's."""

    @property
    def network(self) -> str:
        """Readable name of the network: recipe, depth where it has one, and width."""
        training = self.pair.training
        depth = "" if training.num_layers is None else f"_L{training.num_layers}"
        return f"{self.recipe}{depth}_x{training.width_multiplier:g}"

    @property
    def cell(self) -> str:
        """Readable name of all measurements of networks that are trained alike."""
        return f"{self.network}_wd{self.pair.training.weight_decay:g}"


WIDEST_IN_FLOAT32 = 2048
"""Hidden units of the widest multilayer perceptron of the paper's scale that is trained in float32, also on a GPU."""


def paper_precision(training: TrainingConfig) -> str:
    """The arithmetic of a training at the paper's scale: one plan for every device, so that its records are the same.

    Narrow multilayer perceptrons are trained in float32, which a CPU does too and which costs a GPU nothing; everything
    larger is meant for a GPU's matrix units: bfloat16 with float32 weights.
    """
    units = (training.hidden_width or math.inf) * training.width_multiplier
    return "float32" if units <= WIDEST_IN_FLOAT32 else "bfloat16"


def with_epochs(training: TrainingConfig, epochs: int) -> TrainingConfig:
    """The same training on another schedule, with a warm-up in proportion."""
    training = replace(training, warmup_epochs=0.0)  # whatever the order, never longer than the training
    return replace(training, epochs=epochs, warmup_epochs=warmup(epochs))


def planned_pairs(
    scale: str,
    chosen: Recipe,
    training: TrainingConfig,
    epochs: int | None,
    pairs: Sequence[tuple[int, int]],
    alignments: Sequence[str],
    measurements: Sequence[str],
    **options: Any,
) -> list[PlannedPair]:
    """All measurements of one network: every pair of seeds, alignment and measurement.

    ``options`` are further fields of each `PairConfig`.
    """
    if epochs is not None:
        training = with_epochs(training, epochs)
    if scale == "paper":
        training = replace(training, precision=paper_precision(training))
    return [
        PlannedPair(
            scale=scale,
            recipe=chosen.name,
            pair=PairConfig(training=training, seeds=seeds, alignment=alignment, measurement=measurement, **options),
            short=training.epochs < epochs_with_batches_of(training.batch_size, chosen),
        )
        for seeds in pairs
        for alignment in alignments
        for measurement in measurements
    ]
