"""What looking into all layers of one pair costs, in forward passes of one endpoint over the same images.

    python benchmarks/layerwise.py        # about three minutes

All that `lmcbook.layerwise.measure_layers` measures but the ranks of the weights, which are a matter of the networks
and not of the images: three merged models, five networks' layers, products across the models. Untrained networks on
noise; neither changes what is computed. One thread, CPU seconds, both sides in turn, the fastest of each. Exits with 1
if the products of matrices (FLOPs) are more than 8 forward passes of any network, or the CPU time more than 8 of the
widest perceptron: in narrow networks what is no product of weights, the norms and means, costs as much as the layers.
"""

import sys

import torch
from _per_sample import cpu_seconds
from torch.utils.flop_counter import FlopCounterMode

from lmcbook.evaluation import predict_logits
from lmcbook.layerwise import MEASURED_COEFFICIENTS, measure_layers
from lmcbook.merging import merge
from lmcbook.models import build_model, forward_flops
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from lmcbook.training.config import TrainingConfig

PROMISED = 8.0
REPETITIONS = 5
NETWORKS: dict[str, tuple[str, float, tuple[int, int, int], int]] = {
    "MLP 784-512×3-10": ("mlp", 1, (1, 28, 28), 5000),
    "MLP 784-4096×3-10": ("mlp", 8, (1, 28, 28), 1000),
    "VGG-11 ×1/4": ("vgg11", 0.25, (3, 32, 32), 200),
    "VGG-11 ×1": ("vgg11", 1, (3, 32, 32), 100),
    "ResNet-20 ×1": ("resnet20", 1, (3, 32, 32), 200),
    "ResNet-20 ×4": ("resnet20", 4, (3, 32, 32), 100),
}
"""Name → architecture, width multiplier, shape of an image, how many images."""
WIDEST = "MLP 784-4096×3-10"


def costs(architecture: str, width: float, shape: tuple[int, int, int], examples: int) -> tuple[float, float]:
    """In forward passes: products of matrices, CPU time."""
    config = TrainingConfig(
        dataset="noise",
        architecture=architecture,
        hidden_width=512 if architecture == "mlp" else None,
        num_layers=4 if architecture == "mlp" else None,
        width_multiplier=width,
        epochs=1,
        batch_size=100,
        learning_rate=0.1,
    )
    models = [
        build_model(config, input_shape=shape, num_classes=10, generator=random_stream(seed, "init")).eval()
        for seed in (0, 1)
    ]
    a, b = ({name: tensor.detach() for name, tensor in model.state_dict().items()} for model in models)
    images = torch.randn(examples, *shape, generator=random_stream(0, "images"))
    merged: dict[float, StateDict] = {each: merge(models[0], a, b, each, images) for each in MEASURED_COEFFICIENTS}

    def measure() -> None:
        measure_layers(models[0], a, b, merged, images, ranks=False)

    with FlopCounterMode(display=False) as counter:
        measure()
    products = counter.get_total_flops() / (examples * forward_flops(models[0], shape))
    times = [
        (cpu_seconds(measure)[0], cpu_seconds(predict_logits, models[0], a, images)[0]) for _ in range(REPETITIONS)
    ]
    measuring, forward = (min(each) for each in zip(*times, strict=True))
    return products, measuring / forward


def main() -> int:
    torch.set_num_threads(1)
    print(f"{'forward passes of one network':30} {'products':>9} {'CPU time':>9}")
    kept = True
    for name, network in NETWORKS.items():
        products, cpu_time = costs(*network)
        kept &= products <= PROMISED and (name != WIDEST or cpu_time <= PROMISED)
        print(f"{name:30} {products:9.1f} {cpu_time:9.1f}", flush=True)
    said = "kept" if kept else "BROKEN"
    print(f"promised: at most {PROMISED:g} in products, and in time of the widest perceptron: {said}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
