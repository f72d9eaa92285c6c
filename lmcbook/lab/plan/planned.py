"""One measurement of the plan, and the schedule and the arithmetic of its trainings."""

import math
from dataclasses import dataclass, replace

from lmcbook.lab.config import PairConfig
from lmcbook.lab.recipes import full_epochs, recipe, warmup
from lmcbook.training.config import TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPair:
    """One measurement of the plan."""

    scale: str
    recipe: str
    pair: PairConfig

    @property
    def short(self) -> bool:
        """Whether its schedule is shorter than its recipe's."""
        training = self.pair.training
        return training.epochs < full_epochs(training, recipe(self.recipe))

    @property
    def network(self) -> str:
        """Readable name of the network: recipe, depth where it has one, and width."""
        training = self.pair.training
        depth = "" if training.num_layers is None else f"_L{training.num_layers}"
        return f"{self.recipe}{depth}_x{training.width_multiplier:g}"

    @property
    def job(self) -> str:
        """Readable name of all measurements of networks that are trained alike."""
        return f"{self.network}_wd{self.pair.training.weight_decay:g}"


WIDEST_IN_FLOAT32 = 2048
"""Hidden units of the widest multilayer perceptron of the paper's scale that is trained in float32, also on a GPU."""


def paper_precision(training: TrainingConfig) -> str:
    """The arithmetic of a training at the paper's scale: one plan for every device, so that its records are the same.

    Narrow multilayer perceptrons are trained in float32, which a CPU does too and which costs a GPU nothing; everything
    larger is meant for a GPU's matrix units: bfloat16 with float32 weights.
    """
    units = (training.hidden_width or math.inf) * training.width_multiplier
    return "float32" if units <= WIDEST_IN_FLOAT32 else "bfloat16"


def with_epochs(training: TrainingConfig, epochs: int) -> TrainingConfig:
    """The same training on another schedule, with a warm-up in proportion."""
    training = replace(training, warmup_epochs=0.0)  # whatever the order, never longer than the training
    return replace(training, epochs=epochs, warmup_epochs=warmup(epochs))
