"""How each network is trained on each dataset: learning rates, schedules, widths."""

import math
from dataclasses import dataclass

from lmcbook.data import DATASETS, describe
from lmcbook.errors import InputError
from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import num_used

MAIN_WEIGHT_DECAY = 3e-3
"""The paper's weight decay."""

USUAL_WEIGHT_DECAY = 1e-4
"""The field's habit, at which the paper finds no connectivity."""

DECAY_PRODUCT = 5.0
"""Least sum of learning rate × 3e-3 / (1 − momentum) over a training: what is left of the initialisation is e⁻⁵."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained on one dataset."""

    name: str
    training: TrainingConfig
    """At width multiplier 1 and the paper's weight decay."""
    width_multipliers: tuple[float, ...]
    """The widths of the figure, ascending."""


def warmup(epochs: int) -> float:
    """A twentieth of a training, as in the authors' earlier public code (5 of 100 epochs)."""
    return round(0.05 * epochs, 2)


def epochs_for(
    num_examples: int, batch_size: int, learning_rate: float, *, momentum: float = 0.9, least: int = 1
) -> int:
    """The fewest epochs (at least ``least``) of a linear schedule that reach `DECAY_PRODUCT`.

    A linear warm-up and a linear decay to 0 make the mean learning rate half of its peak.
    """
    steps = DECAY_PRODUCT * (1 - momentum) / (MAIN_WEIGHT_DECAY * learning_rate / 2)
    return max(least, math.ceil(steps / (num_examples // batch_size)))


def epochs_with_batches_of(batch_size: int, chosen: Recipe) -> int:
    """The fewest epochs that make as many steps with batches of this size as the recipe makes with its own."""
    num_train, own = describe(chosen.training.dataset).num_train, chosen.training
    return math.ceil(own.epochs * (num_train // own.batch_size) / (num_train // batch_size))


def full_epochs(training: TrainingConfig, chosen: Recipe) -> int:
    """The fewest epochs with which a training of this kind is as long as the recipe's.

    That is as many steps, or under SGD the same sum of learning rate / (1 − momentum), in which the decay is counted.
    """
    own, num_train = chosen.training, describe(training.dataset).num_train
    steps = float(own.epochs * (num_train // own.batch_size))
    if training.optimiser == "sgd":
        steps *= own.learning_rate / (1 - own.momentum) / (training.learning_rate / (1 - training.momentum))
    return math.ceil(steps / (num_used(training, num_train) // training.batch_size) - 1e-9)


FULL_RATE_BATCH = 256
"""From this batch on a network's learning rate holds on images of your own; below it falls with the batch (Goyal et
al., 2017), or small sets diverge."""

USUAL_BATCH, MOST_STEPS = 32, 1500
"""Of small sets: the batch where the images suffice for two of them, and the longest training. It is too short for
`DECAY_PRODUCT`, whose steps grow as the rate falls: at the usual batch to some ten thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """What a recipe takes from its network: learning rates as in the authors' earlier public code, ResNet-50's ours."""

    learning_rate: float
    width_multipliers: tuple[float, ...]
    hidden_width: int | None = None
    num_layers: int | None = None
    batch_size: int = 500
    least_epochs: int = 20


_NETWORKS = {
    "mlp": _Network(
        learning_rate=0.1,
        width_multipliers=(0.25, 0.5, 1, 2, 4, 8, 16),
        hidden_width=512,
        num_layers=4,
        least_epochs=1,
    ),
    "vgg11": _Network(learning_rate=0.08, width_multipliers=(1, 2, 4, 8, 16)),
    "resnet20": _Network(learning_rate=0.4, width_multipliers=(1, 2, 4, 8, 16, 32)),
    # batch, learning rate and epochs of Goyal et al. (2017) for one machine; the paper is not known to have trained it
    "resnet50": _Network(learning_rate=0.1, width_multipliers=(0.5, 1, 2, 4), batch_size=256, least_epochs=90),
}

# Digits are so few and so small that the schedule has to be another: see the chapter "Reproduction", deviations.
_DIGITS = {
    "mlp": _Network(
        learning_rate=0.1,
        width_multipliers=(1, 2, 4, 8, 16, 32),
        hidden_width=16,
        num_layers=4,
        batch_size=32,
        least_epochs=1,
    ),
    "vgg11": _Network(learning_rate=0.2, width_multipliers=(0.0625, 0.125, 0.25, 0.5), batch_size=50, least_epochs=1),
    "resnet20": _Network(learning_rate=0.4, width_multipliers=(0.25, 0.5, 1, 2), batch_size=50, least_epochs=1),
}

RECIPES: tuple[str, ...] = (
    "mlp-digits",
    "resnet20-digits",
    "vgg11-digits",
    "mlp-mnist",
    "mlp-fashion_mnist",
    "resnet20-cifar10",
    "vgg11-cifar10",
    "resnet20-cifar100",
    "resnet50-imagenet",
)
"""The recipes of the book; `recipe` makes one for every other network and dataset too."""


def recipe(name: str) -> Recipe:
    """The recipe ``NETWORK-DATASET``: one of `RECIPES`, or any network on any dataset that is known or was imported.

    Raises:
        InputError: no such network or dataset.
    """
    network_name, _, dataset = name.partition("-") if isinstance(name, str) else ("", "", "")
    if network_name not in _NETWORKS or not dataset:
        raise InputError(
            f"recipe is {name!r}; it may be one of: {', '.join(RECIPES)}, or NETWORK-DATASET with a network of "
            f"{', '.join(_NETWORKS)} and an imported dataset"
        )
    try:
        num_examples = describe(dataset).num_train
    except InputError as error:
        raise InputError(f"recipe is {name!r}: {error}") from error
    network = (_DIGITS if dataset == "digits" else _NETWORKS).get(network_name)
    if network is None:
        raise InputError(f"recipe is {name!r}; on digits it may be one of: {', '.join(_DIGITS)}")
    convolutional = network.hidden_width is None
    batch_size, learning_rate, epochs = _schedule(network, num_examples, is_known=dataset in DATASETS)
    training = TrainingConfig(
        dataset=dataset,
        architecture=network_name,
        hidden_width=network.hidden_width,
        num_layers=network.num_layers,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_epochs=warmup(epochs),
        weight_decay=MAIN_WEIGHT_DECAY,
        # handwritten characters are not the same when mirrored, and 8×8 pixels leave no room for a crop
        augment=convolutional and dataset not in ("digits", "mnist", "fashion_mnist"),
    )
    return Recipe(name=name, training=training, width_multipliers=tuple(map(float, network.width_multipliers)))


def _schedule(network: _Network, num_examples: int, *, is_known: bool) -> tuple[int, float, int]:
    """Batch, learning rate and epochs; of images of your own they follow from how many there are."""
    batch_size = min(network.batch_size, max(1, num_examples // 8))
    if is_known or batch_size >= FULL_RATE_BATCH:
        rate = network.learning_rate
        return batch_size, rate, epochs_for(num_examples, batch_size, rate, least=network.least_epochs)
    batch_size = max(batch_size, min(num_examples // 2, USUAL_BATCH), min(num_examples, 2))
    rate = network.learning_rate * batch_size / FULL_RATE_BATCH
    longest = math.ceil(MOST_STEPS / (num_examples // batch_size))
    return batch_size, rate, min(epochs_for(num_examples, batch_size, rate, least=network.least_epochs), longest)
