"""Logits of a network, and of all the networks on the line between two."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lmcbook.errors import AtFault, InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.errors.arrays import is_in_memory
from lmcbook.merging import interpolate, recompute_batch_norm_
from lmcbook.models.examples import as_images
from lmcbook.states import StateDict, check_same_tensors, evaluation_mode, fitted, has_batch_norm, with_state

# Beyond this the first layer's outputs cost more memory than their reuse saves time: wide convolutions of many images.
MOST_BYTES_OF_FIRST_LAYER = 2 * 1024**3

# A finer grid resolves nothing, and a mistyped number would fill the memory.
MOST_COEFFICIENTS = 1_000_001


@checked
def coefficients_grid(num_coefficients: int) -> tuple[float, ...]:
    """Equally spaced interpolation coefficients from 0 to 1, both ends included; ½ is one if their number is odd.

    Raises:
        InputError: there are fewer than 2, or more than `MOST_COEFFICIENTS`.
    """
    check_number("num_coefficients", num_coefficients, minimum=2, maximum=MOST_COEFFICIENTS, integer=True)
    return tuple(index / (num_coefficients - 1) for index in range(num_coefficients))


@checked
def predict_logits(
    model: nn.Module, state: StateDict, images: Any, *, batch_size: int = 1000
) -> Float[Tensor, "examples classes"]:
    """The logits of ``model`` with the weights ``state``, in evaluation mode and without gradients.

    The model keeps its own weights and its mode. Images and state lie on one device.

    Args:
        images: a tensor, or another of the forms that `lmcbook.models.examples.as_images` takes.

    Raises:
        InputError: ``state`` does not fit ``model``, there are no images, or the model does not return logits.
    """
    images = as_images("images", images)
    run = with_state(model, state)
    with torch.no_grad(), evaluation_mode(model):
        return torch.cat([_logits(run, batch) for batch in _batches(images, batch_size)])


@checked
def predict_logits_along(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    coefficients: Sequence[float | int],
    images: Any,
    *,
    batch_norm_images: Any = None,
    batch_size: int = 1000,
) -> Iterator[tuple[float, Tensor]]:
    """λ and the logits of the merged network on ``images``, for one λ of ``coefficients`` after the other.

    One merged state is held at a time, in tensors that are used again. The first layer is linear in λ: without batch
    norm its two products with the images serve every λ, if the model takes them, as `lmcbook.models.LayeredModel` does.
    With batch norm the statistics are recomputed from ``batch_norm_images`` at every λ, the ends included.

    Raises:
        InputError: a coefficient lies outside [0, 1], the states do not fit, or a network with batch norm is given
            no ``batch_norm_images``.
    """
    for coefficient in coefficients:
        check_number("coefficients", coefficient, minimum=0, maximum=1)
    parts = [as_images("images", images)]
    if batch_norm_images is not None:
        batch_norm_images = as_images("batch_norm_images", batch_norm_images)
    logits_at = merged_logits(
        model, state_a, state_b, parts, batch_norm_images=batch_norm_images, batch_size=batch_size
    )
    return ((float(coefficient), logits_at(coefficient)[0]) for coefficient in coefficients)


def merged_logits(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    parts: Sequence[Tensor],
    *,
    batch_norm_images: Tensor | None,
    batch_size: int,
) -> Callable[[float], list[Tensor]]:
    """λ → the merged network's logits on several sets of images, which share the merged state.

    Raises:
        InputError: as `predict_logits_along`.
    """
    check_same_tensors("state_a", state_a, "state_b", state_b)
    fitted(model, "state_a", state_a)
    if batch_norm_images is None and has_batch_norm(model):
        raise InputError(
            "batch_norm_images is None, but the network has batch norm; give training images to recompute it"
        )
    if shares_first_layer(model, state_a, parts):
        return _sharing_first_layer(model, state_a, state_b, parts, batch_size)
    merged = {name: torch.empty_like(tensor) for name, tensor in state_a.items()}

    def logits_at(coefficient: float) -> list[Tensor]:
        interpolate(state_a, state_b, coefficient, out=merged)
        if batch_norm_images is not None:
            recompute_batch_norm_(model, merged, batch_norm_images)
        return [predict_logits(model, merged, images, batch_size=batch_size) for images in parts]

    return logits_at


def shares_first_layer(model: nn.Module, state: StateDict, parts: Sequence[Tensor]) -> bool:
    """Whether the first layer's products with all images are computed once, for every λ.

    The model must offer it, by a method ``first_linear_output`` whose result its forward pass takes; the images must
    lie in memory, and the products must fit there too.
    """
    if not hasattr(model, "first_linear_output") or has_batch_norm(model):
        return False
    if not all(map(is_in_memory, parts)):
        return False
    sizes = [_first_layer_bytes(model, state, images) for images in parts]
    return sum(sizes) <= MOST_BYTES_OF_FIRST_LAYER


def _sharing_first_layer(
    model: nn.Module, state_a: StateDict, state_b: StateDict, parts: Sequence[Tensor], batch_size: int
) -> Callable[[float], list[Tensor]]:
    batches = [list(_batches(images, batch_size)) for images in parts]
    first_a, first_b = (
        [[_first_linear_output(model, state, batch) for batch in part] for part in batches]
        for state in (state_a, state_b)
    )
    merged = {name: torch.empty_like(tensor) for name, tensor in state_a.items()}

    def logits_at(coefficient: float) -> list[Tensor]:
        run = with_state(model, interpolate(state_a, state_b, coefficient, out=merged))
        found = []
        with torch.no_grad(), evaluation_mode(model):
            for batched, of_a, of_b in zip(batches, first_a, first_b, strict=True):
                logits = [
                    _logits(run, batch, first_linear_output=torch.lerp(b, a, coefficient))
                    for batch, a, b in zip(batched, of_a, of_b, strict=True)
                ]
                found.append(torch.cat(logits))
        return found

    return logits_at


def _first_linear_output(model: nn.Module, state: StateDict, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model.first_linear_output(state, images)  # type: ignore[operator]


def _first_layer_bytes(model: nn.Module, state: StateDict, images: Tensor) -> int:
    """What the outputs of both networks' first layer take for all images."""
    one = _first_linear_output(model, state, images[:1])
    return 2 * len(images) * one.numel() * one.element_size()


def _batches(images: Tensor, batch_size: int) -> Iterable[Tensor]:
    check_number("batch_size", batch_size, minimum=1, integer=True)
    if len(images) == 0:
        raise InputError("images holds no example; give at least one")
    return images.split(batch_size)


def _logits(run: Callable[..., Any], images: Tensor, **arguments: Tensor) -> Tensor:
    logits = run(images, **arguments)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise AtFault(
            f"model returned {what} for images of shape {tuple(images.shape)}; it must return logits of shape "
            "(examples, classes): wrap it in a module",
            "images",
            [images],
        )
    return logits
