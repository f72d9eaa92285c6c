"""Small networks of every architecture, and one that a reader adds, for the tests of permutations and models."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmcbook.models import (
    ACTIVATIONS,
    ARCHITECTURES,
    Architecture,
    Layer,
    LayeredModel,
    build_model,
    chain_permutation_spec,
    scaled_width,
)
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from lmcbook.training import config as training_config
from lmcbook.training.config import TrainingConfig

INPUT_SHAPE = (3, 8, 8)
NUM_CLASSES = 5


class Wrapped(nn.Module):
    """A network as a stranger's module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)


def two_convolutions(config: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> LayeredModel:
    """What a reader writes to add a network: its layers, by name."""
    units = scaled_width(8, config.width_multiplier)
    activation = ACTIVATIONS[config.activation]
    average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return LayeredModel(
        {
            "first": Layer(nn.Conv2d(input_shape[0], units, 3, stride=2), activation=activation),
            "second": Layer(
                nn.Conv2d(units, 2 * units, 3, padding="same", dilation=2),
                normalisation=nn.BatchNorm2d(2 * units),
                activation=activation,
            ),
            "classifier": Layer(nn.Linear(2 * units, num_classes), prepare=average),
        }
    )


ADDED = Architecture(
    name="two_convolutions",
    build=two_convolutions,
    permutation_spec=chain_permutation_spec,
    description="two convolutions and a classifier",
)
ALL = (*ARCHITECTURES, ADDED.name)


def add_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package know `ADDED`, as a reader does who adds a network with batch norm."""
    monkeypatch.setitem(ARCHITECTURES, ADDED.name, ADDED)
    monkeypatch.setattr(training_config, "WITH_BATCH_NORM", training_config.WITH_BATCH_NORM | {ADDED.name})


def small_config(architecture: str, **changes: Any) -> TrainingConfig:
    """The narrowest network that still has several units everywhere."""
    own: dict[str, dict[str, Any]] = {
        "mlp": {"hidden_width": 12, "num_layers": 4},
        "vgg11": {"width_multiplier": 0.0625},
        "resnet20": {"width_multiplier": 0.25},
        "resnet50": {"width_multiplier": 0.0625},
    }
    given: dict[str, Any] = {"dataset": "digits", "epochs": 1, "batch_size": 8, "learning_rate": 0.1}
    given |= own.get(architecture, {})
    return TrainingConfig(architecture=architecture, **{**given, **changes})


def random_images(examples: int, *purpose: str) -> Tensor:
    generator = random_stream(0, "test images", *purpose)
    return torch.randn(examples, *INPUT_SHAPE, generator=generator, dtype=torch.float64)


def small_model(architecture: str, **changes: Any) -> tuple[LayeredModel, StateDict]:
    """A small network in float64 whose batch-norm parameters and statistics are all different, and its state dict."""
    config = small_config(architecture, **changes)
    model = build_model(config, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).double()
    generator = random_stream(config.seed, "test batch norm")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
    with torch.no_grad():
        for step in range(3):
            model(random_images(16, "statistics", str(step)))
    return model.eval(), {name: tensor.clone() for name, tensor in model.state_dict().items()}
