"""Examples in the forms in which people have them: tensors, a split, a pair, a `DataLoader`."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from lmcbook.errors import InputError


@runtime_checkable
class Examples(Protocol):
    """Images (or other inputs) and their labels, such as a `lmcbook.data.Split`."""

    @property
    def images(self) -> Tensor: ...

    @property
    def labels(self) -> Tensor: ...


class Labelled(NamedTuple):
    """Images and labels that `as_examples` put together."""

    images: Tensor
    labels: Tensor


def as_examples(argument: str, given: Any) -> Examples:
    """Images with labels, in memory.

    Args:
        argument: name of the argument, for the error.
        given: something with ``images`` and ``labels``, which is returned as it is; a tuple (images, labels); or an
            iterable of such tuples, batch by batch, which is gone through once.

    Raises:
        InputError: it is nothing of that kind, or there are not as many labels as images.
    """
    if isinstance(given, Examples):
        return given
    batches = [given] if isinstance(given, tuple) else list(given) if _holds_batches(given) else []
    pairs = [batch for batch in batches if isinstance(batch, tuple | list) and len(batch) == 2]
    if not pairs or len(pairs) < len(batches) or not all(isinstance(part, Tensor) for pair in pairs for part in pair):
        raise InputError(
            f"{argument} is {_described(given)}; it may be (images, labels), something with .images and .labels, "
            "or an iterable of batches (images, labels) such as a DataLoader"
        )
    found = Labelled(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))
    if len(found.images) != len(found.labels):
        raise InputError(
            f"{argument} holds {len(found.images)} images and {len(found.labels)} labels; give one label for each image"
        )
    return found


def as_images(argument: str, given: Any) -> Tensor:
    """Images alone, in memory; labels that come with them are dropped.

    Args:
        argument: name of the argument, for the error.
        given: a tensor, which is returned as it is; something with ``images``; a tuple (images, labels); or an iterable
            of batches, tensors or such tuples, which is gone through once.

    Raises:
        InputError: it is nothing of that kind.
    """
    if isinstance(given, Tensor):
        return given
    if isinstance(images := getattr(given, "images", None), Tensor):
        return images
    batches = [given] if isinstance(given, tuple) else list(given) if _holds_batches(given) else []
    parts = [batch[0] if isinstance(batch, tuple | list) and batch else batch for batch in batches]
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise InputError(
            f"{argument} is {_described(given)}; it may be a tensor, (images, labels), something with .images, "
            "or an iterable of batches such as a DataLoader"
        )
    return torch.cat(parts)


def _holds_batches(given: object) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, str | bytes | dict | Tensor)


def _described(given: object) -> str:
    return "None" if given is None else f"a {type(given).__name__}"
