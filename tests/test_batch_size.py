"""Batch size: what is planned, that nothing but noise is varied, and what is said of it."""

from dataclasses import replace

import pytest

from lmcbook import theory
from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab import plan
from lmcbook.pages import sentences, tables
from lmcbook.pages.analysis.sweeps import one_width, rank_bounds, several_widths
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.training.schedule import decay_product
from tests.helpers.control_records import batch_sweep, changed
from tests.helpers.drawn import text

# --- the plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", plan.SCALES)
def test_trainings_differ_in_the_batches_alone_and_take_as_many_steps(scale):
    planned = plan.batch_size(plan.Selection(scale))
    assert all(not one.short and one.pair.alignment == "identity" for one in planned)
    for one in {one.pair.training: one for one in planned}.values():  # of each training once, whatever its seeds
        training, own = one.pair.training, plan.recipe(one.recipe).training
        same = ("batch_size", "epochs", "warmup_epochs", "width_multiplier", "precision")
        assert replace(training, **{name: getattr(own, name) for name in same}) == own
        num_train = describe(training.dataset).num_train
        steps, usual = (each.epochs * (num_train // each.batch_size) for each in (training, own))
        # whole epochs: at most one more than it takes
        assert usual <= steps < usual + num_train // training.batch_size
        assert decay_product(training, num_train) >= plan.DECAY_PRODUCT
    assert {one.recipe for one in planned} == {
        name
        for name in ("mlp-digits", "mlp-mnist", "mlp-fashion_mnist")
        if (name == "mlp-digits") == (scale != "paper")
    }


def test_every_batch_size_at_one_width_and_two_at_the_others():
    sizes: dict[float, set[int]] = {}
    for one in plan.batch_size(plan.Selection("paper", recipes=["mlp-mnist"])):
        sizes.setdefault(one.pair.training.width_multiplier, set()).add(one.pair.training.batch_size)
    assert sizes.pop(2.0) == {62, 125, 500, 2000}
    assert set(sizes) == {0.25, 0.5, 1.0, 4.0, 8.0, 16.0} and all(found == {125, 500} for found in sizes.values())
    embedded = {
        (one.pair.training.width_multiplier, one.pair.training.batch_size)
        for one in plan.batch_size(plan.Selection("embedded"))
    }
    assert embedded == {(8.0, 16), (8.0, 32), (8.0, 128)}
    asked = plan.batch_size(
        plan.Selection("paper", recipes=["mlp-mnist"], width_multipliers=[0.25], seed_pairs=[(0, 1)])
    )
    assert {one.pair.training.batch_size for one in asked} == {62, 125, 500, 2000}


def test_the_recipes_own_batches_are_measured_by_the_chapter_on_width_already():
    of_width = {one.pair.digest for one in plan.width(plan.Selection("paper"))}
    own = [
        one for one in plan.batch_size(plan.Selection("paper"))
        if one.pair.training.batch_size == 500 and one.pair.measurement == "interpolation"
    ]  # fmt: skip
    assert own and {one.pair.digest for one in own} <= of_width


def test_fewer_epochs_than_that_are_flagged_as_short():
    planned = plan.batch_size(plan.Selection("embedded", epochs=10))
    assert {one.pair.training.epochs for one in planned} == {10} and all(one.short for one in planned)
    long = plan.batch_size(plan.Selection("embedded", epochs=1000))
    assert not any(one.short for one in long)


def test_other_networks_are_trained_where_they_are_asked_for_and_a_bad_scale_is_refused():
    sizes = {
        one.pair.training.batch_size for one in plan.batch_size(plan.Selection("embedded", recipes=["vgg11-digits"]))
    }
    assert sizes == {25, 50, 200}
    with pytest.raises(InputError, match="scale is 'huge'"):
        plan.batch_size(plan.Selection("huge"))


# --- what is said of it ----------------------------------------------------------------------------------------------


def test_the_width_with_the_most_batch_sizes_is_shown():
    table = one_width(batch_sweep())
    assert set(table["width_multiplier"]) == {16.0} and list(table["batch_size"].unique()) == [16, 32, 128]
    assert set(several_widths(batch_sweep())["batch_size"]) == {16, 32}
    weak = [changed(each, weight_decay=1e-4) for each in batch_sweep()]
    assert len(one_width([*batch_sweep(), *weak])) == len(table), "the paper's weight decay"
    assert len(one_width(weak)) == len(table), "or the only one there is"


def test_the_table_has_a_row_for_each_batch_size():
    shown = tables.batch_sizes(batch_sweep())
    assert list(shown["batch size"]) == ["16", "32", "128"] and list(shown["pairs"]) == ["2"] * 3
    assert text(shown["accuracy barrier (points)"][2]) == "27.5 ± 3.5"
    assert text(shown["reciprocal orthogonality"][0]) == "0.30 ± 0.00"
    # the mean of 1/32 and 3/32
    assert text(shown["training loss (nats)"][1]) == "0.062 ± 0.000"


def test_the_sentences_say_what_the_records_say():
    [one] = sentences.batch_finding(batch_sweep())
    assert one.startswith(
        "MLP on digits at ×16, from the smallest batches to the largest: accuracy lost by averaging rises"
    )
    assert one.endswith("(2 pairs each).")
    rows = [text(" ".join(row)) for row in numbers_of([one]).drop(columns="network").to_numpy().tolist()]
    assert rows[0].startswith("accuracy lost by averaging in points 1.5 ± 0.7")
    assert "reciprocal orthogonality 0.30 ± 0.00 0.40 ± 0.00 0.50 ± 0.00" in rows
    [wide] = sentences.batch_width_finding(batch_sweep())
    assert text(wide) == (
        "MLP on digits: averaging costs less at the widest than at the narrowest with 2 of 2 batch sizes (2 pairs "
        "each). Over all widths, the smaller batches lose less in 4 of 4 pairs of the same seeds."
    )
    costs = numbers_of([wide]).drop(columns="network").to_numpy().tolist()
    assert text([" ".join(row) for row in costs]) == (
        "16 13.0 ± 1.4 at ×4 1.5 ± 0.7 at ×16 32 30.5 ± 0.7 at ×4 9.5 ± 0.7 at ×16"
    )
    alone = [record for record in batch_sweep() if record.config.training.batch_size == 16]
    assert "same seeds" not in sentences.batch_width_finding(alone)[0]


def test_the_verdict_counts_pairs_in_both_directions():
    verdict = sentences.batch_verdict(batch_sweep())
    assert verdict.endswith(
        "the smallest batches lose less than the largest in 2 of 2 pairs; reciprocal orthogonality is closer to 0 in "
        "2, and the stable rank is lower in 0 as the mean of the layers 2 to L−1, in 0 in layer 1, and in 0 in the "
        "classifier."
    )
    [row] = numbers_of(verdict).to_numpy().tolist()
    assert row == ["MLP on digits at ×16", "16 and 128", "1.5 and 27.5", "2 of 2", "2 of 2", *["0 of 2"] * 3]
    lower = batch_sweep()
    for record in lower:
        if record.measurement == "layerwise" and record.config.training.batch_size == 16:
            record.data["layers"][0]["metrics"]["stable_rank_a"] = 0.1
    assert "in 0 as the mean of the layers 2 to L−1, in 2 in layer 1, and in 0" in sentences.batch_verdict(lower)
    against = batch_sweep(dips={16.0: {16: (0.3, 0.01), 128: (0.1, 0.1)}}, orthogonality={16: 0.5, 128: 0.3})
    assert "in 1 of 2 pairs; reciprocal orthogonality is closer to 0 in 0," in sentences.batch_verdict(against)
    alone = batch_sweep(dips={16.0: {32: (0.1,)}})
    assert sentences.batch_verdict(alone) == "**Verdict.** Nothing is measured that could tell."


def test_the_bound_on_the_rank_is_computed_from_the_trainings():
    records = batch_sweep()
    training = records[0].config.training
    table = rank_bounds(records).set_index("batch_size")
    assert list(table["bound"]) == [
        theory.rank_bound(size, training.learning_rate, training.weight_decay, training.momentum)
        for size in (16, 32, 128)
    ]
    assert training.hidden_width and set(table["full_rank"]) == {training.hidden_width * 16}
    [one] = sentences.rank_bound_finding(records)
    assert one == "MLP on digits at ×16: the bound says nothing."
    assert list(numbers_of([one])["rank at most"]) == [f"{bound:,}" for bound in table["bound"]]
    # of much wider matrices it would say something
    wide = [changed(each, hidden_width=10**6) for each in records]
    assert sentences.rank_bound_finding(wide)[0].endswith("the bound says something for 3 of 3 batch sizes.")
    assert rank_bounds([changed(each, weight_decay=0.0) for each in records]).empty
