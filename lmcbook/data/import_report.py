"""What an import tells: where the images are, how many of which class, what was left out or changed, what is next."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmcbook.data.canonical import stratified
from lmcbook.data.catalogue import calibration_size
from lmcbook.data.class_folders import ClassFolders, alike, readable, summed_up
from lmcbook.data.datasets import Dataset
from lmcbook.data.files import Arrays

ENLARGED = "enlarged, since they were smaller"
GREY_AS_RGB = "grey, held as RGB like the others"
NEXT = (
    "papermill notebooks/01_width.ipynb {name}.ipynb -p recipe mlp-{name} "
    '-y "width_multipliers: [0.25, 1]" -y "seeds: [0, 1]"'
)
"""The command that an import proposes, in a checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """All that is known after an import."""

    dataset: Dataset
    path: Path
    found: ClassFolders
    changes: Counter[str]
    """In which way → how many images were changed."""
    arrays: Arrays
    train_files: Sequence[str]
    """Of each training example its file, as text."""
    test_files: Sequence[str]


def report(imported: Imported) -> Iterator[str]:
    """The lines of the report."""
    dataset, found = imported.dataset, imported.found
    channels, height, width = dataset.input_shape
    kind = "grey" if channels == 1 else "RGB"
    yield f"{dataset.name}: {dataset.num_classes} classes of {kind} images {width}×{height}, in {imported.path}"
    yield from _counts(imported)
    if found.test is None:
        yield "test: a fifth of each class, chosen by the content of the images"
    elif found.test.folder.name.lower() != "test":
        yield f"test: the images of {found.test.folder.name}/"
    if found.nested:
        yield f"taken: {found.nested:,} images in folders inside class folders, which count to that class"
    for why, paths in found.left_out.items():
        yield f"left out: {len(paths):,} ({why}): {summed_up(paths, between=', ')}"
    for change, number in imported.changes.items():
        if number:
            yield f"changed: {number:,} {change}"
    for first, second in alike([readable(name) for name in found.class_names]):
        yield f"note: the classes {first!r} and {second!r} look alike, but are two classes"
    yield from _twins(imported)
    yield "next, in a checkout: " + NEXT.format(name=dataset.name)


def _counts(imported: Imported) -> Iterator[str]:
    """A table: class by class, how many images are in which split."""
    names = imported.dataset.class_names
    train, test = imported.arrays.train_labels, imported.arrays.test_labels
    # how many of a class are kept for calibration depends on the numbers alone, not on which image is which
    in_calibration = stratified(train, calibration_size(len(train)))
    columns = [np.bincount(labels, minlength=len(names)) for labels in (train[~in_calibration], train[in_calibration])]
    columns.append(np.bincount(test, minlength=len(names)))
    rows: list[tuple[str, ...]] = [("class", "train", "calibration", "test")]
    rows += [(name, *map(str, numbers)) for name, *numbers in zip(names, *columns, strict=True)]
    rows.append(("all", *(str(column.sum()) for column in columns)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        told = "  ".join(f"{value:>{width}}" for value, width in zip(others, widths[1:], strict=True))
        yield f"  {first:<{widths[0]}}  {told}"


def _twins(imported: Imported) -> Iterator[str]:
    """What is said of images with equal pixels; it is a warning where they make the numbers wrong."""
    arrays = imported.arrays
    train = _digests(arrays.train_images)
    test = _digests(arrays.test_images)
    in_train = {digest: number for number, digest in reversed(list(enumerate(train)))}
    leaks = [
        f"{name} = {imported.train_files[in_train[digest]]}"
        for name, digest in zip(imported.test_files, test, strict=True)
        if digest in in_train
    ]
    if leaks:
        yield (
            f"WARNING: {len(leaks):,} of {len(test):,} test images are among the training images too, so they tell "
            f"nothing of new images: {summed_up(leaks, between=', ')}"
        )
    files = [*imported.train_files, *imported.test_files]
    labels = np.concatenate([arrays.train_labels, arrays.test_labels])
    first: dict[bytes, int] = {}
    twice, torn = [], []
    for number, digest in enumerate([*train, *test]):
        other = first.setdefault(digest, number)
        if labels[other] != labels[number]:
            torn.append(f"{files[number]} = {files[other]}")
        elif other != number and (number < len(train)) == (other < len(train)):
            twice.append(f"{files[number]} = {files[other]}")
    if torn:
        yield f"WARNING: in two classes, {len(torn):,} image(s): {summed_up(torn, between=', ')}"
    if twice:
        yield f"note: copies of others of their part, {len(twice):,} image(s): {summed_up(twice, between=', ')}"


def _digests(images: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
