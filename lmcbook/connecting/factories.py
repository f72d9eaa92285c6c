"""What the command line names: a model by the place of its function, and examples by the place of their files."""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmcbook.data.class_folders import find_part
from lmcbook.data.pictures import read_picture
from lmcbook.data.safe_files import opened
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.errors import InputError, check_number, one_line
from lmcbook.errors.arrays import tensor_of
from lmcbook.errors.machine import of_the_machine
from lmcbook.models.examples import Labelled

_IMAGES, _LABELS = ("images", "x", "inputs", "data"), ("labels", "y", "targets")
_ROLES = {
    "test": ("test", "val", "valid", "validation", ""),
    "calibration": ("calibration",),
    "train": ("train", "training"),
}


@dataclass(frozen=True, slots=True)
class Data:
    """The examples that were named, by their role."""

    test: Any
    calibration: Any = None
    images: Any = None


def build(name: str, num_classes: int | None = None) -> nn.Module:
    """The module of ``package.module:function``, ``torchvision:NAME`` or ``timm:NAME``, without trained weights.

    A function of the user's own is called without arguments; the current folder is searched first.

    Raises:
        InputError: it is not there, fails, or gives no module.
    """
    place, colon, function = name.partition(":")
    if not colon or not place or not function:
        raise InputError(f"model is {name!r}; it may be package.module:function, torchvision:NAME or timm:NAME")
    more = {} if num_classes is None else {"num_classes": num_classes}
    make: Callable[[], Any]
    if place == "torchvision":
        models = importlib.import_module(f"{import_torchvision().__name__}.models")
        if function not in models.list_models():
            raise InputError(
                f"model is {name!r}; torchvision's are, for example, {', '.join(models.list_models()[:8])}"
            )
        make = lambda: models.get_model(function, weights=None, **more)  # noqa: E731
    elif place == "timm":
        timm = _imported("timm", name)
        make = lambda: timm.create_model(function, pretrained=False, **more)  # noqa: E731
    else:
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        found: Any = _imported(place, name)
        for part in function.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise InputError(f"model is {name!r}, but {place} has no function {function!r}")
        make = lambda: found(**more)  # noqa: E731
    try:
        model = _guarded(make)
    except (Exception, SystemExit) as error:  # a stranger's function may raise anything
        if of_the_machine(error):
            raise
        raise InputError(f"model is {name!r}, which fails: {one_line(error, 200, kind=True)}") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"model is {name!r}, which gives a {type(model).__name__}; it must give a torch.nn.Module")
    return model.eval()


def read_data(name: str, *, image_size: int = 224, examples: int | None = None) -> Data:
    """Examples of a dataset's name, a folder of class folders, an ``.npz`` or a ``.safetensors`` file.

    A file holds ``images`` and ``labels`` (or ``x``, ``y``), or ``test_images``, ``test_labels`` and likewise
    ``calibration_…`` and ``train_…``. Whole-number images of 0 to 255 are scaled to [0, 1]. A folder holds a folder for
    each class, or such in ``test``, ``val``, ``valid`` or ``validation`` and in ``train``; its images are cropped and
    normalised as ImageNet's.

    Raises:
        InputError: there is nothing of that name, or it holds something else.
    """
    if examples is not None:
        check_number("examples", examples, minimum=2, integer=True)
    check_number("image_size", image_size, minimum=1, integer=True)
    path = Path(name)
    if os.path.isdir(path):  # Path's own fails on a name that is too long
        return _folder(path, image_size, examples)
    if path.suffix in (".npz", ".safetensors"):
        if not os.path.isfile(path):
            raise InputError(f"data is {name!r}, which is not there")
        return _by_role(_arrays(path), path)
    from lmcbook.data import load

    try:
        splits = load(name)
    except InputError as error:
        raise InputError(f"data is {name!r}, no folder, .npz or .safetensors file; as a dataset: {error}") from None
    return Data(test=splits.test, calibration=splits.calibration, images=splits.train)


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: tensor_of(file[name]) for name in file.files}
        with opened(path) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (a safe_open has no iterator)
    except Exception as error:  # of many kinds, from zip files, headers and types
        raise InputError(f"data is {str(path)!r}, which cannot be read ({one_line(error)})") from None


def _by_role(arrays: dict[str, Tensor], path: Path) -> Data:
    found: dict[str, Labelled | Tensor] = {}
    for role, prefixes in _ROLES.items():
        for prefix in prefixes:
            before = f"{prefix}_" if prefix else ""
            images = next((arrays[before + name] for name in _IMAGES if before + name in arrays), None)
            labels = next((arrays[before + name] for name in _LABELS if before + name in arrays), None)
            if images is not None and role not in found and (labels is not None or role == "train"):
                images = images.float() / 255 if images.dtype == torch.uint8 else images
                found[role] = images if labels is None else Labelled(images, labels)
    if "test" not in found:
        raise InputError(
            f"data is {str(path)!r} with {', '.join(list(arrays)[:8]) or 'nothing'}; it must hold images and labels, "
            "or test_images and test_labels"
        )
    return Data(found["test"], found.get("calibration"), found.get("train"))


def _folder(path: Path, image_size: int, examples: int | None) -> Data:
    import_torchvision()
    from torchvision.transforms import v2

    look = v2.Compose(
        [
            v2.Resize(round(image_size * 256 / 224)),
            v2.CenterCrop(image_size),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def part(folder: Path) -> Labelled:
        try:
            found = find_part(folder)
            order = torch.randperm(len(found.files), generator=torch.Generator().manual_seed(0)).tolist()[:examples]
            images = [look(read_picture(folder / found.files[index]).image.convert("RGB")) for index in order]
        except InputError as error:
            raise InputError(f"data is {str(path)!r}: {error}") from None
        return Labelled(torch.stack(images), torch.tensor([found.labels[index] for index in order]))

    test, train = (
        next((path / name for name in _ROLES[role] if name and (path / name).is_dir()), None)
        for role in ("test", "train")
    )
    if train is not None and test is None:
        others = ", ".join(filter(None, _ROLES["test"]))
        raise InputError(
            f"data is {str(path)!r} with a folder {train.name!r} but none of test images; name that {others} "
            f"({train.name!r} otherwise, if it is a class)"
        )
    return Data(test=part(test or path), images=None if train is None else part(train).images)


def _imported(module: str, name: str) -> Any:
    try:
        return _guarded(lambda: importlib.import_module(module))
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything, and exit
        reason = one_line(error, 200, kind=not isinstance(error, ImportError))
        raise InputError(f"model is {name!r}, but {module} cannot be imported ({reason})") from error


def _guarded(work: Callable[[], Any]) -> Any:
    """What ``work`` gives, also where it imports a torchvision that a CPU-only torch does not take by itself."""
    try:
        return work()
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import_torchvision()
        return work()
