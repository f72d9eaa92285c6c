"""Locks of processes that prepare the same files; where there are none, work is done twice and kept once."""

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lmcbook.errors import InputError, one_line

SILENT_SECONDS = 1.0
"""A process that waits longer than this says so."""

_WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_CANNOT_BE_WRITTEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT})
"""Whoever has something to write into such a folder learns it from that."""


@contextmanager
def held(files: Iterable[Path], doing: str, *, limit: float = -1) -> Iterator[None]:
    """Hold the locks ``files``, in the order of their names, so that no two processes can wait for each other.

    A lock that was left by a dead process is free: the kernel holds them, the files stay. Where the file system has no
    locks, it goes on without: what is written whole under its final name is right whoever wrote it.

    Args:
        doing: what the process that holds them does, after "another process": said on stderr when there is a wait.
        limit: seconds after which to give up; by default never.

    Raises:
        InputError: a lock cannot be made, or is held for longer than ``limit``.
    """
    with ExitStack() as locks:
        for file in sorted(files):
            if not _acquired(file, locks, SILENT_SECONDS if limit < 0 else min(SILENT_SECONDS, limit)):
                print(f"waiting for another process that {doing} (it holds {file})", file=sys.stderr)
                if not _acquired(file, locks, limit):
                    raise InputError(f"another process {doing} and has held {file} for {limit:g} seconds: end it first")
        yield


@contextmanager
def held_if_free(file: Path) -> Iterator[bool]:
    """Hold the lock ``file`` if no other process does; gives whether it is ours.

    Raises:
        InputError: the lock cannot be made.
    """
    with ExitStack() as locks:
        yield _acquired(file, locks, 0)


def _acquired(file: Path, locks: ExitStack, seconds: float) -> bool:
    from filelock import FileLock, Timeout

    # no marker files where the file system has no locks: those of a dead process on another machine would stay for ever
    lock = FileLock(file, fallback_to_soft=False)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS | _CANNOT_BE_WRITTEN:
            return True
        reason = error.strerror or one_line(error)
        if file.is_dir() or file.is_symlink():
            raise InputError(f"lock {file} is a folder or a link ({reason}): remove it") from None
        raise InputError(f"lock {file} cannot be made ({reason}): give a folder that can be written") from None
    locks.callback(lock.release)
    return True
