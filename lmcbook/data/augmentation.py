"""Random crop with padding and horizontal flip, of a whole batch at once, on the images' device."""

import torch
from jaxtyping import Float
from torch import Tensor

from lmcbook.errors import InputError, check_number


def augment(
    images: Float[Tensor, "examples channels height width"],
    generator: torch.Generator,
    *,
    padding: int = 4,
    fill: Float[Tensor, " values"] | float = 0.0,
    flip: bool = True,
) -> Float[Tensor, "examples channels height width"]:
    """Each image moved by up to ``padding`` pixels in each direction, and mirrored with probability ½.

    What comes in from outside has the value ``fill`` (of each channel): `Splits.black` for black, 0 for the mean.
    Offsets and flips are drawn on the generator's device, so a CPU generator augments alike on every device.

    Raises:
        InputError: ``padding`` is no whole number from 0, or ``fill`` has not one value per channel.
    """
    check_number("padding", padding, minimum=0, integer=True)
    examples, channels, height, width = images.shape
    filling = torch.as_tensor(fill, dtype=images.dtype, device=images.device)
    if filling.ndim and len(filling) != channels:
        raise InputError(f"fill has {len(filling)} values; the images have {channels} channels: give 1 or {channels}")
    offsets = torch.randint(2 * padding + 1, (examples, 2), generator=generator, device=generator.device)
    mirrored = torch.randint(2, (examples, 1), generator=generator, device=generator.device).bool()
    offsets, mirrored = offsets.to(images.device), mirrored.to(images.device)

    columns = torch.arange(width, device=images.device).expand(examples, width)
    if flip:
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = columns + offsets[:, 1:]
    rows = torch.arange(height, device=images.device) + offsets[:, :1]

    padded_height, padded_width = height + 2 * padding, width + 2 * padding
    padded = filling.view(-1, 1, 1).expand(channels, padded_height, padded_width).repeat(examples, 1, 1, 1)
    padded[:, :, padding : padding + height, padding : padding + width] = images
    pixels = (rows[:, :, None] * padded_width + columns[:, None, :]).view(examples, 1, height * width)
    return padded.flatten(2).gather(2, pixels.expand(-1, channels, -1)).view(examples, channels, height, width)
