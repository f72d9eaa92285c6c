"""Training: stochastic gradient descent with momentum, warm-up and decay; resumable at any step, bit for bit.

The names below are loaded when they are first used: configurations and schedules serve the plan and the figures, which
start without torch.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.training.config import TrainingConfig
    from lmcbook.training.divergence import TrainingDiverged, TrainingsDiverged
    from lmcbook.training.loop import TrainedModel, train
    from lmcbook.training.memory import DoesNotFit
    from lmcbook.training.optimiser import optimiser_of
    from lmcbook.training.penalty import rank_penalty, singular_value_spread
    from lmcbook.training.precision import arithmetic, uses_tf32
    from lmcbook.training.saving import TimeIsUp
    from lmcbook.training.seeds import initialisation_seed, order_seed_at
    from lmcbook.training.together import train_together

__all__ = [
    "DoesNotFit",
    "TimeIsUp",
    "TrainedModel",
    "TrainingConfig",
    "TrainingDiverged",
    "TrainingsDiverged",
    "arithmetic",
    "initialisation_seed",
    "optimiser_of",
    "order_seed_at",
    "rank_penalty",
    "singular_value_spread",
    "train",
    "train_together",
    "uses_tf32",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "config": "TrainingConfig",
        "divergence": "TrainingDiverged TrainingsDiverged",
        "loop": "TrainedModel train",
        "saving": "TimeIsUp",
        "memory": "DoesNotFit",
        "optimiser": "optimiser_of",
        "precision": "arithmetic uses_tf32",
        "seeds": "initialisation_seed order_seed_at",
        "penalty": "rank_penalty singular_value_spread",
        "together": "train_together",
    },
)
