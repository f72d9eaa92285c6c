"""Every operation on files below a folder, numbered: what is on the disk before and after it, and errors in its place.

Python's own functions are replaced where all code finds them, and the one function of safetensors that writes files.
What a process holds in memory is gone when it dies, so the files that a process of its own sees before and after every
operation are all that a kill can leave: `states` looks at them in one run instead of killing hundreds. Locks are left
out: the kernel lets them go.
"""

import builtins
import errno
import io
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.numpy
import safetensors.torch

State = dict[str, bytes | str | None]
"""Path → content of a file, target of a link, or None for a folder."""

_MADE = ("mkdir", "rename", "replace", "unlink", "rmdir", "chmod", "link", "symlink", "truncate", "fsync")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watched:
    """Calls ``before(name, path)`` and ``after(name, path)`` for each operation on ``root`` and below."""

    def __init__(self, root: Path) -> None:
        self.root = str(root.resolve())
        self.busy = False
        self.before: Callable[[str, str], None] = lambda name, path: None
        self.after: Callable[[str, str], None] = lambda name, path: None

    def around(self, name: str, path: Any, act: Callable[[], Any], dir_fd: int | None = None) -> Any:
        place = None if self.busy else self._place(path, dir_fd)
        if place is None:
            return act()
        self._tell(self.before, name, place)
        result = act()
        self._tell(self.after, name, place)
        return result

    def _tell(self, listener: Callable[[str, str], None], name: str, place: str) -> None:
        self.busy = True
        try:
            listener(name, place)
        finally:
            self.busy = False

    def _place(self, path: Any, dir_fd: int | None) -> str | None:
        try:
            if isinstance(path, int):
                place = os.readlink(f"/proc/self/fd/{path}")
            elif dir_fd is not None:
                place = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), os.fspath(path))
            else:
                place = os.path.abspath(os.fspath(path))
        except (OSError, TypeError):
            return None
        return place if place.startswith(self.root) and not place.endswith(".lock") else None


class _File:
    """A file whose writing is an operation."""

    def __init__(self, file: Any, watched: Watched, path: Any) -> None:
        self._file, self._watched, self._path = file, watched, path

    def write(self, content: Any) -> int:
        def act() -> int:
            count = self._file.write(content)
            self._file.flush()
            return int(count)

        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        if len(content) > 1:  # a kill may leave the first half of it
            self._watched.around("half of write", self._path, half)
            content = content[len(content) // 2 :]
        return int(self._watched.around("write", self._path, act))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def watched(root: Path) -> Iterator[Watched]:
    """Watch the operations below ``root`` until the block ends."""
    watching = Watched(root)
    kept = {name: getattr(os, name) for name in (*_MADE, "open")}
    kept_open, kept_io, serialize = builtins.open, io.open, safetensors.serialize_file

    def replaced(name: str) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            return watching.around(name, path, lambda: kept[name](path, *arguments, **options), options.get("dir_fd"))

        return call

    def low_open(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        act = lambda: kept["open"](path, flags, *arguments, **options)  # noqa: E731
        return int(watching.around("open", path, act, options.get("dir_fd")) if flags & _WRITING else act())

    def high_open(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        act = lambda: kept_io(path, mode, *arguments, **options)  # noqa: E731
        if not set(mode) & set("wax") or isinstance(path, int):
            return act()
        file = watching.around("open", path, act)
        return _File(file, watching, path) if watching._place(path, None) is not None else file

    def write_tensors(tensors: Any, filename: Any, metadata: Any = None) -> None:
        def torn() -> None:
            whole = safetensors.serialize(tensors, metadata)
            Path(filename).with_name(".tmpABCDEF").write_bytes(whole[: len(whole) // 2])

        def act() -> None:
            Path(filename).with_name(".tmpABCDEF").unlink(missing_ok=True)
            serialize(tensors, filename, metadata)

        watching.around("half of tensors", filename, torn)
        watching.around("tensors", filename, act)

    try:
        for name in _MADE:
            setattr(os, name, replaced(name))
        os.open, builtins.open, io.open = low_open, high_open, high_open  # type: ignore[assignment]
        for module in (safetensors.torch, safetensors.numpy):
            module.serialize_file = write_tensors  # type: ignore[attr-defined]
        yield watching
    finally:
        for name, function in kept.items():
            setattr(os, name, function)
        builtins.open, io.open = kept_open, kept_io
        for module in (safetensors.torch, safetensors.numpy):
            module.serialize_file = serialize  # type: ignore[attr-defined]


def look(root: Path, unsynced: frozenset[int] = frozenset(), lost: Callable[[bytes], bytes] | None = None) -> State:
    """What is below ``root``; of files in ``unsynced`` (inodes) only what ``lost`` leaves of them."""
    state: State = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            state[name] = os.readlink(path)
        elif path.is_dir():
            state[name] = None
        elif not name.endswith(".lock"):
            content = path.read_bytes()
            state[name] = lost(content) if lost and path.stat().st_ino in unsynced else content
    return state


def restore(root: Path, state: State) -> None:
    """Put what `look` saw into the empty folder ``root``."""
    for name, content in state.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def cut(content: bytes) -> bytes:
    """A file whose name reached the disk, and nothing else."""
    return b""


def zeroed(content: bytes) -> bytes:
    """A file whose length reached the disk, and half of its content."""
    return content[: len(content) // 2] + bytes(len(content) - len(content) // 2)


LOSSES: dict[str, Callable[[bytes], bytes] | None] = {"kill": None, "power, cut": cut, "power, zeroed": zeroed}


def states(root: Path, job: Callable[[], Any]) -> dict[str, list[tuple[str, State]]]:
    """All that ``job`` leaves below ``root`` if it dies before or after an operation, by the kind of death.

    A kill leaves what was written, a loss of power only what was synced of each file. Each point is named after its
    operation; the job runs in a process of its own, which is dead when this returns.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "states"
        child = os.fork()
        if child == 0:
            try:
                told.write_bytes(pickle.dumps(_recorded(root, job)))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the job failed undisturbed"
        found: dict[str, list[tuple[str, State]]] = pickle.loads(told.read_bytes())
        return found


def _recorded(root: Path, job: Callable[[], Any]) -> dict[str, list[tuple[str, State]]]:
    found: dict[str, list[tuple[str, State]]] = {kind: [] for kind in LOSSES}
    unsynced: set[int] = set()

    def note(point: str) -> None:
        for kind, lost in LOSSES.items():
            found[kind].append((point, look(root, frozenset(unsynced), lost)))

    def before(name: str, place: str) -> None:
        note(f"before {name} {os.path.relpath(place, root)}")

    def after(name: str, place: str) -> None:
        if name == "fsync":
            unsynced.discard(os.stat(place).st_ino)
        elif name in ("open", "write", "half of write", "tensors") and os.path.isfile(place):
            unsynced.add(os.stat(place).st_ino)
        note(f"after {name} {os.path.relpath(place, root)}")

    with watched(root) as watching:
        watching.before, watching.after = before, after
        job()
    return found


def distinct(points: list[tuple[str, State]], seen: list[tuple[str, State]]) -> list[tuple[str, State]]:
    """The first point of each state that is not among those ``seen``."""
    known = {pickle.dumps(state) for _, state in seen}
    first: dict[bytes, tuple[str, State]] = {}
    for point, state in points:
        if (content := pickle.dumps(state)) not in known:
            first.setdefault(content, (point, state))
    return list(first.values())


@contextmanager
def failing(root: Path, number: int, code: int, *, for_ever: bool) -> Iterator[list[str]]:
    """Fail the operation of this ``number`` below ``root`` with an error ``code``, and if asked all that write later.

    Gives the operations so far: what failed is its last one, unless there were fewer.
    """
    done: list[str] = []

    def before(name: str, place: str) -> None:
        done.append(name)
        removes = name in ("unlink", "rmdir") and code == errno.ENOSPC
        if len(done) == number or (for_ever and len(done) > number and not removes):
            reason = os.strerror(code)
            if name.endswith("tensors"):
                raise safetensors.SafetensorError(f"Error while serializing: I/O error: {reason} (os error {code})")
            raise OSError(code, reason, place)

    with watched(root) as watching:
        watching.before = before
        yield done
