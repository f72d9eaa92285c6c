"""Addresses of records: what was measured, and on which images where the name of their dataset does not say that."""

import os
from pathlib import Path

from lmcbook.data import dataset_sha256
from lmcbook.data.datasets import DATASETS
from lmcbook.data.paths import home_expanded
from lmcbook.errors import InputError


def is_pinned(dataset: str) -> bool:
    """Whether a dataset of this name always holds the same images: what is imported or put into a folder may change."""
    return dataset in DATASETS and DATASETS[dataset].sha256 is not None


def images_now(dataset: str) -> str | None:
    """The SHA-256 of the images that a dataset holds now, or ``None`` where they are not here."""
    try:
        return dataset_sha256(dataset)
    except InputError:
        return None


def address(digest: str, dataset: str, images: str | None) -> str:
    """The address of a record: the ``digest`` of its configuration, and which images of ``dataset`` it was measured on.

    Args:
        images: SHA-256 of the images; without effect where the dataset is pinned, so that its name says it.
    """
    return digest if images is None or is_pinned(dataset) else f"{digest}-{images[:16]}"


def digest_in(name: str) -> str:
    """The digest of the configuration in the name of a record's file, without its ending."""
    return name.rpartition("_")[2].partition("-")[0]


def record_files(folder: Path | str) -> list[Path]:
    """The JSON files in ``folder`` and below, in the order of their paths; a missing folder has none.

    Nothing hidden is looked at, nor into: editors keep copies there, and processes what they have not finished.
    """
    found = []
    for place, folders, names in os.walk(home_expanded(folder, "records folder")):
        # a folder of such a name is given as well: whoever reads it says that it is no file
        found += [Path(place, name) for name in (*folders, *names) if name[0] != "." and name.endswith(".json")]
        folders[:] = [name for name in folders if name[0] != "."]
    return sorted(found)
