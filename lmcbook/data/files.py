"""NAME.safetensors files: read memory-mapped and checked, written whole or not at all, one process at a time."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from lmcbook.data import paths
from lmcbook.data.locks import held
from lmcbook.data.safe_files import NO_FILE, opened
from lmcbook.data.whole_files import content_sha256, written_whole
from lmcbook.errors import InputError, one_line

LAYOUT = "train_images and test_images uint8 (examples, channels, height, width), train_labels and test_labels int64"
LOCK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """The content of one file, in its own order."""

    train_images: UInt8[np.ndarray, "train channels height width"]
    train_labels: Int64[np.ndarray, " train"]
    test_images: UInt8[np.ndarray, "test channels height width"]
    test_labels: Int64[np.ndarray, " test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says before any image of it is read."""

    num_train: int
    num_test: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    sha256: str | None


def path_of(name: str) -> Path:
    """Where the dataset of this name lies, or would lie."""
    return paths.data() / f"{name}.safetensors"


def read_header(path: Path) -> Header:
    """Sizes, class names and stored digest of a file.

    Raises:
        InputError: the file cannot be read or has another layout.
    """
    from safetensors import SafetensorError

    try:
        with opened(path, framework="np") as file:
            metadata = file.metadata() or {}
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  (a safe_open has no iterator)
            kinds = {key: (part.get_dtype(), tuple(part.get_shape())) for key, part in slices.items()}
        class_names = tuple(json.loads(metadata.get("classes", "[]")))
        if metadata.get("classes_sha256", _classes_sha256(class_names)) != _classes_sha256(class_names):
            raise ValueError("the names of its classes are not those that were written")
        if not all(isinstance(class_name, str) for class_name in class_names):
            raise ValueError(f"its classes are {class_names}")
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError, KeyError) as error:
        raise _unread(path, error) from None
    sizes: dict[str, tuple[int, ...]] = {}
    for split in ("train", "test"):
        image_kind, image_shape = kinds.get(f"{split}_images", ("missing", ()))
        label_kind, label_shape = kinds.get(f"{split}_labels", ("missing", ()))
        good = image_kind == "U8" and len(image_shape) == 4 and min(image_shape, default=0) > 0
        good = good and label_kind == "I64" and label_shape == image_shape[:1]
        if not good or (sizes and image_shape[1:] != sizes["train"][1:]):
            found = f"{split}_images {image_kind} {image_shape}, {split}_labels {label_kind} {label_shape}"
            raise InputError(f"{path} holds {found}; it must hold {LAYOUT}, images of one size")
        sizes[split] = image_shape
    _, channels, height, width = sizes["train"]
    return Header(
        num_train=sizes["train"][0],
        num_test=sizes["test"][0],
        image_shape=(channels, height, width),
        class_names=class_names,
        sha256=metadata.get("sha256"),
    )


def read_arrays(path: Path) -> Arrays:
    """The examples of a file, memory-mapped: nothing is copied until it is used.

    Raises:
        InputError: the file cannot be read, has another layout or labels that are no class.
    """
    header = read_header(path)
    # torch's reader maps the file into memory, numpy's copies it
    try:
        with opened(path) as file:
            tensors = {key: file.get_tensor(key).numpy() for key in Arrays.__dataclass_fields__}
    except OSError as error:
        raise _unread(path, error) from None
    for split in ("train", "test"):
        _check_labels(path, split, tensors[f"{split}_labels"], header)
    return Arrays(**tensors)


def read_parts(path: Path, split: str, size: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The images and labels of a file's split ``train`` or ``test``, ``size`` examples at a time, without torch.

    Raises:
        InputError: as `read_arrays`.
    """
    header = read_header(path)
    try:
        with opened(path, framework="np") as file:
            images, labels = file.get_slice(f"{split}_images"), file.get_tensor(f"{split}_labels")
            _check_labels(path, split, labels, header)
            for start in range(0, len(labels), size):
                stop = min(start + size, len(labels))  # beyond its end a file has no slice
                yield images[start:stop], labels[start:stop]
    except OSError as error:
        raise _unread(path, error) from None


def _check_labels(path: Path, split: str, labels: np.ndarray, header: Header) -> None:
    if labels.min() < 0 or (header.class_names and labels.max() >= len(header.class_names)):
        raise InputError(
            f"{path}: {split}_labels run from {labels.min()} to {labels.max()}; with {len(header.class_names)} classes "
            f"they must run from 0 to {len(header.class_names) - 1}"
        )


def write_arrays(path: Path, arrays: Arrays, class_names: tuple[str, ...], sha256: str) -> None:
    """Write a file so that a reader sees all of it or nothing, whenever this process is stopped."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    content = {key: np.ascontiguousarray(getattr(arrays, key)) for key in Arrays.__dataclass_fields__}
    try:
        with written_whole(path) as partial:
            metadata = {"classes": json.dumps(class_names), "classes_sha256": _classes_sha256(class_names)}
            save_file(content, partial, metadata=metadata | {"sha256": sha256})
    except (OSError, SafetensorError) as error:  # of a full disk it is the second
        raise InputError(
            f"{path} cannot be written ({one_line(error)}); LMCBOOK_DATA may name another folder"
        ) from None


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the dataset of this name: other processes wait, and then find what this one wrote.

    Raises:
        InputError: the folder cannot be written, or another process holds the lock for an hour.
    """
    folder = paths.data()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{name}.safetensors cannot be put into {folder} ({one_line(error)}); LMCBOOK_DATA may name another folder"
        ) from None
    with held([folder / f".{name}.lock"], f"prepares {name}", limit=LOCK_SECONDS):
        yield


def _classes_sha256(class_names: tuple[str, ...]) -> str:
    """Of the names of the classes, which the dataset's digest does not know: nothing is trained on them."""
    return content_sha256(list(class_names))


def _unread(path: Path, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.errno not in (*NO_FILE, errno.ENOENT):  # what is in it may be whole
        return InputError(f"{path} cannot be read ({error.strerror}): let yourself read it, or try again later")
    return InputError(f"{path} cannot be read ({one_line(error)}); delete it and get or import it again")
