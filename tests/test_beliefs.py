"""The chapter that sums up: the chain with its verdicts, what averaging costs, the drawing of two halves."""

import pytest

from lmcbook.pages import claims, figures, sentences
from lmcbook.pages.analysis.summary import COLUMNS, cost_of_averaging, falls_with_width
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.claims.chain import LINKS, chain_table
from lmcbook.pages.figures import chain
from lmcbook.pages.figures.page import FIGURES
from lmcbook.pages.figures.svg import to_svg
from tests.helpers.synthetic_records import layers_sweep, make_record, width_sweep


@pytest.fixture(scope="module")
def records():
    return [*layers_sweep(), *width_sweep()]


@pytest.mark.slow
def test_the_chain_has_the_ledgers_words(records):
    table = chain_table(records)
    assert set(table["network"]) == {"MLP on digits"} and list(table["link"]) == list(LINKS)
    ledger = {
        verdict.claim.statement: verdict for verdict in claims.judge(records) if verdict.claim.recipe == "mlp-digits"
    }
    for row in table.to_dict("records"):
        assert (row["verdict"], row["ours"]) == (ledger[row["claim"]].word, ledger[row["claim"]].ours)
    assert {"reproduced", "not measured"} & set(table["verdict"])


def test_every_link_is_a_claim_of_every_network():
    for recipe in {claim.recipe for claim in claims.CLAIMS}:
        ids = {claim.id for claim in claims.CLAIMS if claim.recipe == recipe}
        for link, names in LINKS.items():
            assert any(f"{name}-{recipe}" in ids for name in names), (recipe, link)


def test_a_network_without_records_is_left_out():
    assert chain_table([]).empty


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_is_small_and_told_in_words(records, narrow):
    table = chain_table(records)
    alt = FIGURES[figures.chain_by_network].alt(table)
    assert all(link in alt for link in LINKS)
    figure = figures.chain_by_network(table, narrow=narrow)
    svg = to_svg(figure, "chain", alt)
    assert len(svg) < 40_000
    assert svg.count("<text") >= len(LINKS)
    looks = [chain._look(word)["marker"] + str(chain._look(word)["markerfacecolor"]) for word in claims.VERDICTS]
    assert len(set(looks)) == len(looks), "told apart without colour"


@pytest.mark.slow
def test_sentences_count_the_verdicts(records):
    said = sentences.chain_finding(records)
    table = chain_table(records)
    assert len(said) == (table["verdict"] != "not measured").sum()
    assert all(sentence.endswith(".") for sentence in said)


def test_what_averaging_costs_is_told_at_both_ends_and_never_across_widths():
    narrow, wide = [make_record(width, depth_of_dip=dip, seeds=(0, 1)) for width, dip in ((1, 0.4), (16, 0.02))]
    matched = make_record(4, depth_of_dip=0.01, alignment="weight_matching")
    [row] = cost_of_averaging([narrow, wide, matched]).to_dict("records")
    assert list(row) == [*COLUMNS] and row["network"] == "MLP on digits"
    assert row["narrowest"].startswith("40.0") and row["narrowest"].endswith("at ×1")
    assert row["widest"].startswith("2.0") and row["widest"].endswith("at ×16")
    assert row["widest after weight matching"].endswith("at ×4"), "another width says so"
    assert row["widest with one bias for each layer"] == "–"


def test_a_pair_with_a_network_that_did_not_train_is_left_out():
    narrow, wide = [make_record(width, depth_of_dip=dip, seeds=(0, 1)) for width, dip in ((1, 0.4), (16, 0.02))]
    dead = make_record(1, depth_of_dip=-0.4, seeds=(2, 3))
    dead.data["curve"]["accuracy"] = [0.55 * value for value in dead.data["curve"]["accuracy"]]
    [row] = cost_of_averaging([narrow, dead, wide]).to_dict("records")
    assert row["narrowest"].startswith("40.0") and "(1)" in row["narrowest"]


def test_one_width_alone_tells_no_fall():
    assert cost_of_averaging([make_record(4)]).empty
    assert sentences.fall_finding([make_record(4)]) == "No network was measured at several widths."


def test_falls_are_counted_not_asserted():
    rising = [make_record(width, depth_of_dip=dip, recipe="vgg11-digits") for width, dip in ((1, 0.1), (4, 0.2))]
    falling = [make_record(width, depth_of_dip=dip) for width, dip in ((1, 0.2), (4, 0.1))]
    assert falls_with_width([*rising, *falling]) == (1, 2)
    matched = make_record(4, depth_of_dip=0.01, alignment="weight_matching")
    assert sentences.fall_finding([*rising, *falling, matched]) == (
        "From the narrowest to the widest, averaging costs less in 1 of 2 of these rows. Weight matching loses less "
        "accuracy than the plain average in 1 of 1 pairs."
    )


@pytest.mark.slow
def test_the_drawing_gives_every_hidden_unit_to_one_network():
    units = figures.disjoint_units()
    hidden = units[units["layer"].isin([1, 2])]
    assert set(hidden["used by"]) == {"a", "b"}
    outer = units[~units["layer"].isin([1, 2])]
    assert set(outer["used by"]) == {"both"}
    figure = figures.two_halves(units)
    counted = [sum(len(lines.get_paths()) for lines in axis.collections) for axis in figure.axes]
    # both networks' weights and no others are in the average
    assert counted[2] == counted[0] + counted[1] > 0
    assert len(to_svg(figure, "halves", "two halves")) < 40_000


def test_what_weight_decay_gains_is_told_with_its_verdict():
    pairs = [
        make_record(4, weight_decay=decay, depth_of_dip=dip, seeds=(seed, seed + 1))
        for decay, dip in ((3e-3, 0.05), (1e-4, 0.15))
        for seed in (0, 2, 4)
    ]
    [said] = sentences.decay_stand(pairs)
    assert said == "MLP on digits: that 3e-3 beats 1e-4 at the widest is reproduced."
    assert numbers_of(said).iloc[0, 1] == "10.0\xa0±\xa00.0 (3) points"
    assert sentences.decay_stand([]) == []


def test_one_weight_decay_alone_is_compared_with_none():
    [said] = sentences.decay_finding([make_record(1, seeds=(seed, seed + 1)) for seed in (0, 2)])
    assert said == "MLP on digits at ×1: measured with weight decay 3e-3 alone."


@pytest.mark.slow
def test_nearly_all_networks_lose_less_at_the_widest_and_not_all(committed_records):
    """As the front page says, and the chapter of the network that does not."""
    records = [record for record in committed_records if not record.outdated]
    falls, counted = falls_with_width(records)
    assert 0.8 * counted <= falls < counted
    on_cifar10 = [record for record in records if record.recipe == "resnet20-cifar10"]
    assert falls_with_width(on_cifar10) == (0, 1)
