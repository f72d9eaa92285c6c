"""One step of a training: forward pass, backward pass and update of one batch; nothing in it waits for the device."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lmcbook.errors import InputError
from lmcbook.models.mlp import centre_rows_
from lmcbook.states import batch_norm_modules
from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from lmcbook.training.penalty import rank_penalty


class AbstractStep(ABC):
    """The update of a network from one batch of images on its device."""

    model: nn.Module
    optimiser: torch.optim.Optimizer

    def __call__(
        self, images: Tensor, labels: Tensor, rate: float, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Update; the mean loss of the batch (this process's share of it) and how many examples were right.

        Args:
            weights: of the examples' losses, where they are not all 1; the loss that is returned is without them.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return self.update(images, labels, weights)

    @abstractmethod
    def update(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The update at the learning rate that the optimiser has; returns what a call returns."""

    @abstractmethod
    def refresh(self) -> None:
        """Called after somebody else has changed the weights."""


class Step(AbstractStep):
    """Forward pass, backward pass and the optimiser's update.

    Args:
        forward: images → logits, where it is not the model itself (compiled, or shared with other processes).
        micro_batch: the most images that pass at once.
        processes: how many share each step; their gradients are averaged.
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        config: TrainingConfig,
        *,
        forward: Callable[[Tensor], Tensor] | None = None,
        micro_batch: int | None = None,
        processes: int = 1,
    ) -> None:
        self.model = model
        self.optimiser = optimiser
        self.config = config
        self.forward = model if forward is None else forward
        self.micro_batch = micro_batch
        self.processes = processes
        self.channels_last = any(
            parameter.dim() == 4 and not parameter.is_contiguous() for parameter in model.parameters()
        )

    def update(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.optimiser.zero_grad(set_to_none=True)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        whole = self.micro_batch is None or self.micro_batch >= len(images)
        if whole and self.processes == 1:
            found = self._backward(images, labels, weights, _mean_loss, penalised=True)
        else:
            size = len(images) if self.micro_batch is None else self.micro_batch
            losses, hits = [], []
            weighing = [None] * -(-len(images) // size) if weights is None else weights.split(size)
            parts = zip(images.split(size), labels.split(size), weighing, strict=True)
            for part, (some, theirs, weight) in enumerate(parts):
                loss, right = self._backward(some, theirs, weight, self._share_of_loss, penalised=part == 0)
                losses.append(loss)
                hits.append(right)
            found = torch.stack(losses).sum() / self.processes, torch.stack(hits).sum()
        self.optimiser.step()
        if self.config.centred_rows:
            centre_rows_(self.model)  # type: ignore[arg-type]  # only layered networks have this option
        return found

    def refresh(self) -> None:
        """Nothing is derived from the weights."""

    def _backward(
        self,
        images: Tensor,
        labels: Tensor,
        weights: Tensor | None,
        loss_of: Callable[[Tensor, Tensor, Tensor | None], Tensor],
        *,
        penalised: bool,
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        # every weight is cast once in a forward pass: there is nothing to gain from a cache of casts
        with torch.autocast(
            images.device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16", cache_enabled=False
        ):
            logits = self.forward(images)
            objective = loss_of(logits.float(), labels, weights)
            with torch.no_grad():
                loss = objective.detach() if weights is None else loss_of(logits.float(), labels, None)
        if config.spread_penalty != 0 and penalised:
            objective = objective + config.spread_penalty * rank_penalty(self.model)
        objective.backward()
        return loss, (logits.detach().argmax(dim=1) == labels).sum()

    def _share_of_loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """What these examples contribute to the mean over the batch, times the processes that will be averaged over."""
        if weights is None:
            total = nn.functional.cross_entropy(logits, labels, reduction="sum")
        else:
            total = torch.dot(nn.functional.cross_entropy(logits, labels, reduction="none"), weights)
        return total * (self.processes / self.config.batch_size)


def check_micro_batch(model: nn.Module, config: TrainingConfig, execution: Execution) -> None:
    """Raise `InputError` where gradients of parts of a batch do not add up to that of the whole.

    Raises:
        InputError: the network has batch norm; the message names what keeps its numbers.
    """
    normalised = bool(batch_norm_modules(model))
    if execution.micro_batch is not None and execution.micro_batch < config.batch_size and normalised:
        raise InputError(
            f"LMCBOOK_MICRO_BATCH is {execution.micro_batch}, but {config.architecture} has batch norm, which takes "
            f"its statistics from all {config.batch_size} images of a step: LMCBOOK_RECOMPUTE=1 saves memory and keeps "
            "the numbers"
        )


def _mean_loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return nn.functional.cross_entropy(logits, labels)
    return torch.dot(nn.functional.cross_entropy(logits, labels, reduction="none"), weights) / len(labels)
