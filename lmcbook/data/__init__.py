"""Datasets as tensors: one canonical order, three splits, batches and augmentation.

The names below are loaded when they are first used: the table of datasets serves the plan and the figures, which start
without torch, and only `load`, `equal_batches`, `augment`, streamed images and a download need it.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.data.augmentation import augment
    from lmcbook.data.batches import equal_batches
    from lmcbook.data.catalogue import dataset_sha256, describe, is_available, known_names, list_datasets
    from lmcbook.data.datasets import DATASETS, Dataset
    from lmcbook.data.download import get
    from lmcbook.data.importing import import_images
    from lmcbook.data.splits import Split, Splits, load
    from lmcbook.data.streaming import StreamedImages, in_memory

__all__ = [
    "DATASETS",
    "Dataset",
    "Split",
    "Splits",
    "StreamedImages",
    "augment",
    "dataset_sha256",
    "describe",
    "equal_batches",
    "get",
    "import_images",
    "in_memory",
    "is_available",
    "known_names",
    "list_datasets",
    "load",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "augmentation": "augment",
        "batches": "equal_batches",
        "catalogue": "dataset_sha256 describe is_available known_names list_datasets",
        "datasets": "DATASETS Dataset",
        "download": "get",
        "importing": "import_images",
        "splits": "Split Splits load",
        "streaming": "StreamedImages in_memory",
    },
)
