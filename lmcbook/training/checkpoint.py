"""Checkpoints: all that a training needs to go on from any step, bit for bit."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lmcbook.data.whole_files import written_whole
from lmcbook.errors import InputError
from lmcbook.states import StateDict
from lmcbook.training.config import TrainingConfig


@dataclass(slots=True)
class Progress:
    """Where a training stands: everything but the weights and the momentum that a checkpoint needs."""

    step: int
    history: dict[str, list[float]]
    seconds: float
    losses: Tensor
    """Losses of the steps of the current epoch, shape (steps per epoch,); not a number where still to come."""
    correct: Tensor
    """Number of training examples of the current epoch that were classified right."""


def write_checkpoint(path: Path, config: TrainingConfig, state: StateDict, momenta: StateDict, at: Progress) -> None:
    """Write weights, momenta (by the names of their weights) and ``at`` to ``path``: all of it or nothing.

    What else the optimiser keeps of a weight stands among the momenta, under ``KIND/NAME``.
    """
    tensors = {f"model/{name}": tensor.contiguous() for name, tensor in state.items()}
    tensors |= {f"momentum/{name}": tensor.contiguous() for name, tensor in momenta.items()}
    tensors |= {"epoch/losses": at.losses.contiguous(), "epoch/correct": at.correct}
    content = {"config": config.digest, "step": at.step, "history": at.history, "seconds": at.seconds}
    with written_whole(path) as partial:
        save_file(tensors, partial, metadata={"progress": json.dumps(content)})


def read_checkpoint(path: Path, config: TrainingConfig) -> tuple[StateDict, StateDict, Progress]:
    """Weights, momenta and progress that `write_checkpoint` wrote, on the CPU.

    Raises:
        InputError: the checkpoint is of another configuration.
    """
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["progress"])
        if content["config"] != config.digest:
            raise InputError(
                f"checkpoint is {path}; it is of another configuration ({content['config']}, wanted {config.digest}): "
                "remove it or give another file"
            )
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)

    def part(prefix: str) -> StateDict:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    at = Progress(
        step=content["step"],
        history=content["history"],
        seconds=content["seconds"],
        losses=tensors["epoch/losses"].clone(),
        correct=tensors["epoch/correct"].clone(),
    )
    return part("model/"), part("momentum/"), at


# What SGD and AdamW keep of every weight.
_KEPT = ("momentum_buffer", "exp_avg", "exp_avg_sq", "step")


def _key(kind: str, name: str) -> str:
    return name if kind == "momentum_buffer" else f"{kind}/{name}"


def save_checkpoint(
    path: Path, config: TrainingConfig, model: nn.Module, optimiser: torch.optim.Optimizer, at: Progress
) -> None:
    """`write_checkpoint` of a module and its optimiser."""
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    momenta = {
        _key(kind, name): kept
        for name, parameter in model.named_parameters()
        for kind, kept in optimiser.state[parameter].items()
        if kept is not None
    }
    write_checkpoint(path, config, state, momenta, at)


def load_checkpoint(
    path: Path, config: TrainingConfig, model: nn.Module, optimiser: torch.optim.Optimizer, at: Progress
) -> None:
    """`read_checkpoint` into a module, its optimiser and ``at``.

    Raises:
        InputError: the checkpoint is of another configuration.
    """
    state, momenta, found = read_checkpoint(path, config)
    model.load_state_dict(state)
    for name, parameter in model.named_parameters():
        for kind in _KEPT:
            kept = momenta.get(_key(kind, name))
            if kept is not None:
                # in the parameter's own memory format: the fused update asks for it
                buffer = torch.empty_like(parameter, requires_grad=False) if kept.dim() else torch.empty_like(kept)
                optimiser.state[parameter][kind] = buffer.to(parameter.device).copy_(kept)
    at.step, at.history, at.seconds = found.step, found.history, found.seconds
    at.losses.copy_(found.losses)
    at.correct.copy_(found.correct)
