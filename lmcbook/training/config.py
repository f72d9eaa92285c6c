"""What one training is: frozen, checked at birth, addressed by its digest; no torch."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, no_type_check

from lmcbook.data.whole_files import content_sha256
from lmcbook.errors import InputError, as_number, check_choice, check_number, described

SCHEDULES: tuple[str, ...] = ("linear", "cosine")
PRECISIONS: tuple[str, ...] = ("float32", "bfloat16")
OPTIMISERS: tuple[str, ...] = ("sgd", "adamw")
NORMALISATIONS: tuple[str, ...] = ("none", "batch", "layer")

WITH_BATCH_NORM = frozenset({"vgg11", "resnet20", "resnet50"})
"""Architectures of which every network has batch norm; here, because the plan and the tables ask without torch."""

# Raised by hand when a change of the code changes numbers: a digest must not move with every edited comment.
CODE_VERSIONS = {"training": 1, "together": 1}

# Fields that came later: left out where they say what was so before they came, so that older digests still hold.
_LATER_FIELDS = frozenset(
    {
        *("spread_penalty", "initialisation_seed", "order_seed", "order_seed_fraction"),
        *("centred_rows", "normalisation", "skip", "optimiser", "loss_weight_variance", "train_fraction"),
    }
)


# What networks that train together do not have.
_ONE_BY_ONE = {
    "centred_rows": False,
    "normalisation": "none",
    "skip": False,
    "optimiser": "sgd",
    "loss_weight_variance": 0.0,
    "train_fraction": 1.0,
}


def digest_of(content: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of ``content`` as canonical JSON."""
    return content_sha256(content)[:16]


def plain_fields(config: Any, later_fields: Collection[str]) -> dict[str, Any]:
    """The fields of a configuration, ``later_fields`` only where they are not at their default."""
    values = {field.name: (getattr(config, field.name), field.default) for field in fields(config)}
    return {name: value for name, (value, default) in values.items() if name not in later_fields or value != default}


@no_type_check  # what users give is checked below, in words of ours
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Everything that decides the numbers of one training, and nothing else.

    Raises:
        InputError: a value is outside what it may be.
    """

    dataset: str
    """Name of a dataset, as `lmcbook.data.load` takes it."""
    architecture: str
    """Name of an entry of `lmcbook.models.ARCHITECTURES`."""
    width_multiplier: float = 1.0
    """Factor on the number of units (channels) of every hidden layer."""
    hidden_width: int | None = None
    """Units of a hidden layer at width multiplier 1; the MLP's only (None elsewhere)."""
    num_layers: int | None = None
    """Number of linear layers, the classifier included; the MLP's only (None elsewhere)."""
    bias: bool = False
    """Whether linear layers have a bias; the MLP's only. Theorem 5.3 is for networks without."""
    activation: str = "relu"
    """Activation of the hidden layers: relu, leaky_relu, gelu, tanh or softsign."""
    seed: int = 0
    """Seed of the initialisation, the order of the examples and the augmentation."""
    epochs: int
    """Passes over the training split."""
    batch_size: int
    """Examples per step; a ragged rest of an epoch is left for the next shuffle."""
    learning_rate: float
    """Peak learning rate, reached after the warm-up."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up from 0."""
    schedule: str = "linear"
    """Decay to 0 after the warm-up: linear or cosine."""
    momentum: float = 0.9
    weight_decay: float = 3e-3
    """Coefficient of coupled L2 decay, as `torch.optim.SGD` applies it; decoupled decay under adamw."""
    decay_normalisation: bool = True
    """Whether scale and shift of batch norm decay like every other parameter."""
    augment: bool = False
    """Random crop with padding 4 and horizontal flip; of streamed images, random resized crop and flip."""
    precision: str = "float32"
    """Arithmetic of forward and backward pass; the weights are float32 in any case."""
    spread_penalty: float = 0.0
    """Coefficient of a penalty on the spread of every weight matrix's spectrum, which works against low rank: see
    `lmcbook.training.rank_penalty`."""
    initialisation_seed: int | None = None
    """Seed of the initialisation, where it is not ``seed``."""
    order_seed: int | None = None
    """Seed of the order of the examples and of the augmentation, where it is not ``seed``."""
    order_seed_fraction: float = 1.0
    """Part of the steps, from the first on, in which ``order_seed`` holds; ``seed`` holds after it."""
    centred_rows: bool = False
    """Whether the rows of every weight that reads hidden units sum to 0, from the start and after each step; the
    MLP's only."""
    normalisation: str = "none"
    """Behind the linear maps of the hidden layers: none, batch or layer; the MLP's only, the others have their own."""
    skip: bool = False
    """Whether every hidden layer but the first adds its input before its activation; the MLP's only."""
    optimiser: str = "sgd"
    """sgd, or adamw: Adam with torch's β and ε and decoupled decay, in which ``momentum`` has no say and must be 0."""
    loss_weight_variance: float = 0.0
    """Variance of random weights of mean 1 of the examples' losses, drawn anew in every step; 0: all are 1."""
    train_fraction: float = 1.0
    """Part of the training split that is used, the same for every seed."""

    def __post_init__(self) -> None:
        for name in ("dataset", "architecture", "activation"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be a name")
        for name in ("bias", "decay_normalisation", "augment", "centred_rows", "skip"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {described(getattr(self, name))}; it must be true or false")
        check_number("width_multiplier", self.width_multiplier, above=0)
        for name, minimum in (("hidden_width", 1), ("num_layers", 2)):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), minimum=minimum, integer=True)
        check_number("seed", self.seed, minimum=0, integer=True)
        check_number("epochs", self.epochs, minimum=1, integer=True)
        check_number("batch_size", self.batch_size, minimum=1, integer=True)
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("warmup_epochs", self.warmup_epochs, minimum=0, maximum=self.epochs)
        check_number("momentum", self.momentum, minimum=0, below=1)
        check_number("weight_decay", self.weight_decay, minimum=0)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("normalisation", self.normalisation, NORMALISATIONS)
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        if self.optimiser == "adamw" and self.momentum != 0:
            raise InputError(f"momentum is {self.momentum:g}, but adamw has no such momentum; it must be 0 then")
        check_number("loss_weight_variance", self.loss_weight_variance, minimum=0)
        check_number("train_fraction", self.train_fraction, above=0, maximum=1)
        check_number("spread_penalty", self.spread_penalty, minimum=0)
        for name in ("initialisation_seed", "order_seed"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), minimum=0, integer=True)
        check_number("order_seed_fraction", self.order_seed_fraction, minimum=0, maximum=1)
        if self.order_seed is None and self.order_seed_fraction != 1:
            raise InputError(
                f"order_seed_fraction is {self.order_seed_fraction:g}, but no order_seed is given; it must be 1 then"
            )
        for name in ("seed", "epochs", "batch_size", "hidden_width", "num_layers", "initialisation_seed", "order_seed"):
            object.__setattr__(self, name, as_number(getattr(self, name)))
        # 1 and 1.0 must be the same configuration, so they must have the same digest
        for name in (
            *("width_multiplier", "learning_rate", "warmup_epochs", "momentum", "weight_decay"),
            *("spread_penalty", "order_seed_fraction", "loss_weight_variance", "train_fraction"),
        ):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def digest(self) -> str:
        """The address of this configuration, without the data it is trained on (see `lmcbook.lab.store.run_key`)."""
        content = {"training": self.to_dict(), "version": CODE_VERSIONS["training"]}
        return digest_of(content | {name: CODE_VERSIONS[name] for name in ("together",) if trains_together(self)})

    @property
    def has_batch_norm(self) -> bool:
        """Whether its network has batch norm: by its architecture, or because it was given some."""
        return self.architecture in WITH_BATCH_NORM or self.normalisation == "batch"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; ``TrainingConfig(**content)`` reads it back."""
        return plain_fields(self, _LATER_FIELDS)


def trains_together(config: TrainingConfig) -> bool:
    """Whether this training is computed with others of its shape in one go (`lmcbook.training.train_together`).

    It is where that pays: a narrow network without batch norm, a small batch. The numbers do not depend on the others,
    but they differ by rounding from those of a training by itself, so the configuration alone decides.
    """
    if config.architecture != "mlp" or config.hidden_width is None or config.num_layers is None:
        return False
    plain = not config.bias and not config.augment and config.precision == "float32"
    known = config.activation in ("relu", "leaky_relu", "gelu")
    if any(getattr(config, name) != default for name, default in _ONE_BY_ONE.items()):
        return False
    return plain and known and round(config.hidden_width * config.width_multiplier) <= 256 and config.batch_size <= 128


def company(config: TrainingConfig) -> TrainingConfig:
    """The same for all that can be trained together: without seeds, weight decay and the size of the penalty."""
    penalised = float(config.spread_penalty > 0)
    alike = replace(config, seed=0, initialisation_seed=None, order_seed=None, order_seed_fraction=1.0)
    return replace(alike, weight_decay=0.0, spread_penalty=penalised)
