"""`lmcbook connect`: exit codes, files of all kinds, what it writes and refuses, and the command it names next."""

import ast
import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from lmcbook.__main__ import _parser, main
from lmcbook.connecting.factories import build, read_data
from lmcbook.connecting.named_pairs import own_pair
from lmcbook.errors import FOR_THE_BOOK, InputError
from lmcbook.pages import parameters
from lmcbook.pages.notebooks import declared_parameters

MODEL = "own_network:Small"
SOURCE = """
import torch
from torch import nn

class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3))

def broken():
    return torch.ones(3) @ torch.ones(4)

def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a network's source, two sibling networks, a strange one, and examples that a is right on."""
    (tmp_path / "own_network.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    model = build(MODEL)
    states = []
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        states.append({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()})
    a, guessing = states
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    # the same function from other places: as good as a, and no line leads there
    strange = {"1.weight": a["1.weight"][order], "1.bias": a["1.bias"][order]}
    strange |= {"3.weight": a["3.weight"][:, order].contiguous(), "3.bias": a["3.bias"].clone()}
    near = {name: tensor + 1e-4 for name, tensor in a.items()}
    save_file(a, "a.safetensors")
    for name, content in (("unwritten.py", "def f(:"), ("unnamed.py", "nothing"), ("exits.py", "exit(1)")):
        (tmp_path / name).write_text(content)
    (tmp_path / "abc.pt").write_bytes(b"abc")
    torch.save({"epoch": 1, "state_dict": {f"module.{name}": tensor for name, tensor in near.items()}}, "near.ckpt")
    torch.save(near, "near.pt")
    torch.save(strange, "strange.pt")
    torch.save(guessing, "guessing.pt")
    images = torch.randn(1200, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    model.load_state_dict(a)
    labels = model(images).argmax(1)
    np.savez("data.npz", images=images.numpy(), labels=labels.numpy())
    save_file({"test_images": images, "test_labels": labels, "train_images": images.clone()}, "data.safetensors")
    return tmp_path


def connect(*words):
    return main(["connect", *words, "--quiet"])


GIVEN = ("--model", MODEL, "--data", "data.npz")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("a.safetensors", "near.pt", *GIVEN), 0),
        (("a.safetensors", "near.pt", "--model", MODEL, "--data", "data.safetensors"), 0),
        (("near.ckpt", "near.ckpt", "--strip-prefix", "module.", *GIVEN), 0),
        (("a.safetensors", "strange.pt", "--match", "none", *GIVEN), 1),
        (("a.safetensors", "strange.pt", "--match", "none", "--tolerance", "100", *GIVEN), 0),
        (("a.safetensors", "strange.pt", *GIVEN), 0),
        (("a.safetensors", "guessing.pt", *GIVEN), 2),
        (("a.safetensors", "near.pt", "--dry-run"), 0),
        (("a.safetensors", "near.ckpt", "--dry-run"), 2),
    ],
)
def test_exit_codes(folder, capsys, words, code):
    assert connect(*words) == code
    printed = capsys.readouterr()
    assert printed.out and not printed.err
    if "--dry-run" not in words:
        assert printed.out.startswith(("Yes", "No")) and (printed.out.startswith("Yes") == (code == 0))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.safetensors", "near.ckpt", *GIVEN), "--strip-prefix module."),
        (("a.safetensors", "gone.pt", *GIVEN), "B is 'gone.pt', which is not there"),
        (("a.safetensors", "near.pt", "--model", MODEL), "--data must be given"),
        (("a.safetensors", "near.pt"), "--model and --data must be given"),
        (("a.safetensors", "near.pt", "--model", "Small", "--data", "data.npz"), "package.module:function"),
        (("a.safetensors", "near.pt", "--model", "own_network:Big", "--data", "data.npz"), "has no function 'Big'"),
        (("a.safetensors", "near.pt", "--model", "own_network:broken", "--data", "data.npz"), "which fails"),
        (("a.safetensors", "near.pt", "--model", "own_network:number", "--data", "data.npz"), "gives a int"),
        (("a.safetensors", "near.pt", "--model", "no_such_thing:f", "--data", "data.npz"), "cannot be imported"),
        (("a.safetensors", "near.pt", "--model", "torchvision:resnet7", "--data", "data.npz"), "torchvision's are"),
        (("a.safetensors", "near.pt", "--model", MODEL, "--data", "nothing"), "no folder, .npz or .safetensors"),
        (("a.safetensors", "near.pt", "--model", MODEL, "--data", "a.safetensors"), "it must hold images and labels"),
        (("a.safetensors", "near.pt", *GIVEN, "--report", "own_network.py"), "ends in '.py'; it may end in"),
        (("a.safetensors", "near.pt", *GIVEN, "--out", "a.safetensors"), "is there already"),
        (("a.safetensors", "near.pt", *GIVEN, "--out", "é" * 130 + ".safetensors"), "a name of 272 bytes"),
        (("a.safetensors", "near.pt", *GIVEN, "--report", "x" * 300 + ".html"), "a name of 305 bytes"),
        (("a.safetensors", "near.pt", *GIVEN, "--curve", "x" * 300 + "/c.csv"), "there is no folder"),
        (("x" * 300 + ".pt", "near.pt", *GIVEN), "cannot be read"),
        (("a.safetensors", "near.pt", "--model", MODEL, "--data", "x" * 300 + ".npz"), "is not there"),
        (("a.safetensors", "near.pt", "--model", MODEL, "--data", "x" * 300), "as a dataset"),
        (("a.safetensors", "near.pt", *GIVEN, "--curve", "gone/x.csv"), "no folder"),
        (("a.safetensors", "near.pt", *GIVEN, "--at", "2"), "at is 2.0"),
        (("a.safetensors", "near.pt", *GIVEN, "--repair", "magic"), "repair is 'magic'"),
        (("a.safetensors", "near.pt", "--model", ".own_network:Small", "--data", "data.npz"), "cannot be imported"),
        (("a.safetensors", "near.pt", "--model", "unwritten:f", "--data", "data.npz"), "(SyntaxError: "),
        (("a.safetensors", "near.pt", "--model", "unnamed:f", "--data", "data.npz"), "(NameError: "),
        (("a.safetensors", "near.pt", "--model", "exits:f", "--data", "data.npz"), "(SystemExit: 1)"),
        (("a.safetensors", "abc.pt", *GIVEN), "B is 'abc.pt', which is no checkpoint of torch"),
        (("a.safetensors", "near.pt", *GIVEN, "--examples", "0"), "examples is 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(folder, capsys, words, message):
    assert connect(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("lmcbook: ") and printed.err.count("\n") == 1
    assert message in printed.err


def test_images_of_a_folder_that_the_network_does_not_take_lead_to_their_size(folder, capsys):
    for place in (folder / "photographs" / label for label in "ab"):
        place.mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (9 + number, 8)).save(place / f"{number}.png")
    words = ["connect", "a.safetensors", "near.pt", "--model", MODEL, "--data", "photographs"]
    assert main(words) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "shape (2, 3, 224, 224)" in told
    assert told.endswith("; images of a folder are made 224×224: --image-size changes it")


@pytest.mark.parametrize(
    ("error", "told"),
    [(RuntimeError("out of\nmemory"), "RuntimeError: out of memory"), (MemoryError(), "failed: MemoryError\n")],
)
def test_whatever_else_goes_wrong_is_not_the_exit_code_of_not_connected(folder, capsys, monkeypatch, error, told):
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("lmcbook.connecting.measure.prepare", fails)
    assert connect("a.safetensors", "near.pt", *GIVEN) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and told in printed.err


@pytest.mark.slow
def test_what_it_writes_and_that_it_writes_over_nothing(folder, capsys):
    words = ("a.safetensors", "near.pt", *GIVEN, "--report", "r.html", "--curve", "c.csv", "--out", "m.safetensors")
    assert connect(*words) == 0
    with safe_open("m.safetensors", framework="pt") as file:
        origin = json.loads(file.metadata()["lmcbook"])
        assert set(file.keys()) == {"1.weight", "1.bias", "3.weight", "3.bias"}
    assert origin["a"]["source"] == "a.safetensors" and origin["coefficient"] == 0.5 and origin["inverse_temperature"]
    lines = Path("c.csv").read_text().splitlines()
    assert lines[0].startswith("coefficients,") and len(lines) == 6
    assert Path("r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert connect(*words) == 2
    assert "is there already" in capsys.readouterr().err
    assert connect(*words, "--force") == 0
    assert connect("a.safetensors", "strange.pt", *GIVEN, "--match", "none", "--out", "no.safetensors") == 1
    assert "was not written" in capsys.readouterr().err and not Path("no.safetensors").exists()


@pytest.mark.slow
def test_the_command_that_it_names_next_writes_the_merge(folder, capsys):
    assert connect("a.safetensors", "near.pt", *GIVEN, "--examples", "60") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("lmcbook connect"))
    words = shlex.split(line)
    assert (
        words[:2] == ["lmcbook", "connect"] and "--examples" in words and words[-2:] == ["--out", "merged.safetensors"]
    )
    assert connect(*words[2:]) == 0 and Path("merged.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("match", ["none", "activations"])
@pytest.mark.parametrize("examples", ["60", "10000"])
def test_the_network_that_is_written_is_the_one_that_was_measured(folder, match, examples):
    """No calibration examples: half of the test examples fit beta, in the rows and in the file."""
    words = ("a.safetensors", "near.pt" if match == "none" else "strange.pt", *GIVEN, "--examples", examples)
    assert connect(*words, "--match", match, "--report", "r.json", "--out", "m.safetensors") == 0
    answer = json.loads(Path("r.json").read_text(encoding="utf-8"))
    with safe_open("m.safetensors", framework="pt") as file:
        origin = json.loads(file.metadata()["lmcbook"])
    row = next(row for row in answer["rows"] if row["name"] == answer["verdict"]["row"])
    assert origin["match"] == match and origin["inverse_temperature"] == pytest.approx(row["inverse_temperature"])


@pytest.mark.slow
def test_an_interrupt_writes_what_is_done(folder, capsys, monkeypatch):
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lmcbook.connecting.remedies.align", interrupt)
    assert connect("a.safetensors", "near.pt", *GIVEN, "--report", "r.md") == 130
    assert "Not complete: interrupted" in capsys.readouterr().out
    assert "plain average" in Path("r.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_pipe_and_an_ascii_terminal(folder):
    words = [
        sys.executable,
        "-m",
        "lmcbook",
        "connect",
        "a.safetensors",
        "near.pt",
        *GIVEN,
        "--random-permutations",
        "1",
        "--report",
        "r.html",
    ]
    # nor is anything installed that only the book needs
    for name in FOR_THE_BOOK:
        (folder / "none" / name).mkdir(parents=True)
        (folder / "none" / name / "__init__.py").write_text("raise ImportError")
    found_first = f"{folder / 'none'}:{Path(__file__).parents[1]}"
    environment = {"PYTHONPATH": found_first, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and done.stderr.isascii() and "\r" not in done.stderr and "\x1b" not in done.stdout
    assert "[1/" in done.stderr and "s left" in done.stderr


@pytest.mark.slow
def test_whoever_reads_the_progress_may_stop(folder):
    words = [sys.executable, "-m", "lmcbook", "connect", "a.safetensors", "near.pt", *GIVEN, "--report", "r.html"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stderr.readline().startswith("[1/")
        running.stderr.close()
        answer = running.stdout.read()
    # the code of a comparison that is done, not that of one whose networks are not connected
    assert running.returncode == 0 and answer.startswith("Yes") and (folder / "r.html").is_file()


def test_a_dry_run_with_data_tells_a_forecast_and_merges_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr("lmcbook.connecting.measure.connect", lambda *_, **__: pytest.fail("it measured"))
    assert connect("a.safetensors", "near.pt", *GIVEN, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if "units fire" in line or "shuffled copies" in line] == [
        "forecast",
        "forecast",
    ]


def test_class_folders_are_data(folder):
    for part, count in (("train", 2), ("val", 3)):
        for name in ("cat", "dog"):
            (folder / "pets" / part / name).mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (20, 30), (9 * index, 100, 0)).save(folder / "pets" / part / name / f"{index}.png")
    found = read_data("pets", image_size=16)
    assert found.test.images.shape == (6, 3, 16, 16) and sorted(found.test.labels.tolist()) == [0, 0, 0, 1, 1, 1]
    assert found.images.shape == (4, 3, 16, 16) and found.calibration is None
    for name in ("valid", "validation"):
        (folder / "pets" / ("val" if name == "valid" else "valid")).rename(folder / "pets" / name)
        found = read_data("pets", image_size=16)
        assert len(found.test.labels) == 6 and len(found.images) == 4
    for left_behind in (".ipynb_checkpoints", "__MACOSX"):  # no classes, which would move the labels of the others
        (folder / "pets" / "validation" / left_behind).mkdir()
        (folder / "pets" / "validation" / left_behind / "0.png").write_bytes(b"no picture")
    assert sorted(read_data("pets", image_size=16).test.labels.tolist()) == [0, 0, 0, 1, 1, 1]
    (folder / "pets" / "validation").rename(folder / "others")
    with pytest.raises(InputError, match="a folder 'train' but none of test images; name that test, val"):
        read_data("pets", image_size=16)
    (folder / "pets" / "train").rename(folder / "pets" / "test")
    (folder / "pets" / "test" / "dog" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"data is 'pets': pets/test/dog/1\.png cannot be read as an image"):
        read_data("pets", image_size=16)
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds 0 class folder\(s\); it must hold at least 2"):
        read_data("empty")


def test_arrays_by_their_roles(folder):
    x, y = np.zeros((4, 3, 2, 2), np.uint8) + 255, np.arange(4)
    np.savez("roles.npz", test_x=x, test_y=y, calibration_images=x[:2], calibration_labels=y[:2], train_images=x)
    found = read_data("roles.npz")
    assert float(found.test.images.max()) == 1 and len(found.calibration.labels) == 2 and len(found.images) == 4
    for content, message in ((b"x" * 99, "cannot be read"), (None, "is not there")):
        Path("bad.npz").unlink(missing_ok=True)
        if content is not None:
            Path("bad.npz").write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_data("bad.npz")


def test_models_of_torchvision_by_name():
    assert build("torchvision:mobilenet_v3_small", 5)(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_models_of_timm_by_name():
    pytest.importorskip("timm")
    assert isinstance(build("timm:resnet10t", 5), nn.Module)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["at the top", "inside"])
def test_a_model_whose_module_imports_torchvision_by_itself(folder, place):
    """PyPI's torchvision stops a plain import where torch is built for CPUs: in a fresh process, as a command is."""
    at_the_top, inside = ("import torchvision", "") if place == "at the top" else ("", "    import torchvision\n")
    Path("own.py").write_text(
        f"{at_the_top}\ndef net(**more):\n{inside}    return torchvision.models.resnet18(num_classes=3)\n",
        encoding="utf-8",
    )
    script = "from lmcbook.connecting.factories import build; print(type(build('own:net')).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stdout == "ResNet\n", done.stderr


def page(name):
    return (Path(__file__).parents[1] / name).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_of_the_page_answers_and_its_merge_is_written(folder, capsys):
    example, merge = re.findall(r"```python\n(.*?)```", page("book/connect.md"), re.DOTALL)
    assert len(ast.parse(example).body) <= 10
    names: dict[str, Any] = {}
    exec(compile(example, "connect.md", "exec"), names)
    assert capsys.readouterr().out.startswith(("Yes", "No"))
    assert names["answer"].row("a").accuracy > 0.9
    exec(compile(merge, "connect.md", "exec"), names)
    assert Path("merged.safetensors").is_file() and names["merged"].inverse_temperature > 1


def test_the_pages_commands_and_options_are_understood(capsys):
    text = page("book/connect.md") + page("README.md")
    commands = re.findall(r"^ *lmcbook (connect .*)$", text, re.MULTILINE)
    options = [span for span in re.findall(r"`(--[^`]+)`", text) if span != "--help"]
    assert len(commands) == 2 and len(options) > 10
    with pytest.raises(SystemExit):
        main(["connect", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    for option in options:
        assert option.split()[0] in known
        if " " in option:
            commands.append(f"connect A B {option}")
    for command in commands:
        assert _parser().parse_args(command.split()).command is not None


def test_the_page_tells_what_the_benchmark_measured():
    found = json.loads(Path("benchmarks/results/connecting.json").read_text(encoding="utf-8"))
    seconds, text = found["curve"]["cpu_seconds"], " ".join(page("book/connect.md").split())
    told = (
        "less than a third of the CPU time, {lmcbook:.0f} seconds against {field:.0f} of one core for {images:,} images"
    )
    assert told.format(**seconds, images=found["curve"]["images"]) in text and 3 * seconds["lmcbook"] < seconds["field"]
    assert found["curve"]["images"] == 10_000 and found["first_answer"]["cpu_seconds_of_one_thread"] < 20
    assert (
        f"{found['first_answer']['images']:,} images of 32×32 pixels it takes less than 20 seconds of one core" in text
    )


@pytest.mark.slow
def test_the_notebook_asks_about_a_named_pair(folder, capsys):
    """Its cells, one after the other, as papermill runs them with parameters of the user's own."""
    source = Path(__file__).parents[1] / "notebooks" / "15_your_own_pair.ipynb"
    assert (*declared_parameters(source),) == parameters.OWN_PAIR
    given = {"a": "a.safetensors", "b": "near.pt", "model": MODEL, "data": "data.npz", "report": "r.md",
             "out": "m.safetensors", "num_coefficients": 3, "max_minutes": None}  # fmt: skip
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
            names |= given if cell["id"] == "parameters" else {}
    assert capsys.readouterr().out.startswith("Yes: the plain average loses 0.0 points")
    assert Path("r.md").is_file() and Path("m.safetensors").is_file()


def test_some_names_of_a_pair_are_not_enough(folder):
    with pytest.raises(InputError, match="model and data must be given too"):
        own_pair("a.safetensors", "near.pt")
    with pytest.raises(InputError, match="did you mean match"):
        parameters.check_names({**dict.fromkeys(parameters.OWN_PAIR), "mach": "none"}, parameters.OWN_PAIR)


def test_the_script_is_declared():
    root = Path(__file__).parents[1]
    assert '[project.scripts]\nlmcbook = "lmcbook.__main__:main"\n' in (root / "pyproject.toml").read_text()
    installed = [point.value for point in importlib.metadata.entry_points(group="console_scripts", name="lmcbook")]
    assert installed in ([], ["lmcbook.__main__:main"])
