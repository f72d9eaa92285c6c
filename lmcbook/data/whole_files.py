"""Files that are there whole or not at all, and the digests of contents and of files."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary file beside ``path``, which takes its place when the block ends; after an error it is removed.

    Whenever the process is killed, or the machine stops, ``path`` is what it was or what it shall be.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        sync(partial)
        partial.chmod(0o644)  # mkstemp's own mode would keep others from reading a shared folder
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    sync_folder(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path``, whole or not at all.

    Raises:
        OSError: the folder cannot be made or written.
    """
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can say so."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def content_sha256(content: Any, *, ensure_ascii: bool = True) -> str:
    """The SHA-256 of ``content`` as canonical JSON: sorted keys, no spaces, finite numbers as Python's ``repr``.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=ensure_ascii)
    return hashlib.sha256(text.encode()).hexdigest()


def spaced_sha256(content: Mapping[str, Any]) -> str:
    """As `content_sha256`, of JSON with a space after each comma and colon: manifests of stored runs have it so."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
