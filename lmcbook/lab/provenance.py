"""Where, when and with what a number was computed; imports no torch, but reports it where it is loaded."""

import os
import platform
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from lmcbook.errors import one_line

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas", "scikit-learn", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {package: version for package in PACKAGES if (version := _version(package)) is not None}
    return {"python": platform.python_version(), **found}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> tuple[str | None, bool | None, str | None]:
    """The git commit of the code in use, whether tracked files differ from it, and why it is not known.

    Outside git, without git, or in a checkout that belongs to somebody else, the first two are ``None``; otherwise
    the third. Records and notebooks do not compute anything, so changes to them do not make the code dirty.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], check=True, capture_output=True, text=True, timeout=20
        ).stdout.strip()

    try:
        status = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "HEAD"), bool(status), None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"git ended with {error.returncode}"]
        return None, None, lines[0]
    except (OSError, subprocess.SubprocessError) as error:
        return None, None, f"git cannot be asked: {one_line(error)}"


def processor() -> str:
    """Name of the processor, as the operating system knows it."""
    try:
        names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in kibibytes


def provenance(device: str = "cpu") -> dict[str, Any]:
    """Commit, versions, hardware, threads, peak memory and date (UTC) of a computation on ``device``."""
    revision, dirty, unknown = commit()
    torch = sys.modules.get("torch")
    on_gpu = torch is not None and str(device).startswith("cuda")
    return {
        "commit": revision,
        "dirty": dirty,
        **({} if unknown is None else {"commit_unknown": unknown}),
        "versions": versions(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if torch is not None and on_gpu else None,
        "gpu_peak_memory_bytes": torch.cuda.max_memory_allocated(device) if torch is not None and on_gpu else None,
        "threads": torch.get_num_threads() if torch is not None else None,
        "peak_memory_bytes": peak_memory_bytes(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
