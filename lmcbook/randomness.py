"""Labelled random streams: the same label gives the same numbers in every process."""

import hashlib

import torch

from lmcbook.errors.machine import no_such_device, of_the_machine


def random_stream(seed: int, *purpose: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator for one purpose, for example ``random_stream(seed, "shuffle", epoch)``.

    The stream depends on ``seed`` and ``purpose`` alone, so adding a stream moves no other. Numbers drawn on a GPU
    differ from those drawn on a CPU: whatever must be the same on both is drawn on the CPU.

    Raises:
        InputError: there is no such device.
    """
    label = "/".join(map(str, (seed, *purpose)))
    digest = hashlib.blake2b(label.encode(), digest_size=7).digest()
    try:
        generator = torch.Generator(device=device)
    except (RuntimeError, TypeError, ValueError) as error:
        if of_the_machine(error):
            raise
        raise no_such_device(device, error) from None
    return generator.manual_seed(int.from_bytes(digest, "big"))
