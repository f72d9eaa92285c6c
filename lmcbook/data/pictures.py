"""One image file as people see it: upright, 8 bits, grey or RGB, on white where it is transparent.

What is imported and what is streamed is read by the same function, so that a file is the same image in both.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmcbook.data.class_folders import readable
from lmcbook.errors import InputError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

TURNED = "turned upright, as their EXIF orientation says"
FIRST_OF_SEVERAL = "moving pictures, of which the first is taken"
SIXTEEN_BITS = "of 16 bits, scaled to 8"
ON_WHITE = "with transparent parts, put on white"
OTHER_COLOURS = "in other colours than RGB, converted"

_ORIENTATION = 0x0112
_CONVERTED = ("CMYK", "YCbCr", "HSV", "LAB", "RGBX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded image file."""

    image: "Image"
    """In Pillow's mode L or RGB."""
    changes: tuple[str, ...]
    """What was done to it that its owner may not expect."""


def read_picture(file: str | Path) -> Picture:
    """Decode one image file.

    Grey stays grey; black and white of one bit is grey; palettes are RGB. Photographs are turned as their EXIF
    orientation says. Of 16 bits the upper 8 are kept, rounded. Transparent parts are put on white. Of several frames
    the first is taken.

    Raises:
        InputError: the file cannot be decoded, or has more than 16 bits.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        # not by its name: Pillow would map a TIFF into memory, and turn a mapped one wrongly
        with Path(file).open("rb") as content, Image.open(content) as opened:
            changes = []
            # a photograph with previews (MPO) has several frames too, the first of which is the photograph
            if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
                changes.append(FIRST_OF_SEVERAL)
            if opened.getexif().get(_ORIENTATION, 1) in range(2, 9):
                changes.append(TURNED)
            image = _eight_bits(ImageOps.exif_transpose(opened), opened.format, changes)
    except InputError:
        raise
    except UnidentifiedImageError:
        reason = "it is empty" if Path(file).stat().st_size == 0 else "it is of no known format"
        raise InputError(f"{readable(file)} cannot be read as an image ({reason}); replace or remove it") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        reason = readable(one_line(error))
        raise InputError(f"{readable(file)} cannot be read as an image ({reason}); replace or remove it") from None
    if image.mode not in ("L", "RGB"):
        raise InputError(f"{readable(file)} has mode {image.mode}; save it as grey or RGB of 8 or 16 bits")
    return Picture(image=image, changes=tuple(changes))


def _eight_bits(image: "Image", kind: str | None, changes: list[str]) -> "Image":
    """The image in mode L or RGB; unchanged where neither can hold it."""
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in ("PNG", "PPM")):
        return _scaled(image, changes)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        return _on_white(image, "L" if grey else "RGB", changes)
    if image.mode in _CONVERTED:
        changes.append(OTHER_COLOURS)
    if image.mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "LAB", "RGB")) or image
    if grey or image.mode in ("P", "RGB", *_CONVERTED):
        return image.convert("L" if grey else "RGB")
    return image


def _scaled(image: "Image", changes: list[str]) -> "Image":
    from PIL import Image

    changes.append(SIXTEEN_BITS)
    values = np.asarray(image).astype(np.int64)
    scaled = ((values + 128) // 257).clip(0, 255).astype(np.uint8)  # 65535 is 255 × 257
    hidden = image.info.get("transparency")
    if isinstance(hidden, int) and (values == hidden).any():
        changes.append(ON_WHITE)
        scaled[values == hidden] = 255
    return Image.fromarray(scaled)


def _on_white(image: "Image", mode: str, changes: list[str]) -> "Image":
    from PIL import Image

    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (255, 255):
        return layers.convert(mode)
    changes.append(ON_WHITE)
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert(mode)
