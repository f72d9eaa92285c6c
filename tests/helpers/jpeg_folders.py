"""Class folders of generated JPEG images in ImageNet's layout: noise over a colour that tells the class."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")


def write_folders(root: Path, *, train: int = 20, val: int = 6, classes: tuple[str, ...] = CLASSES) -> Path:
    """``root``/train/CLASS/*.JPEG and ``root``/val/CLASS/*.JPEG, images of many sizes, one of them grey."""
    random = np.random.default_rng(0)
    for part, number in (("train", train), ("val", val)):
        for label, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(number):
                height, width = random.integers(30, 90, size=2)
                pixels = random.integers(0, 60, size=(height, width, 3), dtype=np.uint8)
                pixels[..., label % 3] += 180
                image = Image.fromarray(pixels)
                (image.convert("L") if index == 1 else image).save(folder / f"{name}_{index}.JPEG", quality=90)
    return root
