"""A core and two wings: the core imports neither, the lab no pages, the pages no torch; nothing imports in a circle."""

import ast
import importlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import lmcbook

PACKAGE = Path(lmcbook.__file__).parent
WINGS = ("lab", "pages")
NOUNS = (
    *("data", "models", "training", "permutation", "matching", "merging"),
    *("calibration", "evaluation", "layerwise", "theory", "connecting"),
)
SHARED = ("__init__", "__main__", "errors", "randomness", "states")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def wing(module: str) -> str:
    part = f"{module}.".split(".")[1]
    return part if part in WINGS else "core"


def runtime_imports(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    """All imports of a file, lazy ones too, but not those that only a type checker reads."""
    unread = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in unread]


@cache
def on_demand(package: str) -> dict[str, str]:
    """The names that a package loads when they are first used → the module that each comes from."""
    code = SOURCES[package].read_text()
    calls = (
        [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)] if "names_on_demand" in code else []
    )
    return {
        name: f"{package}.{home}"
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "names_on_demand"
        for home, names in ast.literal_eval(call.args[1]).items()
        for name in names.split()
    }


@cache
def imported(module: str) -> frozenset[str]:
    """Modules of this package that a module imports, lazily or not; also those that its names on demand come from."""
    names = set(on_demand(module).values())
    tree = ast.parse(SOURCES[module].read_text())
    for node in ast.walk(tree):
        # the package itself is there before any of its modules, but what it loads on demand may not be
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "lmcbook":
            names |= {home for name, home in on_demand("lmcbook").items() if name == node.attr}
    for node in runtime_imports(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lmcbook":
            given = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in SOURCES else node.module for name in given}
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name in SOURCES and alias.name != "lmcbook"}
    return frozenset(names - {module})


def loaded_by(modules: list[str]) -> set[str]:
    """Everything that a fresh process has loaded after importing ``modules``."""
    code = "import importlib, json, sys; [importlib.import_module(name) for name in json.loads(sys.argv[1])]; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(json.dumps(sorted(sys.modules)))", json.dumps(modules)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def modules_of(part: str) -> list[str]:
    return [name for name in SOURCES if wing(name) == part and not name.endswith("__main__")]


def test_the_core_is_what_stands_at_the_top():
    beside_tests = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    siblings = {Path(name).stem if name.endswith(".py") else name for name in beside_tests}
    assert siblings == {*SHARED, *NOUNS, *WINGS, "py.typed"}
    assert (
        len(siblings - {"py.typed"}) <= 18
    )  # as `benchmarks/structure.py` counts: a mark for type checkers is no module


@pytest.mark.slow
def test_the_core_imports_neither_wing():
    """Over transitive imports, in a fresh process."""
    loaded = loaded_by(modules_of("core"))
    assert not {name for name in loaded if name.startswith(("lmcbook.lab", "lmcbook.pages"))}
    assert "lmcbook.merging" in loaded
    assert not loaded & {"pandas", "seaborn"}


@pytest.mark.slow
def test_the_lab_imports_no_pages():
    """Over transitive imports, in a fresh process."""
    loaded = loaded_by(modules_of("lab"))
    assert not {name for name in loaded if name.startswith("lmcbook.pages")}
    assert "lmcbook.lab.records" in loaded


@pytest.mark.slow
def test_the_pages_import_no_torch():
    """Over transitive imports, in a fresh process."""
    loaded = loaded_by(modules_of("pages"))
    assert "torch" not in loaded
    assert "lmcbook.pages.figures" in loaded


@pytest.mark.slow
def test_what_computes_and_speaks_draws_nothing():
    """Over transitive imports, in a fresh process: analysis, claims, sentences and tables."""
    parts = ("analysis", "claims", "sentences", "tables", "paper_table", "origin")
    loaded = loaded_by([name for name in SOURCES if name.startswith(tuple(f"lmcbook.pages.{part}" for part in parts))])
    assert not loaded & {"torch", "matplotlib", "seaborn"}
    assert not {name for name in loaded if name.startswith("lmcbook.pages.figures")}
    assert "lmcbook.pages.analysis.measurements" in loaded


@pytest.mark.slow
def test_what_plans_and_reads_imports_no_torch():
    reading = ["lmcbook", "lmcbook.__main__", "lmcbook.lab", "lmcbook.lab.records", "lmcbook.lab.plan"]
    reading.append("lmcbook.theory.gaussian")
    loaded = loaded_by([*reading, "lmcbook.lab.budget", "lmcbook.lab.on_demand"])
    assert not loaded & {"torch", "pandas"}  # tables need pandas, and are made for the book alone


def test_importing_the_package_loads_nothing_but_itself():
    loaded = {name.partition(".")[0] for name in loaded_by(["lmcbook"])}
    assert loaded - sys.stdlib_module_names - {name.partition(".")[0] for name in loaded_by([])} == {"lmcbook"}


@pytest.mark.parametrize("module", [name for name in SOURCES if not name.endswith("__main__")])
def test_no_import_runs_up_not_even_a_lazy_one(module):
    below = {"core": WINGS, "lab": ("pages",), "pages": ()}[wing(module)]
    assert not {name for name in imported(module) if wing(name) in below}


def test_nothing_imports_in_a_circle():
    """Lazy imports and names on demand count; a package's ``__init__`` counts where it is imported by name."""
    assert imported("lmcbook") >= {"lmcbook.connecting", "lmcbook.data", "lmcbook.training"}
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for name in sorted(imported(module)):
                visit(name, [*path, module])
            done.add(module)

    for module in SOURCES:
        visit(module, [])
    assert not found


@pytest.mark.parametrize("package", [name for name, path in SOURCES.items() if path.name == "__init__.py"])
def test_no_name_of_a_package_is_also_a_module(package):
    """``import a.b.name as module`` would give the name; of names on demand the module would take the place."""
    names = set(getattr(importlib.import_module(package), "__all__", []))
    assert not {name for name in names if f"{package}.{name}" in SOURCES}


@pytest.mark.parametrize("package", [name for name in SOURCES if on_demand(name)])
def test_what_is_loaded_on_demand_is_what_type_checkers_read(package):
    """The names stand three times: a checker reads only imports and a literal ``__all__``, and neither may import."""
    tree = ast.parse(SOURCES[package].read_text())
    running = {id(node) for node in runtime_imports(tree)}
    read = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in running
        for alias in node.names
    }
    home = on_demand(package)
    assert read.keys() == home.keys()
    found = {name: getattr(importlib.import_module(module), name) for name, module in read.items()}
    assert all(getattr(importlib.import_module(home[name]), name) is value for name, value in found.items())
    elsewhere = {name for name in vars(importlib.import_module(package)) if name not in home}
    assert home.keys() <= set(importlib.import_module(package).__all__) <= home.keys() | elsewhere


def test_the_walls_hold():
    """Tensor functions know no data, path or device choice; only what measures writes records."""
    for module in SOURCES:
        if module.startswith(
            tuple(f"lmcbook.{name}" for name in ("layerwise", "calibration", "permutation", "theory"))
        ):
            assert not {name for name in imported(module) if name.startswith("lmcbook.data")}, module
    writers = {name for name, path in SOURCES.items() if re.search(r"\bwrite_record\(", path.read_text())}
    assert {name.split(".")[2] for name in writers} <= {"records", "missing", "budget"}


def test_an_error_of_another_package_is_told_in_one_way():
    """By `lmcbook.errors.one_line`: an empty message, several lines and long ones are thought of there alone."""
    by_hand = re.compile(r"str\((error|cause)\)(\.strip\(\))?(\.split|\[:)")
    assert [name for name, path in SOURCES.items() if by_hand.search(path.read_text())] == []
    assert by_hand.search("' '.join(str(error).split())") and by_hand.search("str(error).strip().splitlines()[0]")


@pytest.mark.parametrize("module", SOURCES)
def test_a_file_says_its_job_and_stays_readable(module):
    text = SOURCES[module].read_text()
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= 400
    assert "from __future__ import annotations" not in text
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
