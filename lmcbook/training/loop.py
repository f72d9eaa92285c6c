"""Stochastic gradient descent with momentum, warm-up and decay; resumable at any step, bit for bit."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lmcbook.config import TrainingConfig
from lmcbook.data import Splits, augment, equal_batches
from lmcbook.errors import InputError
from lmcbook.models import build_model
from lmcbook.permutation import StateDict
from lmcbook.randomness import random_stream
from lmcbook.schedule import learning_rate_at
from lmcbook.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from lmcbook.training.optimiser import optimiser_of
from lmcbook.training.seeds import initialisation_seed, order_seed_at
from lmcbook.training.spread import spectral_spread


class TrainingDiverged(RuntimeError):
    """The training loss is no longer a finite number."""


class TimeIsUp(RuntimeError):
    """A training stopped at its deadline; its checkpoint holds all that was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What a training leaves behind."""

    state: StateDict
    """Weights and batch-norm statistics, on the CPU."""
    history: dict[str, list[float]]
    """``loss`` (nats) and ``accuracy`` (fraction) on the training batches, one number per epoch."""
    seconds: float
    """Wall-clock time of training, interruptions left out."""


def train(
    config: TrainingConfig,
    splits: Splits,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool = True,
    deadline: float | None = None,
) -> TrainedModel:
    """Train one network on ``splits.train`` as ``config`` says.

    The same configuration, data, device and number of threads give the same bits, whether or not the training was
    interrupted: with ``checkpoint`` (a file name) the state is saved there every ``checkpoint_seconds`` and a training
    that finds such a file goes on from it.

    Args:
        deadline: A moment of `time.monotonic`; a training that is not done by then saves its checkpoint and stops.

    Raises:
        TimeIsUp: the deadline came before the end.
        InputError: the data hold fewer examples than one batch, or the checkpoint is of another configuration.
        TrainingDiverged: the loss is not finite; the message names the step, the learning rate and what to try.
    """
    if len(splits.train) < config.batch_size:
        raise InputError(
            f"batch_size is {config.batch_size}; {config.dataset} has only {len(splits.train)} training examples, "
            "so it may be at most that"
        )
    device = torch.device(device)
    model = build_model(
        config,
        input_shape=splits.input_shape,
        num_classes=splits.num_classes,
        generator=random_stream(initialisation_seed(config), "init"),
    ).to(device)
    optimiser = optimiser_of(model, config)
    train_split = splits.train.to(device)
    steps_per_epoch = len(train_split) // config.batch_size
    total_steps = config.epochs * steps_per_epoch
    at = Progress(
        step=0,
        history={"loss": [], "accuracy": []},
        seconds=0.0,
        losses=torch.full((steps_per_epoch,), math.nan, device=device),
        correct=torch.zeros((), dtype=torch.int64, device=device),
    )
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, config, model, optimiser, at)

    fill = torch.tensor([-mean / std for mean, std in zip(splits.mean, splits.std, strict=True)], device=device)
    model.train()
    bar = tqdm(
        total=config.epochs,
        initial=at.step // steps_per_epoch,
        desc=f"{config.architecture} ×{config.width_multiplier:g} {config.dataset} seed {config.seed}",
        unit="epoch",
        disable=not progress,
    )
    started = saved_at = time.monotonic()
    seconds_before = at.seconds
    for epoch in range(at.step // steps_per_epoch, config.epochs):
        orders: dict[int, Tensor] = {}
        for index in range(at.step % steps_per_epoch, steps_per_epoch):
            seed = order_seed_at(at.step, total_steps, config)
            if seed not in orders:  # a second order within an epoch, where a spawned pair parts
                stream = random_stream(seed, "shuffle", epoch)
                orders[seed] = equal_batches(len(train_split), config.batch_size, stream).to(device)
            chosen = orders[seed][index]
            images, labels = train_split.images[chosen], train_split.labels[chosen]
            if config.augment:
                # a stream for each step, so that a training resumed in the middle of an epoch draws the same crops
                stream = random_stream(seed, "augment", epoch, index, device=device)
                images = augment(images, stream, fill=fill)
            rate = learning_rate_at(at.step, config, steps_per_epoch)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
                logits = model(images)
                loss = nn.functional.cross_entropy(logits.float(), labels)
            objective = loss if config.spread_penalty == 0 else loss + config.spread_penalty * spectral_spread(model)
            objective.backward()
            optimiser.step()
            at.losses[index] = loss.detach()
            at.correct += (logits.detach().argmax(dim=1) == labels).sum()
            at.step += 1
            if index == steps_per_epoch - 1:
                _end_epoch(at, config, steps_per_epoch)
            now = time.monotonic()
            time_is_up = deadline is not None and now > deadline
            if checkpoint is not None and (time_is_up or now - saved_at > checkpoint_seconds):
                at.seconds = seconds_before + now - started
                save_checkpoint(checkpoint, config, model, optimiser, at)
                saved_at = time.monotonic()
            if time_is_up:
                bar.close()
                raise TimeIsUp(f"the training stopped at its deadline after {at.step} of {total_steps} steps")
        bar.set_postfix(
            loss=f"{at.history['loss'][-1]:.3f}", accuracy=f"{at.history['accuracy'][-1]:.3f}", refresh=False
        )
        bar.update()
    bar.close()
    state = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()}
    return TrainedModel(state=state, history=at.history, seconds=seconds_before + time.monotonic() - started)


def _end_epoch(at: Progress, config: TrainingConfig, steps_per_epoch: int) -> None:
    """Check the epoch's losses (the one moment at which the device is waited for) and enter its means."""
    if not torch.isfinite(at.losses).all():
        index = int(torch.nonzero(~torch.isfinite(at.losses))[0])
        step = at.step - steps_per_epoch + index
        raise TrainingDiverged(
            f"the loss of {config.architecture} ×{config.width_multiplier:g} on {config.dataset} (seed {config.seed}) "
            f"is {at.losses[index].item()} at step {step}, at learning rate "
            f"{learning_rate_at(step, config, steps_per_epoch):.4g}: try a lower learning_rate or more warmup_epochs"
        )
    at.history["loss"].append(at.losses.mean().item())
    at.history["accuracy"].append(at.correct.item() / (steps_per_epoch * config.batch_size))
    at.losses.fill_(math.nan)
    at.correct.zero_()
