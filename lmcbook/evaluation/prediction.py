"""Logits of a network, and of all the networks on the line between two."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lmcbook.data import StreamedImages
from lmcbook.errors import InputError, check_number
from lmcbook.merging import interpolate, recompute_batch_norm_
from lmcbook.models import LayeredModel, linear_map
from lmcbook.states import StateDict, check_same_tensors, evaluation_mode, fit_state, has_batch_norm, with_state

# Beyond this the first layer's outputs cost more memory than their reuse saves time: wide convolutions of many images.
MOST_BYTES_OF_FIRST_LAYER = 2 * 1024**3


def coefficients_grid(num_coefficients: int) -> tuple[float, ...]:
    """Equally spaced interpolation coefficients from 0 to 1, both ends included; ½ is one if their number is odd.

    Raises:
        InputError: there are fewer than 2.
    """
    check_number("num_coefficients", num_coefficients, minimum=2, integer=True)
    return tuple(index / (num_coefficients - 1) for index in range(num_coefficients))


def predict_logits(
    model: nn.Module, state: StateDict, images: Float[Tensor, "examples ..."], *, batch_size: int = 1000
) -> Float[Tensor, "examples classes"]:
    """The logits of ``model`` with the weights ``state``, in evaluation mode and without gradients.

    The model keeps its own weights and its mode. Images and state lie on one device.

    Raises:
        InputError: ``state`` does not fit ``model``, there are no images, or the model does not return logits.
    """
    run = with_state(model, state)
    with torch.no_grad(), evaluation_mode(model):
        return torch.cat([_logits(run, batch) for batch in _batches(images, batch_size)])


def predict_logits_along(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    coefficients: Sequence[float | int],
    images: Float[Tensor, "examples ..."],
    *,
    batch_norm_images: Float[Tensor, "others ..."] | None = None,
    batch_size: int = 1000,
) -> Iterator[tuple[float, Tensor]]:
    """λ and the logits of the merged network on ``images``, for one λ of ``coefficients`` after the other.

    One merged state is held at a time, in tensors that are used again. The first layer of a `LayeredModel` is linear in
    λ: without batch norm its two products with the images serve every λ. With batch norm the statistics are recomputed
    from ``batch_norm_images`` at every λ, the ends included.

    Raises:
        InputError: a coefficient lies outside of [0, 1], the states do not fit, or a network with batch norm is given
            no ``batch_norm_images``.
    """
    along = logits_along(
        model, state_a, state_b, coefficients, [images], batch_norm_images=batch_norm_images, batch_size=batch_size
    )
    return ((coefficient, logits) for coefficient, (logits,) in along)


def logits_along(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    coefficients: Sequence[float | int],
    parts: Sequence[Tensor],
    *,
    batch_norm_images: Tensor | None,
    batch_size: int,
) -> Iterator[tuple[float, list[Tensor]]]:
    """`predict_logits_along` for several sets of images at once, which share the merged state of each λ.

    Raises:
        InputError: as `predict_logits_along`; at the call, not at the first λ.
    """
    for coefficient in coefficients:
        check_number("coefficients", coefficient, minimum=0, maximum=1)
    check_same_tensors("state_a", state_a, "state_b", state_b)
    fit_state(model, state_a)
    normalised = has_batch_norm(model)
    if normalised and batch_norm_images is None:
        raise InputError(
            "batch_norm_images is None, but the network has batch norm; give training images to recompute it"
        )
    in_memory = not any(isinstance(images, StreamedImages) for images in parts)
    if isinstance(model, LayeredModel) and not normalised and in_memory:
        sizes = [_first_layer_bytes(model, state_a, images) for images in parts]
        if sum(sizes) <= MOST_BYTES_OF_FIRST_LAYER:
            return _along_shared_first_layer(model, state_a, state_b, coefficients, parts, batch_size)
    return _along(model, state_a, state_b, coefficients, parts, batch_norm_images if normalised else None, batch_size)


def _along(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    coefficients: Sequence[float | int],
    parts: Sequence[Tensor],
    batch_norm_images: Tensor | None,
    batch_size: int,
) -> Iterator[tuple[float, list[Tensor]]]:
    merged = {name: torch.empty_like(tensor) for name, tensor in state_a.items()}
    for coefficient in coefficients:
        interpolate(state_a, state_b, coefficient, out=merged)
        if batch_norm_images is not None:
            recompute_batch_norm_(model, merged, batch_norm_images)
        yield float(coefficient), [predict_logits(model, merged, images, batch_size=batch_size) for images in parts]


def _along_shared_first_layer(
    model: LayeredModel,
    state_a: StateDict,
    state_b: StateDict,
    coefficients: Sequence[float | int],
    parts: Sequence[Tensor],
    batch_size: int,
) -> Iterator[tuple[float, list[Tensor]]]:
    batches = [list(_batches(images, batch_size)) for images in parts]
    first_a, first_b = (
        [[_first_linear_output(model, state, batch) for batch in part] for part in batches]
        for state in (state_a, state_b)
    )
    merged = {name: torch.empty_like(tensor) for name, tensor in state_a.items()}
    for coefficient in coefficients:
        run = with_state(model, interpolate(state_a, state_b, coefficient, out=merged))
        found = []
        with torch.no_grad(), evaluation_mode(model):
            for batched, of_a, of_b in zip(batches, first_a, first_b, strict=True):
                logits = [
                    _logits(run, batch, first_linear_output=torch.lerp(b, a, coefficient))
                    for batch, a, b in zip(batched, of_a, of_b, strict=True)
                ]
                found.append(torch.cat(logits))
        yield float(coefficient), found


def _first_linear_output(model: LayeredModel, state: StateDict, images: Tensor) -> Tensor:
    name = model.layer_names[0]
    prepare = model.layer(name).prepare
    return linear_map(model, state, name, images if prepare is None else prepare(images))


def _first_layer_bytes(model: LayeredModel, state: StateDict, images: Tensor) -> int:
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
        raise InputError(
            f"model returned {what}; it must return logits of shape (examples, classes): wrap it in a module"
        )
    return logits
