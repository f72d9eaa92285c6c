"""Which pairs most claims are about: independent, trained without a penalty, and otherwise as their recipe says."""

from lmcbook.lab.config import PairConfig
from lmcbook.lab.recipes import recipe
from lmcbook.training.config import TrainingConfig

OPTIONS_OF_CONTROLS = (
    *("bias", "activation", "normalisation", "skip", "centred_rows", "optimiser", "momentum", "learning_rate"),
    *("loss_weight_variance", "train_fraction"),
)
"""What controls of the common mode change of a recipe's training, beside its batches."""


def is_plain(pair: PairConfig) -> bool:
    """Whether the two networks share nothing and were trained without a penalty against low rank."""
    return pair.shared == "nothing" and pair.training.spread_penalty == 0


def is_the_recipes_own(name: str, training: TrainingConfig, *more: str) -> bool:
    """Whether a network is trained as the recipe ``name`` says, but for what the book's sweeps change.

    They change seeds, width, depth, weight decay, penalty, and batches with their epochs. ``more`` are fields of the
    training that must be the recipe's as well.

    Raises:
        InputError: there is no such recipe.
    """
    own = recipe(name).training
    fields = ("architecture", "decay_normalisation", *OPTIONS_OF_CONTROLS, *more)
    return all(getattr(training, field) == getattr(own, field) for field in fields)
