"""Images in files that behave like a tensor of images: decoded in threads when they are asked for, or ahead of it."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from lmcbook.data.decoding import ATTEMPTS, decode
from lmcbook.data.folders import INPUT_SHAPE, MEAN, STD
from lmcbook.errors import InputError, check_number

AHEAD = 3
"""Batches that are being decoded while one is used."""


@dataclass(frozen=True, slots=True)
class Crops:
    """What decides the random parts of a batch of images, whatever thread decodes which of them."""

    draws: Float64[Tensor, "examples attempts 4"]
    mirrored: Bool[Tensor, " examples"]

    @classmethod
    def of(cls, examples: int, generator: torch.Generator) -> "Crops":
        """Drawn by ``generator``, a CPU stream."""
        draws = torch.rand(examples, ATTEMPTS, 4, generator=generator, dtype=torch.float64)
        return cls(draws, torch.randint(2, (examples,), generator=generator).bool())

    def __getitem__(self, chosen: Int64[Tensor, " some"]) -> "Crops":
        return Crops(self.draws[chosen], self.mirrored[chosen])


class StreamedImages(Tensor):
    """Normalised images (float32, channels × height × width) that lie in files and are decoded when they are used.

    It is a tensor by shape, type and device, without memory, that can do what the package asks of images: `len`, `to`,
    `split`, a slice (which is streamed as well) and a choice by indices (which is an ordinary tensor). Everything else
    is refused.

    Args:
        folder: the dataset's folder.
        files: paths relative to it, as bytes.
        device: where the decoded images go.
        workers: decoding threads; by default as many as there are processors for this process.
    """

    folder: Path
    files: np.ndarray
    workers: int | None

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
        self, wanted: Iterable[tuple[Int64[Tensor, " _some"], Crops | None]]
    ) -> Iterator[Float32[Tensor, "some 3 height width"]]:
        """The images of each set of indices, cropped at random where it comes with `Crops`, decoded ahead.

        Raises:
            InputError: a file cannot be read as an image.
        """
        waiting: deque[tuple[Tensor, list[Future]]] = deque()
        pool = ThreadPoolExecutor(self.workers or _processors(), thread_name_prefix="decode")
        try:
            for chosen, crops in wanted:
                waiting.append(self._start(pool, chosen.tolist(), crops))
                if len(waiting) > AHEAD:
                    yield self._finish(*waiting.popleft())
            while waiting:
                yield self._finish(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, pool: ThreadPoolExecutor, chosen: list[int], crops: Crops | None) -> tuple[Tensor, list[Future]]:
        # bytes travel to a GPU, a quarter of the numbers that they become, and from memory that it can read by itself
        shape, pinned = (len(chosen), *INPUT_SHAPE), self.device.type == "cuda"
        found = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        pixels = found.numpy()

        def fill(place: int, index: int) -> None:
            file = self.folder / os.fsdecode(self.files[index])
            if crops is None:
                pixels[place] = decode(file, INPUT_SHAPE[-1])
            else:
                draws, mirrored = crops.draws[place].numpy(), bool(crops.mirrored[place])
                pixels[place] = decode(file, INPUT_SHAPE[-1], draws, mirrored=mirrored)

        return found, [pool.submit(fill, place, index) for place, index in enumerate(chosen)]

    def _finish(self, pixels: Tensor, decoding: list[Future]) -> Tensor:
        for future in decoding:
            future.result()
        images = pixels.to(self.device, non_blocking=True).float()
        for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
            images[:, channel].sub_(255 * mean).mul_(1 / (255 * std))
        return images


def in_memory(images: Tensor) -> Tensor:
    """The same images as an ordinary tensor: streamed ones decoded, all others as they are."""
    return images[torch.arange(len(images))] if isinstance(images, StreamedImages) else images


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
