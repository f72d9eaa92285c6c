"""In which order a scale is worked off: what the paper claims first, controls and extras after it."""

from lmcbook.lab.plain import is_plain, is_the_recipes_own
from lmcbook.lab.plan import MAIN_WEIGHT_DECAY, SEED_PAIRS, USUAL_WEIGHT_DECAY, PlannedPair

WIDEST_FIRST_ROUND = 8.0
"""Convolutional networks beyond this width come after everything narrower."""

CONTRAST_WIDTH = 8.0
"""The width at which the usual weight decay is the contrast of the first round."""

LAST_STAGE = 5
"""The widest convolutional networks: what a short budget may train on a shorter schedule."""

_FIRST = ("mlp-mnist", "mlp-fashion_mnist", "resnet20-cifar10", "vgg11-cifar10")


def stage(one: PlannedPair) -> int | None:
    """When a measurement of the paper's scale has its turn, from 0; None where only its worth for its cost decides.

    The paper's own networks and weight decay: the MLP at all widths on MNIST (0), on Fashion-MNIST (1), ResNet-20 (2)
    and VGG-11 (3) on CIFAR-10 up to ×8; one width of each at the usual weight decay (4); what is wider, the narrower
    first (5).
    """
    if one.scale != "paper" or one.recipe not in _FIRST or not _is_main(one):
        return None
    training = one.pair.training
    if training.weight_decay == USUAL_WEIGHT_DECAY:
        return LAST_STAGE - 1 if training.width_multiplier == CONTRAST_WIDTH else None
    if training.weight_decay != MAIN_WEIGHT_DECAY:
        return None
    if training.architecture != "mlp" and training.width_multiplier > WIDEST_FIRST_ROUND:
        return LAST_STAGE
    return _FIRST.index(one.recipe)


def place(one: PlannedPair) -> tuple[float, ...]:
    """Sorts the measurements of a `stage`: in the first round pair by pair, of each pair all widths, ascending."""
    pair = one.pair
    number = SEED_PAIRS.index(pair.seeds) if pair.seeds in SEED_PAIRS else len(SEED_PAIRS)
    return (number, pair.training.width_multiplier)


def _is_main(one: PlannedPair) -> bool:
    """Whether its networks are trained as the recipe says, in its depth, and independently."""
    return (
        is_plain(one.pair)
        and one.pair.measurement not in ("flatness", "controls", "many", "placement")
        and is_the_recipes_own(one.recipe, one.pair.training, "num_layers", "epochs", "batch_size", "augment")
    )
