"""Datasets too large for memory: class folders of image files, read as they are needed. No images are opened here.

A dataset NAME of this kind is the folder NAME in the data folder: ``train/CLASS/*.JPEG`` and ``val/CLASS/*.JPEG``, as
ImageNet is kept everywhere. It is known by the names and sizes of its files, for to hash ImageNet's 150 GB would take
longer than to measure a pair: a file changed without a change of its size goes unnoticed. Examples stand in the order
of the SHA-256 of their path, which is as good as a random one and does not depend on the machine.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lmcbook.data import paths
from lmcbook.data.datasets import DATASETS
from lmcbook.errors import InputError

PARTS = ("train", "val")
SUFFIXES = (".jpeg", ".jpg", ".png")
INPUT_SHAPE = (3, 224, 224)
"""Images of any size are cropped to this one."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, as the field uses them: to compute one's own would take a pass over all images."""


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
    return all((folder_of(name) / part).is_dir() for part in PARTS)


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
    missing = [part for part in PARTS if not (path / part).is_dir()]
    if missing:
        raise InputError(f"{path} has no folder {missing[0]}; {layout}")
    found = _read(path, *((path / part).stat().st_mtime_ns for part in PARTS))
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


@lru_cache(maxsize=4)
def _read(path: Path, *_modified: int) -> Folder:
    digest = hashlib.sha256()
    listings = {}
    for part in PARTS:
        names, files, labels = _list(path / part)
        for file, size in sorted(files.items()):
            digest.update(os.fsencode(f"{part}/{file} {size}\n"))
        relative = np.array([os.fsencode(f"{part}/{file}") for file in files])
        keys = [hashlib.sha256(file).digest() for file in relative]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        listings[part] = Listing(files=relative[order], labels=np.array(labels)[order], class_names=names)
    train, val = (listings[part] for part in PARTS)
    if train.class_names != val.class_names:
        odd = sorted(set(train.class_names) ^ set(val.class_names))
        raise InputError(f"{path} has class folders in one of train and val only ({odd[0]}); both must have the same")
    return Folder(path=path, train=train, val=val, sha256=digest.hexdigest())


def _list(part: Path) -> tuple[tuple[str, ...], dict[str, int], list[int]]:
    """Names of the classes, CLASS/FILE → size in bytes, and the label of every file."""
    visible = [entry for entry in os.scandir(part) if not entry.name.startswith(".")]
    loose = sorted(entry.name for entry in visible if not entry.is_dir())
    if loose or len(visible) < 2:
        found = f"the file {loose[0]} beside {len(visible) - len(loose)}" if loose else str(len(visible))
        raise InputError(
            f"{part} holds {found} class folders; it must hold at least 2 folders, one of images for each class, and "
            "nothing else"
        )
    from lmcbook.data.torchvision_guard import import_torchvision  # with torch, which plans do without

    import_torchvision()
    from torchvision.datasets import ImageFolder

    class VisibleFolders(ImageFolder):
        """Without hidden folders, which notebooks and synchronising programs leave behind."""

        def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
            names = sorted(entry.name for entry in visible)
            return names, {name: label for label, name in enumerate(names)}

    images = VisibleFolders(str(part), is_valid_file=_is_image, allow_empty=True)
    empty = sorted({*range(len(images.classes))} - {*images.targets})
    if empty:
        folder = part / images.classes[empty[0]]
        raise InputError(f"class folder {folder} holds no image (a file that ends in {', '.join(SUFFIXES)})")
    files = {os.path.relpath(file, part): os.path.getsize(file) for file, _ in images.samples}
    return tuple(images.classes), files, list(images.targets)


def _is_image(file: str) -> bool:
    name = os.path.basename(file).lower()
    return name.endswith(SUFFIXES) and not name.startswith(".")
