"""The file of claims: what it holds is what was written before the records, and what it may not hold."""

import hashlib
import json
import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from lmcbook.errors import InputError
from lmcbook.pages.claims import CLAIMS, read_claims

TEXT = files("lmcbook.pages.claims").joinpath("claims.toml").read_text(encoding="utf-8")


OTHER_BATCHES = [claim for claim in CLAIMS if "-batches-of-" in claim.id]
WRITTEN = [claim for claim in CLAIMS if claim not in OTHER_BATCHES]


def test_other_batches_are_judged_by_the_same_tolerances():
    own = {claim.id: claim for claim in WRITTEN}
    assert {claim.recipe for claim in OTHER_BATCHES} == {
        "mlp-mnist",
        "mlp-fashion_mnist",
        "vgg11-cifar10",
        "resnet20-cifar10",
    }
    for claim in OTHER_BATCHES:
        name, _, size = claim.id.partition("-batches-of-")
        assert claim == replace(own[name], id=claim.id, batch_size=int(size)) and own[name].batch_size == 500


def test_what_decides_the_verdicts_is_what_it_was():
    """Tolerances are not moved after the records: a change of this number needs a reason in the commit's message."""
    decides = [
        [
            *(claim.id, claim.statistic, sorted(claim.arguments.items()), str(claim.layers), claim.pooled),
            *(float(bound) for allowed in (claim.reproduced, claim.partly) for bound in (allowed.low, allowed.high)),
        ]
        for claim in WRITTEN
    ]
    assert len(WRITTEN) == 267
    assert (
        hashlib.sha256(json.dumps(decides).encode()).hexdigest()
        == "0679d3d037bdfb4a6edc9bbd5ab201dc5f1eb0752ff621f0fab378af97d0af32"
    )


@pytest.mark.slow
def test_a_changed_tolerance_is_one_line():
    changed = TEXT.replace("reproduced = { high = 0.25 }", "reproduced = { high = 0.26 }")
    before, after = ({claim.id: claim for claim in read_claims(text)[0]} for text in (TEXT, changed))
    assert {id for id in before if before[id] != after[id]} == {id for id in before if id.startswith("width-")}
    assert sum(old != new for old, new in zip(TEXT.splitlines(), changed.splitlines(), strict=True)) == 1


CLAIM = {
    "id": "falls",
    "statement": "The barrier falls.",
    "source": "Fig. 1",
    "recipes": ["mlp-digits"],
    "statistic": "remaining_share",
    "chapter": "01_width",
    "reproduced": {"high": 0.25},
    "partly": {"high": 0.75},
}


def file_of(*claims):
    """A file of one section with these claims."""

    def written(value):
        if isinstance(value, dict):
            return f"{{ {', '.join(f'{key} = {written(inner)}' for key, inner in value.items())} }}"
        return json.dumps(value)

    text = '[[section]]\nrecipes = ["mlp-digits", "vgg11-digits"]\n'
    for claim in claims:
        text += "[[section.claim]]\n" + "".join(f"{key} = {written(value)}\n" for key, value in claim.items())
    assert tomllib.loads(text)
    return text


def test_a_claim_takes_from_its_section_what_it_does_not_say():
    alone = {key: value for key, value in CLAIM.items() if key != "recipes"}
    assert [claim.id for claim in read_claims(file_of(alone))[0]] == ["falls-mlp-digits", "falls-vgg11-digits"]
    assert [claim.id for claim in read_claims(file_of(CLAIM))[0]] == ["falls-mlp-digits"]


def test_all_claims_on_one_recipe_come_before_those_on_the_next():
    both = [{key: value for key, value in CLAIM.items() if key != "recipes"} | {"id": name} for name in ("p", "q")]
    found = [claim.id for claim in read_claims(file_of(*both))[0]]
    assert found == ["p-mlp-digits", "q-mlp-digits", "p-vgg11-digits", "q-vgg11-digits"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tolerance": 1}, "a key is 'tolerance'; it may be one of: id, statement, "),
        ({"statistic": "fall"}, "statistic is 'fall'; it may be one of: remaining_share, rise, "),
        ({"arguments": {"weak": 0.0}}, "an argument of remaining_share is 'weak'; it may be one of: column, weight_"),
        ({"statistic": "rise"}, "rise needs the argument 'column'; give it in arguments"),
        ({"arguments": {"column": "bariers"}}, "column is 'bariers'; it may be one of: dataset, "),
        ({"recipes": ["mlp-digit"]}, "recipe is 'mlp-digit': dataset is 'digit'; it may be one of: "),
        ({"recipes": "everything"}, "recipes is 'everything'; it may be a list of recipes or one of: "),
        ({"recipes": ["resnet20-digits"]}, "a recipe of this claim is 'resnet20-digits'; it may be one of: mlp-digits"),
        ({"chapter": "01"}, "chapter is '01'; it may be one of: 01_width, "),
        (
            {"reproduced": {"high": 0.8}},
            "reproduced is {'high': 0.8} and partly is {'high': 0.75}; reproduced must lie",
        ),
        ({"partly": {"high": 0.25}}, "reproduced is {'high': 0.25} and partly is {'high': 0.25}; reproduced must lie"),
        ({"reproduced": {"most": 0.1}}, "a bound of reproduced is 'most'; it may be one of: low, high"),
        ({"reproduced": {"high": "0.1"}}, "reproduced.high is '0.1'; it must be a number"),
        ({"reproduced": 0.1}, "reproduced is 0.1; it must be a table"),
        ({"digits": "2"}, "digits is '2'; it must be a whole number"),
        ({"layers": "most"}, "layers is 'most'; it must be a whole number, own or all"),
        ({"table_1": "accuracy_barrier"}, "a recipe with table_1 is 'mlp-digits'; it may be one of: "),
    ],
)
def test_what_a_claim_may_not_be_is_said_in_one_line_that_names_it(change, says):
    with pytest.raises(InputError) as failed:
        read_claims(file_of(CLAIM | change))
    assert str(failed.value).startswith(f"claim 'falls': {says}") and "\n" not in str(failed.value)


def test_a_claim_without_what_it_needs_is_refused():
    without = {key: value for key, value in CLAIM.items() if key != "statement"}
    with pytest.raises(InputError, match="claim 'falls': statement must be given; a claim needs id, statement, "):
        read_claims(file_of(without))


def test_an_id_is_given_once():
    with pytest.raises(InputError, match="claim 'falls': the id is given twice on mlp-digits"):
        read_claims(file_of(CLAIM, CLAIM))


def test_a_file_that_is_no_toml_and_a_row_of_table_1_that_lacks_a_number_are_refused():
    with pytest.raises(InputError, match="the file of claims is no TOML: "):
        read_claims("[[section")
    with pytest.raises(
        InputError, match="row 'mlp-mnist' of table-1 has width_multiplier; it needs width_multiplier, "
    ):
        read_claims("[table-1.mlp-mnist]\nwidth_multiplier = 16\n")
