"""Stochastic gradient descent with momentum, warm-up and decay; resumable at any step, on a CPU bit for bit."""

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from lmcbook.data import Splits
from lmcbook.errors import InputError
from lmcbook.errors.arguments import checked, classes, finite_images
from lmcbook.models import LayeredModel, build_model
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from lmcbook.training.batches import training_batches
from lmcbook.training.checkpoint import Progress
from lmcbook.training.config import TrainingConfig
from lmcbook.training.device import resolve_device
from lmcbook.training.divergence import TrainingDiverged, divergence
from lmcbook.training.execution import Execution
from lmcbook.training.graph import GraphedStep
from lmcbook.training.half_weights import HalfWeightStep, uses_half_weights
from lmcbook.training.memory import memory_explained
from lmcbook.training.precision import arithmetic, uses_tf32
from lmcbook.training.saving import GO_ON, STOP, Saving, TimeIsUp
from lmcbook.training.schedule import learning_rate_at, num_used
from lmcbook.training.seeds import initialisation_seed
from lmcbook.training.step import AbstractStep, Step, check_micro_batch
from lmcbook.training.team import SingleProcess, Team


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What a training leaves behind."""

    state: StateDict
    """Weights and batch-norm statistics, on the CPU."""
    history: dict[str, list[float]]
    """``loss`` (nats) and ``accuracy`` (fraction) on the training batches, one number per epoch."""
    seconds: float
    """Wall-clock time of training, interruptions left out."""
    execution: dict[str, Any] = field(default_factory=dict)
    """How it was carried out, where that is not the default: what a manifest should tell (`Execution`)."""


@checked
def train(
    config: TrainingConfig,
    splits: Splits,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool = True,
    deadline: float | None = None,
    execution: Execution | None = None,
) -> TrainedModel:
    """Train one network on ``splits.train`` as ``config`` says.

    On a CPU the same configuration, data and number of threads give the same bits, whether or not the training was
    interrupted: with ``checkpoint`` (a file name) the state is saved there every ``checkpoint_seconds`` (less often
    where saving takes long) and a training that finds such a file goes on from it. On a GPU the numbers are the same up
    to the rounding of its sums.

    In processes that torchrun started (`lmcbook.training.processes.conduct`), all of them do their part.

    Args:
        deadline: A moment of `time.monotonic`; a training that is not done by then saves its checkpoint and stops.
        execution: How it is done; by default as the environment says (`Execution.from_environment`).

    Raises:
        TimeIsUp: the deadline came before the end.
        InputError: the data are not those that ``config`` names, hold fewer examples than one batch, or images or
            labels that nothing can be learnt from; the checkpoint is of another configuration, ``execution`` does not
            fit the network, or the device is not there.
        DoesNotFit: the device's memory is too small; the message says what may help.
        TrainingDiverged: the loss is not finite; the message names the step, the learning rate and what to try.
    """
    execution = Execution.from_environment() if execution is None else execution
    num_examples = num_used(config, len(splits.train))
    if num_examples < config.batch_size:
        raise InputError(
            f"batch_size is {config.batch_size}; {config.dataset} has only {num_examples} training examples, "
            "so it may be at most that"
        )
    splits = fitting_data(config, splits)
    device = torch.device(resolve_device(str(device)))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # the peak that is recorded is this training's own
    model = build_model(
        config,
        input_shape=splits.input_shape,
        num_classes=splits.num_classes,
        generator=random_stream(initialisation_seed(config), "init"),
    )
    check_micro_batch(model, config, execution)
    team = _team_of(config, splits, device, execution)
    with arithmetic(config.precision, device), memory_explained(config, model, execution, device, alone=team.size == 1):
        step = prepare_step(config, model, team, execution, device)
        saving = Saving(None if checkpoint is None else checkpoint_seconds, deadline)
        trained = _train(config, splits, step, team, device, checkpoint, saving, progress)
        return replace(trained, execution=_told(config, execution, device, team))


def fitting_data(config: TrainingConfig, splits: Splits) -> Splits:
    """The data, if they are those of the configuration, with labels as int64."""
    if splits.name != config.dataset:
        raise InputError(
            f"splits hold {splits.name!r}, but config.dataset is {config.dataset!r}; give load({config.dataset!r}), or "
            f"a configuration with dataset={splits.name!r}"
        )
    part = splits.train
    images, labels = finite_images("splits.train.images", part.images), classes("splits.train.labels", part.labels)
    if len(images) != len(labels) or int(labels.max()) >= splits.num_classes:
        raise InputError(
            f"splits.train holds {len(images)} images and {len(labels)} labels up to {int(labels.max())}; give one of "
            f"0…{splits.num_classes - 1} for each image"
        )
    return splits if labels is part.labels else replace(splits, train=replace(part, labels=labels))


def _team_of(config: TrainingConfig, splits: Splits, device: torch.device, execution: Execution) -> Team:
    """The processes that train ``config`` together; the others of a group are told to join in."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return SingleProcess(config)
    # here, because torch's tensors over several processes take long to import and most trainings are alone
    from lmcbook.training.distributed import assemble

    return assemble(config, splits, device, execution)


def _train(
    config: TrainingConfig,
    splits: Splits,
    step: AbstractStep | GraphedStep,
    team: Team,
    device: torch.device,
    checkpoint: Path | None,
    saving: Saving,
    progress: bool,
) -> TrainedModel:
    steps_per_epoch = num_used(config, len(splits.train)) // config.batch_size
    total_steps = config.epochs * steps_per_epoch
    at = Progress(
        step=0,
        history={"loss": [], "accuracy": []},
        seconds=0.0,
        losses=torch.full((steps_per_epoch,), math.nan, device=device),
        correct=torch.zeros((), dtype=torch.int64, device=device),
    )
    team.resume(checkpoint, at)
    bar = tqdm(
        total=config.epochs,
        initial=at.step // steps_per_epoch,
        desc=f"{config.architecture} ×{config.width_multiplier:g} {config.dataset} seed {config.seed}",
        unit="epoch",
        disable=not progress or team.rank > 0,
    )
    started, seconds_before = time.monotonic(), at.seconds
    batches = training_batches(config, splits, device=device, start=at.step, share=(team.rank, team.size))
    for images, labels, weights in batches:
        index = at.step % steps_per_epoch
        loss, correct = step(images, labels, learning_rate_at(at.step, config, steps_per_epoch), weights)
        at.losses[index] = loss
        at.correct += correct
        at.step += 1
        if index == steps_per_epoch - 1:
            _end_epoch(at, config, steps_per_epoch, team)
            bar.set_postfix(
                loss=f"{at.history['loss'][-1]:.3f}", accuracy=f"{at.history['accuracy'][-1]:.3f}", refresh=False
            )
            bar.update()
        decided = team.decide(saving.wanted(), at.step)
        if decided != GO_ON:
            at.seconds = seconds_before + time.monotonic() - started
            with saving.timed():
                team.save(checkpoint, at)
        if decided == STOP:
            bar.close()
            raise TimeIsUp(f"the training stopped at its deadline after {at.step} of {total_steps} steps")
    bar.close()
    return TrainedModel(
        state=team.state(),
        history=at.history,
        seconds=seconds_before + time.monotonic() - started,
    )


def prepare_step(
    config: TrainingConfig, model: LayeredModel, team: Team, execution: Execution, device: torch.device
) -> AbstractStep | GraphedStep:
    """What is done with every batch: the model on its device and in training mode, with its optimiser."""
    model.recompute = execution.recompute
    if execution.compiled or execution.half_weights:
        # the compiler counts networks of other shapes as changes of one program, and after eight of them it gives up
        torch.compiler.reset()
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network, optimiser, forward = team.prepare(model, config, device)
    network.train()
    plain = Step(
        network,
        optimiser,
        config,
        forward=torch.compile(forward) if execution.compiled else forward,
        micro_batch=execution.micro_batch,
        processes=team.size,
    )
    step = HalfWeightStep(plain) if uses_half_weights(config, execution, team.size) else plain
    return GraphedStep(step) if _is_recorded(config, execution, device) else step


def _is_recorded(config: TrainingConfig, execution: Execution, device: torch.device) -> bool:
    """Whether a step is recorded as a graph, whose inputs are images and labels and whose optimiser is SGD."""
    plain = config.optimiser == "sgd" and config.loss_weight_variance == 0
    return execution.graphs and device.type == "cuda" and plain


def _told(config: TrainingConfig, execution: Execution, device: torch.device, team: Team) -> dict[str, Any]:
    recorded = _is_recorded(config, execution, device)
    lasting = uses_half_weights(config, execution, team.size)
    told = replace(execution, graphs=recorded, half_weights=lasting).told()
    if team.size > 1:
        told["processes"] = team.size
    if device.type == "cuda":
        told |= {"channels_last": True, "tf32": uses_tf32(config.precision, device)}
    return told


def _end_epoch(at: Progress, config: TrainingConfig, steps_per_epoch: int, team: Team) -> None:
    """Check the epoch's losses (the one moment at which the device is waited for) and enter its means."""
    losses, correct = team.total(at.losses), team.total(at.correct)
    if not torch.isfinite(losses).all():
        index = int(torch.nonzero(~torch.isfinite(losses))[0])
        step = at.step - steps_per_epoch + index
        raise TrainingDiverged(divergence(config, losses[index].item(), step, steps_per_epoch))
    at.history["loss"].append(losses.mean().item())
    at.history["accuracy"].append(correct.item() / (steps_per_epoch * config.batch_size))
    at.losses.fill_(math.nan)
    at.correct.zero_()
