"""What a training needs of a device's memory, and one line of advice where that is more than there is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lmcbook.errors import InputError
from lmcbook.models import build_model, num_parameters
from lmcbook.states import batch_norm_modules
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution

BYTES_PER_WEIGHT = 12
"""float32 weight, gradient and momentum; a bfloat16 copy of one layer after the other comes on top."""


class DoesNotFit(InputError):
    """A network is too large for the device's memory; the message says what may help."""


def check_memory(config: TrainingConfig, *, input_shape: tuple[int, int, int], num_classes: int, device: str) -> None:
    """Raise `DoesNotFit` where the weights, gradients and momentum of a training alone are more than ``device`` has.

    Nothing is allocated to find out. Networks whose processes share their parameters are not looked at.

    Raises:
        DoesNotFit: it is too large.
        InputError: there is no such network.
    """
    if Execution.from_environment().shard == "parameters":
        return
    try:
        model = build_model(config, input_shape=input_shape, num_classes=num_classes, device="meta")
        needed = num_parameters(model) * BYTES_PER_WEIGHT
    except (RuntimeError, OverflowError, TypeError) as error:  # so many units that their product overflows
        if not any(word in str(error).lower() for word in ("overflow", "too large", "out of range")):
            raise
        needed = sys.maxsize
    there = memory_of(device)
    if needed > there:
        raise DoesNotFit(
            f"{config.architecture} ×{config.width_multiplier:g} on {config.dataset} does not fit into memory: its "
            f"weights, gradients and momentum take {'at least ' if needed == sys.maxsize else ''}"
            f"{needed / 2**30:.4g} GiB, and {device} has {there / 2**30:.0f}: take a smaller width_multiplier"
        )


def memory_of(device: str) -> int:
    """Bytes of memory of a GPU, or of this machine."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def memory_explained(
    config: TrainingConfig, model: nn.Module, execution: Execution, device: torch.device, *, alone: bool
) -> Iterator[None]:
    """Turn the device's "out of memory" into `DoesNotFit`, after which a process that is ``alone`` may go on."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise (DoesNotFit if alone else InputError)(_advice(config, model, execution, device)) from error


def _advice(config: TrainingConfig, model: nn.Module, execution: Execution, device: torch.device) -> str:
    fixed = num_parameters(model) * BYTES_PER_WEIGHT / 2**30
    where, total = str(device), None
    if device.type == "cuda" and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(device)
        where, total = properties.name, properties.total_memory / 2**30
    cures = []
    if total is None or fixed < 0.9 * total:
        normalised = bool(batch_norm_modules(model))
        if not execution.recompute:
            cures.append("LMCBOOK_RECOMPUTE=1 (activations are computed twice, the numbers stay)")
        if not normalised:
            smaller = (execution.micro_batch or config.batch_size) // 2
            cures.append(f"LMCBOOK_MICRO_BATCH={max(1, smaller)} (gradients are added up over parts of the batch)")
    cures.append("several cards: LMCBOOK_SHARD=parameters torchrun --nproc-per-node N -m lmcbook run (all hold a part)")
    size = "" if total is None else f" of {total:.0f} GiB"
    return (
        f"{config.architecture} ×{config.width_multiplier:g} on {config.dataset} does not fit on {where}{size} "
        f"(weights, gradients and momentum alone take {fixed:.1f} GiB): try {'; or '.join(cures)}"
    )
