"""The ledger: each row names its test and the command that measures it again, and a form asks for what failed."""

from pathlib import Path

import pytest

from lmcbook.lab import plan
from lmcbook.pages import claims
from tests.helpers.synthetic_records import make_record

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_row_has_its_test_and_a_command_that_measures_it():
    records = [make_record(8, seeds=seeds, depth_of_dip=0.1, scale="desk") for seeds in ((0, 1), (2, 3))]
    verdicts = claims.judge(records)
    rows = {row["test"]: row for row in claims.verdict_table(verdicts).to_dict("records")}
    assert list(rows) == [claim.id for claim in claims.CLAIMS]
    row = rows["accuracy-mlp-digits"]
    assert row["command"] == "papermill notebooks/01_width.ipynb out.ipynb -p recipe mlp-digits -p scale desk"
    other = rows["width-mlp-mnist-batches-of-125"]["command"]
    assert other.startswith("papermill notebooks/13_batch_size.ipynb"), "the chapter that trains with other batches"
    # what nobody measured is measured at the scale that has everything
    assert rows["table-1-loss-vgg11-cifar10"]["command"].endswith("-p recipe vgg11-cifar10 -p scale paper")


@pytest.mark.slow
def test_every_command_names_a_notebook_that_takes_a_recipe_and_a_scale():
    for verdict in claims.judge([]):
        words = verdict.command.split()
        notebook = (ROOT / words[1]).read_text(encoding="utf-8")
        assert '"recipe: str = None' in notebook.replace("\\n", "") and words[-1] in plan.SCALES


def test_the_form_asks_for_what_a_second_measurement_needs():
    yaml = pytest.importorskip("yaml")
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "claim_failed.yml").read_text(encoding="utf-8"))
    asked = {each["id"]: each for each in form["body"] if "id" in each}
    needed = {name for name, each in asked.items() if each.get("validations", {}).get("required")}
    assert needed == {"test", "measured", "command", "records"}
    assert asked["test"]["attributes"]["placeholder"] in {claim.id for claim in claims.CLAIMS}
