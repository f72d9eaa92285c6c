"""One measurement of the plan, and all measurements of one network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmcbook.config import PairConfig, TrainingConfig
from lmcbook.recipes import Recipe, warmup

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
    def cell(self) -> str:
        """Readable name of what one process works off: all measurements of networks that are trained alike."""
        training = self.pair.training
        depth = "" if training.num_layers is None else f"_L{training.num_layers}"
        return f"{self.recipe}{depth}_x{training.width_multiplier:g}_wd{training.weight_decay:g}"


def planned_pairs(
    scale: str,
    chosen: Recipe,
    training: TrainingConfig,
    epochs: int | None,
    pairs: Sequence[tuple[int, int]],
    alignments: Sequence[str],
    measurements: Sequence[str],
) -> list[PlannedPair]:
    """All measurements of one network: every pair of seeds, alignment and measurement."""
    if epochs is not None:
        training = replace(training, warmup_epochs=0.0)  # whatever the order, never longer than the training
        training = replace(training, epochs=epochs, warmup_epochs=warmup(epochs))
    return [
        PlannedPair(
            scale=scale,
            recipe=chosen.name,
            pair=PairConfig(training=training, seeds=seeds, alignment=alignment, measurement=measurement),
            short=training.epochs < chosen.training.epochs,
        )
        for seeds in pairs
        for alignment in alignments
        for measurement in measurements
    ]
