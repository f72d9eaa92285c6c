"""ResNet-50 with batch norm, bottlenecks and 1×1 convolutions in the shortcuts, for images of ImageNet's size."""

from typing import Any

from torch import nn

from lmcbook.errors import InputError
from lmcbook.models.groups import spec_from_groups
from lmcbook.models.layered import ACTIVATIONS, Layer, LayeredModel, Shortcut, scaled_width
from lmcbook.permutation import PermutationSpec
from lmcbook.training.config import TrainingConfig

# He et al. (2016), table 1: blocks of the four stages, channels inside their bottlenecks and how much wider they end
BLOCKS = (3, 4, 6, 3)
CHANNELS = (64, 128, 256, 512)
EXPANSION = 4


def resnet50(config: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> LayeredModel:
    """Layers stem, stage{1…4}.block{1…}.conv{1,2,3} and the classifier: 50, not counting the four shortcuts.

    The stem is a 7×7 convolution of stride 2, behind it a 3×3 maximum of stride 2. A bottleneck narrows by 1×1, goes on
    by 3×3 and widens by 1×1; where a stage halves the map, the 3×3 convolution has the stride (torchvision's "v1.5").
    The first block of every stage has a 1×1 convolution with batch norm in its skip, stage{1…4}.block1.shortcut.

    Raises:
        InputError: the images are smaller than 8×8.
    """
    if min(input_shape[1:]) < 8:
        raise InputError(f"input_shape is {input_shape}; resnet50 needs at least 8×8 pixels; for smaller take resnet20")
    activation = ACTIVATIONS[config.activation]

    def convolution(units_in: int, units_out: int, size: int, stride: int = 1, **options: Any) -> Layer:
        linear = nn.Conv2d(units_in, units_out, size, stride=stride, padding=size // 2, bias=False)
        return Layer(linear, normalisation=nn.BatchNorm2d(units_out), **options)

    units_in = scaled_width(CHANNELS[0], config.width_multiplier)
    layers = {"stem": convolution(input_shape[0], units_in, 7, 2, activation=activation)}
    shortcuts = {}
    pooling: nn.Module | None = nn.MaxPool2d(3, stride=2, padding=1)
    for stage, (base, blocks) in enumerate(zip(CHANNELS, BLOCKS, strict=True), start=1):
        inside = scaled_width(base, config.width_multiplier)
        units = EXPANSION * inside
        for block in range(1, blocks + 1):
            name = f"stage{stage}.block{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            layers[f"{name}.conv1"] = convolution(
                units_in, inside, 1, prepare=pooling, activation=activation, opens_skip=True
            )
            layers[f"{name}.conv2"] = convolution(inside, inside, 3, stride, activation=activation)
            layers[f"{name}.conv3"] = convolution(inside, units, 1, activation=activation, closes_skip=True)
            if block == 1:
                shortcuts[f"{name}.conv1"] = Shortcut(f"{name}.shortcut", convolution(units_in, units, 1, stride))
            units_in, pooling = units, None
    average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    layers["classifier"] = Layer(nn.Linear(units_in, num_classes), prepare=average)
    return LayeredModel(layers, shortcuts)


def resnet50_permutation_spec(model: LayeredModel) -> PermutationSpec:
    """One group for the stem, one per residual stream and two inside every bottleneck.

    The third convolution of every block of a stage and the shortcut that leads into it write into one stream.
    """
    groups: dict[str, tuple[str | None, str | None]] = {"stem": (None, "stem")}
    stream = "stem"
    for stage, blocks in enumerate(BLOCKS, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}.block{block}"
            if f"{name}.conv1" in model.shortcuts:
                groups[model.shortcuts[f"{name}.conv1"]] = (stream, f"stage{stage}")
            groups[f"{name}.conv1"] = (stream, f"{name}.conv1")
            groups[f"{name}.conv2"] = (f"{name}.conv1", f"{name}.conv2")
            groups[f"{name}.conv3"] = (f"{name}.conv2", f"stage{stage}")
            stream = f"stage{stage}"
    groups["classifier"] = (stream, None)
    return spec_from_groups(model, groups)
