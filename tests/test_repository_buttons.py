"""Tests of the buttons that open a notebook elsewhere: off without an address, and with one on a notebook that runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.helpers.loaded import module_of

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/owner/name"


@pytest.fixture(scope="module")
def colab() -> ModuleType:
    return module_of(ROOT / "book" / "colab_notebooks.py")


def buttons(page: str, url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The theme's options and the buttons of ``page`` in a book whose repository is at ``url``."""
    extension = module_of(ROOT / "book" / "_extensions" / "repository_buttons.py")
    options: dict[str, Any] = {"repository_url": url, "repository_branch": "main"}
    app = SimpleNamespace(srcdir=str(ROOT / "book"), config=SimpleNamespace(html_theme_options=options))
    context: dict[str, Any] = {"header_buttons": []}
    extension.configure(app, app.config)
    extension.add_launch_buttons(app, page, "page.html", context, None)
    return options, context["header_buttons"]


def addresses(page: str, url: str) -> dict[str, str]:
    """Where the launch buttons of ``page`` lead."""
    _, groups = buttons(page, url)
    return {button["text"]: button["url"] for group in groups for button in group["buttons"]}


@pytest.mark.parametrize("page", ["results/01_width", "results/12_explorers", "background"])
def test_without_an_address_there_is_no_button(page):
    options, found = buttons(page, "")
    assert found == []
    assert "use_repository_button" not in options and "use_issues_button" not in options


def test_the_address_in_the_configuration_is_not_invented():
    yaml = pytest.importorskip("yaml")
    settings = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))["repository"]
    assert settings["url"] == "" or re.fullmatch(r"https://\S+/\S+/\S+", settings["url"])


def test_with_an_address_an_executed_page_opens_its_notebook_on_binder_and_colab():
    options, [group] = buttons("results/01_width", ADDRESS)
    assert options["use_repository_button"] is True and options["use_issues_button"] is True
    assert group["type"] == "group" and all(button["type"] == "link" for button in group["buttons"])
    found = addresses("results/01_width", ADDRESS)
    assert found == {
        "Binder": "https://mybinder.org/v2/git/https%3A%2F%2Fgithub.com%2Fowner%2Fname/main"
        "?urlpath=lab%2Ftree%2Fnotebooks%2F01_width.ipynb",
        "Colab": "https://colab.research.google.com/github/owner/name/blob/colab/01_width.ipynb",
    }
    assert buttons("background", ADDRESS)[1] == []


def test_colab_is_offered_only_where_it_can_open_and_run_the_notebook():
    assert set(addresses("results/12_explorers", ADDRESS)) == {"Binder"}
    assert set(addresses("results/01_width", "https://gitlab.com/owner/name")) == {"Binder"}


@pytest.mark.parametrize("url", [ADDRESS, ADDRESS + "/", ADDRESS + ".git"])
def test_addresses_of_one_repository_may_be_written_in_several_ways(colab, url):
    assert colab.address(url, "04_lewc") == f"{colab.address(ADDRESS, '04_lewc')}"


def test_a_notebook_for_colab_installs_first_and_is_the_same_from_there_on(colab, tmp_path):
    written = colab.write(tmp_path / "colab", ADDRESS, "main")
    names = {path.stem for path in written}
    assert names == {source.stem for source in (ROOT / "notebooks").glob("*.ipynb")} - {"12_explorers"}
    for path in written:
        made, source = (json.loads(each.read_text(encoding="utf-8")) for each in (path, ROOT / "notebooks" / path.name))
        first, *others = made["cells"]
        assert others == source["cells"] and made["metadata"] == source["metadata"]
        assert first["cell_type"] == "code" and f"--branch main {ADDRESS} " in "".join(first["source"])


def test_without_an_address_no_notebook_is_written_for_colab(colab, tmp_path):
    assert colab.write(tmp_path / "colab", "", "main") == []
    assert not (tmp_path / "colab").exists()


def test_the_first_cell_is_code_that_a_notebook_understands(colab):
    transform = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager().transform_cell
    [first, *_] = colab.with_installation({"cells": []}, ADDRESS, "main")["cells"]
    code = transform("".join(first["source"]))
    compile(code, "first cell", "exec")
    assert code.count("get_ipython()") == 3


@pytest.mark.slow
def test_after_the_first_cell_the_checkout_is_where_the_notebook_looks(colab, tmp_path):
    """The cell as IPython runs it, with a repository on this disk, and without pip: what it installs is here."""
    pytest.importorskip("IPython")
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--abbrev-ref", "HEAD"], capture_output=True, text=True)
    if done.returncode != 0 or done.stdout.strip() == "HEAD":
        pytest.skip("not on a branch of a git checkout")
    [first] = colab.with_installation({"cells": []}, ROOT.as_uri(), done.stdout.strip())["cells"]
    code = (
        "".join(first["source"]).replace("/content", str(tmp_path)).replace("%pip install --quiet . pandas seaborn", "")
    )
    script = tmp_path / "notebook.ipy"
    script.write_text(f"{code}\nfrom lmcbook.lab import paths\nprint(paths.checkout(), paths.committed_records())\n")
    without_folders = {name: value for name, value in os.environ.items() if not name.startswith("LMCBOOK_")}
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=without_folders)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "checkout"), str(tmp_path / "checkout" / "records")]


def test_binder_installs_the_versions_of_the_lock_and_jupyter_finds_the_widgets():
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M))
    pinned = {each.name: str(each.specifier) for each in wanted if each.name.startswith("torch")}
    assert pinned == {name: f"=={locked[name]}+cpu" for name in ("torch", "torchvision")}
    assert "-e ." in lines and "ipywidgets" in {each.name for each in wanted}
