"""Tests that the project's files agree with each other, and that what must not be in them is not."""

import ast
import gc
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lmcbook
from lmcbook.__main__ import _parser, main
from lmcbook.data.datasets import DATASETS
from lmcbook.errors.on_demand import names_on_demand
from lmcbook.pages import notebooks, parameters
from tests.helpers.command_lines import as_papermill_reads
from tests.helpers.loaded import module_of
from tests.lock import parsed

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]


def text(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project_files() -> list[Path]:
    """Every file that is, or would be, in the repository."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


# --- commands --------------------------------------------------------------------------------------------------------


def commands(pattern: str) -> list[str]:
    """What the guides tell readers to type, of commands that begin with ``pattern``."""
    lines = [line for guide in GUIDES for line in re.findall(rf"(?:^ *|`){pattern}[^`#\n]*", text(guide), re.MULTILINE)]
    return [line.strip(" `") for line in lines]


def test_every_make_command_of_the_guides_exists():
    named = {match for line in commands("make ") for match in re.findall(r"^make ([a-z]+)", line)}
    assert {"book", "test", "setup", "check"} <= named <= TARGETS


def test_the_readme_promises_what_the_gate_runs():
    gate = text(".ci/run")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    for command in ("make check", "make test", "make book"):
        assert command in gate
    assert "    make book " in text("README.md") and "    make test " in text("README.md")


OURS = {
    line for pattern in ("python -m lmcbook ", "lmcbook connect .", "(?:LMC.*)?torchrun ") for line in commands(pattern)
}


@pytest.mark.parametrize("line", sorted(OURS))
def test_every_command_of_the_guides_is_understood(line, capsys):
    arguments = shlex.split(re.sub(r"^.*?lmcbook (?=[a-z-])", "", line))
    try:
        _parser().parse_args(arguments)
    except SystemExit as stop:  # --help ends well
        assert stop.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("line", sorted(set(commands("papermill "))))
def test_every_papermill_command_of_the_guides_names_a_notebook_and_its_parameters(line):
    words = shlex.split(line)
    declared = notebooks.declared_parameters(ROOT / words[1])
    given = as_papermill_reads(words[3:])
    assert given.keys() <= declared.keys()
    name = Path(words[1]).stem
    if name in parameters.NOTEBOOKS and "flowers" not in line:  # which the reader imports a line before
        parameters.check(name, declared | given)


def test_every_file_and_extra_that_the_guides_install_from_exists():
    lines = commands("pip install ") + commands("conda env create ") + commands("python benchmarks/")
    assert len(lines) > 4
    for line in lines:
        for extras in re.findall(r"\.\[([\w,]+)\]", line):
            assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys(), line
        assert [
            name for name in re.findall(r"[\w/]+\.(?:yml|py|txt|lock)\b", line) if not (ROOT / name).is_file()
        ] == []


def test_the_bounds_of_torchvision_keep_the_torch_that_the_guides_name():
    """Each release of torchvision wants one of torch; the newest would throw out the CPU build that is there."""
    [bound] = [Requirement(each) for each in PROJECT["dependencies"] if each.startswith("torchvision")]
    for guide in ("README.md", "book/run_it_yourself.md"):
        found = re.findall(r"pip install torch==([\d.]+) torchvision==([\d.]+) ", text(guide))
        assert found
        for torch_version, torchvision_version in found:
            assert bound.specifier.contains(torchvision_version)
            newer = ".".join(
                [*torchvision_version.split(".")[:1], str(int(torchvision_version.split(".")[1]) + 1), "0"]
            )
            assert not bound.specifier.contains(newer)
            assert (torch_version, torchvision_version) == (lock()["torch"], lock()["torchvision"])


def test_the_guide_lists_every_parameter_of_the_width_notebook():
    declared = notebooks.declared_parameters(ROOT / "notebooks" / "01_width.ipynb")
    guide = text("book/run_it_yourself.md")
    assert [name for name in declared if f"`{name}`" not in guide] == []


@pytest.mark.slow
def test_the_readmes_example_runs(capsys):
    [_, code] = re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.count("accuracy") == 5


# --- versions --------------------------------------------------------------------------------------------------------


def requirements(*extras: str) -> list[Requirement]:
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return [Requirement(line) for group in groups for line in group]


def lock() -> dict[str, str]:
    versions = {name: version.partition(" ;")[0] for name, (version, _) in parsed(text("requirements.lock")).items()}
    assert all(re.fullmatch(r"[\w.!]+", version) for version in versions.values()), "a lock has exact versions only"
    return versions


def test_the_lock_has_every_dependency_at_a_version_that_is_allowed():
    locked = lock()
    wanted = requirements("book", "test")
    assert [str(one) for one in wanted if canonicalize_name(one.name) not in locked] == []
    assert [str(one) for one in wanted if locked[canonicalize_name(one.name)] not in one.specifier] == []


def test_every_dependency_has_a_lower_bound_and_those_that_break_with_time_an_upper_one():
    wanted = requirements(*PROJECT["optional-dependencies"])
    assert [str(one) for one in wanted if not any(bound.operator == ">=" for bound in one.specifier)] == []
    bounded = {one.name for one in wanted if any(bound.operator == "<" for bound in one.specifier)}
    assert bounded == {"torchvision", "jupyter-book"}


def test_torch_is_named_alike_everywhere():
    locked = lock()
    assert f"TORCH := torch=={locked['torch']}\n" in MAKEFILE
    assert f"TORCHVISION := torchvision=={locked['torchvision']}\n" in MAKEFILE
    assert f"torch=={locked['torch']}" in text("environment.yml")
    assert f"torch=={locked['torch']} torchvision=={locked['torchvision']} " in text("book/run_it_yourself.md")


def foreign_imports(files: Iterable[Path]) -> set[str]:
    """What files import that is neither Python's nor this package's, by the names that pip knows."""
    known = {"sklearn": "scikit-learn", "PIL": "pillow"}
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    return {canonicalize_name(known.get(name, name)) for name in imported - sys.stdlib_module_names - {"lmcbook"}}


@pytest.mark.slow
def test_the_core_needs_torch_and_at_most_ten_packages_and_the_rest_what_is_declared():
    declared, with_book = ({canonicalize_name(one.name) for one in requirements(*extra)} for extra in ((), ("book",)))
    files = set((ROOT / "lmcbook").rglob("*.py"))
    core = {file for file in files if file.relative_to(ROOT / "lmcbook").parts[0] not in ("lab", "pages")}
    # the core needs all of them, and each other wing in addition what comes with the book
    assert foreign_imports(core) == declared and "torch" in declared and len(declared - {"torch"}) <= 10
    # comes with ipykernel and ipywidgets
    assert foreign_imports(files) - with_book == {"ipython"}


def test_without_what_the_book_needs_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.delitem(sys.modules, "lmcbook.lab.records.frames", raising=False)
    get, _ = names_on_demand("lmcbook.lab.records", {"frames": "curves_table"})
    with pytest.raises(lmcbook.InputError, match=r'pandas is not installed; .*: pip install "\.\[book\]"$'):
        get("curves_table")

    def fails(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'seaborn'", name="seaborn")

    monkeypatch.setattr("lmcbook.lab.budget.describe_plan", fails)
    assert main(["plan"]) == 2
    assert capsys.readouterr().err.startswith("lmcbook: seaborn is not installed; it comes with ")


def test_the_package_ships_its_data_and_its_types_and_has_no_function_without():
    settings = tomllib.loads(text("pyproject.toml"))["tool"]
    package = ROOT / "lmcbook"
    beside = {str(file.relative_to(package)) for file in project_files() if file.is_relative_to(package)}
    shipped = settings["setuptools"]["package-data"]["lmcbook"]
    assert "py.typed" in shipped and {name for name in beside if not name.endswith(".py")} == set(shipped)
    assert {"module": "lmcbook.*", "disallow_untyped_defs": True} in settings["mypy"]["overrides"]
    assert settings["mypy"]["check_untyped_defs"] is True


def test_one_version_number_everywhere():
    version = PROJECT["version"]
    assert lmcbook.__version__ == version
    assert f"\nversion: {version}\n" in text("CITATION.cff")
    assert re.findall(r"^## (\d\S+)", text("CHANGELOG.md"), re.MULTILINE)[0] == version
    assert f"version = {{{version}}}" in text("book/cite.md")


def test_the_paper_is_cited_alike_everywhere():
    for name in ("Ito", "Yamada", "Chijiwa", "Kumagai", "2510.08023"):
        for file in ("CITATION.cff", "README.md", "book/cite.md", "book/references.bib"):
            assert name in text(file), (name, file)


# --- the book --------------------------------------------------------------------------------------------------------


def test_the_links_at_the_top_lead_to_the_books_settings():
    for name in ("_config.yml", "_toc.yml"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == ROOT / "book" / name


def test_every_page_is_in_the_table_of_contents_and_every_notebook_is_a_page():
    extension = module_of(ROOT / "book" / "_extensions" / "executed_notebooks.py")
    toc = extension.yaml.safe_load(text("book/_toc.yml"))
    listed = list(extension.pages_in_toc(toc))
    pages = {page for page in listed if not page.startswith(("results/", "api/"))}
    assert pages == {page.stem for page in (ROOT / "book").glob("*.md")}
    executed = {source for source, _ in extension.notebook_pages(ROOT / "book")}
    assert executed == set((ROOT / "notebooks").glob("*.ipynb"))


def test_the_page_of_licences_names_every_dataset_and_every_vendored_package():
    page = text("book/licences.md")
    for dataset in DATASETS.values():
        assert f"`{dataset.name}`" in page and dataset.licence in page
    for package in module_of(ROOT / "book" / "vendor_js.py").BOOK_PACKAGES:
        name, _, version = package.spec.rpartition("@")
        assert version in page and name.lower() in page.lower()


def test_formulas_of_docstrings_become_roles():
    extension = module_of(ROOT / "book" / "_extensions" / "docstrings.py")
    lines = [r"The ratio $a_\ell /", r"    b$ of ``$HOME`` and 5 $ is", r"$\beta$; costs $1."]
    extension.formulas_as_roles(None, "function", "name", None, None, lines)
    assert (
        "\n".join(lines) == r"The ratio :math:`a_\ell / b` of ``$HOME`` and 5 $ is" + "\n" + r":math:`\beta`; costs $1."
    )


def test_a_build_does_not_look_for_garbage_and_what_comes_after_it_does():
    extension, connected = module_of(ROOT / "book" / "_extensions" / "garbage_later.py"), {}
    try:
        extension.setup(SimpleNamespace(connect=lambda event, handler, priority: connected.update({event: handler})))
        assert not gc.isenabled()
        connected["build-finished"](None, RuntimeError("the build failed"))
        assert gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(("platform", "cores", "expected"), [("linux", 2, 3), ("linux", 1, 1), ("darwin", 2, 1)])
def test_pages_are_written_by_as_many_processes_as_there_are_cores(monkeypatch, platform, cores, expected):
    """Sphinx counts the process that prepares them too; reading, which comes before, is left to a single process."""
    extension, connected = module_of(ROOT / "book" / "_extensions" / "several_writers.py"), {}
    extension.setup(SimpleNamespace(connect=lambda event, handler, priority: connected.update({event: handler})))
    monkeypatch.setattr(extension.sys, "platform", platform)
    monkeypatch.setattr(extension.os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    app = SimpleNamespace(parallel=1)
    assert list(connected) == ["env-updated"]
    connected["env-updated"](app, None)
    assert app.parallel == expected


def test_a_displayed_formula_of_a_docstring_becomes_a_directive():
    extension = module_of(ROOT / "book" / "_extensions" / "docstrings.py")
    lines = ["Of $n$:", "", r"$$\frac{a}{b}", r"+ c$$", "", "and more."]
    extension.formulas_as_roles(None, "function", "name", None, None, lines)
    assert lines == ["Of :math:`n`:", "", r".. math:: \frac{a}{b} + c", "", "and more."]


def test_a_property_keeps_its_sentence_and_a_field_of_a_named_tuple_says_nothing_of_its_number():
    extension = module_of(ROOT / "book" / "_extensions" / "docstrings.py")
    sentences, written = extension.Sentences(), ["What it is: this and that."]
    sentences.keep(None, "property", "name", None, None, written)
    taken = ["this and that.", "", ":type: What it is"]
    sentences.restore(None, "property", "name", None, None, taken)
    assert taken == written
    field = ["Alias for field number 0"]
    extension.without_aliases(None, "attribute", "name", None, None, field)
    assert field == []


def test_a_signature_has_no_words_that_stop_it_from_being_set_over_several_lines():
    extension = module_of(ROOT / "book" / "_extensions" / "docstrings.py")
    written = f"(rate: dict[str, ~typing.Any] = <factory>, std: {extension.stringify_annotation(extension.ArrayLike)})"
    signature, returned = extension.readable_signature(None, "class", "name", None, None, written, "str")
    assert signature == "(rate: dict[str, ~typing.Any] = ..., std: ArrayLike)" and returned == "str"


def test_every_module_of_core_and_lab_has_a_page_of_reference_and_every_page_is_listed(tmp_path):
    extension = module_of(ROOT / "book" / "_extensions" / "api_pages.py")
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "gone.md").write_text("a module that was removed")
    extension.write_pages(tmp_path / "api")
    pages = {page.name.removesuffix(".md") for page in (tmp_path / "api").glob("*.md")}
    modules = {
        ".".join((*path.parent.relative_to(ROOT / "lmcbook").parts, path.stem))
        for folder in ("", "lab", "pages")
        for path in (ROOT / "lmcbook" / folder).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    public = {name for name in modules if not name.rpartition(".")[2].startswith("_")} - {"lab", "pages"}
    listed_only = {name for name in public if name.startswith("pages.")}
    assert listed_only and pages == public - listed_only | {"index"}
    index = (tmp_path / "api" / "index.md").read_text(encoding="utf-8")
    assert all(f"[`{page}`]({page}.md)" in index for page in pages - {"index"})
    assert all(f"| `{name}` |" in index for name in listed_only)


def test_the_build_judges_notebooks_unless_the_process_that_started_it_has(monkeypatch, tmp_path):
    extension = module_of(ROOT / "book" / "_extensions" / "executed_notebooks.py")
    judged: list[object] = []

    def judge(pairs: object, *_: object, **__: object) -> list[Path]:
        judged.append(pairs)
        return []

    monkeypatch.setattr(extension, "bring_up_to_date", judge)
    monkeypatch.setattr(extension, "notebook_pages", lambda book: [book])
    app = SimpleNamespace(srcdir=str(tmp_path), connect=lambda event, function: None)
    monkeypatch.setenv(extension.JUDGED_BY, str(os.getppid()))
    extension.setup(app)
    assert judged == []
    for value in (None, "", str(os.getppid() + 1), str(os.getpid())):
        monkeypatch.delenv(extension.JUDGED_BY, raising=False)
        if value is not None:
            monkeypatch.setenv(extension.JUDGED_BY, value)
        extension.setup(app)
    assert len(judged) == 4


def test_vendored_files_that_are_not_the_pinned_ones_are_refused(tmp_path, monkeypatch):
    vendor = module_of(ROOT / "book" / "vendor_js.py")
    monkeypatch.setattr(vendor, "_download", lambda npm, package: b"something else")
    monkeypatch.setattr(vendor.shutil, "which", lambda name: "/usr/bin/npm")
    with pytest.raises(vendor.VendorError, match="not the pinned .*; it was not used"):
        vendor.fetch(tmp_path / "vendor")
    assert not vendor.present(tmp_path / "vendor")


def test_without_npm_the_book_falls_back_and_says_so(tmp_path, monkeypatch, capsys):
    vendor = module_of(ROOT / "book" / "vendor_js.py")
    monkeypatch.setattr(vendor, "BOOK_FILES", tmp_path / "vendor")
    monkeypatch.setattr(vendor.fetch, "__defaults__", (tmp_path / "vendor", vendor.BOOK_PACKAGES))
    monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    vendor.main([])
    assert "npm is not installed" in capsys.readouterr().out

    extension = module_of(ROOT / "book" / "_extensions" / "self_contained.py")
    config = SimpleNamespace(mathjax_path="", nb_ipywidgets_js={})
    extension.use_public_addresses(None, config)
    assert "mathjax@3" in config.mathjax_path
    [widgets] = config.nb_ipywidgets_js
    assert "html-manager@1" in widgets


# --- what must not be in the repository ------------------------------------------------------------------------------

# Written in pieces, so that this file does not find itself.
MACHINE = r"/(" + "|".join(("wo" + "rk", "fa" + "rm", "ro" + "ot")) + r")/|/tmp/[a-z]+(lib|wheel)"
REGISTRY = "|".join((r"py" + r"pi\.org", "python" + "hosted", r"registry\.np" + "mjs", r"deb\.deb" + r"ian\.org"))
UNFINISHED = "|".join((r"\bTO" + r"DO\b", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error", "lorem " + "ipsum"))


@pytest.mark.slow
def test_nothing_of_a_machine_and_nothing_unfinished_is_in_the_repository():
    found = []
    for file in project_files():
        try:
            content = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        # tests name what they look for
        patterns = (MACHINE, REGISTRY) if file.parent.name == "tests" else (MACHINE, REGISTRY, UNFINISHED)
        for pattern in patterns:
            found += [f"{file.relative_to(ROOT)}: {match[0]}" for match in re.finditer(pattern, content)]
    assert found == []


def test_no_file_is_large():
    assert [str(file.relative_to(ROOT)) for file in project_files() if file.stat().st_size > 1_000_000] == []


def test_what_builds_make_is_ignored():
    ignored = [
        "book/_build/html/index.html",
        "book/results/01_width.ipynb",
        "book/api/index.md",
        "runs/a/manifest.json",
    ]
    ignored += ["book/_assets/vendor/mathjax/x.js", "tests/_vendor/x.js", "book/screenshots/a.png", ".venv/bin/python"]
    done = subprocess.run(["git", "-C", str(ROOT), "check-ignore", *ignored], capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    assert done.stdout.split() == ignored


def test_workflows_and_profiles_can_be_read():
    yaml = pytest.importorskip("yaml")
    files = [*(ROOT / ".github").rglob("*.yml"), ROOT / "environment.yml", ROOT / "profiles" / "slurm" / "config.yaml"]
    files += [ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"]
    assert all(isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict) for file in files)


@pytest.mark.slow
def test_records_are_small_json_files():
    for file in (ROOT / "records").rglob("*.json"):
        assert file.stat().st_size < 200_000
        json.loads(file.read_text(encoding="utf-8"))


# --- the structure ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_table_of_the_structure_counts_what_is_there():
    structure = module_of(ROOT / "benchmarks" / "structure.py")
    assert structure.in_circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]
    texts = {
        "__init__.py": "get, names = names_on_demand(__name__, {'core': 'one two'})\n",
        "core.py": "import lmcbook\nimport lmcbook.lab.plan\n",
        "lab/plan.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lmcbook.core\n",
    }
    graph = structure.imports(texts)
    assert graph == {"lmcbook": {"lmcbook.core"}, "lmcbook.core": {"lmcbook.lab.plan"}, "lmcbook.lab.plan": set()}
    assert [structure.wing(path, flat=False) for path in texts] == ["core", "core", "lab"]
    assert structure.wing("figures/rows.py", flat=True) == "pages"
    project_files()  # skips where there is no git
    numbers = structure.measure("HEAD")
    assert numbers["modules that import in a circle"] == 0 and numbers["siblings at the top"] <= 19
