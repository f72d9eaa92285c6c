"""Records found by what was measured: one walk through each folder, however many records are asked for."""

from collections.abc import Iterator
from pathlib import Path

from lmcbook.errors import InputError
from lmcbook.lab import asked, paths
from lmcbook.lab.addresses import digest_in, images_now, is_pinned, record_files
from lmcbook.lab.config import PairConfig
from lmcbook.lab.records.files import read_record
from lmcbook.lab.records.record import Record


class RecordIndex:
    """Where the records of ``folders`` are, as they were when the index was made.

    Without folders: what was measured on this machine, then what came with the checkout. A missing folder has none.
    """

    def __init__(self, *folders: Path | str) -> None:
        self._folders: list[dict[str, list[Path]]] = []
        for folder in folders or (paths.fresh_records(), paths.committed_records()):
            found: dict[str, list[Path]] = {}
            for path in record_files(folder):
                found.setdefault(digest_in(path.stem), []).append(path)
            self._folders.append(found)

    def find(self, config: PairConfig, *, scale: str | None = None) -> Record | None:
        """The record of the measurement ``config``, in the first of the folders that has it, or ``None``.

        Of several scales' records, the one of ``scale`` is preferred: they are of the same numbers. Of a dataset that
        can be imported anew, the record is of the images that it holds now; where these are not here, of the only
        images there are records of.

        Raises:
            InputError: the file is damaged, edited, or of a later version of the format; or the images are not here and
                there are records of several.
        """
        asked.note(config.digest)
        if is_pinned(config.training.dataset):
            return next(map(read_record, self._paths(config, scale)), None)
        found = list(map(read_record, self._paths(config, scale)))
        if not found:  # then which images are here does not matter: to say it takes seconds
            return None
        images = images_now(config.training.dataset)
        if images is not None:
            return next((record for record in found if record.dataset_sha256 == images), None)
        several = sorted({record.dataset_sha256[:16] for record in found})
        if len(several) > 1:
            raise InputError(
                f"dataset {config.training.dataset!r} is not here, and there are records of {len(several)} sets of "
                f"images of this name ({', '.join(record.file_name for record in found)}): import the images that are "
                "meant, or delete the records of the others"
            )
        return found[0] if found else None

    def _paths(self, config: PairConfig, scale: str | None) -> Iterator[Path]:
        for folder in self._folders:
            yield from sorted(folder.get(config.digest, []), key=lambda path: path.parent.name != scale)
