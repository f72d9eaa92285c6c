"""Missing datasets: torchvision downloads them, and they are converted into NAME.safetensors."""

import queue
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lmcbook.data import paths
from lmcbook.data.catalogue import check_name, digest_of_arrays, is_available, where
from lmcbook.data.datasets import DATASETS
from lmcbook.data.files import Arrays, lock, path_of, write_arrays
from lmcbook.data.folders import is_folder_dataset, read_folder
from lmcbook.errors import InputError, one_line

CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}
"""Names of the downloaders in `torchvision.datasets`."""
CONNECT_SECONDS = 8.0
"""Without network the answer must come soon; DNS alone can hang for minutes, and no library takes a limit for it."""
STALL_SECONDS = 30.0


def get(name: str) -> str:
    """Have the dataset on this machine, downloading it if it is missing; where it is, in words.

    Raises:
        InputError: there is no such dataset, or it is missing and cannot be downloaded.
    """
    check_name(name)
    if is_folder_dataset(name):
        read_folder(name)
    elif not is_available(name) and name in CLASSES:
        download(name)
    return where(name)


def download(name: str) -> Path:
    """Download and convert a known dataset, unless another process does so meanwhile; the path of its file.

    Raises:
        InputError: it cannot be downloaded (the message says which file to put where) or holds other examples than it
            must.
    """
    path = path_of(name)
    with lock(name):
        if path.is_file():
            return path
        for left_over in paths.data().glob(f".{name}.download-*"):  # of a process that was killed: we hold its lock
            rmtree(left_over, ignore_errors=True)
        with TemporaryDirectory(dir=paths.data(), prefix=f".{name}.download-", ignore_cleanup_errors=True) as folder:
            arrays, class_names = _fetch(name, Path(folder))
        dataset = DATASETS[name]
        digest = digest_of_arrays(arrays)
        shape, size = arrays.train_images.shape[1:], len(arrays.train_images)
        if (dataset.sha256 or digest) != digest or (shape, size) != (
            dataset.input_shape,
            dataset.num_train + dataset.num_calibration,
        ):
            raise InputError(
                f"what torchvision downloaded as {name} are {size} training images of shape {shape}, SHA-256 {digest}, "
                f"not the {name} that is expected (SHA-256 {dataset.sha256 or 'not pinned'}); {_by_hand(name)}"
            )
        write_arrays(path, arrays, dataset.class_names or class_names, digest)
    return path


def _fetch(name: str, folder: Path) -> tuple[Arrays, tuple[str, ...]]:
    try:
        from lmcbook.data.torchvision_guard import import_torchvision

        downloader = getattr(import_torchvision().datasets, CLASSES[name])
    except InputError as error:
        raise InputError(f"dataset {name!r} is missing and {error}; or: {_by_hand(name)}") from None
    reason = unreachable(_addresses(downloader))
    if reason is None:
        try:
            with _stall_limit(STALL_SECONDS), redirect_stdout(sys.stderr):
                parts = [downloader(folder, train=train, download=True) for train in (True, False)]
        except Exception as error:  # torchvision raises whatever urllib, tarfile, gzip and its own checks do
            reason = one_line(error)
        else:
            return _convert(*parts), tuple(map(str, parts[0].classes))
    raise InputError(f"dataset {name!r} is missing and could not be downloaded ({reason}); {_by_hand(name)}")


def _by_hand(name: str) -> str:
    return (
        f"put {name}.safetensors into {paths.data()} (`python -m lmcbook data get {name}` makes it on a machine with "
        "network), or let LMCBOOK_DATA name the folder that has it"
    )


def _addresses(downloader: Any) -> list[str]:
    if hasattr(downloader, "mirrors"):
        return [mirror + downloader.resources[0][0] for mirror in downloader.mirrors]
    return [downloader.url]


def unreachable(addresses: Sequence[str], seconds: float = CONNECT_SECONDS) -> str | None:
    """Why none of the addresses answers within ``seconds``; ``None`` as soon as one does."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask(address: str) -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
            answers.put(None)
        except urllib.error.HTTPError as error:  # an answer all the same; the download itself may be allowed
            error.close()
            answers.put(None)
        except Exception as error:
            answers.put(f"{urlsplit(address).hostname}: {getattr(error, 'reason', None) or one_line(error)}")

    for address in addresses:
        threading.Thread(target=ask, args=(address,), daemon=True).start()
    reason = f"{urlsplit(addresses[0]).hostname}: no answer within {seconds:g} s"
    try:
        for _ in addresses:
            answer = answers.get(timeout=seconds)
            if answer is None:
                return None
            reason = answer
    except queue.Empty:
        pass
    return reason


@contextmanager
def _stall_limit(seconds: float) -> Iterator[None]:
    """Connections opened meanwhile give up when nothing arrives for so long; torchvision sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _convert(train: Any, test: Any) -> Arrays:
    """The arrays of two torchvision datasets: grey (examples, height, width) or RGB (examples, height, width, 3)."""
    arrays: dict[str, np.ndarray] = {}
    for split, dataset in (("train", train), ("test", test)):
        images = np.asarray(dataset.data)
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        arrays[f"{split}_images"] = np.ascontiguousarray(images)
        arrays[f"{split}_labels"] = np.asarray(dataset.targets, dtype=np.int64)
    return Arrays(**arrays)
