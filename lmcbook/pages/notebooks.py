"""Executes the book's notebooks with papermill, and knows which results are out of date.

The Snakefile, the book's Sphinx extension and the tests share it, so that all of them run a notebook the same way. A
result carries, in its metadata under ``lmcbook``, the key of what it was made from: the notebook, the records and this
package.
"""

import ast
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lmcbook.data.whole_files import write_whole
from lmcbook.errors import InputError
from lmcbook.lab import paths, plan

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


class NotebookError(RuntimeError):
    """A notebook stopped with an error; the message ends with the last line of that error."""


def declared_parameters(source: Path) -> dict[str, Any]:
    """The names and default values in the cell of the notebook ``source`` that is tagged ``parameters``.

    Raises:
        InputError: ``source`` cannot be read, is no notebook, or has a default that is not a literal.
    """
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        tagged = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
        assignments = [node for text in tagged for node in ast.parse(text).body]
        return {
            target.id: ast.literal_eval(node.value)
            for node in assignments
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise InputError(f"{source} is not a notebook with a parameters cell of plain values: {error}") from error


READERS = tuple(f"lmcbook.lab.{name}." for name in ("records", "on_demand", "collect", "present", "read_records"))
"""What a notebook imports from that reads records."""


def reads_records(source: Path) -> bool:
    """Whether the notebook ``source`` imports what reads records: see `READERS`.

    Raises:
        InputError: ``source`` cannot be read or is not a notebook of plain Python.
    """
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise InputError(f"{source} is not a notebook of plain Python: {error}") from error
    names = {
        f"{node.module}.{name.name}" if isinstance(node, ast.ImportFrom) else name.name
        for node in imports
        for name in node.names
    }
    return any(f"{name}.".startswith(READERS) for name in names)


def package_sources() -> list[Path]:
    """The source files of this package, in a fixed order."""
    return sorted(Path(__file__).resolve().parent.rglob("*.py"))


def record_files(source: Path) -> list[Path]:
    """The records that the notebook ``source`` could read, those measured on this machine before the committed ones.

    Those of its own experiment where it has one in `lmcbook.lab.plan.EXPERIMENTS`, else all, or none if it reads none.

    Raises:
        InputError: ``source`` cannot be read or is not a notebook of plain Python.
    """
    if not reads_records(source):
        return []
    folders = (paths.fresh_records(), paths.committed_records())
    files = [file for folder in folders for file in sorted(folder.rglob("*.json"))]
    if source.stem not in plan.EXPERIMENTS:
        return files
    own = {one.pair.digest for scale in plan.SCALES for one in plan.pairs(scale, [source.stem])}
    return [file for file in files if file.stem.rpartition("_")[2] in own]


def content_key(files: Iterable[Path]) -> str:
    """The SHA-256 of the names and contents of ``files``; where they lie does not count.

    Raises:
        InputError: one of the files cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}") from error
        digest.update(f"{file.parent.name}/{file.name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def result_key(source: Path) -> str:
    """The key of what the result of the notebook ``source`` is made from: the notebook, this package, the records.

    Raises:
        InputError: ``source`` cannot be read or is not a notebook of plain Python.
    """
    return content_key([source, *record_files(source), *package_sources()])


def stale(target: Path, key: str) -> bool:
    """Whether ``target`` is missing, unreadable, or was made from something else than ``key`` stands for."""
    try:
        metadata = json.loads(target.read_text(encoding="utf-8"))["metadata"]
        return metadata["lmcbook"]["key"] != key
    except (OSError, ValueError, KeyError, TypeError):
        return True


def execute(source: Path, target: Path, parameters: Mapping[str, Any] | None = None) -> Path:
    """Run the notebook ``source`` from the project's root with these ``parameters`` and put the result at ``target``.

    The result appears whole or not at all, with metadata that depend on nothing but the run: kernel ``python3``, no
    times of day, the key of what it was made from.

    Raises:
        InputError: ``source`` cannot be read.
        NotebookError: a cell failed or the kernel died; ``target`` is then as it was.
    """
    key = result_key(source)  # before the run: what is written while it runs must make the result stale
    parameters = dict(parameters or {})
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lmcbook-") as folder:
        output = Path(folder) / source.name
        command = [sys.executable, "-m", "papermill", str(source), str(output), "--kernel", "python3"]
        command += ["--cwd", str(paths.checkout() or Path.cwd()), "--no-progress-bar"]
        command += ["--parameters_yaml", json.dumps(parameters)] if parameters else []
        done = subprocess.run(command, capture_output=True, text=True)
        # papermill leaves an output behind when a cell fails, so only its exit code and its metadata say how it went
        if done.returncode != 0 or not output.is_file():
            raise NotebookError(f"{source}: {last_line(done.stderr) or f'papermill ended with {done.returncode}'}")
        notebook = json.loads(output.read_text(encoding="utf-8"))
        if notebook["metadata"].get("papermill", {}).get("exception"):
            raise NotebookError(f"{source}: {last_line(done.stderr) or 'a cell failed'}")
        normalise(notebook)
        notebook["metadata"]["lmcbook"] = {"source": source.name, "parameters": parameters, "key": key}
        write_whole(target, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return target


def bring_up_to_date(
    pairs: Sequence[tuple[Path, Path]],
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int = 2,
    report: Callable[[str], None] = print,
) -> list[Path]:
    """Execute those of the ``pairs`` of a source and its target whose target is stale, ``jobs`` at a time.

    A notebook gets those of the ``parameters`` that it declares. Returns the targets that were made.

    Raises:
        InputError: a source cannot be read.
        NotebookError: some failed; the message has one line for each, and the others were made all the same.
    """
    due = [(source, target) for source, target in pairs if stale(target, result_key(source))]

    def attempt(pair: tuple[Path, Path]) -> str:
        source, target = pair
        report(f"executing {source.name}")
        declared = declared_parameters(source)
        try:
            execute(source, target, {name: value for name, value in (parameters or {}).items() if name in declared})
        except NotebookError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        failures = [failure for failure in pool.map(attempt, due) if failure]
    if failures:
        raise NotebookError("\n".join(failures))
    return [target for _, target in due]


def normalise(notebook: dict[str, Any]) -> None:
    """Take out of an executed notebook what differs from run to run or from machine to machine, in place."""
    metadata = notebook["metadata"]
    metadata.pop("papermill", None)
    metadata["kernelspec"] = dict(KERNEL)
    for cell in notebook["cells"]:
        for passing in ("papermill", "execution"):
            cell["metadata"].pop(passing, None)
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["metadata"]["tags"].append("remove-cell")  # the page says in words which records it was made from


def last_line(text: str) -> str:
    """The last line of ``text`` that says something, without terminal colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return next((line.strip() for line in reversed(plain.splitlines()) if line.strip()), "")
