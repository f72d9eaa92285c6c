"""The measurements against weight decay."""

from lmcbook.lab.plan.grid import CONTROL_RECIPES, grid
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection

WEIGHT_DECAYS: tuple[float, ...] = (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)
"""From none at all to more than three times the paper's."""

_SHORTENED_FROM = 1e-3  # smaller decays do next to nothing even in the full schedule


def weight_decay(selection: Selection) -> list[PlannedPair]:
    """Barriers and conditions against weight decay at one width, the last but one of a recipe: Fig. 9 of the paper.

    Two contrasts go with it. Networks with batch norm are trained once more with the normalisation's scales and shifts
    left alone by the decay (not at ``embedded``). Multilayer perceptrons are trained once more for a third of the
    epochs, so that it can be seen whether the decay counts or the product of decay, learning rate and steps (not at
    ``paper``, nor where epochs are selected).
    """
    planned = []
    for network in grid(
        selection,
        lambda chosen: chosen.width_multipliers[-2:-1],
        recipes=CONTROL_RECIPES[selection.scale],
        decays=WEIGHT_DECAYS,
    ):
        planned += network.pairs()
        is_long = selection.epochs is None and selection.scale != "paper"
        if network.has_depth and is_long and network.training.weight_decay >= _SHORTENED_FROM:
            planned += network.changed(epochs=network.training.epochs // 3).pairs()
        if network.training.has_batch_norm and selection.scale != "embedded":
            planned += network.changed(decay_normalisation=False).pairs()
    return planned
