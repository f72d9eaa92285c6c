"""What a training does together with other processes; most trainings are alone."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lmcbook.models import LayeredModel
from lmcbook.states import StateDict
from lmcbook.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from lmcbook.training.config import TrainingConfig
from lmcbook.training.optimiser import optimiser_of

GO_ON, SAVE, STOP = 0, 1, 2


class Team:
    """A training in one process: there is nobody to agree with."""

    rank = 0
    """The number of this process."""
    size = 1
    """How many processes train together."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config

    def prepare(
        self, model: LayeredModel, config: TrainingConfig, device: torch.device
    ) -> tuple[nn.Module, torch.optim.SGD, Callable[[Tensor], Tensor]]:
        """The model on its device, its optimiser, and the forward pass whose gradients all processes share."""
        self.model: nn.Module = model.to(device)
        self.optimiser = optimiser_of(self.model, config)
        return self.model, self.optimiser, self.model

    def resume(self, checkpoint: Path | None, at: Progress) -> None:
        """Go on from ``checkpoint`` if it is there."""
        if checkpoint is not None and checkpoint.exists():
            load_checkpoint(checkpoint, self.config, self.model, self.optimiser, at)

    def save(self, checkpoint: Path | None, at: Progress) -> None:
        """Write all that `resume` needs."""
        if checkpoint is not None:
            save_checkpoint(checkpoint, self.config, self.model, self.optimiser, at)

    def total(self, shares: Tensor) -> Tensor:
        """The sum over all processes."""
        return shares

    def decide(self, wanted: int, step: int) -> int:
        """What all processes do after a step: `GO_ON`, `SAVE` a checkpoint, or save it and `STOP`."""
        return wanted

    def state(self) -> StateDict:
        """The trained weights and statistics, on the CPU."""
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in self._whole().items()}

    def _whole(self) -> StateDict:
        return self.model.state_dict()
