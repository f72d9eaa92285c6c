"""Imports run one way: a module imports only from modules above it in this list."""

import ast
import re
from pathlib import Path

import pytest

import lmcbook

PACKAGE = Path(lmcbook.__file__).parent

LAYERS = (
    *("errors", "paths", "randomness", "config", "execution", "schedule", "provenance", "data", "permutation"),
    "models",
    *("matching", "training", "store", "merging", "calibration", "evaluation", "flatness", "layerwise", "theory"),
    *("records", "recipes", "plan", "pipeline", "collect", "budget", "parameters", "floors", "figures"),
    *("tables", "paper_table", "claims"),
    *("theory_figures", "widgets", "notebooks", "engine", "__init__", "__main__"),
)

TORCH_FREE = (
    *("errors", "paths", "config", "execution", "schedule", "provenance", "records", "recipes", "plan", "collect"),
    "budget",
    *("parameters", "floors", "figures", "tables", "paper_table", "claims", "widgets", "notebooks", "engine"),
    *("__init__", "__main__"),
)


def modules() -> dict[str, list[Path]]:
    """Top-level module → its source files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found.setdefault(parts[0], []).append(path)
    return found


def imported(path: Path) -> set[str]:
    """Top-level modules of this package that a file imports, lazily or not (type checking aside)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lmcbook":
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lmcbook.")}
    return names


def test_the_list_is_the_package():
    assert set(modules()) == set(LAYERS)


@pytest.mark.parametrize("module", LAYERS)
def test_a_module_imports_only_from_above(module):
    for path in modules()[module]:
        below = {name for name in imported(path) - {module} if LAYERS.index(name) > LAYERS.index(module)}
        assert not below, f"{path.name} imports {sorted(below)}, which stand below {module}"


@pytest.mark.parametrize("module", TORCH_FREE)
def test_modules_of_figures_and_plans_import_no_torch(module):
    for path in modules()[module]:
        tree = ast.parse(path.read_text())
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in top if isinstance(node, ast.ImportFrom) and node.module}
        assert not {name for name in names if name.split(".")[0] == "torch"}, path


def test_the_walls_hold():
    """Tensor functions know no data, path or device choice; only the pipeline writes records."""
    for module in ("layerwise", "calibration", "permutation", "theory"):
        for path in modules()[module]:
            assert not imported(path) & {"data", "paths", "records", "store", "plan"}, path
    writers = {
        Path(path.relative_to(PACKAGE).parts[0]).stem
        for paths in modules().values()
        for path in paths
        if re.search(r"\bwrite_record\(", path.read_text())
    }
    assert writers <= {"records", "pipeline", "budget"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_says_its_job_and_stays_readable(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= 400
    assert "from __future__ import annotations" not in text
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
