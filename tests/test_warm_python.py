"""Tests of lmcbook.pages.warm_python: processes that begin with their imports done, and are else like any other."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmcbook.pages.warm_python import WarmPython, can_be_warm

pytestmark = pytest.mark.skipif(not can_be_warm(), reason="warm processes are for Linux")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with modules to run, whose names nothing else has."""
    folder = tmp_path_factory.mktemp("warm")
    (folder / "needed.py").write_text("import os\nIMPORTED_IN = os.getpid()\n")
    (folder / "tells.py").write_text(
        "import json, os, sys\n"
        "import needed\n"
        "told = {'arguments': sys.argv[1:], 'folder': os.getcwd(), 'named': os.environ.get('NAMED'),\n"
        "        'name': __name__, 'imported_here': needed.IMPORTED_IN == os.getpid(), 'input': sys.stdin.read()}\n"
        "print(json.dumps(told))\n"
        "print('aside', file=sys.stderr)\n"
    )
    (folder / "ends.py").write_text(
        "import sys\nsys.exit(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1])\n"
    )
    (folder / "fails.py").write_text("raise ValueError('told in full')\n")
    (folder / "stays.py").write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "Path(sys.argv[1]).write_text(str(os.getpid()))\ntime.sleep(600)\n"
    )
    return folder


@pytest.fixture(scope="module")
def python(place):
    environment = {**os.environ, "PYTHONPATH": str(place)}
    with WarmPython(["needed", "there.is.no.such.module"], str(place), environment) as warm:
        yield warm.command


def run(python, *arguments, **options):
    return subprocess.run([*python, "-m", *arguments], capture_output=True, text=True, timeout=60, **options)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists() and ") Z " not in Path(f"/proc/{process}/stat").read_text()


def test_a_process_has_its_own_arguments_environment_folder_and_channels(python, tmp_path):
    done = run(python, "tells", "a b", "ü", cwd=tmp_path, env={**os.environ, "NAMED": "here"}, input="read me")
    told = json.loads(done.stdout)
    assert told["imported_here"] is False, "what is needed was imported before"
    assert (told["arguments"], told["folder"], told["named"]) == (["a b", "ü"], str(tmp_path), "here")
    assert (told["name"], told["input"], done.stderr, done.returncode) == ("__main__", "read me", "aside\n", 0)


def test_without_it_the_same_module_imports_for_itself(place):
    done = run([sys.executable], "tells", env={**os.environ, "PYTHONPATH": str(place)}, input="")
    assert json.loads(done.stdout)["imported_here"] is True


@pytest.mark.parametrize(("given", "code"), [("0", 0), ("3", 3), ("words", 1)])
def test_exit_codes_are_those_of_any_process(python, given, code):
    done = run(python, "ends", given)
    assert done.returncode == code
    assert done.stderr == ("words\n" if given == "words" else "")


def test_an_error_is_told_in_full(python):
    done = run(python, "fails")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: told in full")


def test_a_module_that_is_not_there_is_told(python):
    assert "nowhere_at_all" in run(python, "nowhere_at_all").stderr


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_who_asks_and_is_killed_takes_the_process_along(python, tmp_path, kind):
    told = tmp_path / "process"
    asking = subprocess.Popen([*python, "-m", "stays", str(told)])
    wait_for(lambda: told.exists() and told.read_text())
    process = int(told.read_text())
    assert is_alive(process)
    asking.send_signal(kind)
    assert asking.wait(timeout=30) == -kind
    wait_for(lambda: not is_alive(process))


def test_a_process_that_is_killed_is_told_as_a_failure(python, tmp_path):
    told = tmp_path / "process"
    asking = subprocess.Popen([*python, "-m", "stays", str(told)])
    wait_for(lambda: told.exists() and told.read_text())
    os.kill(int(told.read_text()), signal.SIGKILL)
    assert asking.wait(timeout=30) not in (0, None)


def test_nothing_is_left_when_the_block_ends(place, tmp_path):
    told = tmp_path / "process"
    environment = {**os.environ, "PYTHONPATH": str(place)}
    with WarmPython([], str(tmp_path), environment) as warm:
        asking = subprocess.Popen([*warm.command, "-m", "stays", str(told)])
        wait_for(lambda: told.exists() and told.read_text())
    assert asking.wait(timeout=30) != 0
    wait_for(lambda: not is_alive(int(told.read_text())))


def test_nothing_is_left_when_the_process_that_made_it_is_killed(place, tmp_path):
    told = tmp_path / "process"
    made = tmp_path / "makes.py"
    made.write_text(
        "import os, subprocess, sys\nfrom lmcbook.pages.warm_python import WarmPython\n"
        f"with WarmPython([], {str(tmp_path)!r}, os.environ) as warm:\n"
        f"    subprocess.run([*warm.command, '-m', 'stays', {str(told)!r}])\n"
    )
    path = os.pathsep.join([str(place), str(Path(__file__).resolve().parents[1])])
    making = subprocess.Popen([sys.executable, str(made)], env={**os.environ, "PYTHONPATH": path})
    wait_for(lambda: told.exists() and told.read_text())
    making.kill()
    making.wait()
    wait_for(lambda: not is_alive(int(told.read_text())))


def test_its_folder_may_have_a_name_longer_than_a_socket_may(place, tmp_path):
    folder = tmp_path / ("long" * 30) / ("longer" * 20)
    folder.mkdir(parents=True)
    with WarmPython([], str(folder), {**os.environ, "PYTHONPATH": str(place)}) as warm:
        assert run(warm.command, "ends", "3", cwd=tmp_path).returncode == 3


def test_where_the_system_cannot_wait_for_processes_nothing_is_warm(monkeypatch):
    def refused(process: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refused)
    assert not can_be_warm()
