"""From plan to book through Snakemake: receipts are its outputs, so that it can never delete a trained network."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lmcbook.data.whole_files import content_sha256, write_whole
from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.lab import paths, plan
from lmcbook.lab.plan import PlannedPair
from lmcbook.pages import notebooks


def receipt_path(scale: str, job: str) -> Path:
    """The file whose existence tells the engine that a job of the plan is done."""
    return paths.runs() / "receipts" / scale / f"{job}.json"


def receipts_of(scale: str, notebook: str) -> list[str]:
    """The receipts that ``notebooks/NOTEBOOK.ipynb`` waits for.

    Those of its own experiment where it has one, else all, or none if it reads no records.
    """
    jobs = plan.jobs(plan.pairs(scale))
    if notebook in plan.EXPERIMENTS:
        own = {one.pair.digest for one in plan.pairs(scale, [notebook])}
        jobs = {name: group for name, group in jobs.items() if any(one.pair.digest in own for one in group)}
    elif not notebooks.reads_records(_checkout("reproduce") / "notebooks" / f"{notebook}.ipynb"):
        return []
    return [str(receipt_path(scale, job)) for job in jobs]


def priority(group: Sequence[PlannedPair]) -> float:
    """What a job costs, in seconds of a processor core: the dearest are started first, so that none is left alone.

    Only the order of the jobs rests on it, whatever device they are worked off on.
    """
    from lmcbook.lab.budget import costs_of, estimated_measuring_seconds, estimated_training_seconds

    costs = costs_of("cpu")
    networks = {training for one in group for training in (one.pair.training_a, one.pair.training_b)}
    trainings = sum(estimated_training_seconds(training, costs) for training in networks)
    return trainings + sum(estimated_measuring_seconds(one, costs) for one in group)


def work_off_job(scale: str, name: str, *, receipt: Path, device: str) -> None:
    """Do every measurement of one job, then write its receipt.

    Raises:
        InputError: the plan of ``scale`` has no such job.
    """
    from lmcbook.lab.missing import measure_missing

    jobs = plan.jobs(plan.pairs(scale))
    check_choice("job", name, jobs)
    records = measure_missing(jobs[name], device=device)
    content = {"job": name, "records": {record.digest: content_sha256(record.data) for record in records}}
    write_whole(receipt, json.dumps(content, indent=1))


def run_notebook(scale: str, name: str, *, output: Path) -> None:
    """Execute ``notebooks/NAME.ipynb`` from records that exist, and put the result at ``output``.

    Raises:
        InputError: unknown scale or notebook.
        NotebookError: a cell failed.
    """
    check_choice("scale", scale, plan.SCALES)
    folder = _checkout("notebook") / "notebooks"
    check_choice("notebook", name, sorted(path.stem for path in folder.glob("*.ipynb")))
    source = folder / f"{name}.ipynb"
    declared = notebooks.declared_parameters(source)
    wanted = {"scale": scale, "require_cached": True}
    notebooks.execute(source, output, {key: value for key, value in wanted.items() if key in declared})


def build_book() -> int:
    """Build the book strictly; returns the exit code of Jupyter Book.

    Raises:
        InputError: not inside a checkout.
    """
    root = _checkout("book")
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(root / "book"),
        "-W",
        "--keep-going",
    ]
    return subprocess.run(command, cwd=root).returncode


def _checkout(command: str) -> Path:
    root = paths.checkout()
    if root is None:
        raise InputError(
            f"the working directory is {Path.cwd()}; {command} must be started inside a checkout of lmcbook"
        )
    return root


def reproduce(
    scale: str = "embedded",
    *,
    cores: int = 1,
    device: str = "auto",
    profile: str | None = None,
    build_book: bool = True,
) -> int:
    """Bring everything up to date: trainings, records, executed notebooks, book. Returns the engine's exit code.

    What was killed in the middle goes on from where it stopped when this is called again.

    Raises:
        InputError: unknown scale; not inside a checkout; another reproduction is running; Snakemake is not installed.
    """
    check_choice("scale", scale, plan.SCALES)
    check_number("cores", cores, minimum=1, integer=True)
    root = _checkout("reproduce")
    try:
        paths.runs().mkdir(parents=True, exist_ok=True)
        lock = (paths.runs() / "reproduce.lock").open("w")
    except OSError as error:
        raise InputError(
            f"LMCBOOK_RUNS is {paths.runs()}; it cannot be written ({error}): give another folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another reproduction is running on {paths.runs()}: wait for it, or set LMCBOOK_RUNS to another folder"
            ) from error
        snakemake = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(root / "Snakefile"),
            "--directory",
            str(root),
        ]
        # We hold the lock, so a lock that Snakemake left behind belongs to an engine that was killed
        if any((root / ".snakemake" / "locks").glob("*")):
            subprocess.run([*snakemake, "--cores", "1", "--unlock"], check=True, pass_fds=[lock.fileno()])
        command = [
            *snakemake,
            *(["--profile", profile] if profile else ["--cores", str(cores)]),
            "--rerun-incomplete",
            "--keep-going",
            "--show-failed-logs",
            "--rerun-triggers", "mtime", "input", "params",
            "--resources", f"gpu={_number_of_gpus(device)}",
            "--config", f"scale={scale}", f"device={device}",
            "--", "book" if build_book else "measurements",
        ]  # fmt: skip
        # the engine inherits the lock: it is held until the engine ends, even if this process is killed
        return subprocess.run(command, pass_fds=[lock.fileno()]).returncode


def _number_of_gpus(device: str) -> int:
    if device == "cpu":
        return 0
    try:
        listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(listing.stdout.splitlines()) if listing.returncode == 0 else 0
