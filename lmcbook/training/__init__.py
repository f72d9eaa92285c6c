"""Training: stochastic gradient descent with momentum, warm-up and decay; resumable at any step, bit for bit."""

from lmcbook.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from lmcbook.training.loop import TimeIsUp, TrainedModel, TrainingDiverged, train
from lmcbook.training.optimiser import optimiser_of
from lmcbook.training.seeds import initialisation_seed, order_seed_at
from lmcbook.training.spread import relative_spread, spectral_spread

__all__ = [
    "Progress",
    "TimeIsUp",
    "TrainedModel",
    "TrainingDiverged",
    "initialisation_seed",
    "load_checkpoint",
    "optimiser_of",
    "order_seed_at",
    "relative_spread",
    "save_checkpoint",
    "spectral_spread",
    "train",
]
