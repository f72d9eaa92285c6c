"""Claims: statistics against hand-made barriers, verdicts at their bounds, sentences whose numbers are computed."""

import math
import re
from dataclasses import replace
from functools import cache

import pytest
from pandas import DataFrame

from lmcbook.lab import plan
from lmcbook.lab.records import pairs_table
from lmcbook.pages import claims, sentences
from lmcbook.pages.analysis.intervals import Interval, mean_interval
from lmcbook.pages.analysis.temperatures import rank_correlations, temperature_error_table
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.claims import CLAIMS, PAPER_TABLE_1, STATISTICS, Claim, Range
from lmcbook.pages.claims.statistics import seen_by
from tests.helpers.control_records import (
    STARTS,
    decay_sweep,
    flatness_sweep,
    penalty_sweep,
    start_sweep,
)
from tests.helpers.one_network_records import told_records
from tests.helpers.repair_records import repair_sweep
from tests.helpers.synthetic_records import layers_sweep, make_record, width_sweep, with_batch_norm


def pair_of_widths(narrow=(0.4, 0.5, 0.6), wide=(0.05, 0.1, 0.15), **options):
    """Records of three pairs at ×1 and ×8 with these accuracy barriers."""
    return [
        make_record(width, seeds=(2 * index, 2 * index + 1), depth_of_dip=dip, **options)
        for width, dips in ((1, narrow), (8, wide))
        for index, dip in enumerate(dips)
    ]


def statistic(name, records, **arguments):
    return STATISTICS[name](pairs_table(records), **arguments).values


@cache
def everything_of(recipe: str):
    """Records of two pairs of a recipe, of every alignment and measurement."""
    return width_sweep(recipe, (1, 16, 32), pairs=2) + layers_sweep(recipe, (1, 16, 32), pairs=2)


def with_batches(records, factor):
    """The same records, of batches this much as large."""
    trainings = [
        replace(each.config.training, batch_size=int(each.config.training.batch_size * factor)) for each in records
    ]
    configs = [replace(each.config, training=one) for each, one in zip(records, trainings, strict=True)]
    return [replace(each, config=one, digest=one.digest) for each, one in zip(records, configs, strict=True)]


def test_batches_are_compared_in_the_same_pair_at_the_widest_that_has_both():
    usual = pair_of_widths(wide=(0.2, 0.3, 0.25), recipe="mlp-mnist")
    small = with_batches(pair_of_widths(wide=(0.05, 0.06, 0.07), recipe="mlp-mnist"), 0.25)
    wider = with_batches([make_record(16, recipe="mlp-mnist", depth_of_dip=0.01)], 0.25)
    assert statistic("batch_cost", [*usual, *small, *wider], factor=0.25) == pytest.approx([0.15, 0.24, 0.18])
    assert statistic("batch_cost", usual, factor=0.25) == []
    [claim] = [claim for claim in CLAIMS if claim.id == "batch-cost-mlp-mnist"]
    [verdict] = claims.judge([*usual, *small], [claim])
    assert len(verdict.values) == 3 and verdict.interval.low > 0.01 and verdict.word == "reproduced"


def test_matching_costs_what_it_loses_more_than_the_pair_as_it_is():
    records = pair_of_widths(wide=(0.01, 0.02, 0.03))
    matched = [
        make_record(8, seeds=(2 * index, 2 * index + 1), alignment="weight_matching", depth_of_dip=0.07)
        for index in range(3)
    ]
    assert statistic("matching_cost", [*records, *matched]) == pytest.approx([0.06, 0.05, 0.04])
    assert statistic("matching_cost", records) == []


def test_one_sentence_says_whether_matching_beats_the_plain_average_everywhere():
    records = [
        *pair_of_widths(narrow=(0.4, 0.5, 0.6), wide=(0.05, 0.1, 0.15)),
        *pair_of_widths(narrow=(0.1, 0.1, 0.1), wide=(0.01, 0.01, 0.01), alignment="weight_matching"),
    ]
    said = sentences.plain_against_matched(records)
    assert said == (
        "In everything measured here, weight matching beats the plain average: in 6 of 6 pairs. The table has the "
        "points of accuracy that it saves, on average."
    )
    assert numbers_of(said).to_numpy().tolist() == [
        ["MLP on digits", "×1", "40.0"],
        ["MLP on digits", "×8", "9.0"],
    ]
    worse = make_record(16, depth_of_dip=0.01), make_record(16, depth_of_dip=0.05, alignment="weight_matching")
    said = sentences.plain_against_matched([*records, *worse])
    assert said.startswith("In most of what is measured here") and "in 6 of 7 pairs; in 1 it does not." in said
    assert sentences.plain_against_matched([]) == "No pair was merged both ways."


def test_remaining_share_is_each_widest_over_the_mean_narrowest():
    assert statistic("remaining_share", pair_of_widths()) == pytest.approx([0.1, 0.2, 0.3])
    assert statistic("remaining_share", [make_record(1)]) == [], "one width shows no fall"
    assert statistic("remaining_share", pair_of_widths(narrow=(-0.01,) * 3)) == [], "nothing that could fall"


def test_barrier_is_that_of_the_width_asked_for():
    records = pair_of_widths()
    assert statistic("barrier", records) == pytest.approx([0.05, 0.1, 0.15])
    assert statistic("barrier", records, width_multiplier=1.0) == pytest.approx([0.4, 0.5, 0.6])
    assert statistic("barrier", records, width_multiplier=16.0) == []
    loss = statistic("barrier", records, column="midpoint_calibrated_loss_barrier")
    assert loss == pytest.approx([0.075, 0.15, 0.225])


def test_differences_are_of_the_same_seeds_at_the_widest_both_have():
    strong = pair_of_widths()
    weak = [
        make_record(8, seeds=(0, 1), weight_decay=1e-4, depth_of_dip=0.3),
        make_record(8, seeds=(6, 7), weight_decay=1e-4, depth_of_dip=0.9),
        make_record(1, seeds=(2, 3), weight_decay=1e-4, depth_of_dip=0.7),
    ]
    assert statistic("decay_advantage", strong + weak) == pytest.approx([0.25])
    assert statistic("decay_advantage", strong) == []
    permuted = [make_record(8, seeds=(2, 3), alignment="random", depth_of_dip=0.12)]
    assert statistic("permutation_effect", strong + permuted) == pytest.approx([0.02])


def test_calibration_share_ensemble_gap_and_temperature_error():
    record = make_record(8, depth_of_dip=0.1)
    barriers = record.data["barriers"]
    share = 1 - barriers["midpoint_calibrated_loss_barrier"] / barriers["midpoint_loss_barrier"]
    assert statistic("calibration_share", [make_record(1), record]) == pytest.approx([share])
    assert statistic("ensemble_gap", [record]) == pytest.approx([0.965 - (0.96 - 0.1)])
    # 1 + 6·0.9 = 6.4 is fitted, 8·1.1 = 8.8 predicted
    assert 2 ** statistic("temperature_error", [record])[0] == pytest.approx(6.4 / 8.8)


ACCURACY_CLAIM = next(claim for claim in CLAIMS if claim.id == "accuracy-mlp-digits")
"""At most 2 points: reproduced. At most 10: partly."""
NO_CHANGE = next(claim for claim in CLAIMS if claim.id == "random-permutation-mlp-digits")
"""Between −2 and 2 points: reproduced. Between −5 and 5: partly."""


@pytest.mark.parametrize(
    ("claim", "low", "high", "word"),
    [
        (ACCURACY_CLAIM, -0.01, 0.02, "reproduced"),
        (ACCURACY_CLAIM, -0.01, 0.0201, "undecided"),
        (ACCURACY_CLAIM, 0.02, 0.05, "undecided"),
        (ACCURACY_CLAIM, 0.0201, 0.1, "partly"),
        (ACCURACY_CLAIM, 0.0201, 0.1001, "undecided"),
        (ACCURACY_CLAIM, 0.1001, 0.2, "not reproduced"),
        (ACCURACY_CLAIM, -1, 1, "undecided"),
        (NO_CHANGE, -0.02, 0.02, "reproduced"),
        (NO_CHANGE, -0.021, 0.02, "undecided"),
        (NO_CHANGE, 0.03, 0.05, "partly"),
        (NO_CHANGE, -0.05, -0.03, "partly"),
        (NO_CHANGE, -0.03, 0.03, "undecided"),
        (NO_CHANGE, -0.08, -0.06, "not reproduced"),
        (NO_CHANGE, 0.06, 0.08, "not reproduced"),
        (NO_CHANGE, -0.08, 0.08, "undecided"),
    ],
)
def test_a_verdict_is_given_where_the_whole_interval_lies_on_one_side_of_every_bound(claim, low, high, word):
    verdict = claims.Verdict(claim=claim, values=(low, high), interval=Interval(low, high))
    assert verdict.word == word
    assert (len(verdict.possible) > 1) == (word == "undecided")


def test_the_words_that_are_left_open_are_told():
    between = claims.Verdict(claim=ACCURACY_CLAIM, values=(0.0, 0.05), interval=Interval(-0.01, 0.05))
    assert between.possible == ("reproduced", "partly")
    assert claims.Verdict(claim=ACCURACY_CLAIM, values=(0.0,)).possible == ("reproduced", "partly", "not reproduced")


def test_eight_points_plus_minus_ten_in_three_pairs_do_not_show_one_point():
    """The mean, 8.3, is far above the tolerance of 1; t with two degrees of freedom makes it −17 to 34."""
    claim = next(claim for claim in CLAIMS if claim.id == "no-weight-decay-resnet20-digits")
    assert claim.reproduced == Range(low=0.01)
    values = (0.083 - 0.103, 0.083, 0.083 + 0.103)
    verdict = claims.Verdict(claim=claim, values=values, interval=mean_interval(values))
    assert verdict.mean is not None and verdict.mean in claim.reproduced and verdict.word == "undecided"
    assert verdict.ours.replace("\u00a0", " ") == "8.3 ± 10.3 (3) points" and verdict.reach == "−17.3 to 33.9"


def test_a_single_pair_decides_nothing_however_good_it_is():
    [verdict] = claims.judge([make_record(8, depth_of_dip=0.0)], [ACCURACY_CLAIM])
    assert verdict.values == pytest.approx((0.0,)) and verdict.word == "undecided"
    assert verdict.reach == "one pair has none"


def test_a_mean_of_no_change_is_no_proof_of_no_change():
    ordinary = pair_of_widths(wide=(0.05, 0.1, 0.15))
    permuted = [
        make_record(8, seeds=(2 * index, 2 * index + 1), alignment="random", depth_of_dip=dip)
        for index, dip in enumerate((0.08, 0.07, 0.15))
    ]
    [verdict] = claims.judge([*ordinary, *permuted], [NO_CHANGE])
    assert verdict.mean == pytest.approx(0.0) and verdict.word == "undecided"


def test_all_pairs_decide_not_the_best():
    [verdict] = claims.judge(pair_of_widths(wide=(-0.2, 0.1, 0.37)), [ACCURACY_CLAIM])
    assert verdict.mean == pytest.approx(0.09) and len(verdict.values) == 3 and verdict.word == "undecided"
    [verdict] = claims.judge(pair_of_widths(wide=(0.05, 0.06, 0.07)), [ACCURACY_CLAIM])
    assert verdict.word == "partly"


def test_what_is_not_known_of_the_narrowest_counts_too():
    width = next(claim for claim in CLAIMS if claim.id == "width-mlp-digits")
    [known] = claims.judge(pair_of_widths(narrow=(0.5, 0.5, 0.5), wide=(0.1, 0.1, 0.11)), [width])
    [unknown] = claims.judge(pair_of_widths(narrow=(0.2, 0.5, 0.8), wide=(0.1, 0.1, 0.11)), [width])
    assert known.mean == pytest.approx(unknown.mean)
    assert (known.word, unknown.word) == ("reproduced", "undecided")


def test_a_claim_of_the_paper_is_judged_with_each_batch_size_by_its_own_pairs():
    def pairs(dips, size):
        made = [
            make_record(8, seeds=(2 * index, 2 * index + 1), recipe="mlp-fashion_mnist", depth_of_dip=dip)
            for index, dip in enumerate(dips)
        ]
        trainings = [replace(record.config.training, batch_size=size) for record in made]
        configs = [replace(record.config, training=each) for record, each in zip(made, trainings, strict=True)]
        return [replace(record, config=config, digest="") for record, config in zip(made, configs, strict=True)]

    records = [*pairs((0.19, 0.2, 0.21), 500), *pairs((0.005, 0.006, 0.007), 125), *pairs((0.9, 0.9, 0.9), 62)]
    asked = [claim for claim in CLAIMS if claim.id.startswith("accuracy-mlp-fashion_mnist")]
    earlier, usual = claims.judge([replace(each, digest=each.config.digest) for each in records], asked)
    assert (earlier.word, usual.word) == ("not reproduced", "reproduced")
    assert len(earlier.values) == len(usual.values) == 3
    assert [each.claim.network for each in (earlier, usual)] == [
        "MLP on Fashion-MNIST, batches of 500",
        "MLP on Fashion-MNIST, batches of 125",
    ]
    ours = [claim for claim in CLAIMS if claim.id.startswith("matching-gain-mlp-mnist")]
    assert [claim.network for claim in ours] == ["MLP on MNIST, batches of 500"], "our own questions are asked once"


@pytest.mark.slow
def test_verdicts_are_counted_by_whose_claim_it_is_and_on_which_data():
    groups = {claim.id: claim.group for claim in CLAIMS}
    earlier, usual = claims.GROUPS[:2]
    assert groups["table-1-accuracy-mlp-mnist"] == groups["width-resnet20-cifar10"] == earlier
    assert groups["table-1-accuracy-mlp-mnist-batches-of-125"] == usual
    assert groups["temperature-mlp-digits"] == "digits"
    assert groups["no-weight-decay-mlp-digits"] == "digits", "it is the paper's, and reviewers asked as well"
    assert groups["matching-gain-mlp-mnist"] == groups["untrained-mlp-digits"] == "our own questions"
    verdicts = claims.judge(everything_of("mlp-digits"))
    table = claims.count_table(verdicts).set_index("claims").to_dict("index")
    assert list(table) == [*claims.GROUPS, "all"]
    assert table["all"] == {name: sum(table[group][name] for group in claims.GROUPS) for name in table["all"]}
    assert table["all"]["in all"] == len(CLAIMS)
    assert all(table[group]["not measured"] == table[group]["in all"] for group in (earlier, usual))


def test_verdicts_on_one_statement_stand_side_by_side():
    [first, other, *_] = {claim.statement: claim for claim in CLAIMS}.values()
    mixed = [replace(first, id="1"), replace(other, id="2"), replace(first, id="3"), replace(other, id="4")]
    verdicts = claims.by_statement(claims.judge([], mixed))
    assert [verdict.claim.id for verdict in verdicts] == ["1", "3", "2", "4"]
    again = claims.by_statement(reversed(verdicts))
    assert [verdict.claim.id for verdict in again] == ["4", "2", "3", "1"]


@pytest.mark.slow
def test_without_records_nothing_is_judged():
    verdicts = claims.judge([])
    assert {verdict.word for verdict in verdicts} == {"not measured"} and len(verdicts) == len(CLAIMS)
    assert claims.count(verdicts) == dict.fromkeys(claims.VERDICTS, 0) | {"not measured": len(CLAIMS)}


def test_the_tables_of_the_paper_are_claims_with_their_numbers():
    values = {claim.id: claim.paper_value for claim in CLAIMS if claim.source == "Table 1"}
    assert values == {
        "table-1-accuracy-mlp-mnist": 0.00519,
        "table-1-accuracy-mlp-mnist-batches-of-125": 0.00519,
        "table-1-loss-mlp-mnist": 0.013,
        "table-1-loss-mlp-mnist-batches-of-125": 0.013,
        "table-1-accuracy-vgg11-cifar10": 0.01308,
        "table-1-accuracy-vgg11-cifar10-batches-of-125": 0.01308,
        "table-1-loss-vgg11-cifar10": 0.066,
        "table-1-loss-vgg11-cifar10-batches-of-125": 0.066,
        "table-1-accuracy-resnet20-cifar10": 0.02694,
        "table-1-accuracy-resnet20-cifar10-batches-of-125": 0.02694,
        "table-1-loss-resnet20-cifar10": 0.087,
        "table-1-loss-resnet20-cifar10-batches-of-125": 0.087,
        "table-1-matched-accuracy-mlp-mnist": -0.00027,
        "table-1-matched-accuracy-mlp-mnist-batches-of-125": -0.00027,
        "table-1-matched-loss-mlp-mnist": -0.003,
        "table-1-matched-loss-mlp-mnist-batches-of-125": -0.003,
        "table-1-matched-accuracy-vgg11-cifar10": 0.07,
        "table-1-matched-accuracy-vgg11-cifar10-batches-of-125": 0.07,
        "table-1-matched-loss-vgg11-cifar10": 0.177,
        "table-1-matched-loss-vgg11-cifar10-batches-of-125": 0.177,
        "table-1-matched-accuracy-resnet20-cifar10": 0.05135,
        "table-1-matched-accuracy-resnet20-cifar10-batches-of-125": 0.05135,
        "table-1-matched-loss-resnet20-cifar10": 0.173,
        "table-1-matched-loss-resnet20-cifar10-batches-of-125": 0.173,
    }
    assert [row.width_multiplier for row in PAPER_TABLE_1] == [16, 16, 32]


@cache
def synthetic_pairs(chapter: str, name: str) -> DataFrame:
    """Pairs of what a chapter's claims need, of one recipe."""
    of_chapter = {
        "08_weight_decay": lambda: [*decay_sweep(name), *penalty_sweep(name, width=8.0)],
        "09_flatness": lambda: flatness_sweep(name),
        "14_common_mode": lambda: repair_sweep(name, pairs=2),
        "10_same_start": lambda: start_sweep(name, kinds=(*STARTS, ("start", 0.2))),
        "13_batch_size": lambda: [*everything_of(name), *with_batches(everything_of(name), 0.25)],
        "16_one_network": lambda: [
            record for seeds in ((0, 1), (2, 3)) for record in told_records(recipe=name, seeds=seeds)
        ],
    }
    return pairs_table(of_chapter.get(chapter, lambda: everything_of(name))())


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_is_sound(claim: Claim):
    assert claim.statistic in STATISTICS and claim.statement.endswith(".")
    assert plan.recipe(claim.recipe).name == claim.recipe
    assert claim.partly.low <= claim.reproduced.low and claim.reproduced.high <= claim.partly.high
    assert claim.reproduced != claim.partly and claim.reproduced != Range(), "the verdict could not fail"
    if claim.paper_value is not None:
        assert claim.paper_value in claim.reproduced, "the paper's own number would not pass"
    assert claim.chapter in plan.EXPERIMENTS
    table = synthetic_pairs(claim.chapter, claim.recipe)
    if claim.statistic != "batch_cost":
        table = table.assign(batch_size=claim.batch_size or table["batch_size"])
    values = seen_by(claim, table).values
    assert len(values) == (1 if claim.pooled else 2)


@pytest.mark.slow
def test_a_shortened_training_is_said():
    table = claims.verdict_table(claims.judge(pair_of_widths(short=True)))
    assert set(table[table["verdict"] != "not measured"]["scale"]) == {
        "embedded, at ×8 of ×32, shortened training",
        "embedded, ×1 to ×8 of ×32, shortened training",
    }


def test_a_trial_of_a_few_epochs_is_not_judged_whatever_comes_out():
    """Two epochs that would pass, and would fail, are neither; they count only where nothing longer is there."""
    claim = next(claim for claim in CLAIMS if claim.id == "accuracy-mlp-digits")
    own = plan.recipe("mlp-digits").training.epochs
    for wide in ((0.9, 0.9, 0.9), (0.0, 0.0, 0.0)):
        short = pair_of_widths(wide=wide, short=True)
        trial = [replace(one, config=trained_for(one.config, 2), digest="") for one in short]
        [verdict] = claims.judge(trial, [claim])
        assert verdict.word == "not judged" and verdict.said == f"not judged: 2 epochs of {own}"
        assert verdict.possible == () and claims.count([verdict])["not judged"] == 1
        assert list(claims.verdict_table([verdict])["verdict"]) == [verdict.said]
        assert (
            f"– not judged: 2 epochs of {own}".replace("– ", "–\u00a0") in claims.verdict_matrix([verdict]).to_numpy()
        )
        assert claims.verdict_sentence([verdict]).endswith("1 not judged. In brackets the number of pairs")
        long_enough = [replace(one, config=trained_for(one.config, own - 1), digest="") for one in short]
        [longer] = claims.judge([*trial, *long_enough], [claim])
        assert longer.word != "not judged" and longer.short
    assert "not judged" not in claims.count(claims.judge(pair_of_widths(), [claim]))


def trained_for(config, epochs):
    return replace(config, training=replace(config.training, warmup_epochs=0.0, epochs=epochs))


def test_statistics_take_other_columns_too():
    records = everything_of("mlp-digits")
    table = pairs_table([record for record in records if record.config.training.num_layers == 4])
    rows = table[(table["alignment"] == "identity") & (table["weight_decay"] == 3e-3)]
    wide, narrow = (rows[rows["width_multiplier"] == width]["lewc_cosine"] for width in (32, 1))
    assert STATISTICS["rise"](table, column="lewc_cosine").values == pytest.approx(list(wide - narrow.mean()))
    excess = rows[rows["width_multiplier"] == 32]
    assert STATISTICS["overlap_excess"](table).values == pytest.approx(
        list(excess["overlap"] - excess["expected_overlap"])
    )
    assert STATISTICS["barrier"](table, column="commutativity").values == pytest.approx([0.9 + 0.1 / 32] * 2)


def test_matching_is_compared_with_a_random_permutation_of_the_same_pair():
    records = everything_of("mlp-digits")
    random = [
        make_record(32, seeds=seeds, alignment="random").data["barriers"]["midpoint_accuracy_barrier"]
        for seeds in ((0, 1), (2, 3))
    ]
    assert statistic("matching_gain", records) == pytest.approx([each - 0.02 / 32 for each in random])
    assert statistic("matched_barrier", records) == pytest.approx([0.02 / 32] * 2)
    assert statistic("matched_barrier", records, width_multiplier=16.0) == pytest.approx([0.02 / 16] * 2)
    assert statistic("matching_gain", [make_record(32)]) == []


def test_the_rank_correlation_is_spearmans_within_depths_and_weight_decays():
    from scipy.stats import spearmanr

    table = pairs_table(everything_of("mlp-digits"))
    chosen = table[table["alignment"] == "identity"].dropna(subset=["reciprocal_orthogonality"])
    ratios = chosen["inverse_temperature_midpoint"] / chosen["predicted_inverse_temperature_midpoint"]
    chosen = chosen.assign(error=ratios.map(lambda ratio: abs(math.log2(ratio))))
    expected = {
        key: spearmanr(group["error"], group["reciprocal_orthogonality"]).statistic
        for key, group in chosen.groupby(["weight_decay", "num_layers"])
        if len(group) > 4
    }
    found = temperature_error_table(everything_of("mlp-digits"))
    assert {(each.weight_decay, each.num_layers): each.value for each in rank_correlations(found)} == pytest.approx(
        expected
    )
    [value] = STATISTICS["temperature_rank_correlation"](table).values
    assert min(expected.values()) - 1e-9 <= value <= max(expected.values()) + 1e-9
    [alone] = STATISTICS["temperature_rank_correlation"](table, weight_decay=1e-4).values
    assert alone == pytest.approx(next(value for (decay, _), value in expected.items() if decay == 1e-4))
    assert STATISTICS["temperature_rank_correlation"](table.head(3)).values == []


def test_groups_that_differ_do_not_make_a_correlation():
    """Simpson's structure: nothing within either weight decay, much when they are pooled."""
    widths = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    table = DataFrame(
        [
            {"weight_decay": decay, "num_layers": 4, "width_multiplier": width} | {"error": high + wave, **orthogonal}
            for decay, high in ((3e-3, 0.0), (1e-4, 10.0))
            for index, (width, wave) in enumerate(zip(widths, (1, 4, 2, 3, 4.5, 0.5), strict=True))
            for orthogonal in [{"reciprocal_orthogonality": high + index}]
        ]
    )
    pooled = table["error"].rank().corr(table["reciprocal_orthogonality"].rank())
    within = rank_correlations(table)
    assert pooled > 0.7 and [each.num_pairs for each in within] == [6, 6]
    assert all(abs(each.value) < 0.1 for each in within)


def test_claims_are_judged_by_networks_of_their_own_depth():
    deep, shallow = make_record(8, depth_of_dip=0.1), make_record(8, num_layers=3, depth_of_dip=0.1)
    own = next(claim for claim in CLAIMS if claim.id == "temperature-mlp-digits")
    three = next(claim for claim in CLAIMS if claim.id == "temperature-three-layers-mlp-digits")
    first, second = claims.judge([deep, shallow], [own, three])
    # 6.4 is fitted in both; 8·1.1 and 4·1.1 are predicted
    assert [2**value for value in first.values] == pytest.approx([6.4 / 8.8])
    assert [2**value for value in second.values] == pytest.approx([6.4 / 4.4])


def test_variants_of_a_recipes_networks_do_not_judge_its_claims():
    record = make_record(8, depth_of_dip=0.1)
    training = replace(record.config.training, activation="gelu")
    variant = replace(record, config=replace(record.config, training=training), digest="")
    claim = next(claim for claim in CLAIMS if claim.id == "accuracy-mlp-digits")
    assert [len(claims.judge(each, [claim])[0].values) for each in ([record], [variant], [record, variant])] == [
        1,
        0,
        1,
    ]


@pytest.mark.slow
def test_chapters_have_their_claims():
    assert {claim.chapter for claim in claims.of_chapter("04_lewc", "06_active_units")} == {
        "04_lewc",
        "06_active_units",
    }
    verdicts = [each for each in claims.judge(everything_of("mlp-digits")) if each.values]
    sentence = claims.verdict_sentence(verdicts)
    counted = claims.count(verdicts)
    assert sentence.startswith(f"Of {len(verdicts)} claims that are measured: {counted['reproduced']} reproduced, ")
    assert claims.verdict_sentence([]) == "No claim could be judged"


def test_a_pooled_statistic_has_no_number_of_pairs():
    claim = next(claim for claim in CLAIMS if claim.pooled)
    verdict = claims.Verdict(claim=claim, values=(0.7,), interval=Interval(0.6, 0.8))
    assert verdict.ours == "0.70" and verdict.word == "reproduced"


def test_shortened_trainings_do_not_mix_with_full_ones():
    claim = next(claim for claim in CLAIMS if claim.id == "accuracy-mlp-digits")
    full, short = pair_of_widths(), pair_of_widths(wide=(0.9, 0.9, 0.9), short=True)
    [verdict] = claims.judge([*full, *short], [claim])
    assert verdict.values == pytest.approx((0.05, 0.1, 0.15)) and not verdict.short


def test_ids_are_unique():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)


def test_the_widest_network_that_is_missing_is_said():
    width = [claim for claim in CLAIMS if claim.id == "width-mlp-digits"]
    (judged,) = claims.judge(width_sweep(widths=(1, 8, 32), pairs=1), width)
    assert list(judged.widths) == [1, 32] and judged.seen == "embedded"
    (unjudged,) = claims.judge([], width)
    assert not unjudged.widths and unjudged.seen == "–"


def test_a_verdict_tells_the_records_that_its_values_rest_on_and_no_others():
    deep = [make_record(0.5, num_layers=layers, scale="desk", depth_of_dip=0.1) for layers in (2, 4)]
    width, depth = (
        next(claim for claim in CLAIMS if claim.id == f"{name}-mlp-digits") for name in ("width", "temperature-depth")
    )
    judged = claims.judge([*width_sweep(widths=(1, 2), pairs=1), *deep], [width, depth])
    assert [verdict.seen for verdict in judged] == ["desk, embedded, ×1/2 to ×2 of ×32", "desk, at ×1/2 of ×32"]
    assert len(judged[1].values) == 1


def test_a_record_that_is_given_twice_counts_once():
    claim = next(claim for claim in CLAIMS if claim.id == "accuracy-mlp-digits")
    records = pair_of_widths()
    assert claims.judge([*records, *records], [claim]) == claims.judge(records, [claim])


def test_claims_are_found_by_chapter_and_by_source():
    found = claims.about("08_weight_decay", "Fig. 9")
    assert {claim.chapter for claim in found} >= {"08_weight_decay", "01_width"}
    assert all("Fig. 9" in claim.source or claim.chapter == "08_weight_decay" for claim in found)
    assert claims.about("no such chapter") == ()


@pytest.mark.slow
def test_tables_of_verdicts():
    verdicts = claims.judge(pair_of_widths())
    table = claims.verdict_table(verdicts)
    assert len(table) == len(CLAIMS) and set(table["verdict"]) <= set(claims.VERDICTS)
    row = table[(table["network"] == "MLP on digits") & (table["source"] == "Abstract, Fig. 1")].iloc[0]
    assert row["ours"].replace("\u00a0", " ") == "20 ± 10 (3) % of the narrowest" and row["verdict"] == "undecided"
    low, high = map(float, row["95 % interval"].replace("−", "-").split(" to "))
    assert low <= 20 - 2 * 10 < 40 < high, "with three pairs the interval is wider than two standard deviations"
    assert (
        row["asked"] == "at most 25 % of the narrowest"
        and row["paper"] == "no number"
        and row["scale"] == "embedded, ×1 to ×8 of ×32"
    )
    matrix = claims.verdict_matrix([verdict for verdict in verdicts if verdict.values])
    assert list(matrix.columns) == ["claim", "asked", "MLP on digits"]
    assert (
        matrix.iloc[0]["MLP on digits"].replace("\u00a0", " ")
        == f"? undecided: 20 ± 10 (3); 95 %: {row['95 % interval']}"
    )
    assert claims.verdict_matrix([]).empty


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Range(high=0.02), "at most 2 points"),
        (Range(low=0.01), "at least 1 point"),
        (Range(low=-0.02, high=0.02), "between −2 and 2 points"),
    ],
)
def test_tolerances_are_said_in_the_readers_unit(bounds, text):
    assert bounds.describe(100, "points") == text


def test_findings_say_what_the_records_say():
    records = pair_of_widths() + pair_of_widths(narrow=(0.5,) * 3, wide=(0.4,) * 3, weight_decay=1e-4)
    [told] = sentences.width_finding(records)
    assert told == (
        "MLP on digits: what averaging costs falls from narrow to wide with weight decay 3e-3 and 1e-4 "
        "(3 pairs of networks)."
    )
    rows = numbers_of([told]).drop(columns="network").to_numpy().tolist()
    assert [[cell.replace("\u00a0", " ") for cell in row] for row in rows] == [
        ["3e-3", "50.0 ± 10.0 at ×1", "10.0 ± 5.0 at ×8"],
        ["1e-4", "50.0 ± 0.0 at ×1", "40.0 ± 0.0 at ×8"],
    ]
    [text] = sentences.calibration_finding(records)
    share = re.search(r"one number removes (\d+) %\.$", text)
    expected = 1 - (0.15 / sum(record.data["barriers"]["midpoint_loss_barrier"] for record in records[3:6]) * 3)
    assert share is not None and int(share[1]) == round(100 * expected)
    assert sentences.control_finding(records) == []
    permuted = make_record(8, alignment="random", depth_of_dip=0.04)
    [text] = sentences.control_finding([*records, permuted])
    assert "moves the accuracy barrier of the widest by −1.0 points (1 pair of networks)" in text


def test_findings_do_not_speak_of_an_improvement_that_is_not_there():
    record = make_record(depth_of_dip=0.1)
    record.data["barriers"]["midpoint_calibrated_loss_barrier"] = 9.0
    [text] = sentences.calibration_finding([record])
    assert "removes" not in text and text.endswith("9.000 calibrated (nats, 1 pair of networks).")


def test_the_prediction_is_said_only_of_networks_without_batch_norm():
    perceptron, convolutional = (
        make_record(8, depth_of_dip=0.1),
        make_record(8, recipe="vgg11-digits", depth_of_dip=0.1),
    )
    first, second = sentences.temperature_finding([perceptron, convolutional])
    assert "at λ = ½, β is 6.40 at ×8, and the prediction is 8.80" in first and "prediction" not in second


def test_batch_norm_is_asked_of_the_network_and_not_of_its_number_of_layers():
    normalised = [with_batch_norm(record) for record in everything_of("mlp-digits")]
    [text] = sentences.temperature_finding(normalised)
    assert "prediction" not in text
    [text] = sentences.exponent_finding(normalised)
    assert "orthogonal networks with batch norm have 2, LLFC says 1" in text
    assert STATISTICS["temperature_rank_correlation"](pairs_table(normalised)).values == []
