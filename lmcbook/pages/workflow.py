"""From plan to book: Snakemake does the measurements, then stale notebooks are executed and a stale book is built.

Snakemake's outputs are receipts, so that it can never delete a trained network. It is started only where a receipt is
missing. What is stale of the rest, `lmcbook.pages.keys` decides, and nobody else.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmcbook.data.paths import checkout
from lmcbook.data.whole_files import read_state, remove, write_whole
from lmcbook.errors import InputError, check_choice, check_number, described, one_line
from lmcbook.lab import paths, plan
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.receipts import open_jobs, write_receipt
from lmcbook.lab.records import check_writable
from lmcbook.lab.surroundings import writable_home
from lmcbook.pages import notebooks
from lmcbook.pages.keys import Judge, tree_sha256
from lmcbook.training.device import check_device, resolve_device

JUDGED_BY = "LMCBOOK_JUDGED_BY"
"""The variable that tells the Sphinx build that the process which started it has brought the notebooks up to date: the
number of that process, so that a variable that was left behind says nothing."""

MEMORY = Path("_build", "modules.json")
"""In the book's folder: what is known of the package's modules from the build before."""


def priority(group: Sequence[PlannedPair]) -> float:
    """What a job costs, in seconds of a processor core: the dearest are started first, so that none is left alone.

    Only the order of the jobs rests on it, whatever device they are worked off on.
    """
    from lmcbook.lab.budget import costs_of, estimated_measuring_seconds, estimated_training_seconds

    costs = costs_of("cpu")
    networks = {training for one in group for training in (one.pair.training_a, one.pair.training_b)}
    trainings = sum(estimated_training_seconds(training, costs) for training in networks)
    return trainings + sum(estimated_measuring_seconds(one, costs) for one in group)


def jobs_of(
    scale: str, recipes: Sequence[str] | None = None, notebooks: Sequence[str] | None = None
) -> dict[str, list[PlannedPair]]:
    """The jobs of a scale, or those of some recipes and notebooks: see `lmcbook.lab.plan.jobs`.

    Raises:
        InputError: unknown scale, recipe or notebook.
    """
    return plan.jobs(plan.of_recipes(plan.pairs(scale, notebooks), recipes))


def work_off_job(
    scale: str,
    name: str,
    *,
    receipt: Path,
    device: str,
    recipes: Sequence[str] | None = None,
    notebooks: Sequence[str] | None = None,
) -> None:
    """Do every measurement of one job, then write its receipt.

    Raises:
        InputError: the plan of ``scale``, of these ``recipes`` and ``notebooks``, has no such job.
    """
    from lmcbook.lab.missing import measure_missing

    jobs = jobs_of(scale, recipes, notebooks)
    check_choice("job", name, jobs)
    records = measure_missing(jobs[name], device=device)
    write_receipt(receipt, name, records)


def build_book(scale: str | None = None, *, jobs: int = 2) -> int:
    """Execute the notebooks that are stale, from records that exist, and build the book if it is; returns an exit code.

    Pages that did not change are left alone, unless the book was not built to its end before, its files were changed
    since, what all pages rest on is another, or Sphinx would not see a change by its date.

    Args:
        scale: What notebooks must have been executed at; by default any will do.
        jobs: Notebooks at a time.

    Raises:
        InputError: unknown scale or device; not inside a checkout.
        NotebookError: notebooks failed; the others were executed all the same.
    """
    wanted = {"require_cached": True} | ({} if scale is None else {"scale": scale})
    root = _checkout("book")
    judge = Judge(memory=root / "book" / MEMORY)
    sources = sorted((root / "notebooks").glob("*.ipynb"))
    pairs = [(source, root / "book" / "results" / source.name) for source in sources]
    notebooks.bring_up_to_date(pairs, wanted, jobs=jobs, judge=judge)
    judge.remember()
    built = root / "book" / "_build" / "html"
    state = built.parent / "made_from.json"
    made_from = {
        "book": judge.book_key(root),
        "foundations": judge.foundations(root),
        "files": judge.book_files(root),
    }
    before = read_state(state)
    if before == made_from | {"pages": tree_sha256(built)}:
        print("notebooks and book: nothing to be done")
        return 0
    untouched = (
        before.get("pages") == tree_sha256(built)
        and before.get("foundations") == made_from["foundations"]
        and _sees_changes(root, state, before.get("files"), judge.book_files(root))
    )
    remove(state)  # a build that fails or is killed leaves pages whose warnings do not come again
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(root / "book"), "-W", "--keep-going"]
    known = {**os.environ, JUDGED_BY: str(os.getpid())}
    code = subprocess.run([*command, *([] if untouched else ["--all"])], cwd=root, env=known).returncode
    if code == 0:
        write_whole(state, json.dumps(made_from | {"pages": tree_sha256(built)}, indent=1) + "\n")
    return code


def _sees_changes(root: Path, state: Path, before: Any, now: Mapping[str, str]) -> bool:
    """Whether Sphinx, which goes by the dates of files alone, sees all that changed since ``state`` was written.

    It does not where a clock was set back since, or a file was put there with the date that it had elsewhere.
    """
    if not isinstance(before, dict):
        return False
    built_at = state.stat().st_mtime
    changed = [root / name for name, sha256 in now.items() if before.get(name) != sha256]
    return all(file.is_file() and file.stat().st_mtime > built_at for file in changed)


def _checkout(command: str) -> Path:
    root = checkout()
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
    with_book: bool = True,
    recipes: Sequence[str] | None = None,
    notebooks: Sequence[str] | None = None,
) -> int:
    """Bring everything up to date: trainings, records, executed notebooks, book. Returns an exit code.

    What was killed in the middle goes on from where it stopped when this is called again.

    Args:
        recipes: Measure these alone; the notebooks find the rest among the committed records.
        notebooks: Measure what these show alone, likewise.

    Raises:
        InputError: unknown scale, recipe, notebook, profile or device, or a device that is not here; not inside a
            checkout; another reproduction is running; Snakemake is not installed.
        NotebookError: notebooks failed.
    """
    check_choice("scale", scale, plan.SCALES)
    # a cluster has more of them than the machine that asks for its jobs
    most = os.cpu_count() if profile is None else None
    check_number("cores", cores, minimum=1, maximum=most, integer=True)
    check_device(device)
    if profile is not None:
        _check_profile(profile)
    if device.startswith("cuda") and profile is None:  # a cluster's nodes may have what this machine has not
        resolve_device(device)
    root = _checkout("reproduce")
    jobs = jobs_of(scale, recipes, notebooks)
    # Snakemake's own folder and the pages lie in the checkout, the networks and records where LMCBOOK_RUNS says
    with (
        _locked(root / ".reproduce.lock", f"another reproduction is running in {root}: wait for it") as ours,
        _locked(
            paths.runs() / "reproduce.lock",
            f"another reproduction is running on {paths.runs()}: wait for it, or let LMCBOOK_RUNS name another folder",
        ) as theirs,
    ):
        if open_jobs(scale, jobs):
            check_writable(paths.fresh_records())
            code = _measure(
                root,
                {
                    "scale": scale,
                    "device": device,
                    "recipes": ",".join(recipes or ()),
                    "notebooks": ",".join(notebooks or ()),
                },
                cores=cores,
                profile=profile,
                locks=[ours, theirs],
            )
            if code:
                return code
        else:
            print(f"measurements of the scale {scale}: nothing to be done")
        return build_book(scale, jobs=cores) if with_book else 0


def _check_profile(profile: str) -> None:
    """Refuse, in one line and at once, what Snakemake would stop at with a traceback."""
    from snakemake.cli import get_profile_dir

    try:
        found = get_profile_dir(profile)
    except OSError:  # a name that is too long, or a folder that must not be read
        found = None
    if found is None:
        raise InputError(
            f"profile is {described(profile)}, where Snakemake finds no config.yaml; give a folder with that file, for "
            "example profiles/slurm"
        )


@contextmanager
def _locked(file: Path, otherwise: str) -> Iterator[int | None]:
    """Hold the lock ``file`` and give its descriptor, for a child that is to hold it too.

    Where the file system has no locks, it says so and gives none: work done twice is kept once.

    Raises:
        InputError: another process holds it, of which ``otherwise`` tells, or it cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.open("a")  # what a link leads to stays
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror or one_line(error)}): let LMCBOOK_RUNS name another folder, or "
            "take a checkout that is yours"
        ) from error
    with lock:
        ours: int | None = lock.fileno()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(otherwise) from error
        except OSError as error:
            ours = None
            told = f"{file} cannot be locked here ({error.strerror}): start no other reproduction beside this"
            print(told, file=sys.stderr)
        yield ours


def _measure(
    root: Path, settings: Mapping[str, str], *, cores: int, profile: str | None, locks: Sequence[int | None]
) -> int:
    """Let Snakemake work off what has no receipt; returns its exit code.

    Args:
        locks: Descriptors of the locks on checkout and runs, ``None`` where there are none.
    """
    held = [lock for lock in locks if lock is not None]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(root)]
    environment = writable_home(os.environ, paths.runs() / "home")
    # If we hold both locks, one that Snakemake left behind belongs to a process that was killed
    if len(held) == len(locks) and any((root / ".snakemake" / "locks").glob("*")):
        subprocess.run([*command, "--cores", "1", "--unlock"], check=True, pass_fds=held, env=environment)
    # its scheduler knows the GPUs; a limit of ours would be that of this machine, and each job's as well
    if profile is not None:
        command += ["--profile", profile]
    else:
        command += ["--cores", str(cores), "--resources", f"gpu={_number_of_gpus(settings['device'])}"]
    command += ["--rerun-incomplete", "--keep-going", "--show-failed-logs"]
    command += ["--rerun-triggers", "mtime", "input", "params"]
    command += ["--config", *(f"{name}={value}" for name, value in settings.items() if value)]
    # Snakemake inherits the locks: they are held until Snakemake ends, even if this process is killed
    return subprocess.run([*command, "--", "measurements"], pass_fds=held, env=environment).returncode


def _number_of_gpus(device: str) -> int:
    if device == "cpu":
        return 0
    try:
        listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(listing.stdout.splitlines()) if listing.returncode == 0 else 0
