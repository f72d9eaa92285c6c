"""The measurements against weight decay."""

from collections.abc import Sequence
from dataclasses import replace

from lmcbook.errors import check_choice
from lmcbook.lab.plan.planned import SCALE_RECIPES, SCALES, SEED_PAIRS, PlannedPair, planned_pairs
from lmcbook.lab.recipes import recipe

WEIGHT_DECAYS: tuple[float, ...] = (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)
"""From none at all to more than three times the paper's."""

_SHORTENED_FROM = 1e-3  # smaller decays do next to nothing even in the full schedule


def weight_decay(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """Barriers and conditions against weight decay at one width, the last but one of a recipe: Fig. 9 of the paper.

    Two contrasts go with it. Networks with batch norm are trained once more with the normalisation's scales and shifts
    left alone by the decay (not at ``embedded``). Multilayer perceptrons are trained once more for a third of the
    epochs, so that it can be seen whether the decay counts or the product of decay, learning rate and steps (not at
    ``paper``, nor with ``epochs`` given).

    Raises:
        InputError: an argument is not what it may be.
    """
    check_choice("scale", scale, SCALES)
    planned = []
    for name in recipes or (("mlp-digits",) if scale == "embedded" else SCALE_RECIPES[scale]):
        chosen = recipe(name)
        has_depth = chosen.training.num_layers is not None
        for multiplier in width_multipliers or chosen.width_multipliers[-2:-1]:
            for decay in weight_decays or WEIGHT_DECAYS:
                training = replace(chosen.training, width_multiplier=multiplier, weight_decay=decay)
                variants = [(training, epochs)]
                if not has_depth and scale != "embedded":
                    variants.append((replace(training, decay_normalisation=False), epochs))
                if has_depth and scale != "paper" and epochs is None and decay >= _SHORTENED_FROM:
                    variants.append((training, training.epochs // 3))
                for variant, length in variants:
                    pairs, measurements = seed_pairs or SEED_PAIRS, ("interpolation", "layerwise")
                    planned += planned_pairs(scale, chosen, variant, length, pairs, ("identity",), measurements)
    return planned
