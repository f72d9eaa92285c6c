"""The networks of a selection, and their measurements: what all planning functions are made of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab.config import PairConfig
from lmcbook.lab.plan.planned import PlannedPair, paper_precision, with_epochs
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, Recipe, epochs_with_batches_of, recipe
from lmcbook.training.config import TrainingConfig

SEED_PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (2, 3), (4, 5))
"""Three disjoint pairs, so that pairs are independent of each other."""

SCALE_RECIPES = {
    "embedded": ("mlp-digits", "resnet20-digits", "vgg11-digits"),
    "desk": ("mlp-digits", "resnet20-digits", "vgg11-digits"),
    "paper": ("mlp-mnist", "mlp-fashion_mnist", "resnet20-cifar10", "vgg11-cifar10", "resnet20-cifar100"),
}

CONTROL_RECIPES = SCALE_RECIPES | {"embedded": ("mlp-digits",)}
"""What controls are measured of: at ``embedded`` nothing but what costs seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of the plan, before it has seeds."""

    selection: Selection
    recipe: Recipe
    training: TrainingConfig

    @property
    def has_depth(self) -> bool:
        """Whether it is a multilayer perceptron, whose number of layers can be varied."""
        return self.training.num_layers is not None

    def changed(self, *, epochs: int | None = None, **fields: Any) -> "Network":
        """The same network trained otherwise, for ``epochs`` where the selection does not say how long."""
        training = replace(self.training, **fields)
        if epochs is not None and self.selection.epochs is None:
            training = with_epochs(training, epochs)
        return replace(self, training=training)

    def pairs(
        self,
        *,
        seed_pairs: Sequence[tuple[int, int]] = SEED_PAIRS,
        alignments: Sequence[str] = ("identity",),
        measurements: Sequence[str] = ("interpolation", "layerwise"),
        **options: Any,
    ) -> list[PlannedPair]:
        """Every pair of seeds, alignment and measurement; ``options`` are further fields of each `PairConfig`."""
        return [
            PlannedPair(
                scale=self.selection.scale,
                recipe=self.recipe.name,
                pair=PairConfig(
                    training=self.training, seeds=seeds, alignment=alignment, measurement=measurement, **options
                ),
            )
            for seeds in self.selection.seed_pairs or seed_pairs
            for alignment in alignments
            for measurement in measurements
        ]


def grid(
    selection: Selection,
    widths: Callable[[Recipe], Sequence[float]],
    *,
    recipes: Sequence[str] | None = None,
    decays: Sequence[float] = (MAIN_WEIGHT_DECAY,),
    depths: Sequence[int] | None = None,
) -> Iterator[Network]:
    """The networks of every recipe, depth, width and weight decay: the selection's, else those that are given here.

    Schedule and precision are decided here. ``recipes`` are the scale's if none are given; with ``depths`` those of
    networks without one are left out.
    """
    for name in selection.recipes or recipes or SCALE_RECIPES[selection.scale]:
        chosen = _as_asked(recipe(name), selection)
        own = chosen.training
        if depths and own.num_layers is None:
            continue
        for num_layers in depths or (own.num_layers,):
            for multiplier in selection.width_multipliers or widths(chosen):
                for decay in selection.weight_decays or decays:
                    training = replace(own, num_layers=num_layers, width_multiplier=multiplier, weight_decay=decay)
                    precision = selection.precision
                    if precision is None and selection.scale == "paper":
                        precision = paper_precision(training)
                    training = replace(training, precision=precision or training.precision)
                    yield Network(selection=selection, recipe=chosen, training=training)


def _as_asked(chosen: Recipe, selection: Selection) -> Recipe:
    """The recipe with the schedule of the selection; with another batch for as many steps as before.

    Raises:
        InputError: the training set has no such batch, or batch norm has no variance over it.
    """
    own = chosen.training
    if selection.batch_size is not None:
        num_train = describe(own.dataset).num_train
        least = 2 if own.has_batch_norm else 1
        if not least <= selection.batch_size <= num_train:
            raise InputError(
                f"batch_size is {selection.batch_size}; for {chosen.name} it must be from {least} to {num_train:,}"
                f"{', for batch norm needs two examples' if selection.batch_size < least else ''}"
            )
        steps_as_before = epochs_with_batches_of(selection.batch_size, chosen)
        own = replace(with_epochs(own, steps_as_before), batch_size=selection.batch_size)
    if selection.learning_rate is not None:
        own = replace(own, learning_rate=selection.learning_rate)
    if selection.epochs is not None:
        own = with_epochs(own, selection.epochs)
    return chosen if own == chosen.training else replace(chosen, training=own)


def in_the_middle(chosen: Recipe) -> tuple[float, ...]:
    """The width in the middle of a recipe, where a barrier is left that can rise or fall."""
    return (chosen.width_multipliers[len(chosen.width_multipliers) // 2],)
