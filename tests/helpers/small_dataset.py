"""A dataset of 24 images of 4 × 4 pixels in two classes, imported without a folder of images."""

from typing import Any

import numpy

from lmcbook.data import files
from lmcbook.data.catalogue import digest_of_arrays


def put_in_place(name: str, class_names: tuple[str, str], seed: int = 0) -> None:
    """Write images that ``seed`` decides as the imported dataset ``name``, in the place of an older one."""
    generator = numpy.random.default_rng(seed)
    content: dict[str, Any] = {
        "train_images": generator.integers(0, 256, (20, 1, 4, 4), dtype=numpy.uint8),
        "train_labels": numpy.arange(20, dtype=numpy.int64) % 2,
        "test_images": generator.integers(0, 256, (4, 1, 4, 4), dtype=numpy.uint8),
        "test_labels": numpy.arange(4, dtype=numpy.int64) % 2,
    }
    arrays = files.Arrays(**content)
    files.path_of(name).parent.mkdir(parents=True, exist_ok=True)
    files.write_arrays(files.path_of(name), arrays, class_names, digest_of_arrays(arrays))
