"""The learning rate of every step, and how much of the initialisation the decay leaves; no torch."""

import math

from lmcbook.training.config import TrainingConfig


def learning_rate_at(step: int, config: TrainingConfig, steps_per_epoch: int) -> float:
    """Learning rate of a step (counted from 0): linear from 0 to the peak, then linear or cosine to 0."""
    warmup = config.warmup_epochs * steps_per_epoch
    total = config.epochs * steps_per_epoch
    if step < warmup:
        return config.learning_rate * (step + 1) / max(warmup, 1.0)
    progress = (step - warmup) / max(total - warmup, 1.0)
    remaining = 1 - progress if config.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * remaining


def num_used(config: TrainingConfig, num_examples: int) -> int:
    """Examples of the training split that a training uses."""
    return max(1, round(config.train_fraction * num_examples))


def decay_product(config: TrainingConfig, num_examples: int, weight_decay: float | None = None) -> float:
    r"""How often the decay has shrunk a weight e-fold: $\sum_t \eta_t \cdot \mathrm{wd} / (1 - \mathrm{momentum})$.

    What is left of the initialisation falls like the exponential of minus this number. Under AdamW, whose decay is no
    part of the gradient that its momentum averages, ``momentum`` is 0.
    """
    steps_per_epoch = num_used(config, num_examples) // config.batch_size
    rates = (learning_rate_at(step, config, steps_per_epoch) for step in range(config.epochs * steps_per_epoch))
    decay = config.weight_decay if weight_decay is None else weight_decay
    return sum(rates) * decay / (1 - config.momentum)
