"""The measurements against batch size: the same number of steps, noisier or quieter ones."""

from collections.abc import Sequence
from dataclasses import replace

from lmcbook.errors import check_choice
from lmcbook.lab.plan.planned import SCALE_RECIPES, SCALES, SEED_PAIRS, PlannedPair, planned_pairs
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, epochs_with_batches_of, recipe

BATCH_FACTORS: tuple[float, ...] = (0.125, 0.25, 1.0, 4.0)
"""Batch sizes by the recipe's, at the width in the middle."""

SMALL_BATCH = 0.25
"""The batch size, by the recipe's, that every width is trained with beside the recipe's own."""

# The recipe's batches of digits are small already: with a quarter of them some trainings diverge.
_DIGITS_FACTORS, _SMALL_BATCH_OF_DIGITS = (0.5, 1.0, 4.0), 0.5


def batch_size(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """Pairs trained with smaller and larger batches, at the same learning rate for as many steps.

    So the decay product (`lmcbook.training.schedule.decay_product`) is the same, and what differs is the noise of the
    gradient and how many examples are seen. All batch sizes at the recipe's width in the middle, or at those that are
    given; two of them at the other widths, which `embedded` leaves out. Only multilayer perceptrons, unless ``recipes``
    says otherwise.

    Raises:
        InputError: an argument is not what it may be.
    """
    check_choice("scale", scale, SCALES)
    planned = []
    for name in recipes or SCALE_RECIPES[scale]:
        chosen = recipe(name)
        own = chosen.training
        if recipes is None and own.num_layers is None:
            continue
        is_digits = own.dataset == "digits"
        every = _DIGITS_FACTORS if is_digits else BATCH_FACTORS
        two = (_SMALL_BATCH_OF_DIGITS if is_digits else SMALL_BATCH, 1.0)
        middle = chosen.width_multipliers[len(chosen.width_multipliers) // 2]
        usual = (middle,) if scale == "embedded" else chosen.width_multipliers
        for multiplier in width_multipliers or usual:
            for decay in weight_decays or (MAIN_WEIGHT_DECAY,):
                for factor in every if width_multipliers or multiplier == middle else two:
                    training = replace(own, width_multiplier=multiplier, weight_decay=decay)
                    length = epochs
                    if factor != 1:
                        size = max(1, round(factor * own.batch_size))
                        training = replace(training, batch_size=size)
                        length = epochs or epochs_with_batches_of(size, chosen)
                    pairs, measurements = seed_pairs or SEED_PAIRS, ("interpolation", "layerwise")
                    planned += planned_pairs(scale, chosen, training, length, pairs, ("identity",), measurements)
    return planned
