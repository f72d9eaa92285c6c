"""Batch norm over the examples of all processes: what keeps a training in several processes the same training."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lmcbook.models import LayeredModel


class _Total(torch.autograd.Function):
    """The sum over all processes, where the share of each process has the gradient of all of them."""

    @staticmethod
    def forward(context: Any, share: Tensor) -> Tensor:
        total = share.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics are those of the batches of all processes, with gradients through them.

    For processes on CPUs, where torch's SyncBatchNorm does not run; two sums over all processes in each direction.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return super().forward(inputs)
        axes = (0, 2, 3)
        count = _Total.apply(torch.tensor(float(inputs.numel() // inputs.shape[1]), device=inputs.device))
        mean = _Total.apply(inputs.float().sum(axes)) / count
        centred = inputs.float() - mean[:, None, None]
        variance = _Total.apply(centred.square().sum(axes)) / count
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None and self.momentum is not None
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(inputs.dtype)


def shared_batch_norm(model: LayeredModel, device: torch.device) -> LayeredModel:
    """The model with batch norm over all processes, on the same parameters and statistics."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                shared = SharedBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
                shared.load_state_dict(child.state_dict(), assign=True)
                setattr(module, name, shared)
    return model
