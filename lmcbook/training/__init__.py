"""Training: stochastic gradient descent with momentum, warm-up and decay; resumable at any step, bit for bit."""

from lmcbook.training.arithmetic import arithmetic, uses_tf32
from lmcbook.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from lmcbook.training.divergence import TrainingDiverged, TrainingsDiverged
from lmcbook.training.loop import TimeIsUp, TrainedModel, train
from lmcbook.training.memory import DoesNotFit
from lmcbook.training.optimiser import optimiser_of
from lmcbook.training.seeds import initialisation_seed, order_seed_at
from lmcbook.training.spread import relative_spread, spectral_spread
from lmcbook.training.together import train_together

__all__ = [
    "DoesNotFit",
    "Progress",
    "TimeIsUp",
    "TrainedModel",
    "TrainingDiverged",
    "TrainingsDiverged",
    "arithmetic",
    "initialisation_seed",
    "load_checkpoint",
    "optimiser_of",
    "order_seed_at",
    "relative_spread",
    "save_checkpoint",
    "spectral_spread",
    "train",
    "train_together",
    "uses_tf32",
]
