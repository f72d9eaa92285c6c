"""Pairs of networks, and examples for them, that the tests of the evaluation share."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from lmcbook.data import Split
from lmcbook.evaluation import InterpolationCurve, Line, coefficients_grid, interpolation_curve
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig

GRID = coefficients_grid(5)


@dataclass
class Pair:
    """Two untrained networks of one architecture, and examples for them."""

    model: nn.Module
    state_a: dict
    state_b: dict
    calibration: Split
    test: Split
    train_images: torch.Tensor

    def line(self, **changes) -> Line:
        arguments = {"calibration": self.calibration, "test": self.test, "batch_norm_images": self.train_images}
        return Line(self.model, self.state_a, self.state_b, **{**arguments, **changes})

    def curve(self, **changes) -> InterpolationCurve:
        arguments = {
            "coefficients": GRID,
            "calibration": self.calibration,
            "test": self.test,
            "batch_norm_images": self.train_images,
        }
        return interpolation_curve(self.model, self.state_a, self.state_b, **{**arguments, **changes})


@cache
def random_pair(architecture: str, *, bias: bool = False) -> Pair:
    is_mlp = architecture == "mlp"
    config = TrainingConfig(
        dataset="digits",
        architecture=architecture,
        width_multiplier=1.0 if is_mlp else 0.125,
        hidden_width=12 if is_mlp else None,
        num_layers=3 if is_mlp else None,
        bias=bias,
        epochs=1,
        batch_size=10,
        learning_rate=0.1,
    )
    models = [
        build_model(config, input_shape=(1, 8, 8), num_classes=10, generator=random_stream(seed, "init"))
        for seed in (0, 1)
    ]

    def split(name: str, examples: int) -> Split:
        generator = random_stream(0, name)
        images = 3 * torch.randn(examples, 1, 8, 8, generator=generator)
        return Split(images=images, labels=torch.randint(10, (examples,), generator=generator))

    states = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models]
    for state in states:  # statistics of a training, so that they differ from those of any sample
        for name, tensor in state.items():
            if name.endswith("running_var"):
                tensor.mul_(1.7)
    return Pair(models[0], states[0], states[1], split("calibration", 40), split("test", 90), split("train", 60).images)
