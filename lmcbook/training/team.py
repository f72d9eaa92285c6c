"""What a training does together with other processes; most trainings are alone."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lmcbook.models import LayeredModel
from lmcbook.states import StateDict
from lmcbook.training.checkpoint import Progress, found_checkpoint, put_into, save_checkpoint
from lmcbook.training.config import TrainingConfig
from lmcbook.training.optimiser import optimiser_of


class Team(ABC):
    """The processes that train one network, seen from one of them."""

    rank: int
    """The number of this process."""
    size: int
    """How many processes train together."""
    model: nn.Module
    optimiser: torch.optim.Optimizer

    @abstractmethod
    def prepare(
        self, model: LayeredModel, config: TrainingConfig, device: torch.device
    ) -> tuple[nn.Module, torch.optim.Optimizer, Callable[[Tensor], Tensor]]:
        """The model on its device, its optimiser, and the forward pass whose gradients all processes share."""

    @abstractmethod
    def resume(self, checkpoint: Path | None, at: Progress) -> None:
        """Go on from ``checkpoint`` if it is there."""

    @abstractmethod
    def save(self, checkpoint: Path | None, at: Progress) -> None:
        """Write all that `resume` needs."""

    @abstractmethod
    def total(self, shares: Tensor) -> Tensor:
        """The sum over all processes."""

    @abstractmethod
    def decide(self, wanted: int, step: int) -> int:
        """What all processes do after a step, of what `lmcbook.training.saving.Saving.wanted` says in one of them."""

    @abstractmethod
    def whole(self) -> StateDict:
        """The network's state, with all parts of its tensors, where they are."""

    def state(self) -> StateDict:
        """The trained weights and statistics, on the CPU."""
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in self.whole().items()}


class SingleProcess(Team):
    """A training in one process: there is nobody to agree with."""

    rank, size = 0, 1

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config

    def prepare(
        self, model: LayeredModel, config: TrainingConfig, device: torch.device
    ) -> tuple[nn.Module, torch.optim.Optimizer, Callable[[Tensor], Tensor]]:
        self.model = model.to(device)
        self.optimiser = optimiser_of(self.model, config)
        return self.model, self.optimiser, self.model

    def resume(self, checkpoint: Path | None, at: Progress) -> None:
        if (content := found_checkpoint(checkpoint, self.config)) is not None:
            put_into(content, self.model, self.optimiser, at)

    def save(self, checkpoint: Path | None, at: Progress) -> None:
        if checkpoint is not None:
            save_checkpoint(checkpoint, self.config, self.model, self.optimiser, at)

    def total(self, shares: Tensor) -> Tensor:
        return shares

    def decide(self, wanted: int, step: int) -> int:
        return wanted

    def whole(self) -> StateDict:
        return self.model.state_dict()
