"""The one judge of what is up to date: keys of what an executed notebook and the book are made from.

An executed notebook is made from the notebook, the modules of this package that it loads (by their meaning, see
`lmcbook.pages.dependencies`), the records it asked for when it was executed (`lmcbook.lab.asked`), and the versions of
the libraries that all of these import. The
book is made from the executed notebooks, its own pages, the sources of this package, which it shows, and everything
that is installed. Keys are contents, so that a checkout can be copied or touched and nothing is made again.
"""

import ast
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from importlib import metadata
from pathlib import Path

from lmcbook.data.paths import checkout
from lmcbook.data.whole_files import content_sha256, file_sha256, read_state, write_whole
from lmcbook.errors import InputError, one_line
from lmcbook.lab import paths
from lmcbook.lab.addresses import digest_in, images_now, is_pinned, record_files
from lmcbook.lab.asked import ALL
from lmcbook.pages.dependencies import Package, foreign, version

KeyOf = Callable[[Collection[str]], str]
"""The digests of the measurements that a notebook asked for the records of, or `ALL` → the key of its result."""

MEASURING = "lmcbook.lab.missing"
"""What measures a record that is missing. The book's notebooks are executed from records that exist, so no result
depends on it, nor on the training code and the torch below it: what they computed is in the records."""

RESULTS_OF_BENCHMARKS = Path("benchmarks", "results")

_GENERATED = {"_build", "results", "api", "screenshots", "__pycache__"}


class Judge:
    """Says what results are made from. It reads each file once: make a new `Judge` to see what was changed since.

    Args:
        memory: A file in which `remember` keeps what it takes long to find and what holds for the same files again.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._package = Package(known=read_state(memory) if memory else None)
        self._hashes: dict[Path, str] = {}
        self._datasets: dict[Path, str] = {}
        self._versions: dict[str, str] = {}

    def key_of(self, source: Path) -> KeyOf:
        """What gives the key of a result of the notebook ``source`` that is made from what is there now.

        Which records it asks for is known when it has been executed; what these hold is looked at now, so that what is
        written while it runs makes the result stale.

        Raises:
            InputError: ``source`` cannot be read or is not a notebook of plain Python.
        """
        code = code_of(source)
        modules = self._package.loaded_by(code, without=(MEASURING,))
        imported = self._package.foreign(modules) | foreign(code, "lmcbook")
        made_from = {
            "notebook": self._sha256(source),
            "package": self._package.meaning(modules),
            "versions": {name: self._version(name) for name in sorted(imported)},
            "files": {file.name: self._sha256(file) for file in _benchmarks_named_in(code)},
        }
        there = self._records

        def key(asked: Collection[str]) -> str:
            digests = sorted(there if ALL in asked else there.keys() & set(asked))
            files = [file for digest in digests for file in there[digest]]
            records = [f"{file.parent.name}/{file.name}:{self._sha256(file)}" for file in files]
            return content_sha256(made_from | {"records": records, "images": self._images_of(files)})

        return key

    def book_key(self, root: Path) -> str:
        """The key of what the book of the checkout ``root`` is made from, its executed notebooks included.

        Raises:
            InputError: a file cannot be read.
        """
        return content_sha256({"files": self.book_files(root), "foundations": self.foundations(root)})

    def book_files(self, root: Path) -> dict[str, str]:
        """The SHA-256 of all files that the book of the checkout ``root`` shows, by their paths below ``root``.

        Raises:
            InputError: a file cannot be read.
        """
        book = root / "book"
        pages = [file for file in _files(book) if not _GENERATED & set(file.relative_to(book).parts)]
        results = sorted((book / "results").glob("*.ipynb"))
        notebooks = sorted((root / "notebooks").glob("*.ipynb"))
        package = self._hashes_of(self._package.files, self._package.folder.parent)
        return self._hashes_of([*pages, *results, *notebooks, root / "CHANGELOG.md"], root) | package

    def foundations(self, root: Path) -> str:
        """The key of what every page of the book rests on: settings, extensions and all that is installed."""
        files = [*sorted((root / "book").glob("_*.yml")), *_files(root / "book" / "_extensions")]
        installed = sorted({f"{each.name} {each.version}" for each in metadata.distributions()})
        return content_sha256({"files": self._hashes_of(files, root), "installed": installed})

    def remember(self) -> None:
        """Write what was found out about the modules into the file for it, if there is one."""
        if self._memory:
            write_whole(self._memory, json.dumps(self._package.summaries))

    @cached_property
    def _records(self) -> dict[str, list[Path]]:
        """What was measured, as its digest → its records, those measured here first; all are read now."""
        found: dict[str, list[Path]] = {}
        for folder in (paths.fresh_records(), paths.committed_records()):
            for file in record_files(folder):
                self._sha256(file)
                found.setdefault(digest_in(file.stem), []).append(file)
        return found

    def _images_of(self, records: Iterable[Path]) -> dict[str, str | None]:
        """What the datasets of ``records`` hold now: records of other images are left out."""
        for file in set(records) - self._datasets.keys():
            found = re.search(rb'"dataset": "(\w+)"', file.read_bytes())
            self._datasets[file] = "" if found is None else found[1].decode()
        return {name: images_now(name) for name in {self._datasets[file] for file in records} if not is_pinned(name)}

    def _hashes_of(self, files: Iterable[Path], root: Path) -> dict[str, str]:
        return {str(file.relative_to(root)): self._sha256(file) for file in files if file.suffix != ".pyc"}

    def _version(self, module: str) -> str:
        if module not in self._versions:
            self._versions[module] = version(module)
        return self._versions[module]

    def _sha256(self, file: Path) -> str:
        if file not in self._hashes:
            self._hashes[file] = sha256_of(file)
        return self._hashes[file]


def tree_sha256(folder: Path) -> str:
    """The SHA-256 of the names and contents of all files below ``folder``."""
    return content_sha256({str(file.relative_to(folder)): sha256_of(file) for file in _files(folder)})


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return file_sha256(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def code_of(source: Path) -> ast.Module:
    """The code of the notebook ``source`` as a syntax tree.

    Raises:
        InputError: ``source`` cannot be read or is not a notebook of plain Python.
    """
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        return ast.parse("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise InputError(f"{source} is not a notebook of plain Python: {one_line(error)}") from error


def _benchmarks_named_in(code: ast.Module) -> Iterator[Path]:
    folder = (checkout() or Path.cwd()) / RESULTS_OF_BENCHMARKS
    named = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    yield from (file for file in sorted(folder.glob("*.json")) if file.name in named)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
