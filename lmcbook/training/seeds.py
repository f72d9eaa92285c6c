"""Which seed decides which part of a training: a pair may share its initialisation, or the order for a while."""

from lmcbook.training.config import TrainingConfig


def initialisation_seed(config: TrainingConfig) -> int:
    """The seed of the initial weights."""
    return config.seed if config.initialisation_seed is None else config.initialisation_seed


def order_seed_at(step: int, total_steps: int, config: TrainingConfig) -> int:
    """The seed of the order of the examples and of the augmentation in a step, counted from 0."""
    if config.order_seed is None or step >= round(config.order_seed_fraction * total_steps):
        return config.seed
    return config.order_seed
