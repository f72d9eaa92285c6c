"""Test loss and accuracy at 25 λ: this package against a DataLoader with transforms per sample.

    python benchmarks/interpolation.py        # about a minute

A 784-512-512-512-10 MLP on 10,000 test images of MNIST (noise of its shape if MNIST is not at hand). The naive side
does what merging scripts of the field do at every λ: copy the state, load it, read all images through PIL, `ToTensor`
and `Normalize`. Ours holds the images as one tensor (its conversion counts) and uses that layer 1 is linear in λ. CPU
seconds of one process with one thread; both sides must give the same losses. Exits with 1 if the ratio is below 5.
"""

import copy
import sys

import torch
from _per_sample import Images, PerSample, cpu_seconds, mnist_or_noise, plain_mlp, verdict
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lmcbook.evaluation import accuracy, coefficients_grid, loss, predict_logits_along
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig

HIDDEN_WIDTH = 512
PROMISED = 5.0
Curve = list[tuple[float, float]]


def network(seed: int) -> nn.Module:
    config = TrainingConfig(
        dataset="mnist",
        architecture="mlp",
        hidden_width=HIDDEN_WIDTH,
        num_layers=4,
        epochs=1,
        batch_size=500,
        learning_rate=0.1,
    )
    return build_model(config, input_shape=(1, 28, 28), num_classes=10, generator=random_stream(seed, "init"))


def ours(images: Images, coefficients: tuple[float, ...]) -> Curve:
    tensors, labels = images.normalised(), torch.from_numpy(images.labels)
    model = network(0)
    along = predict_logits_along(model, model.state_dict(), network(1).state_dict(), coefficients, tensors)
    return [(loss(logits, labels), accuracy(logits, labels)) for _, logits in along]


@torch.no_grad()
def naive(images: Images, coefficients: tuple[float, ...]) -> Curve:
    model, other = (plain_mlp(HIDDEN_WIDTH, network(seed).state_dict()) for seed in (0, 1))
    state_a, state_b = copy.deepcopy(model.state_dict()), other.state_dict()
    loader = DataLoader(PerSample(images), batch_size=500)
    curve = []
    for coefficient in coefficients:
        merged = copy.deepcopy(state_a)
        for name in merged:
            merged[name] = coefficient * state_a[name] + (1 - coefficient) * state_b[name]
        model.load_state_dict(merged)
        model.eval()
        total, right = 0.0, 0
        batch: Tensor
        for batch, labels in loader:
            logits = model(batch)
            total += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(dim=1) == labels).sum().item()
        curve.append((total / len(images.labels), right / len(images.labels)))
    return curve


def main() -> int:
    torch.set_num_threads(1)
    images = mnist_or_noise("test", 10_000)
    coefficients = coefficients_grid(25)
    ours(images, coefficients[:2])  # both sides warm: the first products of a process take longer
    naive(images, coefficients[:1])
    fast, found = cpu_seconds(ours, images, coefficients)
    slow, expected = cpu_seconds(naive, images, coefficients)
    difference = max(abs(a[0] - b[0]) for a, b in zip(found, expected, strict=True))
    moved = max(abs(a[1] - b[1]) for a, b in zip(found, expected, strict=True))
    print(f"25 λ, MLP 784-512-512-512-10, {len(images.labels):,} × {images.name}, one thread")
    print(f"{'DataLoader, transforms per sample':<40}{slow:8.2f} CPU s")
    print(f"{'lmcbook':<40}{fast:8.2f} CPU s")
    print(f"largest difference: loss {difference:.1e}, accuracy {moved:.1e}")
    if difference > 1e-5 or moved > 2e-4:
        print("the two sides do not measure the same")
        return 1
    return verdict(slow / fast, PROMISED)


if __name__ == "__main__":
    sys.exit(main())
