"""Multi-layer perceptron: any depth, equal hidden layers, without bias unless asked for one."""

import math
from itertools import pairwise

from torch import nn

from lmcbook.errors import InputError
from lmcbook.models.layered import ACTIVATIONS, Layer, LayeredModel, scaled_width
from lmcbook.training.config import TrainingConfig


def mlp(config: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> LayeredModel:
    """Layers hidden1 … hidden{L−1} of round(hidden_width · width_multiplier) units, and the classifier.

    Raises:
        InputError: the configuration does not say how wide or how deep.
    """
    if config.hidden_width is None or config.num_layers is None:
        raise InputError(
            f"hidden_width and num_layers are {config.hidden_width} and {config.num_layers}; an mlp needs both, "
            "for example 512 units and 4 layers"
        )
    width = scaled_width(config.hidden_width, config.width_multiplier)
    widths = [math.prod(input_shape), *[width] * (config.num_layers - 1), num_classes]
    layers = {}
    for depth, (units_in, units_out) in enumerate(pairwise(widths), start=1):
        last = depth == config.num_layers
        layers["classifier" if last else f"hidden{depth}"] = Layer(
            nn.Linear(units_in, units_out, bias=config.bias),
            prepare=nn.Flatten() if depth == 1 else None,
            activation=None if last else ACTIVATIONS[config.activation],
        )
    return LayeredModel(layers)
