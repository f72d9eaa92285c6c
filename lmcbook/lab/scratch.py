"""The folder of what is not finished: checkpoints, locks, and what killed processes left, which is removed there."""

from contextlib import suppress
from pathlib import Path

from lmcbook.data.locks import held_if_free
from lmcbook.data.whole_files import is_left, private_folder, remove, sweep
from lmcbook.errors import InputError, one_line
from lmcbook.lab import paths

CHECKPOINT = ".checkpoint.safetensors"

_OF_OLDER_VERSIONS = (".tmp*", "*.partial-*", "*.private-*", f".*{CHECKPOINT}.*.partial")
"""Names of temporary files before November 2026."""


def folder() -> Path:
    """Where it is: beside the trained networks, so that what is finished is renamed into place."""
    return paths.runs() / "unfinished"


def lock(key: str) -> Path:
    """The lock of a training."""
    return folder() / f"{key}.lock"


def checkpoint(key: str) -> Path:
    """The checkpoint of a training."""
    return folder() / f"{key}{CHECKPOINT}"


def mark(key: str) -> None:
    """Note that a network is to be forgotten once it is measured, should its process not live to do it."""
    _mark(key).touch()


def unmark(key: str) -> None:
    """Take the note away."""
    _mark(key).unlink(missing_ok=True)


def marked() -> set[str]:
    """The keys of all networks that are to be forgotten."""
    return {note.stem for note in folder().glob("*.forget")}


def _mark(key: str) -> Path:
    return folder() / f"{key}.forget"


def make() -> None:
    """Make the folders of the store and remove what was left behind.

    Raises:
        InputError: they cannot be written.
    """
    try:
        (paths.runs() / "models").mkdir(parents=True, exist_ok=True)
        folder().mkdir(exist_ok=True)
        for place in (paths.runs() / "models", folder()):
            with private_folder(place / "check"):
                pass
    except OSError as error:
        raise InputError(
            f"LMCBOOK_RUNS is {paths.runs()}; it cannot be written ({one_line(error)}): give another folder"
        ) from error
    _tidy()


def _tidy() -> None:
    sweep(folder())
    sweep(paths.runs() / "models")
    with suppress(OSError):
        for pattern in _OF_OLDER_VERSIONS:
            for left in folder().glob(pattern):
                if is_left(left):
                    remove(left)
        for left in folder().glob(f"*{CHECKPOINT}"):
            key = left.name.removesuffix(CHECKPOINT)
            if (paths.runs() / "models" / key / "manifest.json").is_file() or _is_outdated(left):
                with held_if_free(lock(key)) as ours:
                    if ours:
                        remove(left)


def _is_outdated(left: Path) -> bool:
    from lmcbook.training.checkpoint import is_outdated

    return is_outdated(left)
