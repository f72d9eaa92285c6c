"""What the environment says is checked before anything is done: variables, folders, processes, threads."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from lmcbook.data.paths import data, named
from lmcbook.errors import InputError, check_number
from lmcbook.training.execution import VARIABLES

FOLDERS = ("LMCBOOK_RUNS", "LMCBOOK_RECORDS", "LMCBOOK_DATA")
"""Variables that name a folder."""

_OTHERS = ("LMCBOOK_JUDGED_BY", "LMCBOOK_REQUIRE_BOOK", "LMCBOOK_SITE")
"""Those that the build of the book and its tests use among themselves."""

_OF_TORCHRUN = ("RANK", "LOCAL_RANK", "MASTER_PORT", "MASTER_ADDR")
"""Beside ``WORLD_SIZE``; all but the last are numbers."""


def check_environment(environment: Mapping[str, str] | None = None) -> list[str]:
    """Check the variables that are ours and those of torchrun; returns what there is to say of names that nobody reads.

    Raises:
        InputError: a variable names no folder, or ``WORLD_SIZE`` is not as torchrun sets it.
    """
    environment = os.environ if environment is None else environment
    folders = {name: named(name, environment) for name in FOLDERS}
    if (committed := folders["LMCBOOK_RECORDS"]) is not None and not committed.is_dir():
        given = environment["LMCBOOK_RECORDS"]
        seen = "" if str(committed) == given else f" ({committed})"
        raise InputError(f"LMCBOOK_RECORDS is {given!r}, which is not there{seen}; it must name a folder, or be unset")
    number_of_processes(environment)
    known = (*FOLDERS, *VARIABLES.values(), *_OTHERS)
    unknown = [name for name in sorted(environment) if name.startswith("LMCBOOK") and name not in known]
    return [_unknown(name, known) for name in unknown]


def _unknown(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[: -len(_OTHERS)])}"
    return f"the variable {name} is unknown and without effect; {hint}"


def number_of_processes(environment: Mapping[str, str] | None = None) -> int:
    """How many processes torchrun started, this one included; 1 without torchrun.

    Raises:
        InputError: ``WORLD_SIZE`` is no number, or torchrun's other variables are missing.
    """
    environment = os.environ if environment is None else environment
    text = environment.get("WORLD_SIZE") or "1"
    way_out = "start the processes with `torchrun --nproc-per-node N -m lmcbook run`, or unset WORLD_SIZE"
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise InputError(f"WORLD_SIZE is {text!r}; it must be 1 or more, as torchrun sets it: {way_out}")
    if int(text) > 1:
        for name in _OF_TORCHRUN:
            value = environment.get(name)
            if not value or (name != _OF_TORCHRUN[-1] and not value.isdecimal()):
                raise InputError(f"WORLD_SIZE is {text}, but {name} is {value!r}, not as torchrun sets it: {way_out}")
    return int(text)


def writable_home(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """``environment`` for a child; where nothing can be written into the home folder, its caches lie in ``folder``.

    Datasets stay where they are.
    """
    home = Path(environment.get("HOME") or Path.home())
    if os.access(home, os.W_OK):
        return dict(environment)
    names = ("XDG_CACHE_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    moved = {name: str(folder / name.lower()) for name in names if not environment.get(name)}
    for place in moved.values():
        Path(place).mkdir(parents=True, exist_ok=True)
    return {**environment, "LMCBOOK_DATA": str(data()), **moved}


def set_threads(threads: int | None) -> None:
    """Tell the numerical libraries, which read it when they are first imported: after this.

    Raises:
        InputError: no such number of threads makes sense on this machine.
    """
    if threads is not None:
        check_number("threads", threads, minimum=1, maximum=os.cpu_count() or 1, integer=True)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
