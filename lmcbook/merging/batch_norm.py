"""Running statistics of a merged network's batch and instance norm, recomputed from training images."""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from lmcbook.data import equal_batches
from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.models.examples import as_images
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, evaluation_mode, recomputed_modules, with_state


@checked
def recompute_batch_norm(
    model: nn.Module,
    state: StateDict,
    images: Shaped[Tensor, "examples ..."] | Any,
    *,
    batch_size: int = 500,
    generator: torch.Generator | None = None,
) -> StateDict:
    r"""A copy of ``state`` whose batch-norm statistics are those of ``images``, pooled over one training-mode pass.

    The statistics are reset, then the images pass once in shuffled batches of equal size: as few batches as
    ``batch_size`` allows, so that fewer images are left out than there are batches. Means and variances of the batches
    are pooled in float64 by the law of total variance, $\mathrm{Var}[x] = \mathrm{E}[\mathrm{Var}[x|b]] +
    \mathrm{Var}[\mathrm{E}[x|b]]$ over batches $b$: a mean of the batches' variances would drop the variance between
    them. Like torch's own ``running_var`` the result is the unbiased variance, divided by n − 1. A layer that is called
    twice pools both calls, one that is never called is left reset.

    Instance norm with running statistics, which normalises with them in evaluation mode, gets the means over images of
    their means and unbiased variances, as its own training would.

    Only these layers are in training mode: dropout stays off. Afterwards the module's modes, momenta, hooks and tensors
    are what they were, also after an exception. A network without batch norm gets a copy of its state, unchanged.

    Args:
        images: un-augmented training images, on the device of ``state``: a tensor, a `lmcbook.Split`, a tuple (images,
            labels), or an iterable of batches such as a `DataLoader`.
        batch_size: the most images that pass at once; at least 2.
        generator: shuffles the images; by default the shuffle is the same in every call.

    Raises:
        InputError: there are fewer than 2 images, or ``state`` does not fit ``model``.
    """
    copies = {name: tensor.detach().clone() for name, tensor in state.items()}
    return recompute_batch_norm_(model, copies, images, batch_size=batch_size, generator=generator)


@checked
def recompute_batch_norm_(
    model: nn.Module,
    state: StateDict,
    images: Shaped[Tensor, "examples ..."] | Any,
    *,
    batch_size: int = 500,
    generator: torch.Generator | None = None,
) -> StateDict:
    """`recompute_batch_norm` that overwrites the statistics in ``state`` itself, copies nothing, and returns it.

    Raises:
        InputError: as `recompute_batch_norm`.
    """
    check_number("batch_size", batch_size, minimum=2, integer=True)
    images = as_images("images", images)
    if len(images) < 2:
        raise InputError(
            f"images holds {len(images)} example(s); batch-norm statistics need at least 2 training images"
        )
    run = with_state(model, state)
    layers = recomputed_modules(model)
    if not layers:
        return state
    size = max(2, len(images) // -(-len(images) // batch_size))
    batches = equal_batches(len(images), size, generator or random_stream(0, "batch_norm")).to(images.device)
    for name in layers:
        state[f"{name}.running_mean"].zero_()
        state[f"{name}.running_var"].fill_(1)
    with torch.no_grad(), _pooling(model, frozenset(layers.values())) as pools:
        for batch in batches:
            run(images[batch])
    for name, layer in layers.items():
        pool = pools.get(layer)
        if pool is not None:
            state[f"{name}.running_mean"].copy_(pool.mean)
            state[f"{name}.running_var"].copy_(pool.unbiased_variance)
        if layer.num_batches_tracked is not None:
            state[f"{name}.num_batches_tracked"].fill_(0 if pool is None else pool.batches)
    return state


@dataclass(slots=True)
class _Pool:
    """Mean and squared deviations per channel of the values of all batches so far (Chan, Golub and LeVeque 1979)."""

    mean: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    count: int = 0
    batches: int = 0
    by_image: bool = False
    """Of an instance norm: images count alike, and their variances are averaged."""

    @property
    def unbiased_variance(self) -> Tensor:
        return self.squares / (self.count if self.by_image else self.count - 1)

    def add(self, mean: Tensor, unbiased_variance: Tensor, count: int) -> None:
        total = self.count + count
        shift = mean - self.mean
        within = unbiased_variance * (count if self.by_image else count - 1)
        between = 0 if self.by_image else shift**2 * (self.count * count / total)
        self.squares = self.squares + within + between
        self.mean = self.mean + shift * (count / total)
        self.count = total
        self.batches += 1


@contextmanager
def _pooling(model: nn.Module, layers: Set[_NormBase]) -> Iterator[dict[nn.Module, _Pool]]:
    """Batch norm, and nothing else, in training mode; every call of a layer is pooled; all is restored on any exit."""
    pools: dict[nn.Module, _Pool] = {}

    def pool(layer: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(layer, _NormBase) and layer.running_mean is not None and layer.running_var is not None
        by_batch = isinstance(layer, _BatchNorm)
        count = output.numel() // output.shape[1] if by_batch else len(output)
        own = pools.setdefault(layer, _Pool(by_image=not by_batch))
        own.add(layer.running_mean.double(), layer.running_var.double(), count)

    hooks = []
    with evaluation_mode(model):
        try:
            for layer in layers:
                layer.training = True
                layer.momentum = 1.0  # the running statistics are then those of the last batch alone
                hooks.append(layer.register_forward_hook(pool))
            yield pools
        finally:
            for hook in hooks:
                hook.remove()
