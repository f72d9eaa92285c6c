"""Import torchvision, also where PyPI's torchvision meets a CPU-only torch.

PyPI's torchvision is linked to CUDA libraries: on a CPU build of torch its C++ operators never register, and the import
stops with "operator torchvision::nms does not exist". Declaring the two names lets the Python parts (datasets,
transforms.v2, models) import; calling nms itself still raises.
"""

import importlib
import sys
import warnings
from types import ModuleType

import torch

from lmcbook.errors import InputError, one_line

_declared: list[torch.library.Library] = []
"""Keeps the declarations alive: torch forgets them with the object."""


def import_torchvision() -> ModuleType:
    """The package `torchvision`, whose operators may be declared only.

    Raises:
        InputError: torchvision is not installed, or does not belong to the installed torch.
    """
    try:
        # without its C++ part torchvision warns that it decodes no images; Pillow does that here
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Failed to load image Python extension")
            try:
                return importlib.import_module("torchvision")
            except RuntimeError as error:
                if "torchvision::nms" not in str(error):
                    raise
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "DEF")
            _declared.append(library)
            for operator in ("nms", "qnms"):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            return importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        reason = one_line(error, first_line=True)
        raise InputError(
            f"torchvision cannot be imported ({reason}); downloads and images in class folders need it: install the "
            f"release that belongs to torch {torch.__version__}"
        ) from None
