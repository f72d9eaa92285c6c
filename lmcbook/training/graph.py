"""A step recorded once as a CUDA graph and replayed: one launch in place of several hundred."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lmcbook.training.step import AbstractStep

WARM_UP = 3
"""Steps on a stream of their own before the recording, in which libraries choose algorithms and take memory."""


class GraphedStep:
    """A step that is recorded at its first batch; every batch must have the shape of the first."""

    def __init__(self, step: AbstractStep) -> None:
        self.step = step
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, rate: float, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As a call of the step, without weights; the two results are overwritten by the next call."""
        assert weights is None
        if self.graph is None:
            self._record(images, labels)
            assert self.graph is not None
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.rate.fill_(rate)
        self.graph.replay()
        return self.found

    def _record(self, images: Tensor, labels: Tensor) -> None:
        step, device = self.step, images.device
        self.images, self.labels = images.clone(), labels.clone()
        # a number would be recorded with the graph, a tensor is read at every replay
        self.rate = torch.zeros((), device=device)
        for group in step.optimiser.param_groups:
            group["lr"] = self.rate
        with unchanged(step.model, step.optimiser):
            side = torch.cuda.Stream(device)
            side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    step.update(self.images, self.labels)
            torch.cuda.current_stream(device).wait_stream(side)
        step.refresh()
        step.optimiser.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.found = step.update(self.images, self.labels)


@contextmanager
def unchanged(model: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """Weights, statistics and momentum are afterwards, in the same memory, what they were before.

    Momentum that is not there yet is 0: the first step makes of it what it would have made of none.
    """
    for parameter in model.parameters():
        if optimiser.state[parameter].get("momentum_buffer") is None:
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    tensors = [*model.state_dict().values(), *(each["momentum_buffer"] for each in optimiser.state.values())]
    before = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
