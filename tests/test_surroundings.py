"""Wherever it runs: folders, processes that do not meet, threads, owners."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from jupyter_client.kernelspec import get_kernel_spec

from lmcbook.data import import_images
from lmcbook.data.paths import data
from lmcbook.data.whole_files import read_state
from lmcbook.errors import InputError
from lmcbook.lab import paths, plan, provenance
from lmcbook.lab.records import check_writable, read_records
from lmcbook.lab.surroundings import FOLDERS, check_environment, writable_home
from lmcbook.pages import notebooks, parameters, workflow
from lmcbook.training import device, threads

ROOT = Path(__file__).parents[1]


@pytest.fixture
def small_checkout(tmp_path, monkeypatch):
    """What `paths.checkout` takes for a checkout, with letters in its path that shells and Snakemake know."""
    root = tmp_path / "with space é'{q}"
    (root / "notebooks").mkdir(parents=True)
    (root / "lmcbook").mkdir()
    (root / "lmcbook" / "__init__.py").touch()
    monkeypatch.chdir(root / "notebooks")
    return root


def test_a_relative_folder_is_one_place_wherever_the_command_is_given(small_checkout, monkeypatch):
    monkeypatch.setenv("LMCBOOK_RUNS", "elsewhere/runs")
    monkeypatch.setenv("LMCBOOK_RECORDS", "given")
    monkeypatch.setenv("LMCBOOK_DATA", "elsewhere/data")
    (small_checkout / "given").mkdir()
    for folder in (small_checkout, small_checkout / "notebooks"):
        monkeypatch.chdir(folder)
        assert paths.runs() == small_checkout / "elsewhere" / "runs"
        assert paths.fresh_records() == small_checkout / "elsewhere" / "runs" / "records"
        assert paths.committed_records() == small_checkout / "given"
        assert data() == small_checkout / "elsewhere" / "data"
        assert check_environment() == []
    monkeypatch.setenv("LMCBOOK_RUNS", "/elsewhere")
    assert paths.runs() == Path("/elsewhere")
    monkeypatch.setenv("LMCBOOK_RUNS", "~/runs")
    assert paths.runs() == Path.home() / "runs"


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_folder_that_cannot_be_is_named_wherever_it_is_read(small_checkout, monkeypatch, variable):
    read = {"LMCBOOK_RUNS": paths.runs, "LMCBOOK_RECORDS": paths.committed_records, "LMCBOOK_DATA": data}[variable]
    (small_checkout / "a file").touch()
    for value, reason in (
        ("a file", r"'a file', which is no folder \(seen as .*\)"),
        ("~nobody_x/y", "'~nobody_x/y', whose home folder is unknown"),
    ):
        monkeypatch.setenv(variable, value)
        for ask in (read, check_environment):
            with pytest.raises(InputError, match=f"^{variable} is {reason}"):
                ask()


@pytest.mark.parametrize(
    "ask",
    [
        lambda folder: read_records(folder),
        lambda folder: check_writable(folder),
        lambda folder: import_images(folder, "pets"),
        lambda folder: parameters.NOTEBOOKS["01_width"]["records"].check("records", folder),
    ],
)
def test_a_home_that_nobody_knows_is_bad_input_everywhere(ask):
    with pytest.raises(InputError, match="is '~nobody_x/y', whose home folder is unknown here"):
        ask("~nobody_x/y")


def hold(file: Path):
    file.parent.mkdir(parents=True, exist_ok=True)
    held = file.open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


@pytest.mark.slow
def test_two_reproductions_of_one_checkout_do_not_meet_whatever_their_folders(small_checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "another"))
    with (
        hold(small_checkout / ".reproduce.lock"),
        pytest.raises(InputError, match="another reproduction is running in .*: wait for it$"),
    ):
        workflow.reproduce()
    with (
        hold(tmp_path / "another" / "reproduce.lock"),
        pytest.raises(InputError, match="another reproduction is running on .*: wait for it, or let LMCBOOK_RUNS"),
    ):
        workflow.reproduce()


@pytest.fixture
def builds(small_checkout, monkeypatch):
    """A checkout with a book of one page, and what each of its builds was told."""
    (small_checkout / "book" / "_build" / "html").mkdir(parents=True)
    for name in ("book/_config.yml", "book/intro.md", "CHANGELOG.md"):
        (small_checkout / name).touch()
    told: list[list[str]] = []

    def run(command, **options):
        told.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return told


@pytest.mark.slow
def test_a_state_of_the_book_that_is_no_file_is_replaced(small_checkout, builds):
    """So is one that is nested too deeply to be read."""
    state = small_checkout / "book" / "_build" / "made_from.json"
    state.mkdir()
    assert workflow.build_book() == 0 and "pages" in read_state(state)
    state.write_text("[" * 100_000)
    assert workflow.build_book() == 0 and "pages" in read_state(state)
    assert workflow.build_book() == 0 and len(builds) == 2


@pytest.mark.slow
def test_a_page_that_changed_and_looks_older_than_the_book_is_built_again(small_checkout, builds):
    """By its date Sphinx takes it for unchanged: a clock was set back, or the page was moved here from elsewhere."""
    page = small_checkout / "book" / "intro.md"
    built_at = 1_000_000_000
    for date, all_pages in ((None, True), (built_at + 100, False), (built_at - 100, True)):
        if date is not None:
            page.write_text(f"{date}")
            os.utime(page, (date, date))
            os.utime(small_checkout / "book" / "_build" / "made_from.json", (built_at, built_at))
        assert workflow.build_book() == 0
        assert ("--all" in builds[-1]) == all_pages, date
    assert len(builds) == 3


def test_a_lock_that_is_a_link_leaves_what_it_leads_to_as_it_is(small_checkout, tmp_path, monkeypatch):
    of_somebody = tmp_path / "of somebody"
    of_somebody.write_text("content")
    (small_checkout / ".reproduce.lock").symlink_to(of_somebody)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0))
    assert workflow.reproduce(with_book=False, device="cpu") == 0
    assert of_somebody.read_text() == "content"


def test_where_there_are_no_locks_a_reproduction_runs_and_takes_no_lock_of_snakemakes_away(
    small_checkout, monkeypatch, capsys
):
    def flock(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    started: list[list[str]] = []

    def run(command, **options):
        assert options["pass_fds"] == []
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(subprocess, "run", run)
    left = small_checkout / ".snakemake" / "locks" / "0.output.lock"
    left.parent.mkdir(parents=True)
    left.touch()
    assert workflow.reproduce(with_book=False, device="cpu") == 0
    (command,) = started
    assert "--unlock" not in command and "measurements" in command, "it may be that of a living engine"
    assert capsys.readouterr().err.count("cannot be locked here") == 2


def test_what_cannot_be_is_found_before_anything_is_started(small_checkout, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was started"))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device is 'cuda', but torch sees no GPU here"):
            workflow.reproduce(device="cuda")
    with pytest.raises(InputError, match="recipe is 'mlp-moon'; it may be one of: "):
        workflow.reproduce(recipes=["mlp-moon"])
    with pytest.raises(InputError, match="notebook is '99'; it may be one of: "):
        workflow.reproduce(notebooks=["99"])


def test_this_machines_gpus_limit_the_jobs_that_run_here_and_not_those_of_a_cluster(small_checkout, monkeypatch):
    started: list[list[str]] = []

    def run(command, **options):
        if command[0] == "nvidia-smi":
            raise FileNotFoundError(command[0])
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    slurm = str(ROOT / "profiles" / "slurm")
    for profile in (None, slurm):
        assert workflow.reproduce(notebooks=["01_width"], with_book=False, profile=profile) == 0
    here, cluster = started
    assert here[here.index("--resources") + 1] == "gpu=0" and "--profile" not in here
    assert cluster[cluster.index("--profile") + 1] == slurm and "--resources" not in cluster


@pytest.mark.slow
def test_a_reduced_reproduction_starts_its_own_jobs_alone(small_checkout, monkeypatch):
    started = []

    def run(command, **options):
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    chosen: dict[str, Any] = {"recipes": ["vgg11-digits"], "notebooks": ["01_width"]}
    assert workflow.reproduce(device="cpu", with_book=False, **chosen) == 0
    assert {"recipes=vgg11-digits", "notebooks=01_width", "scale=embedded"} <= set(started[0])
    jobs = workflow.jobs_of("embedded", **chosen)
    assert {one.recipe for group in jobs.values() for one in group} == {"vgg11-digits"}
    assert 0 < len(jobs) < len(workflow.jobs_of("embedded"))
    digests = {one.pair.digest for one in plan.pairs("embedded", ["01_width"])}
    assert {one.pair.digest for group in jobs.values() for one in group} <= digests
    asked: list[list[str]] = []
    monkeypatch.setattr(workflow, "open_jobs", lambda scale, wanted: asked.append([*wanted]))
    assert workflow.reproduce(device="cpu", with_book=False, **chosen) == 0 and len(started) == 1
    assert asked == [[*jobs]]


def test_without_a_home_caches_lie_elsewhere_and_datasets_stay(tmp_path, monkeypatch):
    monkeypatch.delenv("LMCBOOK_DATA", raising=False)
    kept = {"HOME": str(tmp_path), "PATH": "/bin"}
    assert writable_home(kept, tmp_path / "new") == kept and not (tmp_path / "new").exists()
    found = writable_home({"HOME": "/proc/nohome", "MPLCONFIGDIR": "/mine"}, tmp_path / "new")
    assert found["MPLCONFIGDIR"] == "/mine" and found["LMCBOOK_DATA"] == str(data())
    for name in ("XDG_CACHE_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        assert Path(found[name]).is_dir() and Path(found[name]).is_relative_to(tmp_path / "new")


def test_notebooks_are_executed_by_this_interpreter_whatever_is_called_python3(tmp_path, monkeypatch):
    foreign = tmp_path / "foreign" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "other", "language": "python"}')
    given = {"JUPYTER_PATH": str(tmp_path / "foreign")}
    environment = notebooks._with_own_kernel(given, tmp_path / "own", [sys.executable])
    monkeypatch.setenv("JUPYTER_PATH", environment["JUPYTER_PATH"])
    assert get_kernel_spec("python3").argv[0] == sys.executable


def test_snakemake_quotes_every_path():
    shell = (ROOT / "Snakefile").read_text().partition("shell:")[2]
    for name in ("sys.executable", "wildcards.job", "output", "log"):
        assert f"{{{name}:q}}" in shell and f"{{{name}}}" not in shell


def test_why_the_commit_is_not_known_stands_in_the_record(monkeypatch):
    told = "fatal: detected dubious ownership in repository at '/x'\nTo add an exception: …\n"

    def run(command, **options):
        raise subprocess.CalledProcessError(128, command, stderr=told)

    monkeypatch.setattr(subprocess, "run", run)
    found = provenance.provenance()
    assert found["commit"] is None and found["dirty"] is None
    assert found["commit_unknown"] == "fatal: detected dubious ownership in repository at '/x'"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("git")))
    assert provenance.commit() == (None, None, "git cannot be asked: git")


def test_the_fastest_number_of_threads_is_taken_unless_one_is_given(monkeypatch):
    seconds = {8: 5.0, 4: 2.0, 2: 1.0, 1: 3.0}
    chosen: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(threads, "_seconds_with", seconds.__getitem__)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert threads.choose_threads() == 8 and chosen == []
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert threads.choose_threads() == 2 and chosen == [2]


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(InputError, match=r"device is 'cuda:2', but torch sees 2 GPU\(s\), counted from 0"):
        device.resolve_device("cuda:2")
