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
        f"{config.weight_decay:g}, seed {config.seed}) is {loss} at step {step}, at learning rate {rate:.4g}: try a "
        "lower learning_rate or more warmup_epochs"
    )
