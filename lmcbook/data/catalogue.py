"""Which datasets there are: known and imported, what they are and where they lie. No torch here."""

import importlib.util
import re
from functools import lru_cache
from pathlib import Path

from lmcbook.data import paths
from lmcbook.data.canonical import dataset_digest, example_digests
from lmcbook.data.datasets import DATASETS, Dataset
from lmcbook.data.files import Arrays, path_of, read_arrays, read_header, read_parts
from lmcbook.data.folders import INPUT_SHAPE, folder_of, is_folder_dataset, read_folder
from lmcbook.errors import InputError, described

NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
NAME_RULE = "letters, digits and underscores, a letter first, at most 100"


def known_names() -> tuple[str, ...]:
    """Every name that `load` takes: the known datasets, then those imported into the data folder."""
    here = paths.data()
    files = {path.stem for path in here.glob("*.safetensors")}
    folders = {path.name for path in here.glob("[!.]*/") if is_folder_dataset(path.name)}
    return (*DATASETS, *(name for name in sorted((files | folders) - {*DATASETS}) if NAME_PATTERN.fullmatch(name)))


def check_name(name: str) -> None:
    """Raise `InputError` unless the name is that of a known or an imported dataset."""
    if not isinstance(name, str) or name not in known_names():
        raise InputError(
            f"dataset is {described(name)}; it may be one of: {', '.join(known_names())}; "
            "`python -m lmcbook data import FOLDER --name NAME` adds images of your own"
        )


def is_available(name: str) -> bool:
    """Whether the dataset can be loaded now, without network."""
    if name == "digits":
        return importlib.util.find_spec("sklearn") is not None
    if is_folder_dataset(name):
        return folder_of(name).is_dir()
    return name in known_names() and path_of(name).is_file()


def describe(name: str) -> Dataset:
    """What is known of a dataset without reading its images.

    Raises:
        InputError: there is no dataset of this name, or its file cannot be read.
    """
    if name in DATASETS:
        return DATASETS[name]
    check_name(name)
    if is_folder_dataset(name):
        folder = read_folder(name)
        num_calibration = calibration_size(len(folder.train.files))
        return Dataset(
            name=name,
            input_shape=INPUT_SHAPE,
            class_names=folder.train.class_names,
            num_classes=len(folder.train.class_names),
            num_train=len(folder.train.files) - num_calibration,
            num_calibration=num_calibration,
            num_test=len(folder.val.files),
            licence="not stated",
            source="Images in class folders.",
            sha256=folder.sha256,
            streamed=True,
        )
    header = read_header(path_of(name))
    num_calibration = calibration_size(header.num_train)
    return Dataset(
        name=name,
        input_shape=header.image_shape,
        class_names=header.class_names,
        num_classes=len(header.class_names) or _num_classes(path_of(name)),
        num_train=header.num_train - num_calibration,
        num_calibration=num_calibration,
        num_test=header.num_test,
        licence="not stated",
        source="Imported images.",
        sha256=header.sha256,
    )


def calibration_size(num_training_examples: int) -> int:
    """A tenth of the training set is never trained on."""
    return num_training_examples // 10


def dataset_sha256(name: str) -> str:
    """The canonical digest of a dataset: pinned, or stored in its file, or computed from the file or the folder.

    Raises:
        InputError: the digest is not pinned and the file is not there.
    """
    digest = describe(name).sha256
    if digest is not None:
        return digest
    if is_folder_dataset(name):
        return read_folder(name).sha256
    path = path_of(name)
    if not path.is_file():
        raise InputError(
            f"the SHA-256 of dataset {name!r} is not known before it is in {paths.data()}; "
            f"run `python -m lmcbook data get {name}` first"
        )
    return read_header(path).sha256 or _digest_of_file(path, path.stat().st_size, path.stat().st_mtime_ns)


def digest_of_arrays(arrays: Arrays) -> str:
    """The canonical digest of examples in any order."""
    return dataset_digest(
        example_digests(arrays.train_images, arrays.train_labels),
        example_digests(arrays.test_images, arrays.test_labels),
        arrays.train_images.shape[1:],
    )


@lru_cache
def _digest_of_file(path: Path, size: int, modified: int) -> str:
    # without torch, which a page that only asks which images are here need not load
    train, test = (
        [digest for part in read_parts(path, split) for digest in example_digests(*part)] for split in ("train", "test")
    )
    return dataset_digest(train, test, read_header(path).image_shape)


def _num_classes(path: Path) -> int:
    arrays = read_arrays(path)
    return int(max(arrays.train_labels.max(), arrays.test_labels.max())) + 1


def where(name: str) -> str:
    """Where a dataset comes from when it is loaded, in words."""
    if name == "digits":
        return "inside scikit-learn"
    if is_folder_dataset(name):
        return str(folder_of(name)) if is_available(name) else f"to be put into {folder_of(name)}"
    return str(path_of(name)) if is_available(name) else f"to be downloaded into {paths.data()}"


def list_datasets() -> list[dict[str, str]]:
    """One row of words per dataset; ``examples`` are train + calibration + test."""
    rows = []
    for name in known_names():
        try:
            dataset = describe(name)
        except (InputError, OSError, ValueError) as error:  # of one dataset, which must not hide the others
            rows.append({**dict.fromkeys(_COLUMNS, "?"), "name": name, "available": "no", "where": str(error)})
            continue
        values = (
            name,
            "×".join(map(str, dataset.input_shape)),
            str(dataset.num_classes),
            f"{dataset.num_train} + {dataset.num_calibration} + {dataset.num_test}",
            dataset.licence,
            "yes" if is_available(name) else "no",
            where(name),
        )
        rows.append(dict(zip(_COLUMNS, values, strict=True)))
    return rows


_COLUMNS = ("name", "shape", "classes", "examples", "licence", "available", "where")
