"""`make trial` types what the pages tell to type: nothing that they name is without a rule, and no rule without use."""

import re
import shlex
import sys

import pytest

from lmcbook.__main__ import _parser
from lmcbook.pages import notebooks, parameters
from tests import trial
from tests.helpers.chapters import ROOT
from tests.helpers.command_lines import as_papermill_reads

COMMANDS = sorted({each for page in trial.PAGES for each in trial.documented((ROOT / page).read_text("utf-8"))})


def rule_of(command: str) -> trial.Rule:
    rule = trial.rule_of(command)
    assert rule is not None, command
    return rule


def test_every_command_of_the_pages_has_a_rule_and_every_rule_a_command():
    assert len(COMMANDS) > 40
    assert [command for command in COMMANDS if trial.rule_of(command) is None] == []
    assert [rule.pattern for rule in trial.RULES if rule not in {trial.rule_of(each) for each in COMMANDS}] == []
    typed = [command for command in COMMANDS if not rule_of(command).why_not]
    for program in ("pip", "jupyter-book", "papermill", "lmcbook connect", "python -m lmcbook"):
        assert any(command.startswith(program) for command in typed)


@pytest.mark.parametrize("command", [each for each in COMMANDS if re.search("lmcbook |papermill ", each)])
def test_what_is_typed_at_a_reduced_size_is_understood(command, capsys):
    rule = rule_of(command)
    if rule.why_not or not re.match(trial.LMCBOOK + "|papermill ", command):
        return
    words = shlex.split(rule.typed(command))
    if words[0] == "papermill":
        given = as_papermill_reads(words[3:])
        source = ROOT / words[1]
        assert given.keys() <= notebooks.declared_parameters(source).keys()
        if "flowers" not in command:
            parameters.check(source.stem, notebooks.declared_parameters(source) | given)
        return
    try:
        _parser().parse_args(words[words.index("lmcbook") + 1 :])
    except SystemExit as stop:
        assert stop.code == 0, capsys.readouterr().err


def test_commands_are_found_where_pages_have_them():
    page = """make is a program.
Type `pip install x` and `LMCBOOK_SHARD=a torchrun b`, or `plan`:

    make book     # installs

```python
python = make
```
`````{tab-set}
````{tab-item} pip
```bash
  papermill a.ipynb b.ipynb -y "seeds: [0, 1]"
cd x
```
````
````{tab-item} conda
```text
make nothing
```
````
`````
And `sky y`.
"""
    assert trial.documented(page) == [
        "pip install x",
        "LMCBOOK_SHARD=a torchrun b",
        "make book",
        'papermill a.ipynb b.ipynb -y "seeds: [0, 1]"',
        "sky y",
    ]
    assert trial.rule_of("rm -rf x") is None


def test_a_trial_tells_what_failed(tmp_path, capsys, monkeypatch):
    (tmp_path / "lmcbook").mkdir()
    (tmp_path / "lmcbook" / "page.md").write_text("    lmcbook --help\n    sky x\n    make book\n    make of it\n")
    one = trial.Trial(tmp_path)
    one.type("good", "true")
    one.type("three", "exit 3")
    one.type("three is right", "exit 3", (0, 3))
    one.type("raw", f"{sys.executable} -c 'print(\"Traceback (most recent call last)\")'")
    assert one.failed == ["three", "raw"] and (tmp_path / "log.txt").read_text().count("\n$ ") == 3
    typed = []
    monkeypatch.setattr(one, "type", lambda told, line, codes=(0,): typed.append(told))
    for _ in range(2):  # as of two pages that tell the same
        one.follow("page.md", "^(?!make of)")
        (tmp_path / "lmcbook" / "b.pt").touch()
    assert typed == ["what the pages take for granted", "lmcbook --help"]
    assert "sky x: it wants a cluster" in capsys.readouterr().out
