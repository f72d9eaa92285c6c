"""The table of architectures: one entry adds one, everywhere in the package."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.errors.arguments import checked
from lmcbook.models.groups import chain_permutation_spec
from lmcbook.models.layered import ACTIVATIONS, LayeredModel
from lmcbook.models.mlp import mlp, mlp_permutation_spec
from lmcbook.models.resnet import resnet20, resnet20_permutation_spec
from lmcbook.models.resnet50 import resnet50, resnet50_permutation_spec
from lmcbook.models.vgg import vgg11
from lmcbook.permutation import PermutationSpec
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig

# fields of a TrainingConfig that not every architecture has, with the value that says "not given"
OPTIONS: dict[str, object] = {
    "hidden_width": None,
    "num_layers": None,
    "bias": False,
    "centred_rows": False,
    "normalisation": "none",
    "skip": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One kind of network."""

    name: str
    """Where every network of it has batch norm, `lmcbook.training.config.WITH_BATCH_NORM` has the name too."""
    build: Callable[[TrainingConfig, tuple[int, int, int], int], LayeredModel]
    """From a configuration, the images' shape (channels, height, width) and the number of classes."""
    permutation_spec: Callable[[LayeredModel], PermutationSpec]
    description: str
    options: tuple[str, ...] = ()
    """Which of `OPTIONS` it takes; the others must be as if they were not given."""


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="mlp",
            build=mlp,
            permutation_spec=mlp_permutation_spec,
            description="multi-layer perceptron of equal hidden layers",
            options=tuple(OPTIONS),
        ),
        Architecture(
            name="vgg11",
            build=vgg11,
            permutation_spec=chain_permutation_spec,
            description="VGG-11 with batch norm and one linear classifier",
        ),
        Architecture(
            name="resnet20",
            build=resnet20,
            permutation_spec=resnet20_permutation_spec,
            description="ResNet-20 with batch norm and 3×3 convolutions in the shortcuts",
        ),
        Architecture(
            name="resnet50",
            build=resnet50,
            permutation_spec=resnet50_permutation_spec,
            description="ResNet-50 with batch norm and 1×1 convolutions in the shortcuts",
        ),
    )
}


@checked
def build_model(
    config: TrainingConfig,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    generator: torch.Generator | None = None,
    device: str = "cpu",
) -> LayeredModel:
    """The network of ``config``, freshly initialised on the CPU in float32.

    Weights and biases are drawn as torch does by default, from U(−1/√fan_in, 1/√fan_in), by ``generator`` or else by
    ``random_stream(config.seed, "init")``; no global random state is read or moved.

    Args:
        device: ``meta`` makes a network without weights, to count with; any other is for `torch.nn.Module.to`, later.

    Raises:
        InputError: the architecture or activation is unknown, an option does not fit it, or the images are too small.
    """
    check_choice("device", device, ("cpu", "meta"))
    check_choice("architecture", config.architecture, ARCHITECTURES)
    check_choice("activation", config.activation, ACTIVATIONS)
    architecture = ARCHITECTURES[config.architecture]
    for option, absent in OPTIONS.items():
        value = getattr(config, option)
        if option not in architecture.options and value != absent:
            having = [other.name for other in ARCHITECTURES.values() if option in other.options]
            raise InputError(
                f"{option} is {value!r}; {architecture.name} has no such option and it must be {absent}; "
                f"it may be given for: {', '.join(having)}"
            )
    if len(input_shape) != 3:
        raise InputError(f"input_shape is {input_shape}; it must be (channels, height, width)")
    for name, size in zip(("channels", "height", "width"), input_shape, strict=True):
        check_number(f"input_shape's {name}", size, minimum=1, maximum=10**6, integer=True)
    channels, height, width = input_shape
    check_number("num_classes", num_classes, minimum=2, maximum=10**6, integer=True)
    generator = random_stream(config.seed, "init") if generator is None else generator
    with torch.random.fork_rng(devices=[]), torch.device(device):
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        torch.default_generator.manual_seed(seed)
        model = architecture.build(config, (channels, height, width), num_classes)
    model.architecture = architecture.name
    return model


@checked
def permutation_spec(model: LayeredModel) -> PermutationSpec:
    """The table of the groups of hidden units of a network that `build_model` built.

    Raises:
        InputError: the network was built in another way.
    """
    if model.architecture is None:
        raise InputError(
            "model has no architecture, because build_model did not make it; derive its table with lmcbook.derive_spec"
        )
    check_choice("model.architecture", model.architecture, ARCHITECTURES)
    return ARCHITECTURES[model.architecture].permutation_spec(model)
