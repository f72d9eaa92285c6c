"""Which configurations make up which notebook, at which scale: the one description of all experiments."""

from lmcbook.plan.cells import cells
from lmcbook.plan.experiments import EXPERIMENTS, pairs
from lmcbook.plan.planned import SCALES, SEED_PAIRS, PlannedPair
from lmcbook.plan.weight_decay import WEIGHT_DECAYS, weight_decay
from lmcbook.plan.width import depth, layers, permutations, temperatures, width
from lmcbook.recipes import (
    DECAY_PRODUCT,
    MAIN_WEIGHT_DECAY,
    RECIPES,
    USUAL_WEIGHT_DECAY,
    Recipe,
    epochs_for,
    recipe,
)

__all__ = [
    "DECAY_PRODUCT",
    "EXPERIMENTS",
    "MAIN_WEIGHT_DECAY",
    "RECIPES",
    "SCALES",
    "SEED_PAIRS",
    "USUAL_WEIGHT_DECAY",
    "WEIGHT_DECAYS",
    "PlannedPair",
    "Recipe",
    "cells",
    "depth",
    "epochs_for",
    "layers",
    "pairs",
    "permutations",
    "recipe",
    "temperatures",
    "weight_decay",
    "width",
]
