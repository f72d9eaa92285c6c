"""One measurement of the plan, and the schedule and the arithmetic of its trainings."""

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

WIDEST_CONVOLUTIONS_IN_FLOAT32 = {"resnet20": 1.0, "vgg11": 0.5}
"""The same for convolutional networks: width multipliers, of some 40 million multiplications an image."""


def paper_precision(training: TrainingConfig) -> str:
    """The arithmetic of a training at the paper's scale: one plan for every device, so that its records are the same.

    What is narrow enough for a CPU is trained in float32: many processors have no units for bfloat16 and are up to
    fifty times slower in it, and a GPU is busy with the launches of so small a network, whatever the arithmetic. What
    is larger is meant for a GPU's matrix units: bfloat16 with float32 weights.
    """
    if training.hidden_width is not None:
        narrow = training.hidden_width * training.width_multiplier <= WIDEST_IN_FLOAT32
    else:
        narrow = training.width_multiplier <= WIDEST_CONVOLUTIONS_IN_FLOAT32.get(training.architecture, 0)
    return "float32" if narrow else "bfloat16"


def with_epochs(training: TrainingConfig, epochs: int) -> TrainingConfig:
    """The same training on another schedule, with a warm-up in proportion."""
    training = replace(training, warmup_epochs=0.0)  # whatever the order, never longer than the training
    return replace(training, epochs=epochs, warmup_epochs=warmup(epochs))
