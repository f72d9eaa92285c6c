"""Images in files that behave like a tensor of images: torch's DataLoader decodes them when they are asked for."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from lmcbook.data.folders import INPUT_SHAPE, MEAN, STD
from lmcbook.data.pictures import read_picture
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError, check_number
from lmcbook.errors.arrays import is_in_memory

RESIZED = 256
"""The shorter side before the centre crop, as the field resizes for a crop of 224."""


class StreamedImages(Tensor):
    """Normalised images (float32, channels × height × width) that lie in files and are decoded when they are used.

    It is a tensor by shape, type and device, without memory, that can do what the package asks of images: `len`, `to`,
    `split`, a slice (which is streamed as well) and a choice by indices (which is an ordinary tensor). Everything else
    is refused.

    Args:
        folder: the dataset's folder.
        files: paths relative to it, as bytes.
        device: where the decoded images go.
        workers: decoding processes of the `torch.utils.data.DataLoader`; by default one for each processor where the
            images go to a GPU, and none where they stay on the CPU, which is busy with the network.
    """

    folder: Path
    files: np.ndarray
    workers: int | None
    in_memory = False
    """See `lmcbook.errors.arrays.is_in_memory`."""

    @staticmethod
    def __new__(
        cls, *, folder: Path, files: np.ndarray, device: str | torch.device = "cpu", workers: int | None = None
    ) -> "StreamedImages":
        shape = (len(files), *INPUT_SHAPE)
        images = Tensor._make_wrapper_subclass(cls, shape, dtype=torch.float32, device=torch.device(device))
        images.folder, images.files, images.workers = folder, files, workers
        return images

    def __init__(self, **_: Any) -> None:
        super().__init__()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise InputError(
            f"images of a dataset in class folders cannot be computed with as a whole ({operator}): take them in "
            "batches with split, or choose some by their indices"
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"StreamedImages({len(self.files)} files in {self.folder}, device={str(self.device)!r})"

    def _like(self, files: np.ndarray, device: str | torch.device) -> "StreamedImages":
        return StreamedImages(folder=self.folder, files=files, device=device, workers=self.workers)

    def to(self, device: str | torch.device) -> "StreamedImages":  # type: ignore[override]
        """The same images; what is decoded goes to ``device``."""
        return self._like(self.files, device)

    def __getitem__(self, chosen: slice | Int64[Tensor, " some"]) -> Tensor:  # type: ignore[override]
        if isinstance(chosen, slice):
            return self._like(self.files[chosen], self.device)
        return next(self.batches([(chosen, None)]))

    def split(self, batch_size: int) -> Iterator[Float32[Tensor, "some 3 height width"]]:  # type: ignore[override]
        """The images in their order, ``batch_size`` at a time.

        Raises:
            InputError: ``batch_size`` is no whole number above 0, or a file cannot be read as an image.
        """
        check_number("batch_size", batch_size, minimum=1, integer=True)
        return self.batches((chosen, None) for chosen in torch.arange(len(self)).split(batch_size))

    def batches(
        self, wanted: Iterable[tuple[Int64[Tensor, " _some"], Int64[Tensor, " _some"] | None]]
    ) -> Iterator[Float32[Tensor, "some 3 height width"]]:
        """The images of each set of indices, decoded ahead where there are workers.

        Args:
            wanted: indices, and for each a seed that alone decides which random part of the image is taken and whether
                it is mirrored; None in place of the seeds is the centre of every image.

        Raises:
            InputError: a file cannot be read as an image.
        """
        import_torchvision()
        from torchvision.transforms.v2 import functional

        on_gpu = self.device.type == "cuda"
        loader = DataLoader(
            _Pixels(self.folder, self.files),
            batch_sampler=(
                list(zip(chosen.tolist(), [None] * len(chosen) if seeds is None else seeds.tolist(), strict=True))
                for chosen, seeds in wanted
            ),
            num_workers=(_processors() if on_gpu else 0) if self.workers is None else self.workers,
            collate_fn=_stacked,
            generator=torch.Generator(),  # or each pass would draw from torch's global stream
            pin_memory=on_gpu,
        )
        for pixels in loader:
            if isinstance(pixels, str):
                raise InputError(pixels)
            # bytes travel to a GPU, a quarter of the numbers that they become
            scaled = pixels.to(self.device, non_blocking=True).float().div_(255)
            yield functional.normalize(scaled, list(MEAN), list(STD), inplace=True)


class _Pixels(Dataset):
    """Bytes of RGB pixels (channels, height, width) by an image's index and its seed."""

    def __init__(self, folder: Path, files: np.ndarray) -> None:
        import_torchvision()
        from torchvision.transforms import v2

        size = INPUT_SHAPE[-1]
        self.folder, self.files = folder, files
        self.centre = v2.Compose([v2.Resize(RESIZED), v2.CenterCrop(size), v2.PILToTensor()])
        self.random_part = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), v2.PILToTensor()])

    def __getitem__(self, wanted: tuple[int, int | None]) -> Tensor | str:
        index, seed = wanted
        file = self.folder / os.fsdecode(self.files[index])
        try:
            image = read_picture(file).image.convert("RGB")
        except InputError as error:
            return str(error)  # told, not raised: the DataLoader would wrap a worker's error in its traceback
        if seed is None:
            return self.centre(image)
        with torch.random.fork_rng(devices=[]):  # the transforms draw from torch's global stream
            torch.default_generator.manual_seed(seed)
            return self.random_part(image)


def _stacked(images: list[Tensor | str]) -> Tensor | str:
    """The batch, or what is wrong with the first file that cannot be read."""
    return next((image for image in images if isinstance(image, str)), None) or default_collate(images)


def in_memory(images: Tensor) -> Tensor:
    """The same images as an ordinary tensor: decoded if they are streamed, else unchanged."""
    return images if is_in_memory(images) else images[torch.arange(len(images))]


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
