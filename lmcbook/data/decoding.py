"""Image files to pixels of one size: a random part of an image for training, its centre for everything else."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from lmcbook.errors import InputError

ATTEMPTS = 10
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
"""Share of the image's area and ratio of width to height: as torchvision's RandomResizedCrop has them."""
CENTRE = 224 / 256
"""Share of the shorter side that the centre crop keeps: 224 of 256 pixels."""


def random_box(draws: Float64[np.ndarray, "attempts 4"], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, upper, right and lower side of a random part of an image (Szegedy et al. 2015), from uniform ``draws``.

    The first attempt that lies inside of the image counts; if none does, as much of the centre as the ratio allows.
    """
    low, high = map(math.log, RATIO)
    for area, ratio, top, left in draws.tolist():
        target = width * height * (AREA[0] + area * (AREA[1] - AREA[0]))
        aspect = math.exp(low + ratio * (high - low))
        wide, tall = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            upper, start = int(top * (height - tall + 1)), int(left * (width - wide + 1))
            return start, upper, start + wide, upper + tall
    wide, tall = width, height
    if width / height < RATIO[0]:
        tall = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        wide = round(height * RATIO[1])
    start, upper = (width - wide) // 2, (height - tall) // 2
    return start, upper, start + wide, upper + tall


def decode(
    file: Path, size: int, draws: Float64[np.ndarray, "attempts 4"] | None = None, *, mirrored: bool = False
) -> UInt8[np.ndarray, "3 size size"]:
    """An image as RGB pixels (channels, ``size``, ``size``): a random part of it, or with ``draws`` None its centre.

    The centre is what torchvision's Resize and CenterCrop give: the shorter side to ``size`` / `CENTRE`, bilinear.

    Raises:
        InputError: the file cannot be read as an image.
    """
    from PIL import Image

    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        reason = " ".join(str(error).split())
        raise InputError(f"{file} cannot be read as an image ({reason}); replace or remove it") from None
    width, height = image.size
    if draws is None:
        shorter = int(size / CENTRE)
        scaled = (
            (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
        )
        image = image.resize(scaled, Image.Resampling.BILINEAR)
        left, upper = (round((side - size) / 2) for side in image.size)
        image = image.crop((left, upper, left + size, upper + size))
    else:
        image = image.crop(random_box(draws, width, height)).resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return np.ascontiguousarray((pixels[:, ::-1] if mirrored else pixels).transpose(2, 0, 1))
