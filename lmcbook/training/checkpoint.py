"""Checkpoints: all that a training needs to go on from any step, bit for bit."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lmcbook.config import TrainingConfig
from lmcbook.errors import InputError


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


def save_checkpoint(
    path: Path, config: TrainingConfig, model: nn.Module, optimiser: torch.optim.SGD, at: Progress
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


def load_checkpoint(
    path: Path, config: TrainingConfig, model: nn.Module, optimiser: torch.optim.SGD, at: Progress
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
