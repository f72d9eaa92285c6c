"""Batches of equal size, shuffled."""

import torch
from jaxtyping import Int64
from torch import Tensor

from lmcbook.errors import InputError, check_number


def equal_batches(
    num_examples: int, batch_size: int, generator: torch.Generator
) -> Int64[Tensor, "batches batch_size"]:
    """Shuffled indices of one pass in batches of one size, on the generator's device; the ragged rest is dropped.

    Raises:
        InputError: there are fewer examples than a batch takes.
    """
    check_number("batch_size", batch_size, minimum=1, integer=True)
    batches = num_examples // batch_size
    if batches == 0:
        raise InputError(f"batch_size is {batch_size}; it must be at most {num_examples}, the number of examples")
    indices = torch.randperm(num_examples, generator=generator, device=generator.device)
    return indices[: batches * batch_size].view(batches, batch_size)
