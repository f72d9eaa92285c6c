"""The batches of a training, from any step on: which examples, in which order, how augmented and weighted."""

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lmcbook.data import Split, Splits, augment, equal_batches
from lmcbook.errors import InputError
from lmcbook.errors.arrays import is_in_memory
from lmcbook.randomness import random_stream
from lmcbook.training.config import TrainingConfig
from lmcbook.training.schedule import num_used
from lmcbook.training.seeds import order_seed_at


class Batch(NamedTuple):
    """The examples of one step, on the device."""

    images: Tensor
    labels: Tensor
    weights: Tensor | None = None
    """Of their losses; None where all are 1."""


def used_split(config: TrainingConfig, split: Split) -> Split:
    """The part of the training split that a training uses: the first examples of a shuffle that no seed moves.

    Raises:
        InputError: the images are streamed from files.
    """
    if config.train_fraction == 1:
        return split
    if not is_in_memory(split.images):
        raise InputError(f"train_fraction is {config.train_fraction:g}; of images in class folders it must be 1")
    shuffled = torch.randperm(len(split), generator=random_stream(0, "train fraction"))
    chosen = shuffled[: num_used(config, len(split))].to(split.labels.device)
    return Split(images=split.images[chosen], labels=split.labels[chosen])


def loss_weights(config: TrainingConfig, seed: int, epoch: int, index: int) -> Tensor | None:
    r"""Weights of the losses of the examples of one step, shape (batch,), on the CPU; None where all are 1.

    They are log-normal with mean 1 and variance v: $\exp(s\,\varepsilon - s^2/2)$ with $s^2 = \ln(1 + v)$. The mean
    over draws of a step's gradient is the plain gradient, and its covariance is that of a batch 1 + v times as small
    where the gradient's mean is small against that of the single examples.
    """
    if config.loss_weight_variance == 0:
        return None
    variance = math.log1p(config.loss_weight_variance)
    stream = random_stream(seed, "loss weights", epoch, index)
    return torch.empty(config.batch_size).log_normal_(-variance / 2, math.sqrt(variance), generator=stream)


def training_batches(
    config: TrainingConfig,
    splits: Splits,
    *,
    device: torch.device,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Images, labels and weights of every step from ``start`` on, on ``device``.

    Every step has random streams of its own, so that a resumed training draws what it would have drawn.

    Args:
        share: (number of this process, number of processes): each gets its part of every batch.

    Raises:
        InputError: as `used_split`.
    """
    split = used_split(config, splits.train).to(device)
    if is_in_memory(split.images):
        return _resident(config, split, splits.black.to(device), start, share)
    return _streamed(config, split, start, share)


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
        weights = loss_weights(config, seed, epoch, index)
        mine = None if weights is None else weights.tensor_split(size)[rank].to(device)
        yield Batch(images.tensor_split(size)[rank], labels.tensor_split(size)[rank], mine)


def _streamed(config: TrainingConfig, split: Split, start: int, share: tuple[int, int]) -> Iterator[Batch]:
    rank, size = share
    labels: deque[tuple[Tensor, Tensor | None]] = deque()

    def wanted() -> Iterator[tuple[Tensor, Tensor | None]]:
        for seed, epoch, index, chosen in _indices(config, len(split), start, torch.device("cpu")):
            mine = torch.arange(len(chosen)).tensor_split(size)[rank]
            # of all of the batch, so that the crops are the same for any number of processes
            stream = random_stream(seed, "augment", epoch, index)
            seeds = torch.randint(2**63 - 1, (len(chosen),), generator=stream) if config.augment else None
            device, weights = split.labels.device, loss_weights(config, seed, epoch, index)
            labels.append(
                (split.labels[chosen[mine].to(device)], None if weights is None else weights[mine].to(device))
            )
            yield chosen[mine], None if seeds is None else seeds[mine]

    streamed: Any = split.images  # decodes the batches of several steps at once, ahead of them
    for images in streamed.batches(wanted()):
        yield Batch(images, *labels.popleft())
