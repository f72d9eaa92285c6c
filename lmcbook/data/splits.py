"""`load`: a dataset as normalised tensors in canonical order, in three splits."""

import gzip
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from lmcbook.data.canonical import canonical_order, dataset_digest, example_digests, stratified
from lmcbook.data.catalogue import calibration_size, check_name, describe
from lmcbook.data.datasets import DATASETS, Dataset
from lmcbook.data.download import download
from lmcbook.data.files import Arrays, path_of, read_arrays, read_header
from lmcbook.data.folders import MEAN, STD, is_folder_dataset, read_folder
from lmcbook.data.streaming import StreamedImages
from lmcbook.errors import InputError
from lmcbook.errors.machine import no_such_device

CHUNK = 4096
"""Examples converted at a time: what is in flight stays in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Examples of one use."""

    images: Float32[Tensor, "examples channels height width"]
    """Normalised: mean 0 and variance 1 per channel over the training split; `lmcbook.data.StreamedImages` of a dataset
    in class folders."""
    labels: Int64[Tensor, " examples"]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str | torch.device) -> "Split":
        """The same examples on another device."""
        return Split(images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """A dataset: train for the weights, calibration for the inverse temperature, test for what is reported."""

    name: str
    train: Split
    calibration: Split
    """A tenth of the training set, stratified; nothing is trained on it."""
    test: Split
    num_classes: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """Per channel, over the training split, of pixels scaled to [0, 1]; ImageNet's for a dataset in class folders."""
    std: tuple[float, ...]
    """Per channel, as `mean`; 1 for a channel that is constant."""
    sha256: str
    """Canonical digest of the whole dataset."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    @property
    def black(self) -> Float[Tensor, " channels"]:
        """The normalised value of a pixel that is 0 as stored; what `augment` may pad with."""
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.std))
        return (-mean / std).float().to(self.train.images.device)

    def to(self, device: str | torch.device) -> "Splits":
        """The same splits on another device."""
        moved = {part: getattr(self, part).to(device) for part in ("train", "calibration", "test")}
        return replace(self, **moved)


def load(name: str, *, device: str | torch.device = "cpu") -> Splits:
    """The three splits of a dataset, on ``device``; a known dataset that is missing is downloaded first.

    Examples are in canonical order (see `lmcbook.data.canonical`), so every source of a dataset gives the same tensors,
    bit for bit, on every device. The calibration split is a stratified tenth of the training set: the first examples of
    each class in that order. `digits`, which comes as one set, is split 997 / 300 / 500 likewise. A dataset in class
    folders, such as `imagenet`, follows the same rules in the order of the hashes of its files' paths; its images are
    decoded when they are used (`lmcbook.data.folders`), and its folder ``val`` is the test split.

    Raises:
        InputError: there is no such dataset or device, the data are missing and cannot be downloaded, or the file is
            damaged or holds other examples than it must.
    """
    check_name(name)
    _check_device(device)
    if is_folder_dataset(name):
        return _load_folder(name, device)
    path = None if name == "digits" else path_of(name)
    if path is not None and not path.is_file():
        if name not in DATASETS:
            read_header(path)  # which says why what is there is no file of images
        download(name)
    arrays = read_digits() if path is None else read_arrays(path)
    digest, order, test_order = _identified(name, path, arrays)
    dataset = describe(name)
    chosen = _chosen(dataset, path, arrays, order, test_order)
    train_images, _, train_indices = chosen["train"]
    mean, std = channel_statistics(train_images, train_indices)
    scale = np.where(std == 0, float(dataset.pixel_maximum), std)  # a constant channel becomes 0 instead of 0/0
    parts = {
        part: Split(
            images=_normalised(images, indices, mean, scale).to(device),
            labels=torch.from_numpy(labels[indices]).to(device),
        )
        for part, (images, labels, indices) in chosen.items()
    }
    return Splits(
        name=name,
        num_classes=dataset.num_classes,
        class_names=dataset.class_names or (read_header(path).class_names if path else ()),
        mean=tuple((mean / dataset.pixel_maximum).tolist()),
        std=tuple((scale / dataset.pixel_maximum).tolist()),
        sha256=digest,
        **parts,
    )


def _identified(name: str, path: Path | None, arrays: Arrays) -> tuple[str, np.ndarray, np.ndarray]:
    """The digest of a dataset's examples, and the canonical orders of its training and test examples.

    Raises:
        InputError: they are not the examples, or not of the shape, that the dataset has.
    """
    digests = example_digests(arrays.train_images, arrays.train_labels)
    test_digests = example_digests(arrays.test_images, arrays.test_labels)
    digest = dataset_digest(digests, test_digests, arrays.train_images.shape[1:])
    expected = DATASETS[name].sha256 if name in DATASETS else None
    expected = expected or (read_header(path).sha256 if path else None)
    if expected not in (None, digest):
        way_out = f"`python -m lmcbook data get {name}`" if name in DATASETS else "the import"
        raise InputError(
            f"{path or 'digits of the installed scikit-learn'} does not hold the examples of {name!r}: its SHA-256 is "
            f"{digest}, expected is {expected}; delete it and repeat {way_out}"
        )
    shape, expected_shape = arrays.train_images.shape[1:], describe(name).input_shape
    if shape != expected_shape:
        raise InputError(f"{path} holds images of shape {shape}; those of {name} are {expected_shape}; delete it")
    return digest, canonical_order(digests), canonical_order(test_digests)


def _chosen(
    dataset: Dataset, path: Path | None, arrays: Arrays, order: np.ndarray, test_order: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, labels and the chosen indices of each split; digits, which have no ``path``, come as one set."""
    test = (arrays.test_images, arrays.test_labels, test_order)
    if path is None:
        in_test = stratified(arrays.train_labels[order], dataset.num_test)
        test = (arrays.train_images, arrays.train_labels, order[in_test])
        order = order[~in_test]
    size = dataset.num_calibration if path is None else calibration_size(len(order))
    in_calibration = stratified(arrays.train_labels[order], size)
    if not in_calibration.any():
        raise InputError(f"{path} has {len(order)} training images; with a tenth kept for calibration that is too few")
    return {
        "train": (arrays.train_images, arrays.train_labels, order[~in_calibration]),
        "calibration": (arrays.train_images, arrays.train_labels, order[in_calibration]),
        "test": test,
    }


def _load_folder(name: str, device: str | torch.device) -> Splits:
    folder = read_folder(name)
    labels = folder.train.labels
    in_calibration = stratified(labels, calibration_size(len(labels)))
    if not in_calibration.any():
        raise InputError(
            f"{folder.path} has {len(labels)} training images; with a tenth kept for calibration that is too few"
        )
    chosen = {
        "train": (folder.train.files[~in_calibration], labels[~in_calibration]),
        "calibration": (folder.train.files[in_calibration], labels[in_calibration]),
        "test": (folder.val.files, folder.val.labels),
    }
    parts = {
        part: Split(images=StreamedImages(folder=folder.path, files=files), labels=torch.from_numpy(numbers)).to(device)
        for part, (files, numbers) in chosen.items()
    }
    return Splits(
        name=name,
        num_classes=len(folder.train.class_names),
        class_names=folder.train.class_names,
        mean=MEAN,
        std=STD,
        sha256=folder.sha256,
        **parts,
    )


def read_digits() -> Arrays:
    """scikit-learn's handwritten digits, 8×8, pixels 0..16, all as training examples.

    Raises:
        InputError: scikit-learn is not installed.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise InputError("dataset 'digits' comes with scikit-learn, which is not installed; pip install scikit-learn")
    table = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if table.is_file():
        # importing scikit-learn for this one table takes longer than a small training
        with gzip.open(table, "rt") as file:
            columns = np.loadtxt(file, delimiter=",")
        pixels, labels = columns[:, :-1], columns[:, -1]
    else:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
    images = np.ascontiguousarray(pixels.reshape(-1, 1, 8, 8).astype(np.uint8))
    labels = labels.astype(np.int64)
    return Arrays(train_images=images, train_labels=labels, test_images=images[:0], test_labels=labels[:0])


def channel_statistics(
    images: UInt8[np.ndarray, "all channels height width"], indices: Int64[np.ndarray, " examples"]
) -> tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]]:
    """Mean and standard deviation per channel of the chosen images, in stored units.

    Integer arithmetic until the last step: the same bits on every machine, with any number of threads.
    """
    channels = images.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for start in range(0, len(indices), CHUNK):
        chunk = torch.from_numpy(images[indices[start : start + CHUNK]])
        for channel in range(channels):
            counts[channel] += torch.bincount(chunk[:, channel].reshape(-1), minlength=256)
    values = torch.arange(256)
    totals, squares = ((counts * power).sum(dim=1).tolist() for power in (values, values**2))
    number = int(counts[0].sum())
    mean = [total / number for total in totals]
    variance = [(number * square - total**2) / number**2 for total, square in zip(totals, squares, strict=True)]
    return np.array(mean), np.sqrt(np.array(variance))


def _normalised(
    images: UInt8[np.ndarray, "all channels height width"],
    indices: Int64[np.ndarray, " examples"],
    mean: Float[np.ndarray, " channels"],
    scale: Float[np.ndarray, " channels"],
) -> Float32[Tensor, "examples channels height width"]:
    """(pixel − mean) / scale of the chosen images, computed on the CPU: a GPU gets the same bits."""
    result = torch.empty(len(indices), *images.shape[1:])
    offset = torch.from_numpy(mean).float()[:, None, None]
    factor = torch.from_numpy(1 / scale).float()[:, None, None]
    for start in range(0, len(indices), CHUNK):
        chunk = result[start : start + CHUNK]
        chunk.copy_(torch.from_numpy(images[indices[start : start + CHUNK]]))
        chunk.sub_(offset).mul_(factor)
    return result


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise no_such_device(device, error) from None
