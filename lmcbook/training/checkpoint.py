"""Checkpoints: all that a training needs to go on from any step, bit for bit."""

import hashlib
import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from lmcbook.data.safe_files import NO_FILE, opened
from lmcbook.data.whole_files import written_whole
from lmcbook.errors import InputError, one_line
from lmcbook.states import StateDict, state_sha256
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

    def take(self, other: "Progress") -> None:
        """Become what ``other`` is, in the same tensors."""
        self.step, self.history, self.seconds = other.step, other.history, other.seconds
        self.losses.copy_(other.losses)
        self.correct.copy_(other.correct)


Content = tuple[StateDict, StateDict, Progress]
"""What a checkpoint holds: weights and statistics, momenta, and where the training stands."""


class DamagedCheckpoint(InputError):
    """A checkpoint is not what was written. It is expendable: whoever reads it may begin again."""


class CheckpointOfAnother(InputError):
    """A whole checkpoint is of another configuration."""

    def __init__(self, path: Path, found: str, wanted: str) -> None:
        super().__init__(
            f"checkpoint is {path}; it is of another configuration ({found}, wanted {wanted}): remove it or give "
            "another file"
        )
        self.path = path


def write_checkpoint(path: Path, config: TrainingConfig, state: StateDict, momenta: StateDict, at: Progress) -> None:
    """Write weights, momenta (by the names of their weights) and ``at`` to ``path``: all of it or nothing.

    What else the optimiser keeps of a weight stands among the momenta, under ``KIND/NAME``. The file carries the
    SHA-256 of all this.
    """
    tensors = {f"model/{name}": tensor.contiguous() for name, tensor in state.items()}
    tensors |= {f"momentum/{name}": tensor.contiguous() for name, tensor in momenta.items()}
    tensors |= {"epoch/losses": at.losses.contiguous(), "epoch/correct": at.correct}
    content = {"config": config.digest, "step": at.step, "history": at.history, "seconds": at.seconds}
    progress = json.dumps({**content, "training": config.to_dict(), "file": path.name})
    with written_whole(path) as partial:
        save_file(tensors, partial, metadata={"progress": progress, "sha256": _sha256(progress, tensors)})


def _sha256(progress: str, tensors: StateDict) -> str:
    return hashlib.sha256(f"{progress}\n{state_sha256(tensors)}".encode()).hexdigest()


def read_checkpoint(path: Path, config: TrainingConfig) -> Content:
    """Weights, momenta and progress that `write_checkpoint` wrote, on the CPU.

    Checkpoints from before November 2026 have no SHA-256; they are taken unchecked.

    Raises:
        FileNotFoundError: there is none.
        DamagedCheckpoint: it is not what was written.
        CheckpointOfAnother: it is of another configuration.
        OSError: it cannot be read now, which says nothing of what is in it; the error names the file.
    """
    try:
        with opened(path) as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)
        if metadata.get("sha256", "") not in ("", _sha256(metadata["progress"], tensors)):
            raise ValueError("its content does not match its SHA-256")
        content = json.loads(metadata["progress"])
        at = Progress(
            step=content["step"],
            history=content["history"],
            seconds=content["seconds"],
            losses=tensors["epoch/losses"].clone(),
            correct=tensors["epoch/correct"].clone(),
        )
        found = content["config"]
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        raise DamagedCheckpoint(f"checkpoint {path} is no file ({error.strerror}): remove it") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedCheckpoint(f"checkpoint {path} is damaged ({one_line(error)}): remove it") from None
    if found != config.digest:
        raise CheckpointOfAnother(path, found, config.digest)

    def part(prefix: str) -> StateDict:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    return part("model/"), part("momentum/"), at


def found_checkpoint(path: Path | None, config: TrainingConfig) -> Content | None:
    """As `read_checkpoint`, or ``None`` where a training of ``config`` begins at its first step.

    A damaged checkpoint is dropped, which is said in a line on stderr.

    Raises:
        CheckpointOfAnother: it is of another configuration.
        OSError: it cannot be read now; it stays.
    """
    if path is None:
        return None
    try:
        return read_checkpoint(path, config)
    except FileNotFoundError:
        if path.is_symlink():  # to nowhere
            drop_checkpoint(path, "it is a link to a file that is not there")
        return None
    except DamagedCheckpoint as error:
        drop_checkpoint(path, str(error))
        return None


def drop_checkpoint(path: Path, reason: str) -> None:
    """Take a checkpoint that is of no use out of the way, and say so on stderr."""
    if path.is_dir() and not path.is_symlink():  # we made no such folder, so what is in it is not ours to remove
        aside = path.with_name(f"{path.name}.set-aside-{secrets.token_hex(4)}")
        path.rename(aside)
        reason = f"it was a folder, which is {aside} now"
    else:
        path.unlink(missing_ok=True)
    print(f"checkpoint {path} was dropped, and its training begins again: {reason}", file=sys.stderr)


def is_outdated(path: Path) -> bool:
    """Whether ``path`` is a checkpoint that this version of the code would not write for the same configuration."""
    try:
        content = _header(path)
        return bool(TrainingConfig(**content["training"]).digest != content["config"])
    except (KeyError, TypeError, InputError):
        return False


def was_exchanged(path: Path) -> bool:
    """Whether ``path`` is a checkpoint that was written under another name.

    The store's names say of which images a training is, which its configuration does not.
    """
    return bool(_header(path).get("file", path.name) != path.name)


def _header(path: Path) -> dict[str, Any]:
    """What a checkpoint tells before its tensors; nothing if it is damaged or not there."""
    try:
        with opened(path) as file:
            content = json.loads(file.metadata()["progress"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


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


def put_into(content: Content, model: nn.Module, optimiser: torch.optim.Optimizer, at: Progress) -> None:
    """What `read_checkpoint` gave, into a module, its optimiser and ``at``."""
    state, momenta, found = content
    model.load_state_dict(state)
    for name, parameter in model.named_parameters():
        for kind in _KEPT:
            kept = momenta.get(_key(kind, name))
            if kept is not None:
                # in the parameter's own memory format: the fused update asks for it
                buffer = torch.empty_like(parameter, requires_grad=False) if kept.dim() else torch.empty_like(kept)
                optimiser.state[parameter][kind] = buffer.to(parameter.device).copy_(kept)
    at.take(found)
