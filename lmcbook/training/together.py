"""Narrow networks of one shape trained in one computation; what each becomes does not depend on its company."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lmcbook.data import Split, Splits, equal_batches
from lmcbook.errors import InputError
from lmcbook.errors.arrays import is_in_memory
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from lmcbook.training.checkpoint import Progress, found_checkpoint, write_checkpoint
from lmcbook.training.config import TrainingConfig, company, trains_together
from lmcbook.training.device import resolve_device
from lmcbook.training.divergence import TrainingsDiverged, divergence
from lmcbook.training.loop import TrainedModel, fitting_data
from lmcbook.training.precision import arithmetic
from lmcbook.training.saving import GO_ON, STOP, Saving, TimeIsUp
from lmcbook.training.schedule import learning_rate_at
from lmcbook.training.seeds import initialisation_seed, order_seed_at
from lmcbook.training.stacked_networks import StackedNetworks

_CACHE_BYTES = 8 * 2**20
"""Weights and momenta up to this size stay in a core's cache: more networks at once would be slower."""

_FEWEST = {"cpu": 2, "cuda": 16}
"""Device → the least number of networks in a product, filled up with copies if need be: for a single matrix libraries
take another algorithm than for several, and on a GPU they choose it by the number."""


@dataclass(slots=True)
class _Member:
    """One training, at some step."""

    config: TrainingConfig
    checkpoint: Path | None
    state: StateDict
    momenta: StateDict
    at: Progress


def train_together(
    configs: Sequence[TrainingConfig],
    splits: Splits,
    *,
    device: str | torch.device = "cpu",
    checkpoints: Mapping[TrainingConfig, Path] | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool = True,
    deadline: float | None = None,
) -> Iterator[tuple[TrainingConfig, TrainedModel]]:
    """Train networks that differ in nothing but seeds, weight decay and spread penalty; given out when done.

    Each starts from the very weights that `lmcbook.training.train` would start from and sees the same examples in the
    same order; the sums within its products run in another order, so that its numbers differ by rounding. On a CPU
    they are the same bits in any company, alone included, for any number of threads (one is used), interrupted or not.

    Args:
        checkpoints: Where each training's state is saved every ``checkpoint_seconds`` and gone on from if it is there.
        deadline: A moment of `time.monotonic`; what is not done by then saves its checkpoints and stops.

    Raises:
        InputError: a configuration does not train together with others, or not with these; the data hold fewer
            examples than one batch; a checkpoint is of another configuration.
        TimeIsUp: the deadline came before the end.
        TrainingsDiverged: some losses are not finite; it is raised after all other networks were given out.
    """
    distinct = list(dict.fromkeys(configs))
    for config in distinct:
        if not trains_together(config):
            raise InputError(
                f"configs holds {_name(config)}, which is not trained together with others: give it to train"
            )
        if company(config) != company(distinct[0]):
            raise InputError(
                f"configs holds {_name(distinct[0])} and {_name(config)}, which differ in more than seeds, weight "
                "decay and spread penalty: train them apart"
            )
        splits = fitting_data(config, splits)
        if len(splits.train) < config.batch_size:
            raise InputError(
                f"batch_size is {config.batch_size}; {config.dataset} has only {len(splits.train)} training examples, "
                "so it may be at most that"
            )
    members = [_member(config, splits, (checkpoints or {}).get(config)) for config in distinct]
    return _train_all(
        members, splits, torch.device(resolve_device(str(device))), checkpoint_seconds, progress, deadline
    )


def _name(config: TrainingConfig) -> str:
    return (
        f"{config.architecture} ×{config.width_multiplier:g} on {config.dataset} (weight decay "
        f"{config.weight_decay:g}, seed {config.seed})"
    )


def _member(config: TrainingConfig, splits: Splits, checkpoint: Path | None) -> _Member:
    model = build_model(
        config,
        input_shape=splits.input_shape,
        num_classes=splits.num_classes,
        generator=random_stream(initialisation_seed(config), "init"),
    )
    state = model.state_dict()
    if (content := found_checkpoint(checkpoint, config)) is not None:
        found, momenta, at = content
        return _Member(config, checkpoint, {name: found[name] for name in state}, momenta, at)
    start = Progress(
        step=0,
        history={"loss": [], "accuracy": []},
        seconds=0.0,
        losses=torch.full((len(splits.train) // config.batch_size,), math.nan),
        correct=torch.zeros((), dtype=torch.int64),
    )
    return _Member(config, checkpoint, state, {}, start)


def _train_all(
    members: list[_Member],
    splits: Splits,
    device: torch.device,
    checkpoint_seconds: float,
    progress: bool,
    deadline: float | None,
) -> Iterator[tuple[TrainingConfig, TrainedModel]]:
    diverged: dict[TrainingConfig, str] = {}
    pause = None if all(member.checkpoint is None for member in members) else checkpoint_seconds
    by_step: dict[int, list[_Member]] = {}
    for member in members:
        by_step.setdefault(member.at.step, []).append(member)
    for group in by_step.values():
        count = math.ceil(len(group) / _at_once(group[0], device))
        for part in range(count):
            together = _Company(group[part::count], splits, device, diverged)
            with _one_thread(), arithmetic("float32", device):
                together.train(Saving(pause, deadline), progress)
            for member in together.members:
                yield (
                    member.config,
                    TrainedModel(
                        state=member.state,
                        history=member.at.history,
                        seconds=member.at.seconds,
                        execution={"together": len(together.members)},
                    ),
                )
    if diverged:
        raise TrainingsDiverged(diverged)


def _at_once(member: _Member, device: torch.device) -> int:
    """How many networks are trained at once; on a GPU exactly this many, with copies (`_Company._assemble`)."""
    if device.type == "cuda":
        return _FEWEST["cuda"]
    return max(_FEWEST["cpu"], _CACHE_BYTES // sum(2 * tensor.nbytes for tensor in member.state.values()))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Batched products in one thread: with several, how a product is divided depends on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Company:
    """Members that stand at one step and go on together; those whose loss is lost leave it, at the end of an epoch."""

    def __init__(
        self, members: list[_Member], splits: Splits, device: torch.device, diverged: dict[TrainingConfig, str]
    ) -> None:
        self.members = members
        self.diverged = diverged
        self.config = members[0].config
        self.device = device
        self.split = splits.train.to(device)
        self.steps_per_epoch = len(self.split) // self.config.batch_size
        self.total_steps = self.config.epochs * self.steps_per_epoch
        self.step = members[0].at.step
        self.counted_until = time.monotonic()

    def train(self, saving: Saving, progress: bool) -> None:
        """Carry all members to their end, their states included.

        Raises:
            TimeIsUp: the deadline came before the end.
        """
        self.counted_until = time.monotonic()
        bar = tqdm(
            total=self.config.epochs,
            initial=self.step // self.steps_per_epoch,
            desc=f"{len(self.members)} together: {_name(company(self.config)).partition(' (')[0]}",
            unit="epoch",
            disable=not progress,
        )
        self._assemble()
        while self.members and self.step < self.total_steps:
            epoch, first = divmod(self.step, self.steps_per_epoch)
            chosen, labels = self._order(epoch)
            settled = first
            for index in range(first, self.steps_per_epoch):
                rate = learning_rate_at(self.step, self.config, self.steps_per_epoch)
                self.stack.step(self.images(chosen[index]), labels[index], rate, index - settled)
                self.step += 1
                wanted = saving.wanted()
                ends = index == self.steps_per_epoch - 1
                if wanted != GO_ON or ends or index + 1 - settled == self.stack.capacity:
                    self._settle(settled, labels[settled : index + 1])
                    settled = index + 1
                if ends:
                    self._end_epoch()
                    bar.update()
                if wanted != GO_ON:
                    with saving.timed():
                        self._save()
                if wanted == STOP:
                    bar.close()
                    raise TimeIsUp(
                        f"the training stopped at its deadline after {self.step} of {self.total_steps} steps"
                    )
        bar.close()
        self._take_back()

    def _assemble(self) -> None:
        """Stack the members' weights; with copies of the first where they are too few."""
        missing = _FEWEST[self.device.type] - len(self.members)
        self.places = [*self.members, *[self.members[0]] * missing]
        self.stack = StackedNetworks(
            [member.config for member in self.places],
            [member.state for member in self.places],
            [member.momenta for member in self.places],
            device=self.device,
        )
        self.images = _gather(self.split, self.stack.units_in, len(self.places), self.config.batch_size)

    def _take_back(self) -> None:
        """Give every member its weights, momenta, step and share of the time."""
        now = time.monotonic()
        for place, member in enumerate(self.members):
            member.state, member.momenta = self.stack.state(place), self.stack.momentum(place)
            member.at.step = self.step
            member.at.seconds += (now - self.counted_until) / len(self.members)
        self.counted_until = now

    def _order(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Indices (steps, networks, batch) and labels (steps, networks, 1, batch) of the examples of an epoch."""
        first = epoch * self.steps_per_epoch
        orders: dict[int, Tensor] = {}
        chosen = []
        for member in self.places:
            # two seeds within one epoch where a spawned pair parts
            seeds = [
                order_seed_at(step, self.total_steps, member.config)
                for step in range(first, first + self.steps_per_epoch)
            ]
            for seed in {*seeds} - {*orders}:
                stream = random_stream(seed, "shuffle", epoch)
                orders[seed] = equal_batches(len(self.split), self.config.batch_size, stream)
            parting = seeds.count(seeds[0])
            chosen.append(torch.cat([orders[seeds[0]][:parting], orders[seeds[-1]][parting:]]))
        indices = torch.stack(chosen, dim=1).to(self.device)
        return indices, self.split.labels[indices][:, :, None]

    def _settle(self, first: int, labels: Tensor) -> None:
        """Enter the losses of the steps of the current epoch from ``first`` on."""
        losses, correct = (found.cpu() for found in self.stack.losses(labels))
        for member, its_losses, its_correct in zip(self.members, losses, correct, strict=False):
            member.at.losses[first : first + len(labels)] = its_losses
            member.at.correct += its_correct

    def _end_epoch(self) -> None:
        staying = []
        for member in self.members:
            losses = member.at.losses
            if not torch.isfinite(losses).all():
                index = int(torch.nonzero(~torch.isfinite(losses))[0])
                step = self.step - self.steps_per_epoch + index
                self.diverged[member.config] = divergence(
                    member.config, losses[index].item(), step, self.steps_per_epoch
                )
                continue
            member.at.history["loss"].append(losses.mean().item())
            examples = self.steps_per_epoch * self.config.batch_size
            member.at.history["accuracy"].append(member.at.correct.item() / examples)
            member.at.losses = torch.full_like(losses, math.nan)
            member.at.correct = torch.zeros_like(member.at.correct)
            staying.append(member)
        if len(staying) < len(self.members):
            self._take_back()
            self.members = staying
            if staying:
                self._assemble()

    def _save(self) -> None:
        self._take_back()
        for member in self.members:
            if member.checkpoint is not None:
                write_checkpoint(member.checkpoint, member.config, member.state, member.momenta, member.at)


def _gather(split: Split, units_in: int, networks: int, batch_size: int) -> Callable[[Tensor], Tensor]:
    """From indices (networks, batch) to images as rows: (networks, batch, units_in)."""
    if not is_in_memory(split.images):
        streamed = split.images  # decoded when they are asked for
        return lambda chosen: _rows(streamed[chosen.flatten()], units_in).view(*chosen.shape, units_in)
    images = _rows(split.images, units_in)
    batch = images.new_empty(networks * batch_size, units_in)
    return lambda chosen: torch.index_select(images, 0, chosen.flatten(), out=batch).view(*chosen.shape, units_in)


def _rows(images: Tensor, units_in: int) -> Tensor:
    """Images as rows, filled up with zeros."""
    rows = images.flatten(start_dim=1)
    return rows if rows.shape[1] == units_in else torch.nn.functional.pad(rows, (0, units_in - rows.shape[1]))
