"""The plan: complete, without repeats, following the rules it states."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab import plan
from lmcbook.lab.config import ALIGNMENTS
from lmcbook.pages import workflow
from lmcbook.training.config import company, digest_of, trains_together
from lmcbook.training.schedule import decay_product

PINNED: dict[str, dict[str, str]] = {
    "embedded": {
        "01_width": "e4b2b44871fdb2a9",
        "02_temperature": "90e50aa1a96b4dd4",
        "03_permutations": "51ae6e5b79ee1b10",
        "04_lewc": "dc980d2091465257",
        "05_weak_additivity": "a2854b19e24b55e4",
        "06_active_units": "a2854b19e24b55e4",
        "07_reciprocal_orthogonality": "44d9a193e51fa989",
        "08_weight_decay": "c9de56e7120aa04d",
        "09_flatness": "d633c2f68917f59d",
        "10_same_start": "83e8e301fbc63b3b",
        "13_batch_size": "edeba2e7a17223b9",
        "14_common_mode": "20693eededde847c",
        "16_one_network": "c8bb39c0f186aec4",
        "17_controls": "24657a19d2f29af6",
        "all": "d9cb718fc365c465",
        "beyond": "4f53cda18c2baa0c",
    },
    "desk": {
        "01_width": "b57d13e6ef1aa371",
        "02_temperature": "c4baf5732b460c9a",
        "03_permutations": "d9c11c3dd3a0f9d4",
        "04_lewc": "5364d20b8d2fbc37",
        "05_weak_additivity": "b96b4442d928d0e9",
        "06_active_units": "b96b4442d928d0e9",
        "07_reciprocal_orthogonality": "a651efa553125b32",
        "08_weight_decay": "ea5b6484cfefafb9",
        "09_flatness": "388ab08fea493ec8",
        "10_same_start": "678961c992f9e24d",
        "13_batch_size": "da8badb607317538",
        "14_common_mode": "0d2c733710b04821",
        "16_one_network": "9cd8fddd4d39b180",
        "17_controls": "b682700169290353",
        "all": "a5c71ad386045254",
        "beyond": "4f53cda18c2baa0c",
    },
    "paper": {
        "01_width": "bdb3f7e1d227570c",
        "02_temperature": "11dffa7b4ce42f96",
        "03_permutations": "8c8fab74c6635e8c",
        "04_lewc": "55be7afd5010877b",
        "05_weak_additivity": "d3bdc17ea7dab4a6",
        "06_active_units": "d3bdc17ea7dab4a6",
        "07_reciprocal_orthogonality": "4f85cb2eac74c09a",
        "08_weight_decay": "6f6de5191adc52ed",
        "09_flatness": "45193fcdb0c955ba",
        "10_same_start": "3463c868d406fd4f",
        "13_batch_size": "08bc70b676708fbe",
        "14_common_mode": "dd0177335c85b562",
        "16_one_network": "775ae5940c062d42",
        "17_controls": "8e5f485109242a9c",
        "all": "829c079b5ecf1fb0",
        "beyond": "804d4c52141e8942",
    },
}
"""Scale → notebook → digest of the digests of its measurements, in their order: committed records hang on them."""


@pytest.mark.slow
@pytest.mark.parametrize("scale", plan.SCALES)
def test_the_whole_plan_is_pinned(scale):
    """Only a new experiment or a raised code version may change this table, on purpose."""
    planned = {name: plan.pairs(scale, [name]) for name in plan.EXPERIMENTS}
    planned |= {"all": plan.pairs(scale), "beyond": plan.beyond(scale)}
    assert {name: digest_of([one.pair.digest for one in group]) for name, group in planned.items()} == PINNED[scale]


@pytest.mark.slow
@pytest.mark.parametrize("scale", plan.SCALES)
def test_no_measurement_is_planned_twice_and_jobs_hold_them_all(scale):
    planned = plan.pairs(scale)
    digests = [one.pair.digest for one in planned]
    assert planned and len(set(digests)) == len(digests)
    jobs = plan.jobs(planned)
    assert sorted(one.pair.digest for group in jobs.values() for one in group) == sorted(digests)
    for group in jobs.values():
        kinds = {(one.recipe, one.pair.training) for one in group}
        if all(trains_together(training) for _, training in kinds):  # narrow ones of one shape are in one job
            kinds = {(recipe, company(training)) for recipe, training in kinds}
        assert len(kinds) == 1
    shapes = [company(group[0].pair.training) for group in jobs.values() if trains_together(group[0].pair.training)]
    assert len(shapes) == len(set(shapes))


@pytest.mark.parametrize("name", plan.RECIPES)
def test_every_recipe_lets_the_initialisation_decay(name):
    training = plan.recipe(name).training
    examples = describe(training.dataset).num_train
    product = decay_product(training, examples)
    assert product >= 0.98 * plan.DECAY_PRODUCT
    if training.dataset.startswith(("cifar", "imagenet")):
        assert training.epochs >= 20
    else:  # and no epoch more than needed: a sweep of the schedule would otherwise start from an arbitrary point
        shorter = replace(training, epochs=training.epochs - 2, warmup_epochs=0.05 * (training.epochs - 2))
        assert decay_product(shorter, examples) < plan.DECAY_PRODUCT


def test_the_dearest_jobs_are_started_first():
    """Snakemake works off jobs by falling priority; networks that measurements share are trained once."""
    one_pair = plan.width(plan.Selection("embedded", recipes=["mlp-digits"], seed_pairs=[(0, 1)], weight_decays=[3e-3]))
    costs = {one.pair.training.width_multiplier: workflow.priority([one]) for one in one_pair}
    assert list(costs.values()) == sorted(costs.values()) and costs[32] > 2 * costs[1]
    first, other = (one for one in one_pair if one.pair.training.width_multiplier == 32)
    apart = workflow.priority([first]) + workflow.priority([other])
    assert max(workflow.priority([first]), workflow.priority([other])) < workflow.priority([first, other]) < 0.6 * apart


def test_seed_pairs_are_disjoint():
    seeds = [seed for pair in plan.SEED_PAIRS for seed in pair]
    assert len(set(seeds)) == len(seeds) == 6


def test_the_embedded_scale_is_what_the_book_says():
    planned = plan.width(plan.Selection("embedded"))
    mlp = [one for one in planned if one.recipe == "mlp-digits"]
    assert {one.pair.training.width_multiplier for one in mlp} == {1, 2, 4, 8, 16, 32}
    assert {one.pair.seeds for one in mlp} == set(plan.SEED_PAIRS)
    assert {one.pair.training.weight_decay for one in planned} == {3e-3, 1e-4}
    for name in ("resnet20-digits", "vgg11-digits"):
        group = [one for one in planned if one.recipe == name]
        assert len({one.pair.training.width_multiplier for one in group}) == 2
        assert {one.pair.seeds for one in group} == {(0, 1)}


def test_one_number_changes_only_the_jobs_that_depend_on_it(monkeypatch):
    before = plan.jobs(plan.width(plan.Selection("embedded")))
    recipe = plan.recipe

    def changed(name):
        found = recipe(name)
        return replace(found, training=replace(found.training, momentum=0.8)) if name == "vgg11-digits" else found

    monkeypatch.setattr(sys.modules["lmcbook.lab.plan.grid"], "recipe", changed)
    after = plan.jobs(plan.width(plan.Selection("embedded")))
    assert {name for name in before if name not in after} == {name for name in before if name.startswith("vgg11")}


def test_a_network_on_an_imported_dataset_is_a_recipe_too(tmp_path, monkeypatch):
    import torch
    from safetensors.torch import save_file

    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))
    images = torch.randint(0, 256, (40, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 4
    content = {"train_images": images, "train_labels": labels}
    content |= {"test_images": images[:8] ^ 1, "test_labels": labels[:8].clone()}
    save_file(content, tmp_path / "beetles.safetensors", metadata={"classes": '["a", "b", "c", "d"]'})
    training = plan.recipe("vgg11-beetles").training
    assert (training.dataset, training.architecture, training.augment) == ("beetles", "vgg11", True)
    assert 0 < training.batch_size <= 36


@pytest.mark.parametrize("name", ["mlp", "mlp-moon", "gpt-digits", "", "digits-mlp"])
def test_an_unknown_recipe_is_refused_in_one_line(name):
    with pytest.raises(InputError, match=r"recipe is .*mlp-digits|recipe is .*may be one of") as caught:
        plan.recipe(name)
    assert "\n" not in str(caught.value)


def test_unknown_scale_or_notebook_is_refused():
    with pytest.raises(InputError, match="scale is 'huge'; it may be one of: embedded, desk, paper"):
        plan.pairs("huge")
    with pytest.raises(InputError, match="notebook is '99'; it may be one of: 01_width"):
        plan.pairs("embedded", ["99"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipes": []}, "recipes is an empty list; leave it None for the scale's own"),
        ({"recipes": ["gpt-digits"]}, "recipe is 'gpt-digits'; it may be one of"),
        ({"width_multipliers": [0]}, "width_multipliers is 0; it must be a number above 0"),
        ({"weight_decays": [1e-3, 1e-3]}, "weight_decays is .*; each value may stand there once"),
        ({"seed_pairs": [(0, 1), (1, 2)]}, "seed_pairs is .*; no seed may be in two pairs"),
        ({"epochs": 0}, "epochs is 0; it must be a whole number at least 1"),
        ({"precision": "half"}, "precision is 'half'; it may be one of: float32, bfloat16"),
    ],
)
def test_a_bad_selection_is_refused_in_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        plan.Selection(**given)
    assert "\n" not in str(caught.value)


def test_a_selection_is_the_same_however_it_is_written():
    loosely: dict[str, Any] = {"recipes": "mlp-digits", "width_multipliers": [1], "seed_pairs": [0, 1]}
    given = plan.Selection(**loosely, weight_decays=[0])
    assert given == plan.Selection(
        recipes=("mlp-digits",), width_multipliers=(1.0,), seed_pairs=((0, 1),), weight_decays=(0.0,)
    )
    assert given.filled(width_multipliers=(2.0,), epochs=3) == replace(given, epochs=3)


@pytest.mark.slow
def test_a_precision_holds_for_all_trainings():
    assert {one.pair.training.precision for one in plan.pairs("paper")} == {"float32", "bfloat16"}
    assert {one.pair.training.precision for one in plan.pairs("paper", precision="float32")} == {"float32"}


def test_short_schedules_are_flagged():
    planned = plan.width(plan.Selection("embedded", recipes=["mlp-digits"], width_multipliers=[1], epochs=3))
    assert all(one.short and one.pair.training.epochs == 3 for one in planned)
    assert not any(one.short for one in plan.width(plan.Selection("embedded")))


@pytest.mark.slow
def test_planning_needs_no_torch():
    code = (
        "import sys; from lmcbook.lab import plan, on_demand, records, budget; "
        "from lmcbook.pages import figures, tables, claims, sentences, parameters, workflow; "
        "plan.pairs('paper'); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_weight_decay_is_swept_at_one_width_and_nothing_else_changes():
    planned = plan.weight_decay(plan.Selection("embedded"))
    full = [one for one in planned if not one.short]
    assert {one.recipe for one in planned} == {"mlp-digits"} and {one.pair.seeds for one in full} == set(
        plan.SEED_PAIRS
    )
    assert {one.pair.training.weight_decay for one in full} == {0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2}
    usual = plan.recipe("mlp-digits").training
    for one in full:
        assert replace(one.pair.training, weight_decay=usual.weight_decay, width_multiplier=1.0) == usual
        assert one.pair.training.width_multiplier == 16
    assert {one.pair.measurement for one in planned} == {"interpolation", "layerwise"}


def test_a_third_of_the_epochs_takes_three_times_the_decay_to_the_same_product():
    planned = plan.weight_decay(plan.Selection("embedded"))
    products = {
        (one.short, one.pair.training.weight_decay): decay_product(one.pair.training, describe("digits").num_train)
        for one in planned
    }
    assert {decay for short, decay in products if short} == {1e-3, 3e-3, 1e-2}
    assert products[True, 3e-3] == pytest.approx(products[False, 1e-3], rel=0.02)
    assert not any(one.short for one in plan.weight_decay(plan.Selection("paper")))
    own_length = plan.weight_decay(plan.Selection("embedded", epochs=5))
    assert {one.pair.training.epochs for one in own_length} == {5}, "a reader's length is not shortened again"


def test_what_is_spared_by_the_decay_is_measured_at_desk():
    planned = plan.weight_decay(plan.Selection("desk"))
    spared = [one for one in planned if not one.pair.training.decay_normalisation]
    assert {one.recipe for one in spared} == {"resnet20-digits", "vgg11-digits"}
    kept = {replace(one.pair.training, decay_normalisation=True).digest for one in spared}
    assert kept == {
        one.pair.training.digest
        for one in planned
        if one.recipe != "mlp-digits" and one.pair.training.decay_normalisation
    }
    assert all(one.pair.training.decay_normalisation for one in plan.weight_decay(plan.Selection("embedded")))


def test_temperatures_are_studied_at_the_main_decay_of_pairs_as_they_are():
    planned = plan.calibration(plan.Selection("embedded"))
    assert {one.pair.alignment for one in planned} == {"identity"}
    studied = [one for one in planned if one.pair.measurement == "calibration"]
    assert {one.pair.training.weight_decay for one in studied} == {plan.MAIN_WEIGHT_DECAY}
    assert len({one.pair.digest for one in planned}) == len(planned)
    asked = plan.calibration(plan.Selection("embedded", weight_decays=(1e-4,), recipes=["mlp-digits"]))
    assert {one.pair.training.weight_decay for one in asked} == {1e-4}


@pytest.mark.slow
def test_small_batches_are_permuted_and_decayed_and_narrow_networks_see_the_third_dataset():
    planned = plan.small_batches(plan.Selection("paper"))
    assert {one.pair.training.batch_size for one in planned} == {125}
    assert {one.pair.training.weight_decay for one in planned} == {plan.MAIN_WEIGHT_DECAY}
    assert {one.pair.alignment for one in planned if one.pair.measurement == "interpolation"} == set(ALIGNMENTS)
    narrow = [one for one in planned if one.pair.training.dataset == "cifar10"]
    found: dict[str, set[float]] = {}
    for one in narrow:
        found.setdefault(one.recipe, set()).add(one.pair.training.width_multiplier)
    assert found == {name: set(widths) for name, widths in plan.NARROW.items()}
    assert all(decay_product(one.pair.training, 45_000) > plan.DECAY_PRODUCT for one in narrow)
    assert not any(one.short for one in planned), "as many steps as the recipe, at least"
    decayed = plan.small_batch_decays(plan.Selection("paper"))
    assert {(one.pair.training.weight_decay, one.pair.training.batch_size) for one in decayed} == {
        (1e-4, 125),
        (1e-3, 125),
        (3e-3, 125),
    }
    for planner in (plan.small_batches, plan.small_batch_decays):
        assert not planner(plan.Selection("desk")) and not planner(plan.Selection("paper", recipes=["mlp-digits"]))
