"""ResNet-20 with batch norm and 3×3 convolutions in the shortcuts, for small images."""

from typing import Any

from torch import nn

from lmcbook.errors import InputError
from lmcbook.models.groups import spec_from_groups
from lmcbook.models.layered import ACTIVATIONS, Layer, LayeredModel, Shortcut, scaled_width
from lmcbook.permutation import PermutationSpec
from lmcbook.training.config import TrainingConfig

# He et al. (2016), section 4.2: 6n + 2 layers with n = 3, channels of the three stages
CHANNELS = (16, 32, 64)
BLOCKS = 3


def resnet20(config: TrainingConfig, input_shape: tuple[int, int, int], num_classes: int) -> LayeredModel:
    """Layers stem, stage{1,2,3}.block{1,2,3}.conv{1,2} and the classifier: 20, not counting the two shortcuts.

    Where a stage halves the map, the skip goes through a 3×3 convolution of stride 2 with batch norm,
    stage{2,3}.block1.shortcut.

    Raises:
        InputError: the images are smaller than 4×4.
    """
    if min(input_shape[1:]) < 4:
        raise InputError(f"input_shape is {input_shape}; resnet20 needs at least 4×4 pixels; for smaller take an mlp")
    activation = ACTIVATIONS[config.activation]
    widths = [scaled_width(base, config.width_multiplier) for base in CHANNELS]

    def convolution(units_in: int, units_out: int, stride: int = 1, **options: Any) -> Layer:
        linear = nn.Conv2d(units_in, units_out, 3, stride=stride, padding=1, bias=False)
        return Layer(linear, normalisation=nn.BatchNorm2d(units_out), **options)

    layers = {"stem": convolution(input_shape[0], widths[0], activation=activation)}
    shortcuts = {}
    units_in = widths[0]
    for stage, units in enumerate(widths, start=1):
        for block in range(1, BLOCKS + 1):
            name = f"stage{stage}.block{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            layers[f"{name}.conv1"] = convolution(units_in, units, stride, activation=activation, opens_skip=True)
            layers[f"{name}.conv2"] = convolution(units, units, activation=activation, closes_skip=True)
            if stride == 2:
                shortcuts[f"{name}.conv1"] = Shortcut(f"{name}.shortcut", convolution(units_in, units, stride))
            units_in = units
    average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    layers["classifier"] = Layer(nn.Linear(units_in, num_classes), prepare=average)
    return LayeredModel(layers, shortcuts)


def resnet20_permutation_spec(model: LayeredModel) -> PermutationSpec:
    """One group per residual stream, which the stem shares with stage 1, and one inside every block.

    All that writes into a stream is added up there, so it must move together: the second convolution of every block of
    a stage, and the shortcut that leads into it.
    """
    groups: dict[str, tuple[str | None, str | None]] = {"stem": (None, "stage1")}
    stream = "stage1"
    for stage in range(1, len(CHANNELS) + 1):
        for block in range(1, BLOCKS + 1):
            name = f"stage{stage}.block{block}"
            if f"{name}.conv1" in model.shortcuts:
                groups[model.shortcuts[f"{name}.conv1"]] = (stream, f"stage{stage}")
            groups[f"{name}.conv1"] = (stream, name)
            groups[f"{name}.conv2"] = (name, f"stage{stage}")
            stream = f"stage{stage}"
    groups["classifier"] = (stream, None)
    return spec_from_groups(model, groups)
