"""Multilayer perceptrons of one shape with their weights stacked, and the step of gradient descent of all at once.

The backward pass is written by hand. `torch.func.vmap` of `torch.func.grad` needs none and serves any architecture, but
`benchmarks/training_together.py --vmap` measured it at 28 % to 40 % of the speed of this step with batches of 32 (67 %
with 128), and below the speed of training one by one at 256 hidden units. It also rounds otherwise, so that every
network trained together would get a new address.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lmcbook.states import StateDict
from lmcbook.training.config import TrainingConfig

_KEPT = 2**18
"""At most this many logits are kept before the losses of their steps are computed in bulk."""


@dataclass(frozen=True, slots=True)
class _Activation:
    apply: Callable[[Tensor, Tensor], object]
    """(pre-activations, where the activations go)."""
    differentiate: Callable[[Tensor, Tensor], object]
    """(gradient of the activations, which becomes that of the pre-activations; what was kept of the forward pass)."""
    keeps_input: bool
    """Whether the derivative needs the pre-activations; else the activations overwrite them."""


_aten = torch.ops.aten
_ACTIVATIONS = {
    "relu": _Activation(
        lambda inputs, out: inputs.relu_(),
        lambda gradient, kept: _aten.threshold_backward(gradient, kept, 0, grad_input=gradient),
        keeps_input=False,
    ),
    "leaky_relu": _Activation(
        lambda inputs, out: torch.nn.functional.leaky_relu_(inputs),
        lambda gradient, kept: _aten.leaky_relu_backward(gradient, kept, 0.01, True, grad_input=gradient),
        keeps_input=False,
    ),
    "gelu": _Activation(
        lambda inputs, out: _aten.gelu(inputs, out=out),
        lambda gradient, kept: _aten.gelu_backward(gradient, kept, grad_input=gradient),
        keeps_input=True,
    ),
}


class StackedNetworks:
    """Bias-free multilayer perceptrons that differ in their weights, weight decay and penalty, trained at once.

    The numbers of a network do not depend on the others: no sum runs over two networks, which have their own blocks of
    every tensor, a whole number of cache lines and of vector registers long. Hidden layers are filled up to that length
    with units whose weights are 0 and stay 0.

    Args:
        configs: of the networks; they differ in nothing but seeds, weight decay and the size of the spread penalty.
        states: their weights, as `lmcbook.models.build_model` names and orders them.
        momenta: what the optimiser remembers of each weight; empty before the first step.
    """

    def __init__(
        self,
        configs: Sequence[TrainingConfig],
        states: Sequence[StateDict],
        momenta: Sequence[StateDict],
        *,
        device: torch.device,
    ) -> None:
        config = configs[0]
        self._names = tuple(states[0])
        self._shapes = [tuple(states[0][name].shape) for name in self._names]
        self._config = config
        self.num_classes, batch = self._shapes[-1][0], config.batch_size
        hidden = [_filled(units_out, 32) for units_out, _ in self._shapes[:-1]]
        # the logits' block has (classes, batch) numbers, and must be a whole number of cache lines as well
        classes = _filled(self.num_classes, 16 // math.gcd(16, batch))
        self.units_in = _filled(self._shapes[0][1], 16)
        """Values of an image, filled up with zeros."""
        widths = [self.units_in, *hidden, classes]

        def stacked(tensors: Sequence[StateDict]) -> list[Tensor]:
            # stored as (networks, in, out): forward and gradient of the weights are then the fast forms of the product
            stacks = [torch.zeros(len(configs), *sizes, device=device) for sizes in pairwise(widths)]
            for stack, name, (units_out, units_in) in zip(stacks, self._names, self._shapes, strict=True):
                for member, held in enumerate(tensors):
                    if name in held:
                        stack[member, :units_in, :units_out] = held[name].T.to(device)
            return stacks

        self._weights, self._momenta = stacked(states), stacked(momenta)

        def column(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, device=device)[:, None, None]

        self._decay = column([one.weight_decay for one in configs])
        self._penalty = column([one.spread_penalty for one in configs]) if config.spread_penalty > 0 else None
        self._activation = _ACTIVATIONS[config.activation]

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, device=device)

        self._outputs = [empty(len(configs), batch, units) for units in hidden]
        self._inputs = (
            [empty(len(configs), batch, units) for units in hidden] if self._activation.keeps_input else self._outputs
        )
        self._gradients = [empty(len(configs), batch, units) for units in hidden]
        self._error = empty(len(configs), classes, batch)
        self._minus_one = -torch.ones(len(configs), 1, batch, device=device)
        self.capacity = max(1, _KEPT // self._error.numel())
        """Steps whose logits are kept: `losses` must be read before more are done."""
        self._logits = empty(self.capacity, len(configs), classes, batch)

    def step(
        self,
        images: Float[Tensor, "networks batch values"],
        labels: Int64[Tensor, "networks 1 batch"],
        rate: float,
        place: int,
    ) -> None:
        """Update all weights as `torch.optim.SGD` would each network's, and keep the logits at ``place``."""
        activation = self._activation
        signal = images
        for weight, inputs, outputs in zip(self._weights, self._inputs, self._outputs, strict=False):
            torch.bmm(signal, weight, out=inputs)
            activation.apply(inputs, outputs)
            signal = outputs
        logits = self._logits[place]
        torch.bmm(self._weights[-1].mT, signal.mT, out=logits)
        if logits.shape[1] > self.num_classes:
            logits[:, self.num_classes :] = -math.inf
        torch.softmax(logits, 1, out=self._error)
        self._error.scatter_add_(1, labels, self._minus_one)

        gradient = self._error.mT
        for layer in reversed(range(len(self._weights))):
            weight, momentum = self._weights[layer], self._momenta[layer]
            signal = self._outputs[layer - 1] if layer else images
            torch.baddbmm(
                momentum,
                signal.mT,
                gradient,
                beta=self._config.momentum,
                alpha=1 / self._config.batch_size,
                out=momentum,
            )
            if layer:
                torch.bmm(gradient, weight.mT, out=self._gradients[layer - 1])
                gradient = self._gradients[layer - 1]
                activation.differentiate(gradient, self._inputs[layer - 1])
            if self._penalty is not None:
                self._penalise(layer, self._penalty)
            momentum.addcmul_(weight, self._decay)
            weight.add_(momentum, alpha=-rate)

    def _penalise(self, layer: int, penalty: Tensor) -> None:
        r"""Add the gradient of penalty · `lmcbook.training.singular_value_spread` to a layer's momenta.

        With $G = W^\top W$, $t = \operatorname{tr} G$ and n the smaller side of W it is
        $4n\,(W G / t^2 - W \|G\|_F^2 / t^3)$.
        """
        weight, n = self._weights[layer], min(self._shapes[layer])
        gram = weight.mT @ weight
        trace = gram.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
        square = gram.square().sum(dim=(1, 2))[:, None, None]
        factor = 4 * n * penalty / trace.square()
        self._momenta[layer].baddbmm_(weight, factor * gram).addcmul_(weight, factor * square / trace, value=-1)

    def losses(
        self, labels: Int64[Tensor, "steps networks 1 batch"]
    ) -> tuple[Float[Tensor, "networks steps"], Int64[Tensor, " networks"]]:
        """Mean loss in each of the first steps that are kept, and how many examples were right in all of them."""
        logits = self._logits[: len(labels)]
        losses = -logits.log_softmax(dim=2).gather(2, labels).mean(dim=(2, 3))
        correct = (logits.argmax(dim=2) == labels[:, :, 0]).sum(dim=(0, 2))
        return losses.T, correct

    def state(self, member: int) -> StateDict:
        """The weights of one network as its module names and shapes them, on the CPU."""
        return self._unstacked(self._weights, member)

    def momentum(self, member: int) -> StateDict:
        """What the optimiser remembers of each weight of one network, on the CPU; nothing without momentum."""
        return self._unstacked(self._momenta, member) if self._config.momentum > 0 else {}

    def _unstacked(self, views: list[Tensor], member: int) -> StateDict:
        return {
            name: view[member, :units_in, :units_out].T.to("cpu", copy=True).contiguous()
            for name, view, (units_out, units_in) in zip(self._names, views, self._shapes, strict=True)
        }


def _filled(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
