"""Stochastic gradient descent with momentum, warm-up and decay; resumable at any step, bit for bit."""

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from lmcbook.config import TrainingConfig
from lmcbook.data import Splits, augment, equal_batches
from lmcbook.errors import InputError
from lmcbook.models import build_model
from lmcbook.permutation import StateDict
from lmcbook.randomness import random_stream
from lmcbook.schedule import learning_rate_at


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


@dataclass(slots=True)
class _Progress:
    """Where a training stands: everything but the weights and the momentum that a checkpoint needs."""

    step: int
    history: dict[str, list[float]]
    seconds: float
    losses: Tensor
    """Losses of the steps of the current epoch, shape (steps per epoch,); not a number where still to come."""
    correct: Tensor
    """Number of training examples of the current epoch that were classified right."""


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
        generator=random_stream(config.seed, "init"),
    ).to(device)
    optimiser = _optimiser(model, config)
    train_split = splits.train.to(device)
    steps_per_epoch = len(train_split) // config.batch_size
    total_steps = config.epochs * steps_per_epoch
    at = _Progress(
        step=0,
        history={"loss": [], "accuracy": []},
        seconds=0.0,
        losses=torch.full((steps_per_epoch,), math.nan, device=device),
        correct=torch.zeros((), dtype=torch.int64, device=device),
    )
    if checkpoint is not None and checkpoint.exists():
        _load_checkpoint(checkpoint, config, model, optimiser, at)

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
        order = equal_batches(len(train_split), config.batch_size, random_stream(config.seed, "shuffle", epoch)).to(
            device
        )
        for index in range(at.step % steps_per_epoch, steps_per_epoch):
            images, labels = train_split.images[order[index]], train_split.labels[order[index]]
            if config.augment:
                # a stream for each step, so that a training resumed in the middle of an epoch draws the same crops
                stream = random_stream(config.seed, "augment", epoch, index, device=device)
                images = augment(images, stream, fill=fill)
            rate = learning_rate_at(at.step, config, steps_per_epoch)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
                logits = model(images)
                loss = nn.functional.cross_entropy(logits.float(), labels)
            loss.backward()
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
                _save_checkpoint(checkpoint, config, model, optimiser, at)
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


def _end_epoch(at: _Progress, config: TrainingConfig, steps_per_epoch: int) -> None:
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


def _optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.SGD:
    normalisation = [
        parameter
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters(recurse=False)
    ]
    known = set(map(id, normalisation))
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    groups = [{"params": others, "weight_decay": config.weight_decay}]
    if normalisation:
        decay = config.weight_decay if config.decay_normalisation else 0.0
        groups.append({"params": normalisation, "weight_decay": decay})
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)


def _save_checkpoint(
    path: Path, config: TrainingConfig, model: nn.Module, optimiser: torch.optim.SGD, at: _Progress
) -> None:
    tensors = {f"model/{name}": tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    tensors |= {"epoch/losses": at.losses, "epoch/correct": at.correct}
    for name, parameter in model.named_parameters():
        momentum = optimiser.state[parameter].get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum/{name}"] = momentum.contiguous()
    content = {"config": config.digest, "step": at.step, "history": at.history, "seconds": at.seconds}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    save_file(tensors, partial, metadata={"progress": json.dumps(content)})
    os.replace(partial, path)


def _load_checkpoint(
    path: Path, config: TrainingConfig, model: nn.Module, optimiser: torch.optim.SGD, at: _Progress
) -> None:
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["progress"])
        if content["config"] != config.digest:
            raise InputError(
                f"checkpoint is {path}; it is of another configuration ({content['config']}, wanted {config.digest}): "
                "remove it or give another file"
            )
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)
    model.load_state_dict(
        {key.removeprefix("model/"): value for key, value in tensors.items() if key.startswith("model/")}
    )
    for name, parameter in model.named_parameters():
        if f"momentum/{name}" in tensors:
            optimiser.state[parameter]["momentum_buffer"] = tensors[f"momentum/{name}"].to(parameter.device)
    at.step, at.history, at.seconds = content["step"], content["history"], content["seconds"]
    at.losses.copy_(tensors["epoch/losses"])
    at.correct.copy_(tensors["epoch/correct"])
