"""The plan of the controls: what is varied, what is not, and what the chapters share with others."""

from dataclasses import replace
from functools import cache

import pytest

from lmcbook.lab import plan
from lmcbook.pages import parameters

OURS = ("08_weight_decay", "09_flatness", "10_same_start", "13_batch_size")


@pytest.mark.parametrize("scale", ["embedded", "desk"])
def test_penalised_trainings_differ_in_nothing_but_the_penalty(scale):
    planned = plan.against_low_rank(plan.Selection(scale))
    for name in {one.recipe for one in planned}:
        usual, widths = plan.recipe(name).training, plan.recipe(name).width_multipliers
        of_recipe = [one.pair for one in planned if one.recipe == name]
        for pair in of_recipe:
            plain = replace(usual, width_multiplier=widths[len(widths) // 2])
            assert replace(pair.training, spread_penalty=0.0) == plain and pair.shared == "nothing"
        penalties = (0.0, 0.1, 10.0) if scale == "embedded" else plan.SPREAD_PENALTIES
        assert {pair.training.spread_penalty for pair in of_recipe} == set(penalties)
        assert len(of_recipe) == 2 * len(penalties) * len(plan.SEED_PAIRS), "two measurements of each"
    networks = {"mlp-digits"} if scale == "embedded" else {"mlp-digits", "resnet20-digits", "vgg11-digits"}
    assert {one.recipe for one in planned} == networks


def test_pairs_share_nothing_the_order_or_their_start():
    planned = plan.same_start(plan.Selection("embedded"))
    kinds = {(one.pair.shared, one.pair.shared_fraction) for one in planned}
    assert kinds == {("nothing", 0.0), ("order", 0.0), *(("start", each) for each in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2))}
    assert len(planned) == 2 * len(kinds) * 3
    assert len({one.pair.training for one in planned}) == 1, "one width, one decay"
    # network a is one of the chapter on width; every other network b is trained for this chapter
    of_width = {
        config.digest
        for one in plan.width(plan.Selection("embedded"))
        for config in (one.pair.training_a, one.pair.training_b)
    }
    assert {one.pair.training_a.digest for one in planned} <= of_width
    trained = {one.pair.training_b.digest for one in planned} - of_width
    assert len(trained) == 7 * 3


def test_flatness_is_measured_of_pairs_that_are_there_already():
    planned = plan.flatness(plan.Selection("embedded"))
    of_width = {one.pair.digest for one in plan.width(plan.Selection("embedded"))}
    plain = [one for one in planned if one.pair.measurement == "interpolation"]
    walks = [one for one in planned if one.pair.measurement == "flatness"]
    assert {one.pair.digest for one in plain} <= of_width and len(plain) == len(walks) == 9
    assert {one.pair.training.width_multiplier for one in walks} == {1.0, 4.0, 16.0}
    assert {(one.pair.num_coefficients, one.pair.num_directions) for one in walks} == {(9, 20)}
    assert {one.pair.training.weight_decay for one in walks} == {plan.MAIN_WEIGHT_DECAY}


def test_with_batch_norm_walks_have_fewer_steps_and_the_widest_is_left_out():
    walks = [one for one in plan.flatness(plan.Selection("desk")) if one.pair.measurement == "flatness"]
    for name in {one.recipe for one in walks}:
        widths = plan.recipe(name).width_multipliers
        of_recipe = [one.pair for one in walks if one.recipe == name]
        has_depth = name.startswith("mlp")
        assert {pair.training.width_multiplier for pair in of_recipe} == set(widths if has_depth else widths[:-1])
        assert {pair.num_coefficients for pair in of_recipe} == {9 if has_depth else 5}


@pytest.fixture(scope="module")
def everything():
    return cache(lambda scale: frozenset(plan.pairs(scale)))


@pytest.mark.parametrize("notebook", OURS)
def test_chapters_of_controls_are_in_the_plan_and_take_the_common_parameters(notebook, everything):
    assert parameters.NOTEBOOKS[notebook] is parameters.COMMON
    for scale in plan.SCALES:
        planned = plan.pairs(scale, [notebook])
        assert planned and len({one.pair.digest for one in planned}) == len(planned)
        assert everything(scale) >= set(planned)
    selection = plan.Selection(
        "desk", recipes=["vgg11-digits"], width_multipliers=[0.125], seed_pairs=[(8, 9)], weight_decays=[1e-3], epochs=2
    )
    only = [one for planning in plan.EXPERIMENTS[notebook] for one in planning(selection)]
    assert {(one.recipe, one.pair.training.width_multiplier, one.pair.seeds) for one in only} == {
        ("vgg11-digits", 0.125, (8, 9))
    }
    assert {(one.pair.training.weight_decay, one.pair.training.epochs, one.short) for one in only} == {(1e-3, 2, True)}


def test_jobs_hold_every_variant_under_its_own_name():
    planned = [one for name in OURS for one in plan.pairs("embedded", [name])]
    unique = list({one.pair.digest: one for one in planned}.values())
    jobs = plan.jobs(unique)
    assert sorted(one.pair.digest for group in jobs.values() for one in group) == sorted(
        one.pair.digest for one in unique
    )
