"""Records as files: written whole or not at all, read back checked."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lmcbook.data.paths import home_expanded
from lmcbook.data.whole_files import content_sha256, private_folder, sweep, write_whole
from lmcbook.errors import InputError, one_line
from lmcbook.lab import asked, paths
from lmcbook.lab.addresses import images_now, is_pinned, record_files
from lmcbook.lab.config import PairConfig
from lmcbook.lab.recipes import RECIPES
from lmcbook.lab.recipes import recipe as recipe_of
from lmcbook.lab.records.record import COMMITTED, MEASURED_HERE, SCHEMA, Record

_NAME = re.compile(r"(?P<recipe>.+)_x[0-9.e+-]+_wd.+_[0-9a-f]{16}(-[0-9a-f]{16})?")
"""What the file of a record is called, without its ending: see `Record.file_name`."""


_ROOM = 2**16
"""Bytes that a disk has room for unless it is full: more than most records take."""


def check_writable(folder: Path | str) -> Path:
    """Make ``folder`` and prove that files can be written there, before hours are spent on what should go into it.

    Raises:
        InputError: it cannot be made, or nothing can be written into it.
    """
    folder = home_expanded(folder, "records folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        with private_folder(folder / "check"):
            pass
        if shutil.disk_usage(folder).free < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise InputError(
            f"records folder is {str(folder)!r}; it must be a folder that can be written ({reason}): give another"
        ) from error
    return folder


def write_record(record: Record, folder: Path | str) -> Path:
    """Write ``record`` under ``folder``/scale, whole or not at all, and return the file's path.

    The same record gives the same bytes: keys are sorted and numbers are written as Python's ``repr``.

    Raises:
        OSError: it cannot be written, nor can what is measured after it (`check_writable` asks that beforehand).
    """
    return write_record_at(record, home_expanded(folder, "records folder") / record.scale / record.file_name)


def write_record_at(record: Record, path: Path) -> Path:
    """As `write_record`, to the file ``path``, whose name is to be that of the record."""
    content = record.to_dict()
    content["sha256"] = content_sha256(content, ensure_ascii=False)
    text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_whole(path, _compact_numbers(text))
    return path


def read_record(path: Path | str, *, committed: Path | None = None) -> Record:
    """Read one record and check that it is what was written.

    Args:
        committed: The folder of the records that came with the checkout, for who reads many; looked up by default.

    Raises:
        InputError: the file is missing, damaged, edited, or of a later version of the format.
    """
    path = Path(path)
    remedy = "delete it to have it measured again, or restore it with git if it was committed"
    if not _NAME.fullmatch(path.stem):  # whose file it is we cannot know, so nobody is told to delete it
        remedy = "a folder of records holds records alone: move others out, or give another folder"
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except OSError as error:
        raise InputError(
            f"record {str(path)!r} cannot be read ({error.strerror or one_line(error)}): restore it, or move it away "
            "to have it measured again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"record {str(path)!r} is damaged, it is not whole JSON; {remedy}") from error
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise InputError(f"record {str(path)!r} is damaged, it has no schema; {remedy}")
    if content["schema"] > SCHEMA:
        raise InputError(
            f"record {str(path)!r} has schema {content['schema']}; "
            f"this lmcbook reads up to {SCHEMA}: install a newer lmcbook"
        )
    stored = content.pop("sha256", None)
    if not _is_canonical(text, stored) and stored != _sha256_of(content):
        raise InputError(
            f"record {str(path)!r} was edited or damaged, its content does not match its SHA-256; {remedy}"
        )
    try:
        config = content.pop("config")
        config = PairConfig.from_dict({**config, "seeds": tuple(config["seeds"])})
        content |= {name: tuple(content[name]) for name in ("run_keys", "not_finite")}
        # what json reads is plain, and a number that is not finite has no digest
        record = Record(config=config, source=_source(path, committed), plain=True, **content)
    except (TypeError, KeyError, AttributeError, RecursionError, InputError) as error:
        raise InputError(f"record {str(path)!r} cannot be understood ({one_line(error)}); {remedy}") from error
    if path.stem.rpartition("_")[2] not in (record.digest, record.address):
        raise InputError(
            f"record {str(path)!r} holds the measurement of {record.file_name}: give it that name, and restore what "
            "its own name stands for"
        )
    return record


def _is_canonical(text: str, stored: Any) -> bool:
    """Whether ``text`` without its blanks and its digest is what has the digest ``stored``, as of all that we write.

    To encode what was read once more, number by number, would take as long as all else that reading takes.
    """
    if not isinstance(stored, str) or "\\" in text:  # an escaped quotation mark would end a string for us
        return False
    pieces = text.split('"')
    pieces[::2] = ["".join(outside.split()) for outside in pieces[::2]]
    canonical = '"'.join(pieces).replace(f'"sha256":"{stored}",', "", 1)
    return hashlib.sha256(canonical.encode()).hexdigest() == stored


def _sha256_of(content: dict[str, Any]) -> str | None:
    """The digest of a record's content, or ``None`` where it holds what no record can: NaN, half of a character."""
    try:
        return content_sha256(content, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def read_records(
    *folders: Path | str,
    scale: str | Iterable[str] | None = None,
    recipe: str | Iterable[str] | None = None,
    measurement: str | Iterable[str] | None = None,
    alignment: str | Iterable[str] | None = None,
    outdated: bool = False,
) -> list[Record]:
    """Read the records of ``folders``, in a stable order; of one configuration, the first folder's counts.

    Without folders: what was measured on this machine, then what came with the checkout, of the recipes that the book
    plans, unless ``recipe`` names others: trials on your own images are no part of the book. What a later version of
    the code would measure differently is left out, unless ``outdated``; so is what was measured on other images than
    the dataset of that name holds now, and what `left_out` names. A missing folder has no records.

    Raises:
        InputError: a file is damaged, edited, or of a later version of the format.
    """
    asked.note(asked.ALL)
    recipe = RECIPES if recipe is None and not folders else recipe
    chosen: dict[str, Record] = {}
    images: dict[str, str | None] = {}
    unknown: dict[str, str] = {}
    committed = paths.committed_records()
    for folder in folders or (paths.fresh_records(), committed):
        for path in record_files(folder):
            record = read_record(path, committed=committed)
            wanted = (
                not _why_unknown(record.recipe, unknown)
                and _among(record.scale, scale)
                and _among(record.recipe, recipe)
                and _among(record.measurement, measurement)
                and _among(record.config.alignment, alignment)
                and (outdated or not (record.outdated or _of_other_images(record, images)))
            )
            if wanted:
                chosen.setdefault(record.address, record)
    return sorted(chosen.values(), key=_order)


def left_out(*folders: Path | str) -> list[str]:
    """Which records `read_records` leaves out since nobody here knows what they are of, and why: a line for a recipe.

    The recipe of a record says how its networks were trained, and rests on the size of their dataset. Where a recipe is
    no longer known, or an imported dataset is gone or in another folder of data, the others are read all the same.
    """
    found: dict[str, list[Path]] = {}
    unknown: dict[str, str] = {}
    for folder in folders or (paths.fresh_records(), paths.committed_records()):
        for path in record_files(folder):
            if (named := _NAME.fullmatch(path.stem)) is not None:
                found.setdefault(named["recipe"], []).append(path)
    return [
        f"left out: {len(files)} record{'s' if len(files) > 1 else ''} of {name}, which is not known here: {why} "
        f"(the first is {files[0]})"
        for name, files in found.items()
        if (why := _why_unknown(name, unknown))
    ]


def _why_unknown(name: str, known: dict[str, str]) -> str:
    """Why there is no recipe ``name`` here, or an empty text; ``known`` remembers it."""
    if name not in known:
        known[name] = ""
        try:
            recipe_of(name)
        except InputError as error:
            known[name] = str(error).partition("; it may be")[0]
    return known[name]


def _order(record: Record) -> tuple[Any, ...]:
    training, config = record.config.training, record.config
    named = (record.scale, record.recipe, record.measurement, config.alignment, -training.weight_decay)
    return (*named, training.width_multiplier, config.seeds, record.digest)


def _of_other_images(record: Record, images: dict[str, str | None]) -> bool:
    """Whether the dataset of a record's images holds others now; ``images`` remembers what each dataset holds."""
    dataset = record.config.training.dataset
    if is_pinned(dataset):
        return False
    if dataset not in images:
        images[dataset] = images_now(dataset)
    return images[dataset] not in (None, record.dataset_sha256)


def _among(value: str, wanted: str | Iterable[str] | None) -> bool:
    return wanted is None or value == wanted or (not isinstance(wanted, str) and value in tuple(wanted))


def _source(path: Path, committed: Path | None) -> str:
    committed = committed or paths.committed_records()
    plainly = path.is_relative_to(committed) and ".." not in path.parts  # without a look at every folder on the way
    inside = plainly or path.resolve().is_relative_to(committed.resolve())
    return COMMITTED if inside else MEASURED_HERE


def _compact_numbers(text: str) -> str:
    # 25 numbers on 25 lines are no easier to read than on one, and a record is to be read by people too
    return re.sub(r"\[\n\s+([^\[\]{}\"]*?)\n\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)
