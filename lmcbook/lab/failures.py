"""What a command says when it stops early: one line that names the file or the argument, and the exit code.

2 is bad input, 1 is what failed although the input was good, 130 an interruption. What is none of these is a fault of
this package, and keeps its traceback.
"""

import errno
import re
import subprocess
from collections.abc import Iterator

from lmcbook.errors import InputError, not_installed, one_line
from lmcbook.errors.machine import device_failed, lacks_memory

KEPT = "what was finished is kept, and the same command goes on from here"

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def told(error: BaseException) -> tuple[str, int] | None:
    """What is said of ``error`` and the exit code, or ``None`` where only a traceback can tell."""
    if isinstance(error, KeyboardInterrupt):
        return f"stopped; {KEPT}", 130
    if isinstance(error, ModuleNotFoundError):
        error = not_installed(error)
    if isinstance(error, InputError):
        return one_line(error), 2
    if type(error).__module__.startswith("lmcbook."):  # a training diverged, stored weights are damaged, …
        return str(error), 1
    for cause in _causes(error):
        if isinstance(cause, OSError) or type(cause).__name__ == "SafetensorError":
            too_long = isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG
            return _of_files(cause), 2 if too_long else 1  # such a name was typed
    if lacks_memory(error):
        return f"{of_memory(error)}; {KEPT}", 1
    if device_failed(error):
        return f"the device failed ({one_line(error, 200)}); {KEPT}", 1
    if isinstance(error, UnicodeError):
        return f"a name or a file has characters that cannot be used here ({one_line(error)}): try PYTHONUTF8=1", 1
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd[0] if isinstance(error.cmd, list) else error.cmd} ended with {error.returncode}", 1
    if isinstance(error, RecursionError):
        return f"a file is nested too deeply ({one_line(error)})", 1
    return None


def of_memory(error: BaseException) -> str:
    """What is said of too little memory: how much was asked for, where the error tells it, and the way out."""
    asked = re.search(r"(?i)tried to allocate ([\d.]+ \w+)", str(error))
    size = f" for {asked[1]}" if asked else ""
    return f"there is not enough memory{size}: take a smaller width or batch size, or fewer processes at a time"


def _of_files(error: BaseException) -> str:
    """What is said of an error of the file system; safetensors tells its own by number, in its text."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told_by_number := re.search(r"os error (\d+)", str(error))):
        number = int(told_by_number[1])
    file = getattr(error, "filename", None)
    name = f"{file}: " if file is not None else ""
    if number in _FULL:
        way_out = "free some space, or let LMCBOOK_RUNS and LMCBOOK_DATA name folders on another disk"
        return f"{name}the disk is full: {way_out}; {KEPT}"
    reason = (error.strerror if isinstance(error, OSError) else None) or one_line(error)
    if number in _REFUSED:
        return f"{name}{reason}: give a place that you may read and write, or change its owner or mode"
    if number == errno.ENAMETOOLONG:
        return f"{name}{reason}: a name may have 255 bytes, and letters that are not ASCII take several; shorten it"
    return f"{name}{reason}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
