"""The command line: bad input ends in one line and exit code 2, before anything is done."""

import errno
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from lmcbook.__main__ import main
from lmcbook.errors import InputError
from lmcbook.lab.budget import TasksFailed
from lmcbook.lab.store import DamagedRun
from lmcbook.training import TimeIsUp, TrainingDiverged


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--scale", "huge"], "scale is 'huge'; it may be one of: embedded, desk, paper"),
        (["run", "--scale", "huge"], "scale is 'huge'"),
        (["reproduce", "--scale", "huge"], "scale is 'huge'"),
        (["reproduce", "--cores", "0"], "cores is 0; it must be a whole number at least 1"),
        (["reproduce", "--cores", "100000"], "cores is 100000; it must be a whole number at least 1 and at most"),
        (["reproduce", "--cores", "100000", "--profile", "profiles/slurm", "--device", "tpu"], "device is 'tpu'"),
        (["reproduce", "--device", "tpu"], "device is 'tpu'; it may be one of: auto, cpu, cuda"),
        (["reproduce", "--profile", "profiles/nowhere"], "profile is 'profiles/nowhere', where Snakemake finds no"),
        (["reproduce", "--profile", "x" * 300], "where Snakemake finds no config.yaml; give a folder with that file"),
        (["reproduce", "--profile", ""], "profile is ''"),
        (["plan", "--device", "cuda:x"], "device is 'cuda:x'; it may be one of: auto, cpu, cuda"),
        (["plan", "--max-minutes", "nan"], "max_minutes is nan; it must be a number above 0"),
        (["plan", "--precision", "half"], "precision is 'half'; it may be one of: float32, bfloat16"),
        (["plan", "--records", "pyproject.toml"], "records folder is 'pyproject.toml', which is no folder"),
        (["plan", "--records", "/nonexistent"], "records folder is '/nonexistent', which is no folder"),
        (
            ["run", "--records", ""],
            "argument --records: it is an empty text; it must be the path of a file or a folder",
        ),
        (["data", "import", "", "--name", "x"], "argument FOLDER: it is an empty text"),
        (["run", "--threads", "-3"], "threads is -3; it must be a whole number at least 1"),
        (["run", "--threads", "100000"], "threads is 100000; it must be a whole number at least 1 and at most"),
        (["run", "--max-minutes", "inf"], "max_minutes is inf; it must be a number above 0"),
        (["plan", "--bla"], "unrecognized arguments: --bla; `lmcbook --help` tells what it takes"),
        (["paln"], "argument COMMAND: invalid choice: 'paln'"),
        (["run", "--records", "~nobody_x/y"], "path is '~nobody_x/y', whose home folder is unknown here"),
        (["run", "--threads", "0"], "threads is 0; it must be a whole number at least 1"),
        (["job", "no-such", "--receipt", "x.json", "--threads", "-1"], "threads is -1; it must be a whole number"),
        (["records", "migrate", "no-such"], "records folder is 'no-such', which is no folder"),
        (["data", "import", "no-such", "--name", "x"], "folder is 'no-such', which is no folder"),
        (["data", "import", "tests", "--name", "../x"], "name is '../x'; it may have letters, digits"),
        (["run", "--recipe", "mlp-moon"], "recipe is 'mlp-moon'; it may be one of: "),
        (["run", "--notebook", "99"], "notebook is '99'; it may be one of: 01_width"),
        (["run", "--max-minutes", "-3"], "max_minutes is -3.0; it must be a number above 0"),
        (["run", "--shard", "0/3"], "shard is '0/3'; it must be K/N with K from 1 to N"),
        (["run", "--shard", "a/b"], "shard is 'a/b'; it must be K/N with K from 1 to N"),
        (["plan", "--shard", "4/3"], "shard is '4/3'; it must be K/N with K from 1 to N"),
        (["run", "--device", "tpu"], "device is 'tpu'; it may be one of: auto, cpu, cuda"),
        (["run", "--records", "/proc/version/records"], "records folder is '/proc/version/records"),
        (["verify", "--scale", "huge"], "scale is 'huge'"),
        (["verify", "--sample", "0"], "sample is 0; it must be a whole number at least 1"),
        (["verify", "--seed", "-1"], "seed is -1; it must be a whole number at least 0"),
        (["verify", "--max-minutes", "0"], "max_minutes is 0.0; it must be a number above 0"),
        (["verify", "--recipe", "mlp-moon"], "recipe is 'mlp-moon': dataset is 'moon'; it may be one of: "),
        (["verify", "--device", "tpu"], "device is 'tpu'; it may be one of: auto, cpu, cuda"),
        (["verify", "--records", "no-such"], "records folder is 'no-such', which is no folder"),
        (["verify", "--records", "tests/helpers"], "'tests/helpers', which has no such records of scale embedded"),
        (["job", "no-such", "--receipt", "x.json"], "job is 'no-such'; it may be one of: "),
        (["data", "get", "no-such"], "no-such"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("lmcbook: ") and printed.err.count("\n") == 1
    assert message in printed.err


OF_SAFETENSORS = "Error while serializing: I/O error: No space left on device (os error 28)"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "stopped; what was finished is kept, and the same command goes on from here"),
        (DamagedRun("x/manifest.json cannot be read"), 1, "x/manifest.json cannot be read"),
        (TrainingDiverged("the loss of mlp is nan"), 1, "the loss of mlp is nan"),
        (TimeIsUp("the time was up"), 1, "the time was up"),
        (SafetensorError(OF_SAFETENSORS), 1, "the disk is full: free some space, or let LMCBOOK_RUNS"),
        (
            OSError(errno.ENOSPC, "No space left on device", "r/a.json"),
            1,
            "r/a.json: the disk is full: free some",
        ),
        (OSError(errno.EDQUOT, "Quota exceeded"), 1, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "r/a"), 1, "r/a: Permission denied: give a place that"),
        (OSError(errno.EROFS, "Read-only file system", "r/a"), 1, "r/a: Read-only file system: give a place"),
        (OSError(errno.EIO, "Input/output error", "r/a"), 1, "r/a: Input/output error"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xxx"), 2, "xxx: File name too long: a name may have 255"),
        (MemoryError(), 1, "there is not enough memory: take a smaller width or batch size"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 400 bytes. x"),
            1,
            "for 400 bytes",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0"), 1, "for 2.00 GiB"),
        (UnicodeEncodeError("ascii", "×", 0, 1, "ordinal not in range"), 1, "a name or a file has characters"),
        (subprocess.CalledProcessError(3, ["snakemake", "--unlock"]), 1, "snakemake ended with 3"),
        (InputError("of several\nlines"), 2, "of several lines"),
    ],
)
def test_what_stops_a_command_is_one_line_and_an_exit_code(error, code, message, capsys, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("lmcbook.pages.workflow.build_book", fail)
    assert main(["book"]) == code
    printed = capsys.readouterr()
    assert printed.err.startswith("lmcbook: ") and printed.err.count("\n") == 1 and message in printed.err


def test_a_run_that_left_something_out_does_not_end_well(capsys, monkeypatch):
    def run(*arguments, **options):
        raise TasksFailed([], 2)

    monkeypatch.setattr("lmcbook.lab.budget.run_within_budget", run)
    assert main(["run", "--recipe", "mlp-digits"]) == 1
    assert capsys.readouterr().err == "lmcbook: 2 tasks were left out, for the reasons above\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    def fail(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr("lmcbook.pages.workflow.build_book", fail)
    with pytest.raises(ZeroDivisionError):
        main(["book"])


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is 'x'; it must be 1 or more, as torchrun sets it"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE is '-1'; it must be 1 or more"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is None, not as torchrun sets it"),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "y"},
            "WORLD_SIZE is 2, but LOCAL_RANK is 'y', not as",
        ),
        ({"LMCBOOK_RUNS": "pyproject.toml"}, "LMCBOOK_RUNS is 'pyproject.toml', which is no folder"),
        ({"LMCBOOK_RUNS": "x" * 300}, "LMCBOOK_RUNS is 'xxx"),
        ({"LMCBOOK_DATA": "x/" * 3000}, "File name too long; it must name a folder, or be unset"),
        ({"LMCBOOK_DATA": "README.md"}, "LMCBOOK_DATA is 'README.md', which is no folder"),
        ({"LMCBOOK_RECORDS": "/nonexistent"}, "LMCBOOK_RECORDS is '/nonexistent', which is not there"),
    ],
)
def test_bad_variables_are_found_by_every_command(variables, message, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["data", "list"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and message in printed.err


def test_a_misspelt_variable_is_said_with_the_nearest_name(capsys, monkeypatch):
    monkeypatch.setenv("LMCBOOK_GRAPH", "1")
    monkeypatch.setenv("LMCBOOK_RUN", "x")
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "lmcbook: the variable LMCBOOK_GRAPH is unknown and without effect; did you mean LMCBOOK_GRAPHS?",
        "lmcbook: the variable LMCBOOK_RUN is unknown and without effect; did you mean LMCBOOK_RUNS?",
    ]


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # the second is what the C locale has
def test_a_terminal_without_our_letters_gets_text(errors, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["data", "list"]) == 0
    print("café, λ ½ 学", file=stream)
    stream.flush()
    told = stream.buffer.getvalue().decode("ascii")
    assert "1x28x28" in told and told.endswith("cafe, lambda 1/2 ?\n")


@pytest.mark.parametrize("command", ["connect", "reproduce", "plan", "run", "verify", "job", "book", "data", "records"])
def test_help_names_every_command_and_each_says_what_it_takes(command, capsys):
    for arguments in (["--help"], [command, "--help"]):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
    printed = capsys.readouterr().out
    assert re.search(rf"^    {command}\s", printed, re.M) and f"usage: lmcbook {command}" in printed


def test_outside_of_a_checkout_reproduce_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce"]) == 2
    assert "must be started inside a checkout" in capsys.readouterr().err


def test_an_import_of_images_is_usable_under_its_name(tmp_path, monkeypatch, capsys):
    import numpy as np
    from PIL import Image

    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 3)):
        for kind in ("oval", "square"):
            folder = tmp_path / "shapes" / part / kind
            folder.mkdir(parents=True)
            for index in range(count):
                Image.fromarray(generator.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{index}.png")
    assert main(["data", "import", str(tmp_path / "shapes"), "--name", "shapes"]) == 0
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert any(line.startswith("shapes") and "yes" in line for line in listed.splitlines())
    assert any(line.startswith("digits") for line in listed.splitlines())


@pytest.mark.slow
def test_the_module_is_a_command():
    done = subprocess.run([sys.executable, "-m", "lmcbook", "plan", "--device", "tpu"], capture_output=True, text=True)
    assert done.returncode == 2 and "device is 'tpu'" in done.stderr and "Traceback" not in done.stderr
