"""The measurements against batch size: the same number of steps, noisier or quieter."""

from lmcbook.data import describe
from lmcbook.lab.plan.grid import SCALE_RECIPES, grid, in_the_middle
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.recipes import Recipe, epochs_with_batches_of, recipe

BATCH_FACTORS: tuple[float, ...] = (0.125, 0.25, 1.0, 4.0)
"""Batch sizes by the recipe's, at the width in the middle."""

SMALL_BATCH = 0.25
"""The batch size, by the recipe's, that every width is trained with beside the recipe's own."""

# The recipe's batches of digits are small already: with a quarter of them some trainings diverge.
_DIGITS_FACTORS, _SMALL_BATCH_OF_DIGITS = (0.5, 1.0, 4.0), 0.5


def batch_size(selection: Selection) -> list[PlannedPair]:
    """Pairs trained with smaller and larger batches, at the same learning rate for as many steps.

    So the decay product (`lmcbook.training.schedule.decay_product`) is the same, and what differs is the noise of the
    gradient and how many examples are seen. All batch sizes at the recipe's width in the middle, or at those that are
    selected; two of them at the other widths, which `embedded` leaves out. Only multilayer perceptrons, unless recipes
    are selected.
    """
    perceptrons = [name for name in SCALE_RECIPES[selection.scale] if recipe(name).training.num_layers is not None]

    def widths(chosen: Recipe) -> tuple[float, ...]:
        return in_the_middle(chosen) if selection.scale == "embedded" else chosen.width_multipliers

    planned = []
    for network in grid(selection, widths, recipes=perceptrons):
        own = network.recipe.training
        is_digits = own.dataset == "digits"
        factors = _DIGITS_FACTORS if is_digits else BATCH_FACTORS
        if not selection.width_multipliers and network.training.width_multiplier not in in_the_middle(network.recipe):
            factors = (_SMALL_BATCH_OF_DIGITS if is_digits else SMALL_BATCH, 1.0)
        least, most = 2 if own.has_batch_norm else 1, describe(own.dataset).num_train
        for size in dict.fromkeys(min(most, max(least, round(factor * own.batch_size))) for factor in factors):
            epochs = None if size == own.batch_size else epochs_with_batches_of(size, network.recipe)
            planned += network.changed(batch_size=size, epochs=epochs).pairs()
    return planned
