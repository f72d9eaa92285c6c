"""The teams of a training in several processes: data-parallel, or with every layer's tensors spread over all of them.

The configuration and so the address of a training are the same as in one process, its numbers are the same up to the
rounding of sums. That holds for batch norm as well, whose statistics are taken over the whole batch: on GPUs by torch's
SyncBatchNorm, elsewhere by `SharedBatchNorm2d`. `lmcbook.training.processes` starts and ends the processes' work.
"""

from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from lmcbook.data import Splits
from lmcbook.errors import InputError
from lmcbook.models import LayeredModel
from lmcbook.states import StateDict
from lmcbook.training.batch_norm import shared_batch_norm
from lmcbook.training.checkpoint import (
    Content,
    Progress,
    found_checkpoint,
    put_into,
    save_checkpoint,
    write_checkpoint,
)
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from lmcbook.training.optimiser import optimiser_of
from lmcbook.training.saving import GO_ON
from lmcbook.training.team import Team

DECIDE_EVERY = 16
"""Steps between two moments at which the first process may stop the others or save."""

_control: list[dist.ProcessGroup] = []
"""The process group of control messages: on CPUs, with a long timeout."""


def join_processes(device: str) -> None:
    """Join the processes that torchrun started; ``device`` is "cpu" or "cuda", for all of them.

    Orders wait without limit: the first process may plan and measure for days.
    """
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    _control.append(dist.new_group(backend="gloo", timeout=timedelta(days=365)))


def leave_processes() -> None:
    """Undo `join_processes`."""
    _control.clear()
    dist.destroy_process_group()


def tell(content: dict[str, Any] | None) -> dict[str, Any] | None:
    """Broadcast ``content`` of the first process to all; the other processes' argument is ignored."""
    told = [content if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(told, src=0, group=_control[0], device=torch.device("cpu"))
    return told[0]


def assemble(config: TrainingConfig, splits: Splits, device: torch.device, execution: Execution) -> Team:
    """The team of one training; in the first process, after telling the others to join in.

    Raises:
        InputError: several processes cannot do what ``execution`` asks for.
    """
    size = dist.get_world_size()
    if config.batch_size < size:
        raise InputError(f"batch_size is {config.batch_size}; {size} processes need at least one example each")
    if execution.graphs:
        raise InputError("LMCBOOK_GRAPHS is 1; only a training in one process can be recorded: it must be 0")
    for option, only in (("optimiser", ("sgd",)), ("normalisation", ("none", "layer"))):
        if getattr(config, option) not in only:
            may_be = " or ".join(map(repr, only))
            raise InputError(f"{option} is {getattr(config, option)!r}; in several processes it must be {may_be}")
    if execution.shard == "parameters" and config.centred_rows:
        raise InputError("LMCBOOK_SHARD is 'parameters', but centred_rows needs whole rows: give 'data'")
    if execution.shard == "parameters" and config.spread_penalty != 0:
        raise InputError(
            "LMCBOOK_SHARD is 'parameters', but a spread_penalty needs whole weights in every process: give 'data'"
        )
    if dist.get_rank() == 0:
        tell({"config": config, "sha256": splits.sha256, "device": device.type, "execution": execution})
    return (_DataTeam if execution.shard == "data" else _ParameterTeam)(config)


class _SeveralProcesses(Team):
    """What both ways of sharing have in common: sums, decisions, and when checkpoints are read and written."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    @abstractmethod
    def _load(self, content: Content | None, at: Progress) -> None:
        """All get the weights, statistics and momentum that the first process, and it alone, has read."""

    @abstractmethod
    def _store(self, checkpoint: Path | None, at: Progress) -> None:
        """The first process writes the file."""

    def resume(self, checkpoint: Path | None, at: Progress) -> None:
        content = found_checkpoint(checkpoint, self.config) if self.rank == 0 else None
        if tell(None if content is None else {}) is None:
            return
        self._load(content, at)
        told = tell({"step": at.step, "history": at.history, "seconds": at.seconds})
        if told is not None and self.rank > 0:
            at.step, at.history, at.seconds = told["step"], told["history"], told["seconds"]
            # what was done before is counted by the first process
            at.losses[: at.step % len(at.losses)] = 0

    def save(self, checkpoint: Path | None, at: Progress) -> None:
        losses, correct = self.total(at.losses), self.total(at.correct)
        whole = Progress(step=at.step, history=at.history, seconds=at.seconds, losses=losses, correct=correct)
        self._store(checkpoint, whole)

    def total(self, shares: Tensor) -> Tensor:
        total = shares.clone()
        dist.all_reduce(total)
        return total

    def decide(self, wanted: int, step: int) -> int:
        if step % DECIDE_EVERY:
            return GO_ON
        decided = torch.tensor(wanted)
        dist.broadcast(decided, src=0, group=_control[0])
        return int(decided)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """The momentum of a parameter, made if it is not there yet."""
        state = self.optimiser.state[parameter]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)
        return state["momentum_buffer"]


class _DataTeam(_SeveralProcesses):
    """Every process holds the whole network; gradients are averaged (DistributedDataParallel)."""

    def prepare(
        self, model: LayeredModel, config: TrainingConfig, device: torch.device
    ) -> tuple[nn.Module, torch.optim.Optimizer, Callable[[Tensor], Tensor]]:
        self.model = shared_batch_norm(model, device).to(device)
        self.optimiser = optimiser_of(self.model, config)
        forward = nn.parallel.DistributedDataParallel(self.model, gradient_as_bucket_view=True)
        return self.model, self.optimiser, forward

    def _store(self, checkpoint: Path | None, at: Progress) -> None:
        if self.rank == 0 and checkpoint is not None:
            save_checkpoint(checkpoint, self.config, self.model, self.optimiser, at)

    def _load(self, content: Content | None, at: Progress) -> None:
        if content is not None:
            put_into(content, self.model, self.optimiser, at)
        for tensor in self.model.state_dict().values():
            dist.broadcast(tensor, src=0)
        for parameter in self.model.parameters():
            dist.broadcast(self._momentum(parameter), src=0)

    def whole(self) -> StateDict:
        return self.model.state_dict()


class _ParameterTeam(_SeveralProcesses):
    """Every process holds a part of every tensor; a layer is whole only while it is used (fully_shard)."""

    def prepare(
        self, model: LayeredModel, config: TrainingConfig, device: torch.device
    ) -> tuple[nn.Module, torch.optim.Optimizer, Callable[[Tensor], Tensor]]:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        model = shared_batch_norm(model, device)
        mesh = init_device_mesh(device.type, (self.size,))
        for name in (*model.layer_names, *model.shortcut_names):
            fully_shard(model.layer(name), mesh=mesh)
            register_fsdp_forward_method(model.layer(name), "advance")
        fully_shard(model, mesh=mesh)
        self.model = model
        # the fused optimiser does not know tensors in parts
        self.optimiser = optimiser_of(model, config, fused=False)
        return model, self.optimiser, model

    def _store(self, checkpoint: Path | None, at: Progress) -> None:
        parameters = dict(self.model.named_parameters())
        momenta = {name: _whole_tensor(self._momentum(parameter)) for name, parameter in parameters.items()}
        weights = self.whole()
        if self.rank == 0 and checkpoint is not None:
            write_checkpoint(checkpoint, self.config, weights, momenta, at)

    def _load(self, content: Content | None, at: Progress) -> None:
        weights: StateDict = {}
        momenta: StateDict = {}
        if content is not None:
            weights, momenta, found = content
            at.take(found)
        for name, parameter in self.model.named_parameters():
            _scatter(weights.get(name), parameter)
            _scatter(momenta.get(name), self._momentum(parameter))
        for name, statistic in self.model.named_buffers():
            if self.rank == 0:
                statistic.copy_(weights[name])
            dist.broadcast(statistic, src=0)

    def whole(self) -> StateDict:
        return {name: _whole_tensor(tensor) for name, tensor in self.model.state_dict().items()}


def _whole_tensor(tensor: Tensor) -> Tensor:
    """All parts of a tensor, put together, on the CPU: two whole networks may be more than a GPU holds."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def _scatter(whole: Tensor | None, target: Tensor) -> None:
    """Each process's part of the first one's ``whole`` into ``target``."""
    assert isinstance(target, DTensor)
    if dist.get_rank() > 0 or whole is None:
        whole = torch.zeros(target.shape, dtype=target.dtype)
    with torch.no_grad():
        target.copy_(distribute_tensor(whole.to(target.device), target.device_mesh, target.placements))
