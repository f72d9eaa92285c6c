"""The work of processes that `torchrun` started: the first one conducts, the others take part in its trainings.

The first process plans, stores, measures and records. The others wait until it trains, to do their part of every batch.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist

from lmcbook.data import Splits, load
from lmcbook.errors import InputError
from lmcbook.training.distributed import join_processes, leave_processes, tell
from lmcbook.training.divergence import TrainingDiverged
from lmcbook.training.loop import train
from lmcbook.training.saving import TimeIsUp


def conduct(work: Callable[[], Any], *, device: str = "auto") -> None:
    """Do ``work`` in the first of the processes that torchrun started; the others take part in its trainings.

    Raises:
        InputError: ``device`` is one GPU for all; or as ``work`` raises it, in the first process.
    """
    kind = device.split(":")[0]
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if ":" in device:
        raise InputError(f"device is {device!r}; under torchrun each process takes a GPU of its own: give {kind}")
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    join_processes(kind)
    if dist.get_rank() == 0:
        try:
            work()
        except InputError as error:
            if not isinstance(error.__cause__, torch.OutOfMemoryError):
                tell(None)  # bad input is found before the others have an order: they still wait for one
            raise
        # whatever else stops this process may do so within a training: torchrun then ends the others
        tell(None)
    else:
        # trainings of one pair follow each other: their data are loaded once
        load_once = lru_cache(maxsize=1)(load)
        while (order := tell(None)) is not None:
            _take_part(order, load_once(order["config"].dataset, device=order["device"]))
    leave_processes()


def _take_part(order: dict[str, Any], splits: Splits) -> None:
    config = order["config"]
    if splits.sha256 != order["sha256"]:
        raise InputError(
            f"process {dist.get_rank()} finds another {config.dataset} (SHA-256 {splits.sha256}) than the first "
            f"process ({order['sha256']}): LMCBOOK_DATA must name the same data everywhere"
        )
    try:
        train(config, splits, device=order["device"], progress=False, execution=order["execution"])
    except (TimeIsUp, TrainingDiverged):
        return  # the first process has the same to tell
