"""Tests of what the book tells its readers to do: exercises with solutions, commands that run, code that works."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

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


def test_the_guides_example_measures_any_pair_of_networks(capsys):
    """The networks are one and its copy with other numbers of its units, so the search must bring the barrier to 0."""
    [code] = re.findall(r"```python\n(.*?)```", prose(ROOT / "book" / "run_it_yourself.md"), re.DOTALL)
    stream = random_stream(0, "guide")
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 5)).requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=stream))
    state_a = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    order = torch.randperm(24, generator=stream)
    state_b = {**state_a, "1.weight": state_a["1.weight"][order], "1.bias": state_a["1.bias"][order]}
    state_b["3.weight"] = state_a["3.weight"][:, order]
    images = torch.randn(200, 1, 4, 4, generator=stream)
    given = {"model": model, "state_a": state_a, "state_b": state_b, "num_layers": 2, "training_images": images}
    for use in ("unseen", "test"):
        given[f"{use}_images"] = images
        # not all right, so that there is a best inverse temperature
        given[f"{use}_labels"] = (model(images) + 3 * torch.randn(200, 5, generator=stream)).argmax(dim=1)
    names: dict[str, Any] = dict(given)
    exec(compile(code, "run_it_yourself.md", "exec"), names)
    assert names["as_they_are"]["midpoint_loss_barrier"] > 0.1
    assert abs(names["matched"]["midpoint_loss_barrier"]) < 1e-4
    assert "midpoint_accuracy_barrier" in capsys.readouterr().out
