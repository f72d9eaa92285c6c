"""Receipts: files that tell Snakemake that a job of the plan is done. They hold only as long as their records do."""

import json
from collections.abc import Sequence
from pathlib import Path

from lmcbook.data.whole_files import content_sha256, read_json, remove, write_whole
from lmcbook.lab import paths
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import Record, RecordIndex


def receipt_path(scale: str, job: str) -> Path:
    """Where the receipt of a job of the plan is."""
    return paths.runs() / "receipts" / scale / f"{job}.json"


def write_receipt(receipt: Path, job: str, records: Sequence[Record]) -> None:
    """Write that ``job`` is done, and what its ``records`` say.

    Raises:
        OSError: the folder cannot be written.
    """
    content = {"job": job, "records": {record.digest: content_sha256(record.data) for record in records}}
    write_whole(receipt, json.dumps(content, indent=1))


def is_done(receipt: Path, job: str, planned: Sequence[PlannedPair], index: RecordIndex) -> bool:
    """Whether ``receipt`` is that of ``job`` and every measurement it is of has the record that it tells of.

    Raises:
        InputError: a record is damaged, edited, or of a later version of the format.
    """
    try:
        content = read_json(receipt)
    except (OSError, ValueError):
        return False
    found = [record for one in planned if (record := index.find(one.pair)) is not None]
    held = {record.digest: content_sha256(record.data) for record in found}
    return bool(content == {"job": job, "records": held} and len(found) == len(planned))


def open_jobs(scale: str, jobs: dict[str, list[PlannedPair]]) -> list[str]:
    """The names of those ``jobs`` that are to be done; what is no true receipt of theirs is removed.

    Raises:
        InputError: a record is damaged, edited, or of a later version of the format.
    """
    index = RecordIndex(paths.fresh_records())
    found = [job for job, planned in jobs.items() if not is_done(receipt_path(scale, job), job, planned, index)]
    for job in found:
        remove(receipt_path(scale, job))
    return found
