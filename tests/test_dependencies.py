"""Dependencies: what code can load is found without running it, and its meaning is its syntax tree."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from lmcbook.pages import dependencies
from lmcbook.pages.dependencies import Package, foreign, imports_of, version
from lmcbook.pages.keys import MEASURING, code_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def package(tmp_path) -> Path:
    """A package in which ``top`` loads names on demand, ``used`` imports ``deep`` in a function, ``apart`` nobody."""
    folder = tmp_path / "pack"
    (folder / "inner").mkdir(parents=True)
    files = {
        "__init__.py": "names_on_demand = dict\n__getattr__ = names_on_demand(__name__, {'used': 'one two'})\n",
        "used.py": "def one():\n    from pack.inner import deep\n    return deep\n\n\ntwo = 2\n",
        "typing_only.py": "x = 1\n",
        "apart.py": "import numpy\n",
        "inner/__init__.py": "import pandas\n",
        "inner/deep.py": "if TYPE_CHECKING:\n    from pack import typing_only\nelse:\n    import matplotlib.pyplot\n",
        "inner/table.toml": "a = 1\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def loaded(package: Path, code: str) -> set[str]:
    return {name.partition(".")[2] for name in Package(package).loaded_by(ast.parse(code))} - {""}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from pack import one", {"used", "inner", "inner.deep"}),
        ("import pack", {"used", "inner", "inner.deep"}),
        ("from pack import *", {"used", "inner", "inner.deep"}),
        ("def f():\n    if x:\n        from pack import inner", {"inner"}),
        ("try:\n    import pack.inner\nexcept ImportError:\n    from pack import apart", {"apart", "inner"}),
        ("match x:\n    case 1:\n        from pack import apart", {"apart"}),
        ("from pack.apart import anything", {"apart"}),
        ("import pandas", set()),
        ("words = 'import pack.apart'", set()),
    ],
)
def test_what_code_loads(package, code, expected):
    assert loaded(package, code) == expected


def test_what_is_known_not_to_be_loaded_loads_nothing(package):
    code = ast.parse("from pack import one, apart")
    assert Package(package).loaded_by(code, without=["pack.used"]) == {"pack", "pack.apart"}


def test_foreign_packages_are_named_by_their_top(package):
    read = Package(package)
    assert read.foreign(read.loaded_by(ast.parse("from pack import one"))) == {"pandas", "matplotlib"}
    assert foreign(ast.parse("import json, numpy.linalg\nfrom pack import one"), "pack") == {"numpy"}
    assert (version("numpy"), version("no_such_thing")) == (numpy.__version__, "")


def test_relative_imports_are_of_the_package_that_they_stand_in():
    code = ast.parse("from . import a\nfrom .b import c\nfrom .. import d\nfrom ..e import f")
    assert list(imports_of(code, "x.y")) == [("x.y", "a"), ("x.y.b", "c"), ("x", "d"), ("x.e", "f")]


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("used.py", "two = 2", "two = 2  # a comment", False),
        ("used.py", "def one():", '"""A docstring."""\n\n\n\ndef one():\n    "Another."', False),
        ("used.py", "two = 2", "two = (2)", False),
        ("used.py", "two = 2", "two = 3", True),
        ("inner/deep.py", "pyplot", "figure", True),
        ("inner/table.toml", "a = 1", "a = 2", True),
        ("apart.py", "numpy", "pandas", False),
    ],
)
@pytest.mark.parametrize("remembers", [False, True])
def test_only_what_is_loaded_and_means_something_else_counts(package, file, old, new, changes, remembers):
    def meaning(read: Package) -> str:
        return read.meaning(read.loaded_by(ast.parse("from pack import one")))

    first = Package(package)
    before = meaning(first)
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    known = json.loads(json.dumps(first.summaries)) if remembers else None
    assert (meaning(Package(package, known)) != before) == changes


def test_a_module_that_did_not_change_is_not_parsed_again(package, monkeypatch):
    code = ast.parse("from pack import one")
    first = Package(package)
    loaded_first = first.loaded_by(code)
    assert len(first.summaries) == len(loaded_first)
    (package / "used.py").write_text("import pack.apart\n")
    parsed = []
    parse = dependencies.without_documentation

    def noted(text: str) -> ast.Module:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(dependencies, "without_documentation", noted)
    again = Package(package, first.summaries)
    assert again.loaded_by(code) == {"pack", "pack.used", "pack.apart"}
    assert again.foreign(frozenset({"pack.apart"})) == {"numpy"}
    assert parsed == ["import pack.apart\n", "import numpy\n"]
    # what is damaged is not known
    damaged: dict[str, object] = dict(zip(again.summaries, ({}, None, "x"), strict=True))
    assert Package(package, damaged).loaded_by(code) == again.loaded_by(code)
    # nor is one taken for another that has the same text
    (package / "inner" / "__init__.py").write_text((package / "used.py").read_text())
    assert Package(package, again.summaries).loaded_by(ast.parse("import pack.inner")) >= {"pack.inner", "pack.apart"}


@pytest.mark.slow
def test_names_on_demand_are_found_where_they_come_from():
    """What the syntax tree says of this package's own lazy names is what happens."""
    read = Package()
    lazy = {name for name, path in read.modules.items() if "= names_on_demand(" in path.read_text()}
    assert {"lmcbook", "lmcbook.lab", "lmcbook.data", "lmcbook.training"} <= lazy
    for name in lazy:
        package = importlib.import_module(name)
        for each in package.__all__:
            home = getattr(getattr(package, each), "__module__", None)
            if home is not None and home in read.modules:
                assert home in read.loaded_by(ast.parse(f"from {name} import {each}")), (name, each)


def test_nothing_is_imported_by_a_name_that_the_syntax_tree_does_not_show():
    """Apart from names on demand, which are read; from torchvision, which is foreign; from a user's own module; and
    from what starts kernels with the imports of the notebooks done."""
    calls = {name for name, path in Package().modules.items() if "import_module(" in path.read_text()}
    known = {
        "lmcbook.errors.on_demand",
        "lmcbook.data.torchvision_guard",
        "lmcbook.connecting.factories",
        "lmcbook.pages.warm_python",
    }
    assert calls <= known
    shown = [name for name, path in Package().modules.items() if "__import__" in path.read_text()]
    assert shown == []


@pytest.mark.slow
def test_a_chapter_does_not_depend_on_what_would_measure():
    code, read = ast.parse("from lmcbook.lab import collect"), Package()
    assert {MEASURING, "lmcbook.lab.store", "lmcbook.training.loop"} <= read.loaded_by(code)
    assert not {MEASURING, "lmcbook.lab.store", "lmcbook.training.loop"} & read.loaded_by(code, without=(MEASURING,))


RUN = """
import ast, json, sys
from pathlib import Path
cells = [cell for cell in json.loads(Path(sys.argv[1]).read_text())["cells"] if cell["cell_type"] == "code"]
names = {}
for cell in cells:
    exec("".join(cell["source"]), names)
    if "parameters" in cell["metadata"].get("tags", []) and "require_cached" in names:
        names["require_cached"] = True
Path(sys.argv[2]).write_text(json.dumps([name for name in sys.modules if name.split(".")[0] == "lmcbook"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["05_weak_additivity", "20_lewc_theorem"])
def test_a_chapter_loads_nothing_that_its_key_does_not_know(chapter, tmp_path, monkeypatch):
    """A whole run in a fresh process; the second one with torch. Nothing that measures is loaded."""
    monkeypatch.setenv("LMCBOOK_RECORDS", str(ROOT / "records"))
    source = ROOT / "notebooks" / f"{chapter}.ipynb"
    command = [sys.executable, "-c", RUN, str(source), str(tmp_path / "loaded.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    really = set(json.loads((tmp_path / "loaded.json").read_text()))
    assert "lmcbook.pages" in really and MEASURING not in really
    assert really <= Package().loaded_by(code_of(source), without=(MEASURING,))
