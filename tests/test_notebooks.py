"""Tests of lmcbook.pages.notebooks, and of what every notebook of the book must keep."""

import ast
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from lmcbook.errors import InputError
from lmcbook.lab import plan
from lmcbook.lab.addresses import digest_in, record_files
from lmcbook.lab.asked import ALL
from lmcbook.pages import keys, notebooks, parameters
from lmcbook.pages.keys import Judge
from lmcbook.pages.warm_python import can_be_warm
from tests.helpers.written_notebooks import read, text_of, write_notebook

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))


# --- the module ------------------------------------------------------------------------------------------------------


def test_declared_parameters_are_names_and_defaults(tmp_path):
    source = write_notebook(tmp_path / "a.ipynb", parameters="a: int = 2\nb = [0.5, 1]\nc: str | None = None  # free")
    assert notebooks.declared_parameters(source) == {"a": 2, "b": [0.5, 1], "c": None}


def test_a_notebook_without_a_parameters_cell_declares_none(tmp_path):
    source = write_notebook(tmp_path / "a.ipynb", parameters="pass")
    assert notebooks.declared_parameters(source) == {}


@pytest.mark.parametrize("content", ["not json", "{}", '{"cells": [{"metadata": {"tags": ["parameters"]}}]}'])
def test_what_is_no_notebook_is_refused_by_name(tmp_path, content):
    source = tmp_path / "damaged.ipynb"
    source.write_text(content)
    with pytest.raises(InputError, match=r"damaged\.ipynb is not a notebook"):
        notebooks.declared_parameters(source)


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.ipynb cannot be read"):
        Judge().key_of(tmp_path / "nowhere.ipynb")


def keys_of(*sources: Path, asked: Collection[str] = (ALL,)) -> list[str]:
    """The keys of what is there now, of results that asked for these records."""
    return [Judge().key_of(source)(asked) for source in sources]


@pytest.mark.slow
def test_the_key_follows_the_notebook_and_the_records_it_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "records"))
    (tmp_path / "records").mkdir()
    source = write_notebook(tmp_path / "a.ipynb", "1 + 1")
    mine, others = "0123456789abcdef", "fedcba9876543210"

    def now() -> list[str]:
        return [key for asked in ([], [mine], [ALL]) for key in keys_of(source, asked=asked)]

    before = now()
    for digest, followed in ((others, [False, False, True]), (mine, [False, True, True])):
        for content in ("{}", '{"another": 1}'):
            (tmp_path / "records" / f"one_{digest}.json").write_text(content)
            after = now()
            assert [one != other for one, other in zip(before, after, strict=True)] == followed
            before = after
    write_notebook(source, "1 + 2")
    assert not set(now()) & set(before)


def test_records_that_are_written_while_a_notebook_runs_make_its_result_stale(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "records"))
    (tmp_path / "records").mkdir()
    source = write_notebook(tmp_path / "a.ipynb", "1 + 1")
    key_of = Judge().key_of(source)
    (tmp_path / "records" / "one_0123456789abcdef.json").write_text("{}")
    assert key_of([ALL]) not in keys_of(source)
    assert [key_of([])] == keys_of(source, asked=[])


def test_the_key_does_not_depend_on_where_files_lie_nor_on_their_times(tmp_path, monkeypatch):
    found = set()
    for time, folder in enumerate((tmp_path / "here", tmp_path / "there")):
        (folder / "records").mkdir(parents=True)
        (folder / "records" / "one_0123456789abcdef.json").write_text("{}")
        monkeypatch.setenv("LMCBOOK_RECORDS", str(folder / "records"))
        source = write_notebook(folder / "a.ipynb", "from lmcbook.lab.records import read_records")
        os.utime(source, (time, time))
        found.update(keys_of(source))
    assert len(found) == 1


def test_the_key_follows_what_the_notebook_loads_and_its_versions(tmp_path, monkeypatch):
    source = write_notebook(tmp_path / "a.ipynb", "import pandas")
    other = write_notebook(tmp_path / "b.ipynb", "1 + 1")
    before = keys_of(source, other)
    monkeypatch.setattr(keys, "version", lambda module: "another")
    after = keys_of(source, other)
    assert after[0] != before[0] and after[1] == before[1]


def test_the_key_follows_a_benchmark_that_the_notebook_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    result = tmp_path / "benchmarks" / "results" / "speed.json"
    source = write_notebook(tmp_path / "a.ipynb", "print('speed.json')")
    found = keys_of(source)
    for content in ("1", "2"):
        result.write_text(content)
        found += keys_of(source)
    assert len(set(found)) == 3


@pytest.mark.slow
def test_the_key_follows_the_images_of_a_dataset_that_may_change(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "records"))
    (tmp_path / "records").mkdir()
    source = write_notebook(tmp_path / "a.ipynb", "from lmcbook.lab.records import read_records")
    found = {}
    for dataset in ("digits", "flowers"):
        (tmp_path / "records" / "one_0123456789abcdef.json").write_text(
            json.dumps({"config": {"training": {"dataset": dataset}}})
        )
        for images in (None, "a", "b"):
            monkeypatch.setattr(keys, "images_now", lambda name, images=images: images)
            [found[dataset, images]] = keys_of(source)
    assert len({found["digits", images] for images in (None, "a", "b")}) == 1
    assert len({found["flowers", images] for images in (None, "a", "b")}) == 3


@pytest.mark.slow
def test_a_result_knows_which_records_it_asked_for(tmp_path, monkeypatch):
    """Those that are missing too, whichever way they are asked for: then a new record makes the result stale."""
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "runs"))
    (tmp_path / "records").mkdir()
    selection = "plan.Selection(recipes=['mlp-digits'])"
    ways = {
        "none": "from lmcbook.pages import sentences",
        "present": f"from lmcbook.lab import plan, present\npresent(plan.width({selection}))",
        "recorded": "from lmcbook.lab import plan, recorded\nrecorded(plan.width, 'embedded', recipes=['mlp-digits'])",
        "request": "from lmcbook.lab import plan\nfrom lmcbook.pages import parameters\n"
        "parameters.check('01_width', globals()).measure(lambda selection: [])\n"
        "from lmcbook.lab.records import RecordIndex\n"
        f"[RecordIndex().find(one.pair) for one in plan.width({selection})]",
        "all": "from lmcbook.lab import read_records\nread_records()",
    }
    pairs = []
    for name, code in ways.items():
        given = "\n".join(f"{key} = {value.default!r}" for key, value in parameters.COMMON.items())
        source = write_notebook(tmp_path / f"{name}.ipynb", code, parameters=given if name == "request" else "pass")
        pairs.append((source, tmp_path / "out" / source.name))
    silent: dict[str, Any] = {"report": lambda line: None}
    assert len(notebooks.bring_up_to_date(pairs, **silent)) == len(pairs)
    planned = [one.pair.digest for one in plan.width(plan.Selection(recipes=["mlp-digits"]))]
    expected = {"none": [], "all": [ALL]} | {name: sorted(planned) for name in ("present", "recorded", "request")}
    asked = {source.stem: read(target)["metadata"]["lmcbook"]["records"] for source, target in pairs}
    assert asked == expected
    assert notebooks.bring_up_to_date(pairs, **silent) == []
    committed = next(path for path in record_files(ROOT / "records") if digest_in(path.stem) == planned[0])
    shutil.copy(committed, tmp_path / "records")
    made = notebooks.bring_up_to_date(pairs, **silent)
    assert {target.stem for target in made} == {"present", "recorded", "request", "all"}


@pytest.mark.slow
def test_the_key_of_the_book_follows_pages_results_and_sources(tmp_path):
    for name in ("book/_extensions", "book/results", "book/_build/html", "notebooks"):
        (tmp_path / name).mkdir(parents=True)
    files = ("CHANGELOG.md", "book/page.md", "book/_config.yml", "book/_extensions/a.py", "book/results/a.ipynb")
    for name in files:
        (tmp_path / name).write_text("before")

    def now() -> tuple[str, str]:
        return Judge().book_key(tmp_path), Judge().foundations(tmp_path)

    before = now()
    (tmp_path / "book" / "_build" / "html" / "index.html").write_text("built")
    assert now() == before
    for name in files:
        (tmp_path / name).write_text("after")
        assert now()[0] != before[0]
        assert (now()[1] != before[1]) == (name in ("book/_config.yml", "book/_extensions/a.py"))
        (tmp_path / name).write_text("before")
    assert now() == before


@pytest.mark.slow
def test_a_run_gives_a_result_that_depends_on_the_run_alone(tmp_path):
    source = write_notebook(tmp_path / "a.ipynb", "print(size * 21)")
    target = notebooks.execute(source, tmp_path / "out" / "a.ipynb", {"size": 3})
    result = read(target)

    assert text_of(result).strip() == "63"
    assert result["metadata"]["kernelspec"]["name"] == "python3"
    assert result["metadata"]["lmcbook"]["parameters"] == {"size": 3}
    assert "papermill" not in json.dumps(result["metadata"])
    assert not any("papermill" in cell["metadata"] for cell in result["cells"])
    key_of = Judge().key_of(source)
    assert not notebooks.stale(target, key_of) and not notebooks.stale(target, key_of, {"size": 3})
    assert notebooks.stale(target, key_of, {"size": 2}) and notebooks.stale(target, lambda asked: "another")
    assert [path.name for path in target.parent.iterdir()] == ["a.ipynb"]
    target.write_text(target.read_text().replace("63", "64"))  # edited by hand
    assert notebooks.stale(target, key_of)


@pytest.mark.slow
def test_a_failing_notebook_leaves_the_old_result_and_says_its_last_line(tmp_path):
    source = write_notebook(tmp_path / "a.ipynb", "raise ValueError('the reason')")
    target = tmp_path / "result.ipynb"
    target.write_text("old")
    with pytest.raises(notebooks.NotebookError, match=r"a\.ipynb: ValueError: the reason$"):
        notebooks.execute(source, target)
    assert target.read_text() == "old"


@pytest.mark.slow
def test_only_what_is_out_of_date_is_run_and_failures_come_together(tmp_path):
    good, bad = write_notebook(tmp_path / "good.ipynb", "size"), write_notebook(tmp_path / "bad.ipynb", "1 / 0")
    pairs = [(source, tmp_path / "out" / source.name) for source in (bad, good)]
    said: list[str] = []
    with pytest.raises(notebooks.NotebookError, match=r"bad\.ipynb: ZeroDivisionError"):
        notebooks.bring_up_to_date(pairs, {"size": 5, "undeclared": 1}, report=said.append)
    assert read(pairs[1][1])["metadata"]["lmcbook"]["parameters"] == {"size": 5}
    assert notebooks.bring_up_to_date(pairs[1:], {"size": 5}, report=said.append) == []
    assert sorted(said) == ["executing bad.ipynb", "executing good.ipynb"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "warm", [False, pytest.param(True, marks=pytest.mark.skipif(not can_be_warm(), reason="Linux"))]
)
def test_notebooks_have_kernels_of_their_own(tmp_path, monkeypatch, warm):
    """What is set or imported in a notebook is not there in the next, also where kernels begin with imports done."""
    monkeypatch.setattr("lmcbook.pages.warm_python.can_be_warm", lambda: warm)
    code = (
        "import statistics\nprint('left' in globals(), hasattr(statistics, 'left'), size)\nleft = statistics.left = 1"
    )
    pairs = [(write_notebook(tmp_path / f"{name}.ipynb", code), tmp_path / "out" / f"{name}.ipynb") for name in "abc"]
    assert len(notebooks.bring_up_to_date(pairs, {"size": 5}, report=lambda line: None)) == 3
    assert [text_of(read(target)) for _, target in pairs] == ["False False 5\n"] * 3


@pytest.mark.parametrize(
    "content", ["", "{", '{"metadata": {}}', '{"metadata": {"lmcbook": {"key": "other", "records": []}}}', "[]"]
)
def test_a_result_that_cannot_be_trusted_is_stale(tmp_path, content):
    target = tmp_path / "result.ipynb"
    assert notebooks.stale(target, lambda asked: "key")
    target.write_text(content)
    assert notebooks.stale(target, lambda asked: "key")


def test_the_longest_notebooks_are_begun_first(tmp_path, monkeypatch):
    assert set(notebooks.LONGEST) < {source.stem for source in SOURCES}
    monkeypatch.setattr(notebooks, "LONGEST", ("b",))
    monkeypatch.setattr(notebooks, "execute", lambda source, target, *_, **__: target)
    monkeypatch.setattr("lmcbook.pages.warm_python.can_be_warm", lambda: False)
    pairs = [(write_notebook(tmp_path / f"{name}.ipynb", "1"), tmp_path / "out" / f"{name}.ipynb") for name in "abc"]
    said: list[str] = []
    notebooks.bring_up_to_date(pairs, jobs=1, report=said.append)
    assert said == ["executing b.ipynb", "executing a.ipynb", "executing c.ipynb"]


# --- the notebooks ---------------------------------------------------------------------------------------------------


def code_of(source: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in read(source)["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert {"00_claim", "01_width", "99_reproduction"} <= {source.stem for source in SOURCES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_is_prose_and_a_few_calls(source):
    code = code_of(source)
    lines = [line for cell in code for line in cell.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 30
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    named = [node for cell in code for node in ast.walk(ast.parse(cell)) if isinstance(node, definitions[:3])]
    assert named == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_is_stored_without_outputs_and_for_the_common_kernel(source):
    notebook = read(source)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in notebook["cells"]) <= 1
