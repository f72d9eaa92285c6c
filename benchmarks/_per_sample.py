"""What the benchmarks compare with: images one by one through PIL and torchvision's transforms, in a DataLoader.

It is how most training scripts of the field read MNIST. Not a benchmark by itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lmcbook.data import is_available
from lmcbook.data.files import path_of, read_arrays
from lmcbook.data.torchvision_guard import import_torchvision

MEAN, STD = 0.1307, 0.3081


@dataclass(frozen=True)
class Images:
    """Gray images of 28×28 pixels, as a dataset's file holds them."""

    name: str
    pixels: np.ndarray
    """uint8, shape (examples, 28, 28)."""
    labels: np.ndarray

    def normalised(self) -> Tensor:
        """All of them at once as this package holds them: float32, shape (examples, 1, 28, 28)."""
        return torch.from_numpy(self.pixels[:, None]).float().div_(255).sub_(MEAN).div_(STD)


class PerSample(torch.utils.data.Dataset):
    """One image at a time: array → PIL → tensor → normalised."""

    def __init__(self, images: Images) -> None:
        import_torchvision()
        from torchvision import transforms

        self.images = images
        self.transform: Callable[[Any], Tensor] = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        )

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images.pixels[index])), int(self.images.labels[index])


def mnist_or_noise(split: str, examples: int) -> Images:
    """The first ``examples`` of a split of MNIST, or as many noise images of its shape if MNIST is not at hand."""
    if is_available("mnist"):
        arrays = read_arrays(path_of("mnist"))
        train = split == "train"
        pixels = arrays.train_images if train else arrays.test_images
        labels = arrays.train_labels if train else arrays.test_labels
        return Images("MNIST image", np.ascontiguousarray(pixels[:examples, 0]), labels[:examples])
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, size=(examples, 28, 28), dtype=np.uint8)
    return Images("noise image (MNIST is not at hand)", pixels, random.integers(0, 10, size=examples))


def plain_mlp(hidden_width: int, state: dict[str, Tensor]) -> nn.Module:
    """The same bias-free network as the package's MLP of four layers, with its weights, in plain torch."""
    widths = [784, hidden_width, hidden_width, hidden_width, 10]
    layers: list[nn.Module] = [nn.Flatten()]
    for units_in, units_out in pairwise(widths):
        layers += [nn.Linear(units_in, units_out, bias=False), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return model


def cpu_seconds(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """CPU time of this process for one call of ``work``, and what it returned."""
    started = time.process_time()
    result = work(*arguments)
    return time.process_time() - started, result


def verdict(ratio: float, wanted: float) -> int:
    """Print the ratio beside the one that is promised; the process's exit code."""
    print(f"ratio {ratio:.1f}, promised {wanted:g}: {'kept' if ratio >= wanted else 'BROKEN'}")
    return 0 if ratio >= wanted else 1
