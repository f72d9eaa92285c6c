"""Examples in the forms in which people have them: tensors, arrays, a split, a pair, a dataset, a `DataLoader`."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lmcbook.errors import InputError, described, one_line
from lmcbook.errors.annotations import refused
from lmcbook.errors.arrays import is_plain, tensor_of
from lmcbook.errors.machine import of_the_machine


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
        given: something with ``images`` and ``labels``, which is returned unchanged; a tuple (images, labels) of
            tensors or arrays; a `torch.utils.data.Dataset` of such pairs; an iterable of such tuples, batch by batch,
            which is gone through once.

    Raises:
        InputError: it is nothing of that kind, or there are not as many labels as images.
    """
    if isinstance(given, Examples):
        _plain(f"{argument}'s images", given.images)
        _plain(f"{argument}'s labels", given.labels)
        return given
    batches = _batches(argument, given)
    pairs = [[_tensor(part) for part in batch] for batch in batches if isinstance(batch, tuple | list)]
    pairs = [pair for pair in pairs if len(pair) == 2]
    if not pairs or len(pairs) < len(batches) or not all(isinstance(part, Tensor) for pair in pairs for part in pair):
        raise InputError(
            f"{argument} is {described(given)}; it may be (images, labels), something with .images and .labels, "
            "a dataset of such pairs, or an iterable of batches (images, labels) such as a DataLoader"
        )
    found = Labelled(*(_joined(argument, parts) for parts in zip(*pairs, strict=True)))
    if len(found.images) != len(found.labels):
        raise InputError(
            f"{argument} holds {len(found.images)} images and {len(found.labels)} labels; give one label for each image"
        )
    return found


def as_images(argument: str, given: Any) -> Tensor:
    """Images alone, in memory; labels that come with them are dropped.

    Args:
        argument: name of the argument, for the error.
        given: a tensor, which is returned unchanged; an array; something with ``images``; a tuple (images, labels); a
            dataset; or an iterable of batches, tensors or such tuples, which is gone through once.

    Raises:
        InputError: it is nothing of that kind.
    """
    if isinstance(given, Tensor | np.ndarray) and isinstance(given := _tensor(given), Tensor):
        return _plain(argument, given)
    if isinstance(images := getattr(given, "images", None), Tensor):
        return _plain(argument, images)
    batches = _batches(argument, given)
    if isinstance(given, tuple) and len(given) > 2:
        batches = []  # rows of images, say
    parts = [_tensor(batch[0] if isinstance(batch, tuple | list) and batch else batch) for batch in batches]
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise InputError(
            f"{argument} is {described(given)}; it may be a tensor, (images, labels), something with .images, "
            "or an iterable of batches such as a DataLoader"
        )
    return _joined(argument, parts)


def _plain(argument: str, tensor: Tensor) -> Tensor:
    if not is_plain(tensor):
        raise refused(argument, tensor, "a tensor")
    return tensor


def _joined(argument: str, parts: Sequence[Tensor]) -> Tensor:
    for part in parts:
        _plain(argument, part)
    try:
        return torch.cat(list(parts))
    except RuntimeError as error:
        raise InputError(
            f"{argument} holds batches that cannot be put together ({_reason(error)}); give tensors of one shape but "
            "for the first axis, that of the examples"
        ) from None


def _reason(error: Exception) -> str:
    """The error's message, shortened; an error of the machine is not the input's, and is raised again."""
    if of_the_machine(error):
        raise error
    return one_line(error, 160)


def _batches(argument: str, given: Any) -> list[Any]:
    """What there is to put together: one pair, or the batches of a dataset or an iterable."""
    if isinstance(given, tuple):
        return [given]
    if isinstance(given, Dataset):
        try:
            return list(DataLoader(given, batch_size=500))
        except (TypeError, RuntimeError) as error:
            raise InputError(
                f"{argument} is a {type(given).__name__} whose examples cannot be put into batches ({_reason(error)}); "
                "give it a transform that makes tensors of one shape, or give a DataLoader"
            ) from None
    return (
        list(given)
        if isinstance(given, Iterable) and not isinstance(given, str | bytes | memoryview | dict | Tensor)
        else []
    )


def _tensor(part: Any) -> Any:
    # an array of objects is none of numbers
    return tensor_of(part) if isinstance(part, np.ndarray) and part.dtype.kind in "biufc" else part
