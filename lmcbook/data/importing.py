"""Images of one's own: class folders of image files become a dataset whose name works everywhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lmcbook.data.canonical import canonical_order, example_digests
from lmcbook.data.catalogue import NAME_PATTERN, NAME_RULE, describe, digest_of_arrays
from lmcbook.data.datasets import DATASETS, Dataset
from lmcbook.data.files import Arrays, lock, path_of, read_header, write_arrays
from lmcbook.data.folders import folder_of, is_folder_dataset
from lmcbook.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
IGNORED = ("thumbs.db", "desktop.ini")
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}
"""Pillow's mode of a file → the mode it is read in; every other mode would lose something (alpha, 16 bits)."""
FEWEST_TRAINING_IMAGES = 10
"""A tenth of them is the calibration split."""


def import_images(folder: str | Path, name: str) -> Dataset:
    """Make a dataset out of image files in class folders; afterwards ``name`` is a dataset like any other.

    Either ``folder/train/CLASS/*`` and ``folder/test/CLASS/*``, or ``folder/CLASS/*``: then the first fifth of each
    class, in canonical order, is the test set. Classes are numbered in the order of their names. Pixels are taken as
    stored, all in one size, all grey or all RGB; a rotation noted in a photograph is not applied.

    Raises:
        InputError: the name cannot be used, the folder is not as above, or an image is damaged or unlike the others;
            the message names the file.
    """
    folder = Path(folder)
    _check_name(name)
    if not folder.is_dir():
        raise InputError(f"folder is {str(folder)!r}, which is no folder; it must hold one folder of images per class")
    with lock(name):
        arrays, class_names = _read(folder)
        digest = digest_of_arrays(arrays)
        path = path_of(name)
        if path.is_file() and read_header(path).sha256 != digest:
            raise InputError(
                f"name is {name!r}, and {path} holds other images already; give another name, or delete that file"
            )
        write_arrays(path, arrays, class_names, digest)
    return describe(name)


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise InputError(f"name is {name!r}; it may have {NAME_RULE}")
    if name.lower() in DATASETS:
        raise InputError(f"name is {name!r}, a known dataset; give another name ({NAME_RULE})")
    if is_folder_dataset(name):
        raise InputError(f"name is {name!r}, and {folder_of(name)} is a dataset already; give another name")


def _read(folder: Path) -> tuple[Arrays, tuple[str, ...]]:
    children = _children(folder)
    for path in children:
        if not path.is_dir():
            raise InputError(
                f"{path} is not in a class folder; images belong into FOLDER/CLASS/ or FOLDER/train/CLASS/"
            )
    # "train" may be a class as well, of locomotives: then it holds images, not folders
    if not any(path.name in ("train", "test") and any(map(Path.is_dir, _children(path))) for path in children):
        images, labels, class_names = _read_classes(folder, fewest=5)
        in_test = _first_fifths(images, labels)
        train, test = (images[~in_test], labels[~in_test]), (images[in_test], labels[in_test])
    else:
        if {path.name for path in children} != {"train", "test"}:
            names = ", ".join(path.name for path in children)
            raise InputError(f"{folder} holds {names}; with train/ there must be test/ and nothing else")
        images, labels, class_names = _read_classes(folder / "train", fewest=2)
        test_images, test_labels, test_class_names = _read_classes(folder / "test", fewest=1)
        train, test = (images, labels), (test_images, test_labels)
        if difference := sorted(set(class_names) ^ set(test_class_names)):
            raise InputError(f"class {difference[0]!r} is only in one of train and test of {folder}; give it in both")
        if train[0].shape[1:] != test[0].shape[1:]:
            kinds = " and ".join(_kind(part[0].shape[1:]) for part in (train, test))
            raise InputError(f"the images of {folder}/train and {folder}/test are {kinds}; all must be alike")
    if len(train[0]) < FEWEST_TRAINING_IMAGES:
        raise InputError(f"{folder} gives {len(train[0])} training images; give at least {FEWEST_TRAINING_IMAGES}")
    arrays = Arrays(train_images=train[0], train_labels=train[1], test_images=test[0], test_labels=test[1])
    return arrays, class_names


def _read_classes(folder: Path, *, fewest: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images (examples, channels, height, width), labels and class names of the class folders in ``folder``."""
    from tqdm.auto import tqdm

    classes = _children(folder)
    if len(classes) < 2:
        raise InputError(f"{folder} holds {len(classes)} class folder(s); it must hold at least 2")
    files: list[tuple[Path, int]] = []
    for label, path in enumerate(classes):
        if not path.is_dir():
            raise InputError(f"{path} is not inside a class folder")
        found = _children(path)
        if len(found) < fewest:
            raise InputError(f"class folder {path} holds {len(found)} image(s); it must hold at least {fewest}")
        files.extend((file, label) for file in found)
    images: list[np.ndarray] = []
    for file, _ in tqdm(files, desc=folder.name, unit="image", disable=None):
        image = _read_image(file)
        if images and image.shape != images[0].shape:
            kinds = f"{_kind(image.shape)}; {files[0][0]} is {_kind(images[0].shape)}"
            raise InputError(f"{file} is {kinds}; all images must have one size, and all be grey or all RGB")
        images.append(image)
    labels = np.array([label for _, label in files], dtype=np.int64)
    return np.stack(images), labels, tuple(path.name for path in classes)


def _read_image(file: Path) -> np.ndarray:
    """Pixels as (channels, height, width)."""
    from PIL import Image

    if not file.is_file() or file.suffix.lower() not in SUFFIXES:
        raise InputError(f"{file} is no image file; class folders hold files that end in {', '.join(SUFFIXES)}")
    try:
        with Image.open(file) as image:
            mode = None if "transparency" in image.info else MODES.get(image.mode)
            found = image.mode
            pixels = np.asarray(image.convert(mode)) if mode else None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        reason = " ".join(str(error).split())
        raise InputError(f"{file} cannot be read as an image ({reason}); replace or remove it") from None
    if pixels is None:
        raise InputError(f"{file} has mode {found} or transparency; save it as 8-bit grey or RGB")
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _first_fifths(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Marks the first fifth of each class in canonical order: what a file is called must not move it."""
    order = canonical_order(example_digests(images, labels))
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        chosen[members[: len(members) // 5]] = True
    return chosen


def _children(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in found if path.name.lower() not in IGNORED)


def _kind(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'RGB'} {width}×{height}"
