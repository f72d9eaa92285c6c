"""Trainings whose loss is no longer a number: what is said of them."""

from collections.abc import Mapping

from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import learning_rate_at


class TrainingDiverged(RuntimeError):
    """The training loss is no longer a finite number."""


class TrainingsDiverged(TrainingDiverged):
    """Some of several trainings diverged; the others were carried to their end.

    Args:
        messages: of each training that diverged, what `divergence` says.
    """

    def __init__(self, messages: Mapping[TrainingConfig, str]) -> None:
        super().__init__("; ".join(messages.values()))
        self.messages = dict(messages)


def divergence(config: TrainingConfig, loss: float, step: int, steps_per_epoch: int) -> str:
    """In which step of which training the loss became what, and what to try."""
    rate = learning_rate_at(step, config, steps_per_epoch)
    return (
        f"the loss of {config.architecture} ×{config.width_multiplier:g} on {config.dataset} (weight decay "
        f"{config.weight_decay:g}, seed {config.seed}) is {loss} at step {step}, at learning rate {rate:.4g}: "
        f"{_way_out(config)}"
    )


def _way_out(config: TrainingConfig) -> str:
    r"""What to try: SGD with decay alone diverges where $\eta \cdot \mathrm{wd} > 2 (1 + \mathrm{momentum})$."""
    most = 2 * (1 + config.momentum)
    product = config.learning_rate * config.weight_decay
    if config.optimiser == "sgd" and product > most and config.weight_decay > config.learning_rate:
        return (
            f"the decay alone makes it so: learning_rate × weight_decay is {product:.3g}; try a weight_decay far "
            f"below {most / config.learning_rate:.3g}"
        )
    return f"try a lower learning_rate than {config.learning_rate:g}, or a larger batch_size"
