"""The batches of a training, from any step on: which examples, in which order, how augmented."""

from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from lmcbook.data import Split, Splits, augment, equal_batches
from lmcbook.data.streaming import StreamedImages
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig
from lmcbook.training.seeds import order_seed_at

Batch = tuple[Tensor, Tensor]


def training_batches(
    config: TrainingConfig,
    splits: Splits,
    *,
    device: torch.device,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Images and labels of every step from ``start`` on, on ``device``.

    Every step has random streams of its own, so that a resumed training draws what it would have drawn.

    Args:
        share: (number of this process, number of processes): each gets its part of every batch.
    """
    split = splits.train.to(device)
    if isinstance(split.images, StreamedImages):
        return _streamed(config, split, split.images, start, share)
    return _resident(config, split, splits.black.to(device), start, share)


def _indices(
    config: TrainingConfig, num_examples: int, start: int, device: torch.device
) -> Iterator[tuple[int, int, int, Tensor]]:
    """Seed, epoch, place in the epoch and indices of the examples of every step, on ``device``."""
    steps_per_epoch = num_examples // config.batch_size
    total_steps = config.epochs * steps_per_epoch
    orders: dict[tuple[int, int], Tensor] = {}
    for step in range(start, total_steps):
        epoch, index = divmod(step, steps_per_epoch)
        seed = order_seed_at(step, total_steps, config)
        if (seed, epoch) not in orders:  # two in one epoch where a spawned pair parts
            stream = random_stream(seed, "shuffle", epoch)
            orders = {(seed, epoch): equal_batches(num_examples, config.batch_size, stream).to(device)}
        yield seed, epoch, index, orders[seed, epoch][index]


def _resident(
    config: TrainingConfig, split: Split, fill: Tensor, start: int, share: tuple[int, int]
) -> Iterator[Batch]:
    device = split.labels.device
    rank, size = share
    for seed, epoch, index, chosen in _indices(config, len(split), start, device):
        images, labels = split.images[chosen], split.labels[chosen]
        if config.augment:
            # all of the batch, so that the crops are the same for any number of processes
            images = augment(images, random_stream(seed, "augment", epoch, index, device=device), fill=fill)
        yield images.tensor_split(size)[rank], labels.tensor_split(size)[rank]


def _streamed(
    config: TrainingConfig, split: Split, streamed: StreamedImages, start: int, share: tuple[int, int]
) -> Iterator[Batch]:
    rank, size = share
    labels: deque[Tensor] = deque()

    def wanted() -> Iterator[tuple[Tensor, Tensor | None]]:
        for seed, epoch, index, chosen in _indices(config, len(split), start, torch.device("cpu")):
            mine = torch.arange(len(chosen)).tensor_split(size)[rank]
            # of all of the batch, so that the crops are the same for any number of processes
            stream = random_stream(seed, "augment", epoch, index)
            seeds = torch.randint(2**63 - 1, (len(chosen),), generator=stream) if config.augment else None
            labels.append(split.labels[chosen[mine].to(split.labels.device)])
            yield chosen[mine], None if seeds is None else seeds[mine]

    for images in streamed.batches(wanted()):
        yield images, labels.popleft()
