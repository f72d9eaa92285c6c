"""Which records a process asks for, noted where somebody wants to know: what the result of a notebook depends on."""

import os
from collections.abc import Collection
from pathlib import Path

NOTE = "LMCBOOK_NOTE_RECORDS"
"""Environment variable: the file in which a process notes what it asks for; without it nothing is noted."""

ALL = "all"
"""Noted where all records are read, whatever there is."""


def note(what: str) -> None:
    """Note ``what`` was asked for: the digest of a measurement, whether it has a record or not, or `ALL`."""
    if (file := os.environ.get(NOTE)) is not None:
        with open(file, "a", encoding="utf-8") as notes:
            notes.write(f"{what}\n")


def noted(file: Path) -> Collection[str]:
    """What processes noted in ``file``, each once and in a fixed order; nothing, where there is no file."""
    return sorted(set(file.read_text(encoding="utf-8").split())) if file.exists() else []
