"""Tests of what the book tells its readers to do: exercises with solutions, commands that run, code that works."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lmcbook
from lmcbook.data.torchvision_guard import import_torchvision
from lmcbook.pages import notebooks
from lmcbook.randomness import random_stream

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_EXERCISES = ("00_claim", "99_reproduction")
"""The front page and the table of verdicts."""

CHAPTERS = {
    "background": ROOT / "book" / "background.md",
    **{path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem not in WITHOUT_EXERCISES},
}


def prose(path: Path) -> str:
    """The text of a page: a markdown file, or the markdown cells of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    nbformat = pytest.importorskip("nbformat")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_what_it_teaches_and_has_two_or_three_exercises_with_hidden_solutions(chapter):
    text = prose(CHAPTERS[chapter])
    assert text.count(":::{admonition} After this chapter you can") == 1
    numbers = re.findall(r"^:::\{admonition\} Exercise (\d): .+\n:class: exercise\n", text, re.MULTILINE)
    assert numbers in (["1", "2"], ["1", "2", "3"])
    # a solution follows its exercise, and is folded away until the reader opens it
    parts = re.findall(r"^:::\{(?:admonition\} Exercise \d|dropdown\} Solution)", text, re.MULTILINE)
    assert [part.endswith("Solution") for part in parts] == [False, True] * len(numbers)
    assert ":open:" not in text


COMMANDS = sorted(
    {
        (chapter, command)
        for chapter, path in {**CHAPTERS, "run_it_yourself": ROOT / "book" / "run_it_yourself.md"}.items()
        for command in re.findall(r"papermill notebooks/[^`\n]*(?:\n\"[^`\n]*)?", prose(path))
    }
)


@pytest.mark.parametrize(("chapter", "command"), COMMANDS)
def test_commands_name_notebooks_and_parameters_that_exist(chapter, command):
    yaml = pytest.importorskip("yaml")
    _, source, target, *options = shlex.split(command)
    declared = notebooks.declared_parameters(ROOT / source)
    assert target.endswith(".ipynb")
    given: dict[str, Any] = {}
    while options:
        option = options.pop(0)
        if option == "-p":
            name, value = options.pop(0), options.pop(0)
            given[name] = yaml.safe_load(value)
        else:
            assert option == "-y"
            given |= yaml.safe_load(options.pop(0))
    assert set(given) <= set(declared)
    assert "recipe" not in given or re.fullmatch(r"(mlp|vgg11|resnet20|resnet50)-\w+", given["recipe"])


@pytest.mark.slow
def test_the_guides_example_measures_any_pair_of_networks(capsys):
    """The networks are one and its copy with other numbers of its units, so the search must bring the barrier to 0."""
    code, repair = re.findall(r"```python\n(.*?)```", prose(ROOT / "book" / "run_it_yourself.md"), re.DOTALL)
    stream = random_stream(0, "guide")
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 5)).requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=stream))
    state_a = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    order = torch.randperm(24, generator=stream)
    state_b = {**state_a, "1.weight": state_a["1.weight"][order], "1.bias": state_a["1.bias"][order]}
    state_b["3.weight"] = state_a["3.weight"][:, order]
    images = torch.randn(200, 1, 4, 4, generator=stream)
    names: dict[str, Any] = {"model": model, "state_a": state_a, "state_b": state_b, "images": images[:8]}
    # not all right, so that there is a best inverse temperature
    labels = (model(images) + 3 * torch.randn(200, 5, generator=stream)).argmax(dim=1)
    names |= {"training": (images, labels), "unseen": (images, labels)}
    names["test"] = DataLoader(TensorDataset(images, labels), batch_size=64)
    exec(compile(code, "run_it_yourself.md", "exec"), names)
    assert names["as_they_are"]["midpoint_loss_barrier"] > 0.1
    assert abs(names["matched"]["midpoint_loss_barrier"]) < 1e-4
    printed = capsys.readouterr().out
    assert "midpoint_accuracy_barrier" in printed
    layers = [line.partition(" {")[0] for line in printed.splitlines() if "{" in line]
    assert layers == 2 * ["1 None", "3 None", "1 0.5", "3 0.5"]
    exec(compile(repair, "run_it_yourself.md", "exec"), names)
    assert torch.equal(names["repaired"].state_dict()["1.bias"], names["merged"]["1.bias"])
    # the first layer is linear in the weights: its means are right as they are
    torch.testing.assert_close(names["merged"]["1.bias"], (state_a["1.bias"] + state_b["1.bias"]) / 2)


def encoder() -> nn.Module:
    block = nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, batch_first=True)
    layers = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(6, 8), layers, nn.Flatten(), nn.Linear(8 * 5, 4))


def residual() -> nn.Module:
    import_torchvision()
    from torchvision.models import resnet18

    return resnet18(num_classes=4)


@pytest.mark.slow
@pytest.mark.parametrize(("build", "shape"), [(encoder, (5, 6)), (residual, (3, 32, 32))])
def test_the_readmes_first_example_tells_of_any_two_modules_whether_they_merge(build, shape, capsys):
    """Nobody says how many layers they have. A network merges with itself, and not with another one."""
    code, _ = re.findall(r"```python\n(.*?)```", prose(ROOT / "README.md"), re.DOTALL)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, other = build().eval(), build().eval()
    state_a, state_b = (
        {name: tensor.clone() for name, tensor in network.state_dict().items()} for network in (model, other)
    )
    stream = random_stream(0, "readme", *shape)
    images = torch.randn(24, *shape, generator=stream)
    labels = lmcbook.predict_logits(model, state_a, images).argmax(dim=1)
    labels[:4] = (labels[:4] + 1) % 4
    names: dict[str, Any] = {"model": model, "training": (images, labels), "unseen": (images, labels)}
    names["test"] = DataLoader(TensorDataset(images, labels), batch_size=10)
    heights = {}
    for pair, second in {"itself": state_a, "another": state_b}.items():
        exec(compile(code, "README.md", "exec"), names | {"state_a": state_a, "state_b": second})
        printed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
        kinds = ("loss_barrier", "accuracy_barrier", "calibrated_loss_barrier")
        heights[pair] = [float(printed[f"{place}{kind}"]) for kind in kinds for place in ("", "midpoint_")]
    assert heights["itself"] == pytest.approx([0] * 6, abs=1e-3)
    assert min(heights["another"]) > 0.01
