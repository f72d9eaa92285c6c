"""Opening ``.safetensors`` files: whoever cannot open a file reads why, and never that it is not there."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NO_FILE = (errno.EISDIR, errno.ELOOP)
"""Numbers of errors of what is no file, so that it holds nothing that could be lost."""


@contextmanager
def opened(path: Path, *, framework: str = "pt") -> Iterator[Any]:
    """`safetensors.safe_open`, whose errors are those of Python's ``open``.

    safetensors says of every file that the system does not open, be it for want of a right or of a free descriptor,
    that it is not there.

    Args:
        path: of the file.
        framework: ``pt`` maps it into memory for torch, ``np`` reads it for numpy.

    Raises:
        FileNotFoundError: there is none.
        SafetensorError: it is no such file, or not whole.
        OSError: it cannot be opened now, with the number and the name of the file; its content may be whole.
    """
    from safetensors import safe_open

    try:
        file = safe_open(path, framework=framework)
    except (OSError, RuntimeError) as error:  # the second is torch's, which opens the file again
        path.open("rb").close()
        told_by_number = re.search(r"\((?:os error )?(\d+)\)", str(error))
        number = int(told_by_number[1]) if told_by_number else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    with file as content:
        yield content
