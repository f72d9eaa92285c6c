"""VGG-11 with batch norm and a single linear classifier, for small images."""

from torch import nn

from lmcbook.errors import InputError
from lmcbook.models.layered import ACTIVATIONS, Layer, LayeredModel, scaled_width
from lmcbook.training.config import TrainingConfig

# Simonyan & Zisserman (2015), configuration A: channels of the eight convolutions, and which are followed by a pooling
CHANNELS = (64, 128, 256, 256, 512, 512, 512, 512)
POOLED = (True, True, False, True, False, True, False, True)


def vgg11(config: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> LayeredModel:
    """Layers conv1 … conv8 (3×3, batch norm) and the classifier.

    A side of the map that is down to one pixel is not halved further (a deviation that only images smaller than 32×32
    meet), and what is left of the map is averaged before the classifier.

    Raises:
        InputError: the images are smaller than 2×2.
    """
    channels, height, width = input_shape
    if min(height, width) < 2:
        raise InputError(f"input_shape is {input_shape}; vgg11 needs at least 2×2 pixels; for smaller take an mlp")
    layers: dict[str, Layer] = {}
    pooling: nn.Module | None = None
    for number, (base, pooled) in enumerate(zip(CHANNELS, POOLED, strict=True), start=1):
        units = scaled_width(base, config.width_multiplier)
        layers[f"conv{number}"] = Layer(
            nn.Conv2d(channels, units, 3, padding=1, bias=False),
            prepare=pooling,
            normalisation=nn.BatchNorm2d(units),
            activation=ACTIVATIONS[config.activation],
        )
        channels, pooling = units, None
        if pooled and (height, width) != (1, 1):
            window = (min(2, height), min(2, width))
            pooling = nn.MaxPool2d(window)
            height, width = height // window[0], width // window[1]
    average = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers["classifier"] = Layer(
        nn.Linear(channels, num_classes), prepare=nn.Sequential(*([pooling] if pooling else []), *average)
    )
    return LayeredModel(layers)
