"""The training that tests change: a narrow perceptron on digits."""

from typing import Any

from lmcbook.training.config import TrainingConfig


def small_training(**changes: Any) -> TrainingConfig:
    """An MLP that trains in about a second and is right on most digits, with ``changes`` to its configuration."""
    own = {"hidden_width": 16, "num_layers": 3, "epochs": 20, "batch_size": 100, "learning_rate": 0.1}
    return TrainingConfig(**{"dataset": "digits", "architecture": "mlp", "warmup_epochs": 1, **own, **changes})
