"""Class folders of image files: which file is of which class and part, what is left out, and what is wrong with them.

One set of rules for what is imported and what is streamed. No image is opened here.
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmcbook.errors import InputError, one_line

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".avif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)
"""Of image files, in any case."""
UNREADABLE = (".heic", ".heif", ".svg", ".psd", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".jxl", ".eps", ".pdf")
"""Of images that Pillow cannot read: to leave them out would lose what somebody means to have."""
SYSTEM = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "@eadir"),
    *("$recycle.bin", "system volume information", "lost+found"),
)
"""What systems leave behind, in any case, beside all names that begin with a dot."""
TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""Folders of the two parts, in any case; of several the test set is the first with the classes of the training set."""
FEWEST_UNDIVIDED, FEWEST_TRAIN, FEWEST_TEST = 5, 2, 1
"""Images of a class: where a fifth becomes the test set, and where there are two parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The images of one part, in the order of classes and paths."""

    folder: Path
    files: list[str]
    """Paths relative to ``folder``, which begin with the class."""
    labels: list[int]


@dataclass(slots=True, kw_only=True)
class ClassFolders:
    """What a folder holds."""

    root: Path
    class_names: tuple[str, ...] = ()
    train: Part | None = None
    test: Part | None = None
    """None where the images are in one part."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Why → what, relative to ``root``."""
    nested: int = 0
    """Images in folders inside class folders, which are of that class."""
    problems: list[str] = field(default_factory=list)
    """What has to be mended first, a line each."""
    changed: dict[Path, int] = field(default_factory=dict)
    """Every folder that was looked into → when names in it had changed last, in nanoseconds."""


def readable(name: str | Path) -> str:
    r"""A file's name as text in one line: bytes that are not UTF-8 as ``\xe9``, control characters as ``\n``."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def summed_up(items: Sequence[str], *, between: str = "; ") -> str:
    """The first three of ``items``, and how many more there are."""
    more = f"{between}and {len(items) - 3:,} more" if len(items) > 3 else ""
    return between.join(map(readable, items[:3])) + more


def parts_of(root: Path) -> tuple[str, str] | None:
    """Names of the folders of training and test images in ``root``; None where there are no such two folders."""
    folders = {entry.name.lower(): entry for entry in _visible(root) if entry.is_dir()}
    train = [folders[name].name for name in TRAIN if name in folders and _holds_folders(folders[name])]
    test = [folders[name].name for name in TEST if name in folders and _holds_folders(folders[name])]
    if not train or not test:
        return None
    # test images without labels often lie in one folder, as in test/images/, beside a val/ that has classes
    with_classes = [name for name in test if _folders_in(root / name) == _folders_in(root / train[0])]
    return train[0], (with_classes or test)[0]


def find_images(root: Path, parts: tuple[str, str] | None = None) -> ClassFolders:
    """The images in ``root``: ``train/CLASS/*`` and ``test/CLASS/*`` (or ``val``), else ``CLASS/*``.

    Args:
        root: the folder.
        parts: names of the folders of training and test images, by default those of `parts_of`.

    Raises:
        InputError: there are no two class folders in it.
    """
    found = ClassFolders(root=root)
    parts = parts or parts_of(root)
    if parts is None:
        _refuse_half(root)
        found.class_names, found.train = _part(found, root, FEWEST_UNDIVIDED)
        return found
    for entry in _visible(root, found):
        if entry.name in parts:
            continue
        if entry.name.lower() in (*TRAIN, *TEST):
            why = "a test set is there already"
            if not _holds_folders(entry):
                why = "no class folders in it"
            elif _folders_in(root / entry.name) != _folders_in(root / parts[0]):
                why = f"its folders are not the classes of {parts[0]}/"
            _leave_out(found, why, entry.path)
        elif entry.is_dir():
            found.problems.append(f"{entry.path} lies beside {parts[0]}/ and {parts[1]}/, and is no part; move it away")
        else:
            _sort_out(found, entry, "is not in a class folder")
    found.class_names, found.train = _part(found, root / parts[0], FEWEST_TRAIN)
    test_names, found.test = _part(found, root / parts[1], FEWEST_TEST)
    odd = sorted(set(found.class_names) ^ set(test_names))
    if odd:
        found.problems.append(
            f"{root} has class folders in one of {parts[0]} and {parts[1]} only "
            f"({summed_up([repr(readable(name)) for name in odd], between=', ')}); both must have the same"
        )
    return found


def find_part(folder: Path) -> Part:
    """The images in ``folder/CLASS/*``, of which there must be one of each class: examples that nothing is trained on.

    Raises:
        InputError: there are no two class folders in it, or anything is to be mended.
    """
    found = ClassFolders(root=folder)
    _, part = _part(found, folder, FEWEST_TEST)
    if found.problems:
        raise InputError(summed_up(found.problems))
    return part


def alike(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names that differ by case, or by how an accent is written, alone: one folder on some systems."""
    first: dict[str, str] = {}
    keys = [unicodedata.normalize("NFC", name).casefold() for name in names]
    return [(first[key], name) for key, name in zip(keys, names, strict=True) if first.setdefault(key, name) != name]


def _part(found: ClassFolders, folder: Path, fewest: int) -> tuple[tuple[str, ...], Part]:
    classes = []
    for entry in _visible(folder, found):
        if entry.is_dir():
            classes.append(entry.name)
        else:
            _sort_out(found, entry, "is not in a class folder; images belong into FOLDER/CLASS/ or FOLDER/train/CLASS/")
    if len(classes) < 2:
        inner = folder / classes[0] if classes else folder
        deeper = sum(entry.is_dir() for entry in _visible(inner)) if classes else 0
        way_out = f"; {inner} holds {deeper}: is that the folder you mean?" if deeper > 1 else ""
        loose = f" ({found.problems[0]})" if found.problems and not classes else ""
        raise InputError(f"{folder} holds {len(classes)} class folder(s); it must hold at least 2{way_out}{loose}")
    part = Part(folder=folder, files=[], labels=[])
    for label, name in enumerate(classes):
        files = sorted(_images(found, folder / name), key=os.fsencode)
        found.nested += sum(os.sep in file for file in files)
        if len(files) < fewest:
            found.problems.append(
                f"class folder {folder / name} holds {len(files)} image(s); it must hold at least {fewest}, "
                "or be moved away"
            )
        part.files.extend(os.path.join(name, file) for file in files)
        part.labels.extend([label] * len(files))
    return tuple(classes), part


def _images(found: ClassFolders, folder: Path) -> Iterator[str]:
    """Paths of the images below ``folder``, relative to it. Links are followed, unless they lead back."""
    waiting = [("", frozenset(map(_identity, (folder, folder.parent, found.root))))]
    while waiting:
        inside, above = waiting.pop()
        for entry in _visible(folder / inside, found):
            relative = os.path.join(inside, entry.name)
            if entry.is_dir():
                identity = _identity(Path(entry.path))
                if identity in above:
                    _leave_out(found, "links that lead back", entry.path)
                else:
                    waiting.append((relative, above | {identity}))
            elif not entry.name.lower().endswith(SUFFIXES):
                _sort_out(found, entry, "")
            elif entry.is_file():
                yield relative
            else:
                found.problems.append(f"{entry.path} is a link to nothing; remove it")


def _sort_out(found: ClassFolders, entry: os.DirEntry[str], misplaced: str) -> None:
    """A file that is not taken: wrong where it is an image, else left out."""
    name = entry.name.lower()
    if name.endswith(UNREADABLE):
        found.problems.append(f"{entry.path} is of a kind that cannot be read; save it as PNG or JPEG")
    elif name.endswith(SUFFIXES):
        found.problems.append(f"{entry.path} {misplaced}")
    else:
        _leave_out(found, "no images", entry.path)


def _leave_out(found: ClassFolders, why: str, path: str) -> None:
    found.left_out.setdefault(why, []).append(os.path.relpath(path, found.root))


def _visible(folder: Path, found: ClassFolders | None = None) -> list[os.DirEntry[str]]:
    """What lies in ``folder``, by name, without what systems leave behind."""
    try:
        if found is not None:  # before it is read, or what changes meanwhile would be taken for read
            found.changed[folder] = folder.stat().st_mtime_ns
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror or one_line(error)})") from None
    kept = []
    for entry in entries:
        if not entry.name.startswith(".") and entry.name.lower() not in SYSTEM:
            kept.append(entry)
        elif found is not None:
            _leave_out(found, "files of the system", entry.path)
    return kept


def _holds_folders(entry: os.DirEntry[str]) -> bool:
    """Whether it is a part, not a class: folders and no image. "train" may be a class as well, of locomotives."""
    if not entry.is_dir():
        return False
    inside = _visible(Path(entry.path))
    return any(other.is_dir() for other in inside) and not (
        entry.name.lower() in TRAIN and any(other.name.lower().endswith(SUFFIXES) for other in inside)
    )


def _folders_in(folder: Path) -> set[str]:
    return {entry.name for entry in _visible(folder) if entry.is_dir()}


def _refuse_half(root: Path) -> None:
    """Raise `InputError` for training images without test images, or the other way round."""
    names = {entry.name.lower(): entry for entry in _visible(root) if entry.is_dir()}
    halves = [name for name in (*TRAIN, *TEST) if name in names and _holds_folders(names[name])]
    if halves and (halves[0] in TRAIN or set(names) <= {*TRAIN, *TEST}):
        told = ", ".join(entry.name for entry in names.values())
        raise InputError(
            f"{root} holds {told}; with train/ there must be test/ or val/, each with one folder for each class"
        )


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
