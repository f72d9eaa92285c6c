"""Datasets too large for memory: class folders of image files, read as they are needed. No images are opened here.

A dataset NAME of this kind is the folder NAME in the data folder: ``train/CLASS/*.JPEG`` and ``val/CLASS/*.JPEG``, as
ImageNet is kept everywhere, by the rules of `lmcbook.data.class_folders`. It is known by the names and sizes of its
files, because to hash ImageNet's 150 GB takes longer than to measure a pair: a file changed without a change of its
size goes unnoticed, and a file that another program writes into, while a process runs, is noticed by the next process.
Examples stand in the order of the SHA-256 of their path, which is as good as a random order and does
not depend on the machine.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lmcbook.data import paths
from lmcbook.data.class_folders import ClassFolders, find_images, parts_of, readable, summed_up
from lmcbook.data.datasets import DATASETS
from lmcbook.data.files import path_of
from lmcbook.errors import InputError

PARTS = ("train", "val")
"""Of the datasets that the package knows; others may call them otherwise."""
INPUT_SHAPE = (3, 224, 224)
"""Images of any size are cropped to this size."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, as the field uses them: computing others would take a pass over all images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of one part of a dataset, in canonical order."""

    files: np.ndarray
    """Paths relative to the dataset's folder, as bytes."""
    labels: Int64[np.ndarray, " examples"]
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """All files of a dataset in class folders."""

    path: Path
    train: Listing
    val: Listing
    sha256: str
    """Of the paths and sizes of all files."""


def folder_of(name: str) -> Path:
    """Where the class folders of this dataset lie, or would lie."""
    return paths.data() / name


def is_folder_dataset(name: str) -> bool:
    """Whether the dataset is, or has to be, one of class folders."""
    if name in DATASETS:
        return DATASETS[name].streamed
    if path_of(name).is_file():  # who imports a folder that could be streamed means it
        return False
    try:
        return folder_of(name).is_dir() and parts_of(folder_of(name)) is not None
    except InputError:  # it may not be read
        return False


def read_folder(name: str) -> Folder:
    """The files of a dataset in class folders.

    Raises:
        InputError: the folder is missing, has another layout, or holds other images than a known dataset must.
    """
    path = folder_of(name)
    layout = f"it must hold {' and '.join(f'{part}/CLASS/*.JPEG' for part in PARTS)}"
    if not path.is_dir():
        raise InputError(
            f"dataset {name!r} is missing: nobody may pass it on, so put its images into {path} ({layout}), or let "
            "LMCBOOK_DATA name the folder that has it"
        )
    parts = parts_of(path)
    # ImageNet's test/ has no labels, however it is sorted into folders
    if name in DATASETS and parts is not None:
        parts = PARTS if all((path / part).is_dir() for part in PARTS) else None
    if parts is None:
        missing = next((part for part in PARTS if not (path / part).is_dir()), "")
        raise InputError(f"{path} has no folder {missing or 'of class folders'}; {layout}")
    found = _known(path, parts)
    if name in DATASETS:
        known = DATASETS[name]
        wanted = (known.num_classes, known.num_train + known.num_calibration, known.num_test)
        here = (len(found.train.class_names), len(found.train.files), len(found.val.files))
        if here != wanted:
            told = ["{:,} classes, {:,} training and {:,} test images".format(*each) for each in (here, wanted)]
            raise InputError(
                f"{path} holds {told[0]}; {name} has {told[1]}: give a part of it a name of its own by renaming the "
                "folder"
            )
    return found


_held: dict[tuple[Path, tuple[str, str]], tuple[dict[Path, int], Folder]] = {}
"""Folder of a dataset and its parts → when the folders in it had changed last, and what was read then."""


def _known(path: Path, parts: tuple[str, str]) -> Folder:
    """What is in the folder; it is read again when a name in it, or in any folder below, has changed."""
    if (path, parts) in _held:  # a plan asks for each pair
        changed, folder = _held[path, parts]
        try:
            if all(each.stat().st_mtime_ns == when for each, when in changed.items()):
                return folder
        except OSError:  # a folder is gone
            pass
    found = find_images(path, parts)
    folder = _read(path, found)
    _held[path, parts] = found.changed, folder
    return folder


def _read(path: Path, found: ClassFolders) -> Folder:
    if found.problems:
        raise InputError(summed_up(found.problems))
    digest = hashlib.sha256()
    listings = []
    for part in (found.train, found.test):
        assert part is not None  # there are two parts, or it were no dataset
        for file in sorted(part.files):
            size = (part.folder / file).stat().st_size
            digest.update(os.fsencode(f"{part.folder.name}/{file} {size}\n"))
        relative = np.array([os.fsencode(f"{part.folder.name}/{file}") for file in part.files])
        keys = [hashlib.sha256(file).digest() for file in relative]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        names = tuple(map(readable, found.class_names))
        listings.append(Listing(files=relative[order], labels=np.array(part.labels)[order], class_names=names))
    train, test = listings
    return Folder(path=path, train=train, val=test, sha256=digest.hexdigest())
