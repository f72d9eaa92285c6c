"""Steps in bfloat16 that move fewer bytes: the weights' copies last from one update to the next.

Autocast makes a bfloat16 copy of every weight in every forward pass, and a float32 copy of every bfloat16 gradient in
every backward pass. In a wide multilayer perceptron that is as much traffic as the update itself. Here the network
holds bfloat16 copies while it is at work, and one kernel reads gradient, weight and momentum and writes weight,
momentum and the next copy. Weights and momentum are float32 as ever; products and gradients are the same bits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lmcbook.training.config import TrainingConfig
from lmcbook.training.execution import Execution
from lmcbook.training.step import AbstractStep, Step


def uses_half_weights(config: TrainingConfig, execution: Execution, processes: int) -> bool:
    """Whether the step is one of this kind: asked for, in bfloat16, of a whole batch, in one process.

    A penalty on the weights is taken of float32 weights, which the network does not hold here; and the update that is
    written out here is that of SGD.
    """
    plain = execution.micro_batch is None and processes == 1 and config.spread_penalty == 0
    plain = plain and config.optimiser == "sgd" and not config.centred_rows
    return execution.half_weights and config.precision == "bfloat16" and plain


class HalfWeightStep(AbstractStep):
    """A `Step` while which the network's linear maps and convolutions hold bfloat16 weights."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.model, self.optimiser, self.config = step.model, step.optimiser, step.config
        self.maps = [
            module for module in self.model.modules() if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
        ]
        self.weights: list[nn.Parameter] = [module.weight for module in self.maps]  # type: ignore[misc]
        self.copies = [nn.Parameter(weight.detach().bfloat16()) for weight in self.weights]
        self.rate = torch.zeros((), device=self.weights[0].device)
        self.is_fresh = False
        # a compiled update is one kernel for each weight; on a CPU it is not worth the compiler
        on_gpu = self.weights[0].device.type == "cuda"
        self.rule = torch.compile(_update, dynamic=False) if on_gpu else _update

    def refresh(self) -> None:
        """Take the copies from the weights again."""
        with torch.no_grad():
            for copy, weight in zip(self.copies, self.weights, strict=True):
                copy.copy_(weight)
        self.is_fresh = True

    def update(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not self.is_fresh:
            self.refresh()
        for copy in self.copies:
            copy.grad = None
        with self._at_work():
            # here the optimiser sees no gradient of a weight: it updates scales, shifts and biases
            found = self.step.update(images, labels, weights)
        rate = self.optimiser.param_groups[0]["lr"]
        if not isinstance(rate, Tensor):  # a number would be compiled into the rule, one after the other
            rate = self.rate.fill_(rate)
        gradients = [copy.grad for copy in self.copies if copy.grad is not None]
        with torch.no_grad():
            decay = self.config.weight_decay
            self.rule(self.weights, self._momenta(), self.copies, gradients, rate, self.config.momentum, decay)
        return found

    def _momenta(self) -> list[Tensor]:
        momenta = []
        for weight in self.weights:
            state = self.optimiser.state[weight]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(weight, requires_grad=False)
            momenta.append(state["momentum_buffer"])
        return momenta

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """The network with its bfloat16 weights in place of the float32 weights."""
        try:
            for module, copy in zip(self.maps, self.copies, strict=True):
                module._parameters["weight"] = copy
            yield
        finally:
            for module, weight in zip(self.maps, self.weights, strict=True):
                module._parameters["weight"] = weight


def _update(
    weights: Sequence[Tensor],
    momenta: Sequence[Tensor],
    copies: Sequence[Tensor],
    gradients: Sequence[Tensor],
    rate: Tensor,
    momentum: float,
    weight_decay: float,
) -> None:
    """Stochastic gradient descent as torch's SGD does it, and the next bfloat16 copies."""
    for weight, velocity, copy, gradient in zip(weights, momenta, copies, gradients, strict=True):
        velocity.mul_(momentum).add_(gradient.float() + weight_decay * weight)
        weight.sub_(rate * velocity)
        copy.copy_(weight)
