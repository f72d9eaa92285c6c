"""Files that are there whole or not at all, what the killed leave of them, and the digests of contents and of files."""

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

DAY = 24 * 3600.0
"""Seconds after which what another machine left unfinished is taken for left behind: its processes cannot be asked."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary file, which takes the place of ``path`` when the block ends; after an error it is removed.

    Whenever the process is killed, or the machine stops, ``path`` is what it was or what it shall be. It can be read by
    whom the umask allows. What killed processes left in the folder is removed.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with private_folder(path) as private:
        partial = private / "content"
        yield partial
        readable_as_its_folder(partial)
        sync(partial)
        partial.replace(path)
        sync_folder(path.parent)


@contextmanager
def private_folder(beside: Path) -> Iterator[Path]:
    """Gives an empty folder beside the path ``beside``, which no other process looks into; it is removed at the end.

    Its name begins with a dot and says which process made it: see `sweep`. What a library writes for itself while it
    writes a file, as safetensors does, lies in it too.

    Raises:
        OSError: it cannot be made.
    """
    folder = private_path(beside)
    folder.mkdir()
    try:
        yield folder
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        # a write that fails does not know which file it was
        raise OSError(error.errno, error.strerror, str(beside)) from error
    except Exception as error:
        number = re.search(r"os error (\d+)", str(error))
        if type(error).__name__ != "SafetensorError" or number is None:
            raise
        # safetensors says neither which file it was nor, but in its text, what happened
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(beside)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def private_path(beside: Path) -> Path:
    """A new name beside the path ``beside``, for what `sweep` shall remove when this process is dead."""
    # file systems count a name's bytes, 255 of them; no letter is cut in two
    begin = os.fsencode(beside.name)[:100].decode(errors="ignore")
    return beside.with_name(f".{begin}.{_machine()}-{os.getpid()}.{secrets.token_hex(4)}.partial")


def sweep(folder: Path) -> None:
    """Remove what dead processes left unfinished in ``folder``: those of this machine at once, others' after a day."""
    with suppress(OSError):
        for left in folder.glob(".*.partial"):
            made = re.search(r"\.([0-9a-f]{8})-(\d+)\.[0-9a-f]{8}\.partial$", left.name)
            if made is None:
                continue
            if not _is_alive(int(made[2])) if made[1] == _machine() else is_left(left):
                remove(left)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _machine() -> str:
    """This machine since it was started, and this container: where the number of a process means that process."""
    known = [socket.gethostname()]
    for read, source in ((os.readlink, "/proc/self/ns/pid"), (_content, "/proc/sys/kernel/random/boot_id")):
        with suppress(OSError):
            known.append(read(source))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def _content(path: str) -> str:
    return Path(path).read_text()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return True


def is_left(path: Path) -> bool:
    """Whether ``path`` was last written more than a day ago, or is to be written in more than a day.

    It is its file system's own clock that counts, which dates all that is written there: this machine's may be wrong,
    and what another one is writing must stay.

    Raises:
        OSError: nothing can be written beside it, or it is gone.
    """
    with private_folder(path) as now:
        return abs(now.lstat().st_mtime - path.lstat().st_mtime) > DAY


def readable_as_its_folder(path: Path) -> None:
    """Let those read a file who may look into its folder: safetensors makes files that no other user can read."""
    path.chmod(path.parent.stat().st_mode & 0o666)


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


def read_json(path: Path) -> Any:
    """The content of a JSON file in UTF-8 whose numbers are finite, as JSON's are, and whose texts can be written.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such JSON.
    """
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text, parse_constant=_refuse)
        if "\\ud" in text.lower():  # half a character, which cannot be written again, is spelt so
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def read_state(file: Path) -> dict[str, Any]:
    """The JSON object in a file that can be made again; an empty one where the file is missing or damaged."""
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def content_sha256(content: Any, *, ensure_ascii: bool = True) -> str:
    """The SHA-256 of ``content`` as canonical JSON: sorted keys, no spaces, finite numbers as Python's ``repr``.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=ensure_ascii)
    return hashlib.sha256(text.encode()).hexdigest()


def spaced_sha256(content: Mapping[str, Any] | Sequence[Any]) -> str:
    """As `content_sha256`, of JSON with a space after each comma and colon: manifests of stored runs have it so."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
