"""Which configurations make up which notebook, at which scale: the one description of all experiments."""

from lmcbook.lab.plan.batch_sizes import BATCH_FACTORS, SMALL_BATCH, batch_size
from lmcbook.lab.plan.changed_trainings import (
    CONTROLS,
    NOISE,
    RECIPE,
    common_mode_controls,
    control_of,
    trained_beside_placed,
)
from lmcbook.lab.plan.controls import SHARED_FRACTIONS, SPREAD_PENALTIES, against_low_rank, flatness, same_start
from lmcbook.lab.plan.experiments import BEYOND, EXPERIMENTS, beyond, of_recipes, pairs
from lmcbook.lab.plan.grid import SEED_PAIRS
from lmcbook.lab.plan.grouping import jobs
from lmcbook.lab.plan.planned import PlannedPair, with_epochs
from lmcbook.lab.plan.selection import SCALES, Selection
from lmcbook.lab.plan.split_and_repair import common_mode, cross_talk, one_network
from lmcbook.lab.plan.usual_batches import NARROW, small_batch_decays, small_batches
from lmcbook.lab.plan.weight_decays import WEIGHT_DECAYS, weight_decay
from lmcbook.lab.plan.widths import calibration, depth, layers, permutations, width
from lmcbook.lab.recipes import (
    DECAY_PRODUCT,
    MAIN_WEIGHT_DECAY,
    RECIPES,
    USUAL_WEIGHT_DECAY,
    Recipe,
    epochs_for,
    recipe,
)

__all__ = [
    "BATCH_FACTORS",
    "BEYOND",
    "CONTROLS",
    "DECAY_PRODUCT",
    "EXPERIMENTS",
    "MAIN_WEIGHT_DECAY",
    "NARROW",
    "NOISE",
    "RECIPE",
    "RECIPES",
    "SCALES",
    "SEED_PAIRS",
    "SHARED_FRACTIONS",
    "SMALL_BATCH",
    "SPREAD_PENALTIES",
    "USUAL_WEIGHT_DECAY",
    "WEIGHT_DECAYS",
    "PlannedPair",
    "Recipe",
    "Selection",
    "against_low_rank",
    "batch_size",
    "beyond",
    "calibration",
    "common_mode",
    "common_mode_controls",
    "control_of",
    "cross_talk",
    "depth",
    "epochs_for",
    "flatness",
    "jobs",
    "layers",
    "of_recipes",
    "one_network",
    "pairs",
    "permutations",
    "recipe",
    "same_start",
    "small_batch_decays",
    "small_batches",
    "trained_beside_placed",
    "weight_decay",
    "width",
    "with_epochs",
]
