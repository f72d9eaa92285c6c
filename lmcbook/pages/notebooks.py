"""Executes the book's notebooks with papermill, where results are out of date.

`lmcbook.pages.workflow`, the book's Sphinx extension and the tests share it, so that all of them run a notebook the
same way. A result carries, in its metadata under ``lmcbook``, its parameters, the records it asked for, the key of what
it was made from (see `lmcbook.pages.keys`) and the SHA-256 of its own content.
"""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lmcbook.data.paths import checkout
from lmcbook.data.whole_files import write_whole
from lmcbook.errors import InputError, one_line
from lmcbook.lab.asked import NOTE, noted
from lmcbook.lab.records import left_out
from lmcbook.lab.surroundings import writable_home
from lmcbook.pages import warm_python
from lmcbook.pages.dependencies import imports_of
from lmcbook.pages.keys import Judge, KeyOf, code_of

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}

# As a notebook names them, and a widget another.
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_NAME = re.compile(r"(?<=\"IPY_MODEL_)\w+")

_MACHINERY = ("papermill.__main__", "ipykernel.kernelapp", "ipykernel.zmqshell", "matplotlib_inline.backend_inline")
"""What executes a notebook, whatever it imports."""


LONGEST = ("12_explorers", "15_your_own_pair")
"""Begun first, so that nothing else has to wait for them at the end."""


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
        raise InputError(
            f"{source} is not a notebook with a parameters cell of plain values: {one_line(error)}"
        ) from error


def stale(target: Path, key_of: KeyOf, parameters: Mapping[str, Any] | None = None) -> bool:
    """Whether ``target`` is missing, damaged or edited, or was made from something else than ``key_of`` now says.

    It is stale too if it was executed with other values of these ``parameters``.
    """
    try:
        text = target.read_text(encoding="utf-8")
        made = json.loads(text)["metadata"]["lmcbook"]
        alike = all(made["parameters"].get(name) == value for name, value in (parameters or {}).items())
        return (
            not alike or made["key"] != key_of(made["records"]) or made["sha256"] != _own_sha256(text, made["sha256"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True


def execute(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    key_of: KeyOf | None = None,
    python: Sequence[str] = (sys.executable,),
) -> Path:
    """Run the notebook ``source`` from the project's root with these ``parameters`` and put the result at ``target``.

    The result appears whole or not at all, with metadata that depend on nothing but the run: kernel ``python3``, no
    times of day, all parameters' values, and the key of what it was made from (``key_of`` gives it; by default, of what
    is there now).
    ``python`` is the command that starts papermill and the kernel.

    Raises:
        InputError: ``source`` cannot be read.
        NotebookError: a cell failed or the kernel died; ``target`` is then unchanged.
    """
    # before the run: what is written while it runs must make the result stale
    key_of = Judge().key_of(source) if key_of is None else key_of
    parameters = dict(parameters or {})
    effective = declared_parameters(source) | parameters
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lmcbook-") as folder:
        output = Path(folder) / source.name
        command = [*python, "-m", "papermill", str(source), str(output), "--kernel", "python3"]
        command += ["--cwd", str(checkout() or Path.cwd()), "--no-progress-bar"]
        # written once: twice for each cell would take a tenth of all time, and of what fails nothing is kept
        command += ["--no-request-save-on-cell-execute"]
        command += ["--parameters_yaml", json.dumps(parameters)] if parameters else []
        environment = writable_home(os.environ, Path(folder) / "home")
        environment = _with_own_kernel(environment, Path(folder) / "kernel", python)
        environment[NOTE] = str(Path(folder) / "asked")
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        # papermill leaves an output behind when a cell fails, so only its exit code and its metadata say how it went
        if done.returncode != 0 or not output.is_file():
            raise NotebookError(f"{source}: {last_line(done.stderr) or f'papermill ended with {done.returncode}'}")
        notebook = json.loads(output.read_text(encoding="utf-8"))
        if notebook["metadata"].get("papermill", {}).get("exception"):
            raise NotebookError(f"{source}: {last_line(done.stderr) or 'a cell failed'}")
        if lost := lost_widgets(notebook):
            raise NotebookError(f"{source}: {len(lost)} of its widgets were lost between the kernel and papermill")
        normalise(notebook)
        records = noted(Path(environment[NOTE]))
        made = {"source": source.name, "parameters": effective, "records": records}
        made |= {"key": key_of(records), "sha256": _UNKNOWN}
        notebook["metadata"]["lmcbook"] = made
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        write_whole(target, text.replace(_place(_UNKNOWN), _place(_own_sha256(text, _UNKNOWN))))
    return target


def _with_own_kernel(environment: dict[str, str], folder: Path, python: Sequence[str]) -> dict[str, str]:
    """An environment in which ``python`` starts the kernel ``python3``, whatever somebody else called so."""
    kernel = folder / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [*python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # which it would else take from the environment of its first import: it is not to look after its parent itself
    command += [] if list(python) == [sys.executable] else ["--IPKernelApp.parent_handle=1"]
    kernel.write_text(json.dumps({"argv": command, "display_name": KERNEL["display_name"], "language": "python"}))
    places = [str(folder), *filter(None, [environment.get("JUPYTER_PATH")])]
    return {**environment, "JUPYTER_PATH": os.pathsep.join(places)}


def bring_up_to_date(
    pairs: Sequence[tuple[Path, Path]],
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int = 2,
    report: Callable[[str], None] = print,
    judge: Judge | None = None,
) -> list[Path]:
    """Execute those of the ``pairs`` of a source and its target whose target is stale, ``jobs`` at a time.

    A notebook gets those of the ``parameters`` that it declares. Returns the targets that were made.

    Raises:
        InputError: a source cannot be read.
        NotebookError: some failed; the message has one line for each of them, and the others were made all the same.
    """
    judge = judge or Judge()
    missing = [source for source, target in pairs if not target.exists()]

    def attempt(task: tuple[Path, Path, dict[str, Any], KeyOf], python: Sequence[str]) -> str:
        source, target, given, key_of = task
        report(f"executing {source.name}")
        try:
            execute(source, target, given, key_of=key_of, python=python)
        except NotebookError as error:
            return str(error)
        return ""

    with ExitStack() as closing:
        # where many are missing, their imports are made while the others are judged
        begun = closing.enter_context(_python_for(missing, jobs)) if len(missing) > jobs else None
        due = []
        for source, target in pairs:
            declared = declared_parameters(source)
            given = {name: value for name, value in (parameters or {}).items() if name in declared}
            key_of = judge.key_of(source)
            if stale(target, key_of, given):
                due.append((source, target, given, key_of))
        due.sort(key=lambda task: task[0].stem not in LONGEST)
        starting = begun or closing.enter_context(_python_for([source for source, *_ in due], jobs))
        for line in left_out() if due else ():
            report(line)
        python = starting()
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            failures = [failure for failure in pool.map(lambda task: attempt(task, python), due) if failure]
    if failures:
        raise NotebookError("\n".join(failures))
    return [target for _, target, *_ in due]


@contextmanager
def _python_for(sources: Sequence[Path], jobs: int) -> Iterator[Callable[[], list[str]]]:
    """Gives, when it is ready, what starts papermill and the kernels of ``sources``.

    Where there are many, it begins with their imports at once.
    """
    if len(sources) <= jobs or not warm_python.can_be_warm():
        yield lambda: [sys.executable]
        return
    imported = {part for source in sources for part in imports_of(code_of(source))}
    names = {name for module, part in imported for name in (module, f"{module}.{part}" if part else module)}
    with tempfile.TemporaryDirectory(prefix="lmcbook-") as folder:
        environment = writable_home(os.environ, Path(folder) / "home")
        with warm_python.WarmPython([*_MACHINERY, *sorted(names)], folder, environment) as warm:
            yield lambda: warm.command


def lost_widgets(notebook: Mapping[str, Any]) -> set[str]:
    """The identifiers of widgets that the outputs or other widgets of an executed notebook need and it does not have.

    A kernel's messages may be dropped where they are read late; the page would then show nothing in their place.
    """
    stored, views = _widgets(notebook)
    shown = {view["model_id"] for view in views}
    return (shown | set(WIDGET_NAME.findall(json.dumps(stored)))) - set(stored)


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
            cell["id"] = "injected-parameters"  # or drawn anew in every run
    _number_widgets(notebook)


def _number_widgets(notebook: dict[str, Any]) -> None:
    """Give widgets, whose names are drawn anew in every run, numbers in the order in which the page comes to them."""
    stored, views = _widgets(notebook)
    texts = {name: json.dumps(model, sort_keys=True) for name, model in stored.items()}
    numbers: dict[str, str] = {}

    def number(name: str) -> None:
        waiting = [name]
        while waiting:
            if (found := waiting.pop()) in texts and found not in numbers:
                numbers[found] = f"{len(numbers):032x}"
                waiting += reversed(WIDGET_NAME.findall(texts[found]))

    def numbered(text: str) -> str:
        return WIDGET_NAME.sub(lambda name: numbers.get(name[0], ""), text)

    for view in views:
        number(view["model_id"])
    # what no view leads to, such as a link between two widgets, by what it says; before what only such widgets name
    others = sorted(texts.keys() - numbers.keys(), key=lambda name: numbered(texts[name]))
    named = {name for other in others for name in WIDGET_NAME.findall(texts[other])}
    for name in sorted(others, key=named.__contains__):
        number(name)
    for view in views:
        view["model_id"] = numbers[view["model_id"]]
    stored.clear()
    stored |= {new: json.loads(numbered(texts[name])) for name, new in numbers.items()}


def _widgets(notebook: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The widgets that an executed notebook stores, by their names, and where its outputs show them."""
    stored = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return stored, [data[WIDGET_VIEW] for data in outputs if WIDGET_VIEW in data]


def last_line(text: str) -> str:
    """The last line of ``text`` that says something, without terminal colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return next((line.strip() for line in reversed(plain.splitlines()) if line.strip()), "")


_UNKNOWN = "0" * 64
"""What stands in the place of a result's own SHA-256 while that is computed."""


def _own_sha256(text: str, stated: str) -> str:
    return hashlib.sha256(text.replace(_place(stated), _place(_UNKNOWN)).encode()).hexdigest()


def _place(sha256: str) -> str:
    return f'"sha256": "{sha256}"'
