"""Writes `requirements.lock`: versions of all packages that the book and the tests need, and the hashes of their files.

    pip install uv && make lock

keeps the versions that stand in the file, adds what is newly needed, drops what no longer is, and takes all hashes anew
from the index. To raise a version, change it in the file before. `python -m tests.lock --check` changes nothing, and
names the files of the lock that the index does not have: 1 if there are any, 3 if it could not be asked.

PyTorch stands there without hashes: pip trusts what is installed already, and `make setup` installs it first.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PYTHON = "3.11"
"""The oldest that will do; what newer ones and other systems need in addition stands there too, with its condition."""

WITHOUT_HASHES = ("torch",)
_BROUGHT_BY_TORCH = re.compile(r"(nvidia|cuda)-.*|triton")

HEADER = """\
# Exact versions that were installed together on Python 3.11 and with which everything here was run and tested, and the
# SHA-256 of every file of theirs on the index: pip installs no other file. `make setup` installs them, `make lock`
# writes them, tests/test_project.py holds them against pyproject.toml.
# torch has no hashes: its CUDA build is on the index, its CPU build is not, and a machine may have one of its own on
# its disk. `make setup` installs it before, and afterwards the CUDA libraries that it brings on Linux.
"""

Locked = dict[str, tuple[str, frozenset[str]]]
"""Name of a package → its version (and condition), and the SHA-256 of its files."""


def parsed(text: str) -> Locked:
    """What stands in a lock."""
    found: Locked = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.startswith("#"):
            requirement, *hashes = (part.strip() for part in line.split("--hash=sha256:"))
            name, _, version = requirement.partition("==")
            found[re.sub(r"[-_.]+", "-", name).lower()] = version, frozenset(hashes)
    return found


def written(locked: Locked) -> str:
    """A lock as text."""
    lines = []
    for name, (version, hashes) in sorted(locked.items()):
        lines.append(" \\\n    --hash=sha256:".join([f"{name}=={version}", *sorted(hashes)]))
    return HEADER + "\n".join(lines) + "\n"


def on_the_index(locked: Locked) -> Locked:
    """The same versions and all that goes with them, with the hashes that the index gives.

    Raises:
        RuntimeError: uv is not installed, the index cannot be asked, or the versions do not go together.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("".join(f"{name}=={version}\n" for name, (version, _) in locked.items()))
        wanted = [str(ROOT / "pyproject.toml"), "--extra=book", "--extra=test", f"--constraint={kept}"]
        form = ["--universal", f"--python-version={PYTHON}", "--generate-hashes", "--no-annotate", "--no-header"]
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *wanted, *form]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split()) or f"uv ended with {done.returncode}")
    return {
        name: (version, frozenset() if name in WITHOUT_HASHES else hashes)
        for name, (version, hashes) in parsed(done.stdout).items()
        if not _BROUGHT_BY_TORCH.fullmatch(name)
    }


def foreign(locked: Locked, index: Locked) -> list[str]:
    """A line for each package of which the lock has a file that the index has not, or no file at all.

    The index may have more: files of a version are added when a new Python comes.
    """
    lines = []
    for name, (version, hashes) in locked.items():
        of_index = index.get(name, ("nothing", frozenset()))
        if version != of_index[0]:
            lines.append(f"{name}: {version} in the lock, {of_index[0]} is needed")
        elif not hashes and name not in WITHOUT_HASHES:
            lines.append(f"{name}: no hash in the lock")
        elif hashes - of_index[1]:
            lines.append(f"{name}: the index has no file of {', '.join(sorted(hashes - of_index[1]))}")
    return lines + [f"{name}: not in the lock" for name in index if name not in locked]


def main(arguments: list[str], lock: Path = LOCK) -> int:
    """Write the lock anew, or check it; 1 if it does not hold, 3 if the index could not be asked."""
    locked = parsed(lock.read_text(encoding="utf-8"))
    try:
        index = on_the_index(locked)
    except RuntimeError as error:
        print(f"the index could NOT be asked, so the lock stays unchecked and as it is: {error}")
        return 3
    lines = foreign(locked, index)
    if "--check" in arguments:
        print("\n".join([*lines, f"{len(locked)} packages, {len(lines)} that do not hold"]))
        return int(bool(lines))
    lock.write_text(written(index), encoding="utf-8")
    print("\n".join([*lines, f"{len(index)} packages written"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
