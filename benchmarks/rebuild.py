"""Time of `python -m lmcbook reproduce` after a small change, in the checkout that this is started in.

Three cases: nothing changed; a comment more in one module; a sentence more in one notebook. Before them everything is
brought up to date, which is not timed. What was changed is put back at the end, and the next run makes it again. To
compare two states of the code, start it in two checkouts: `git worktree add` makes a second one.

    python benchmarks/rebuild.py [MODULE] [NOTEBOOK]
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "lmcbook", "reproduce"]


def reproduce() -> tuple[float, float]:
    """Seconds on the clock and of processors that one run takes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "SE_OFFLINE": "true"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def with_comment(text: str) -> str:
    return f"{text}# a comment\n"


def with_sentence(text: str) -> str:
    notebook = json.loads(text)
    prose = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"][-1]
    prose["source"] = "".join(prose["source"]) + "\n\nOne more sentence."
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def after_change(file: Path, change: Callable[[str], str]) -> tuple[float, float]:
    """The times of a run after ``change`` of a file, which is put back."""
    text = file.read_text(encoding="utf-8")
    file.write_text(change(text), encoding="utf-8")
    try:
        return reproduce()
    finally:
        file.write_text(text, encoding="utf-8")


def main(module: str = "theory/gaussian", notebook: str = "05_weak_additivity") -> None:
    source = ROOT / "lmcbook" / f"{module}.py"
    chapter = ROOT / "notebooks" / f"{notebook}.ipynb"
    cases: dict[str, Callable[[], tuple[float, float]]] = {
        "nothing changed": reproduce,
        f"a comment in {module}.py": lambda: after_change(source, with_comment),
        f"a sentence in {notebook}.ipynb": lambda: after_change(chapter, with_sentence),
    }
    for name, measure in cases.items():
        reproduce()  # each case begins with a book that is up to date
        seconds, processors = measure()
        print(f"{name:<40} {seconds:6.1f} s on the clock, {processors:6.1f} s of processors", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
