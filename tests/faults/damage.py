"""Ways in which a file is damaged: each takes the file, another of its kind, and a source of chance."""

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmcbook.data.whole_files import spaced_sha256


class Evil:
    """Whoever unpickles it is told off."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[int]]:
        return os._exit, (99,)


def _truncate(file: Path, other: Path, chance: random.Random) -> None:
    os.truncate(file, chance.randrange(file.stat().st_size))


def _flip(file: Path, other: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)


def _empty(file: Path, other: Path, chance: random.Random) -> None:
    file.write_bytes(b"")


def _zero_the_end(file: Path, other: Path, chance: random.Random) -> None:
    """Its length reached the disk, its second half did not."""
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(content[:half] + bytes(len(content) - half))


def _swap(file: Path, other: Path, chance: random.Random) -> None:
    mine, its = file.read_bytes(), other.read_bytes()
    file.write_bytes(its)
    other.write_bytes(mine)


def _copy_other(file: Path, other: Path, chance: random.Random) -> None:
    file.write_bytes(other.read_bytes())


def _folder(file: Path, other: Path, chance: random.Random) -> None:
    file.unlink()
    file.mkdir()
    (file / "something").write_text("of somebody")


def _link_to_nowhere(file: Path, other: Path, chance: random.Random) -> None:
    file.unlink()
    file.symlink_to(file.parent / "nowhere")


def _link_to_itself(file: Path, other: Path, chance: random.Random) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _link_outside(file: Path, other: Path, chance: random.Random) -> None:
    """A link to the right content somewhere else."""
    outside = file.parent / f".outside-{file.name}"
    shutil.move(file, outside)
    file.symlink_to(outside)


def _link_to_something_else(file: Path, other: Path, chance: random.Random) -> None:
    """A link out of the folder, to a file of somebody that must stay as it is."""
    outside = file.parent.parent / f".of-somebody-{file.name}"
    outside.write_bytes(other.read_bytes())
    file.unlink()
    file.symlink_to(outside)


def _climbing_name(file: Path, other: Path, chance: random.Random) -> None:
    """One of the names in it leads out of the folder, and its SHA-256 is made to fit where it holds one of itself."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.dumps(_climbing(json.loads(content[8:end]), chance)).encode()
        file.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    elif file.suffix in (".json", ".ipynb"):
        changed = _climbing(json.loads(content), chance)
        if "manifest_sha256" in changed:
            del changed["manifest_sha256"]
            changed["manifest_sha256"] = spaced_sha256(changed)
        file.write_text(json.dumps(changed))
    else:
        file.write_text("../../x")


def _climbing(content: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """With another name of one of the entries, or of one of what an entry holds."""
    name = chance.choice([*content])
    if isinstance(content[name], dict) and content[name] and chance.random() < 0.5:
        return {**content, name: _climbing(content[name], chance)}
    return {f"../../{key}" if key == name else key: value for key, value in content.items()}


def _pickle(file: Path, other: Path, chance: random.Random) -> None:
    file.write_bytes(pickle.dumps(Evil()))


def _huge_header(file: Path, other: Path, chance: random.Random) -> None:
    file.write_bytes((2**31).to_bytes(8, "little") + b"{" + file.read_bytes())


def _foreign(file: Path, other: Path, chance: random.Random) -> None:
    content = ["[]", "3", "null", "{}", "[" * 100_000, '{"a": NaN}', '"\\ud800"', "\xff", '{"files": {"../../x": "0"}}']
    file.write_text(chance.choice(content), encoding="latin-1")


DAMAGES: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "truncated": _truncate,
    "one bit flipped": _flip,
    "emptied": _empty,
    "second half zeroed": _zero_the_end,
    "exchanged with another": _swap,
    "replaced by another": _copy_other,
    "a folder": _folder,
    "a link to nowhere": _link_to_nowhere,
    "a link to itself": _link_to_itself,
    "a link outside": _link_outside,
    "a link to something else outside": _link_to_something_else,
    "../ in a name": _climbing_name,
    "a pickle": _pickle,
    "a header of 2 GB": _huge_header,
    "foreign content": _foreign,
}
