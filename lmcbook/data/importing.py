"""Images of your own: class folders of image files become a dataset whose name works everywhere."""

import math
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from lmcbook.data.canonical import canonical_order, example_digests
from lmcbook.data.catalogue import NAME_PATTERN, NAME_RULE, describe, digest_of_arrays
from lmcbook.data.class_folders import ClassFolders, Part, find_images, readable, summed_up
from lmcbook.data.datasets import DATASETS, Dataset
from lmcbook.data.files import Arrays, lock, path_of, read_header, write_arrays
from lmcbook.data.folders import folder_of, is_folder_dataset
from lmcbook.data.import_report import ENLARGED, GREY_AS_RGB, Imported, report
from lmcbook.data.paths import home_expanded
from lmcbook.data.pictures import read_picture
from lmcbook.errors import InputError, check_number, cut_short

FEWEST_TRAINING_IMAGES = 10
"""A tenth of them is the calibration split."""
MOST_BYTES = 8 * 2**30
"""An imported dataset is held in memory."""
USUAL_SIZE = 32
"""What a message proposes for images of many sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoded:
    """The images of one part."""

    images: UInt8[np.ndarray, "examples channels height width"]
    labels: Int64[np.ndarray, " examples"]
    files: list[str]
    """Paths relative to the imported folder, as text."""

    def chosen(self, some: Bool[np.ndarray, " examples"]) -> "_Decoded":
        files = [file for file, taken in zip(self.files, some, strict=True) if taken]
        return _Decoded(images=self.images[some], labels=self.labels[some], files=files)


def import_images(
    folder: str | Path,
    name: str,
    *,
    resize: int | None = None,
    tell: Callable[[str], object] = lambda line: print(line, file=sys.stderr),
) -> Dataset:
    """Make a dataset out of image files in class folders; afterwards ``name`` is a dataset like any other.

    Either ``folder/train/CLASS/*`` and ``folder/test/CLASS/*`` (or ``val``), or ``folder/CLASS/*``: then the first
    fifth of each class, in canonical order, is the test set. Classes are numbered in the order of their names. What
    counts as an image is said by `lmcbook.data.class_folders`, how it is read by `lmcbook.data.pictures`. If any image
    has colours, all are held as RGB.

    Args:
        resize: makes every image a square of this many pixels: its middle is taken, as large as it can be, and resized.
            Without it all images must have one size.
        tell: gets each line of the report: what was read, left out and changed, and which images are there twice.

    Raises:
        InputError: the name or ``resize`` cannot be used, the folder is not as above, or some images are damaged or
            unlike the others; the message names the first few of all files that have to be mended.
    """
    _check_name(name, folder)
    if resize is not None:
        check_number("resize", resize, minimum=1, maximum=4096, integer=True)
    if not str(folder) or not home_expanded(folder, "folder").is_dir():
        raise InputError(f"folder is {str(folder)!r}, which is no folder; it must hold one folder of images per class")
    folder = home_expanded(folder)
    with lock(name):
        found = find_images(folder)
        train, test, changes = _decode(found, name, resize)
        arrays = Arrays(
            train_images=train.images, train_labels=train.labels, test_images=test.images, test_labels=test.labels
        )
        class_names = tuple(map(readable, found.class_names))
        digest = digest_of_arrays(arrays)
        path = path_of(name)
        if path.is_file() and read_header(path).sha256 != digest:
            raise InputError(
                f"name is {name!r}, and {path} holds other images already; give another name, or delete that file"
            )
        write_arrays(path, arrays, class_names, digest)
    dataset = describe(name)
    imported = Imported(
        dataset=dataset,
        path=path,
        found=found,
        changes=changes,
        arrays=arrays,
        train_files=train.files,
        test_files=test.files,
    )
    for line in report(imported):
        tell(line)
    return dataset


def _check_name(name: str, folder: str | Path) -> None:
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise InputError(f"name is {_shortened(name)}; it may have {NAME_RULE}")
    if name.lower() in DATASETS:
        raise InputError(f"name is {name!r}, a known dataset; give another name ({NAME_RULE})")
    if is_folder_dataset(name) and folder_of(name).resolve() != home_expanded(folder, "folder").resolve():
        raise InputError(f"name is {name!r}, and {folder_of(name)} is a dataset already; give another name")


def _shortened(name: object) -> str:
    return f"{cut_short(name, 40)!r} ({len(name)} letters)" if isinstance(name, str) and len(name) > 100 else repr(name)


def _decode(found: ClassFolders, name: str, resize: int | None) -> tuple[_Decoded, _Decoded, Counter[str]]:
    """Training and test images, and how many images were changed in which way.

    Raises:
        InputError: there is anything to be mended, in the folders or in the files.
    """
    changes: Counter[str] = Counter()
    parts = [part for part in (found.train, found.test) if part is not None]
    problems = list(found.problems)
    read = [_read_part(part, found.root, resize, changes, problems) for part in parts]
    images = [(file, image) for files, part in read for file, image in zip(files, part, strict=True)]
    problems += _unlike(
        images, f"python -m lmcbook data import {shlex.quote(str(found.root))} --name {name} --resize {USUAL_SIZE}"
    )
    num_train = len(parts[0].files)
    if found.test is None:
        num_train -= int(sum(np.bincount(parts[0].labels) // 5)) if parts[0].labels else 0
    if not problems and num_train < FEWEST_TRAINING_IMAGES:
        problems.append(f"{found.root} gives {num_train} training images; give at least {FEWEST_TRAINING_IMAGES}")
    if problems:
        count = f"{found.root} has {len(problems):,} things to be mended: " if len(problems) > 1 else ""
        raise InputError(count + summed_up(problems))
    colours = {image.ndim for _, image in images} == {2, 3}
    if colours:
        changes[GREY_AS_RGB] = sum(image.ndim == 2 for _, image in images)
    decoded = [
        _Decoded(
            images=np.stack([_channels_first(image, colours) for image in part]),
            labels=np.array(where.labels, dtype=np.int64),
            files=files,
        )
        for (files, part), where in zip(read, parts, strict=True)
    ]
    if len(decoded) == 2:
        return decoded[0], decoded[1], changes
    in_test = _first_fifths(decoded[0].images, decoded[0].labels)
    return decoded[0].chosen(~in_test), decoded[0].chosen(in_test), changes


def _read_part(
    part: Part, root: Path, resize: int | None, changes: Counter[str], problems: list[str]
) -> tuple[list[str], list[np.ndarray]]:
    """Names and pixels, (height, width) or (height, width, 3), of the images that can be read."""
    from PIL import ImageOps
    from tqdm.auto import tqdm

    files, images = [], []
    for file in tqdm(part.files, desc=part.folder.name, unit="image", disable=None):
        try:
            picture = read_picture(part.folder / file)
        except InputError as error:
            problems.append(str(error))
            continue
        image = picture.image
        if resize is not None:
            changes[ENLARGED] += min(image.size) < resize
            image = ImageOps.fit(image, (resize, resize))
        changes.update(picture.changes)
        files.append(readable(str((part.folder / file).relative_to(root))))
        images.append(np.asarray(image))
        if images[0].nbytes * len(part.files) > MOST_BYTES:
            raise InputError(
                f"{root} holds {len(part.files):,} images like {part.folder / file} ({_kind(images[0])}), which is too "
                f"much for the memory; give --resize, such as --resize {USUAL_SIZE}"
            )
    return files, images


def _unlike(images: list[tuple[str, np.ndarray]], command: str) -> list[str]:
    """What is said of images of several sizes."""
    first: dict[tuple[int, ...], str] = {}
    sizes: Counter[tuple[int, ...]] = Counter()
    for file, image in images:
        first.setdefault(image.shape[:2], file)
        sizes[image.shape[:2]] += 1
    if len(sizes) < 2:
        return []
    most = sizes.most_common(1)[0][0]
    if 2 * sizes[most] > len(images):
        others = [f"{first[size]} is {_pixels(size)}" for size in sizes if size != most]
        told = f"{sizes[most]:,} are {_pixels(most)}, {summed_up(others)}"
    else:
        ends = (min(sizes, key=math.prod), max(sizes, key=math.prod))
        told = " to ".join(f"{_pixels(size)} ({first[size]})" for size in ends)
    return [f"the images have {len(sizes):,} sizes: {told}; all must have one: `{command}` makes them so"]


def _pixels(size: tuple[int, ...]) -> str:
    return f"{size[1]}×{size[0]}"


def _channels_first(image: np.ndarray, colours: bool) -> np.ndarray:
    if image.ndim == 3:
        return image.transpose(2, 0, 1)
    return np.broadcast_to(image, (3 if colours else 1, *image.shape))


def _first_fifths(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Marks the first fifth of each class in canonical order: what a file is called must not move it."""
    order = canonical_order(example_digests(images, labels))
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        chosen[members[: len(members) // 5]] = True
    return chosen


def _kind(image: np.ndarray) -> str:
    return f"{'grey' if image.ndim == 2 else 'RGB'} {_pixels(image.shape)}"
