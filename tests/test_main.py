"""The command line: bad input ends in one line and exit code 2, before anything is done."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmcbook.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--scale", "huge"], "scale is 'huge'; it may be one of: embedded, desk, paper"),
        (["run", "--scale", "huge"], "scale is 'huge'"),
        (["reproduce", "--scale", "huge"], "scale is 'huge'"),
        (["reproduce", "--cores", "0"], "cores is 0; it must be a whole number at least 1"),
        (["reproduce", "--device", "tpu"], "device is 'tpu'; it may be one of: auto, cpu, cuda"),
        (["plan", "--device", "cuda:x"], "device is 'cuda:x'; it may be one of: auto, cpu, cuda"),
        (["plan", "--max-minutes", "nan"], "max_minutes is nan; it must be a number above 0"),
        (["plan", "--precision", "half"], "precision is 'half'; it may be one of: float32, bfloat16"),
        (["plan", "--records", "pyproject.toml"], "records folder is 'pyproject.toml', which is no folder"),
        (["run", "--threads", "0"], "threads is 0; it must be a whole number at least 1"),
        (["job", "no-such", "--receipt", "x.json", "--threads", "-1"], "threads is -1; it must be a whole number"),
        (["records", "migrate", "no-such"], "records folder is 'no-such', which is no folder"),
        (["data", "import", "no-such", "--name", "x"], "folder is 'no-such', which is no folder"),
        (["data", "import", "tests", "--name", "../x"], "name is '../x'; it may have letters, digits"),
        (["run", "--recipe", "mlp-moon"], "recipe is 'mlp-moon'; it may be one of: "),
        (["run", "--notebook", "99"], "notebook is '99'; it may be one of: 01_width"),
        (["run", "--max-minutes", "-3"], "max_minutes is -3.0; it must be a number above 0"),
        (["run", "--device", "tpu"], "device is 'tpu'; it may be one of: auto, cpu, cuda"),
        (["run", "--records", "/proc/version/records"], "records folder is '/proc/version/records"),
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


@pytest.mark.parametrize("command", ["connect", "reproduce", "plan", "run", "job", "book", "data", "records"])
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


def test_the_module_is_a_command():
    done = subprocess.run([sys.executable, "-m", "lmcbook", "plan", "--device", "tpu"], capture_output=True, text=True)
    assert done.returncode == 2 and "device is 'tpu'" in done.stderr and "Traceback" not in done.stderr
