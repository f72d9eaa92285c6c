"""The paper's Table 1 beside ours: which records count, at which width, and what is said of their trainings."""

from dataclasses import replace

import pytest

from lmcbook.lab import paths
from lmcbook.lab.recipes import recipe
from lmcbook.lab.records import Record
from lmcbook.pages.claims import PAPER_TABLE_1
from lmcbook.pages.paper_table import NOT_MEASURED, against_paper, coverage, known, name_of_batches, schedule_of
from tests.helpers.chapters import ROOT
from tests.helpers.synthetic_records import PROVENANCE, SEED_PAIRS, make_record

BARRIER = "barrier at λ = ½"
AS_THEY_ARE = ("unpermuted: accuracy barrier (points)", "unpermuted: calibrated loss barrier (nats)")
MATCHED = ("b matched by weights: accuracy barrier (points)", "b matched by weights: loss barrier (nats)")


OURS, OURS_SMALL = name_of_batches(500), name_of_batches(125)


def trained(name: str, width: float, *, batch_size: int = 500, **options) -> Record:
    """A made-up record whose networks were trained as the recipe says, or with other batches."""
    record = make_record(width, recipe=name, scale="paper", **options)
    own = replace(recipe(name).training, batch_size=batch_size)
    training = replace(own, width_multiplier=width, weight_decay=record.config.training.weight_decay)
    config = replace(record.config, training=training)
    return replace(record, config=config, digest=config.digest)


def rows_of(records: list[Record], name: str = "MLP on MNIST", **options) -> dict[str, dict[str, str]]:
    table = against_paper(records, **options)
    chosen = table[table["network"].str.startswith(f"{name},")]
    return {str(row[BARRIER]): {str(name): row[name] for name in row} for row in chosen.to_dict("records")}


def text(value: str) -> str:
    return value.replace("\u00a0", " ")


def test_the_papers_numbers_stand_as_the_paper_has_them():
    table = against_paper([])
    assert list(table["network"].unique()) == [
        "MLP on MNIST, ×16 in the paper",
        "VGG-11 on CIFAR-10, ×16 in the paper",
        "ResNet-20 on CIFAR-10, ×32 in the paper",
    ]
    found = [tuple(rows["paper"]) for _, rows in table.groupby(BARRIER, sort=False)]
    assert found == [
        ("0.519", "1.308", "2.694"),
        ("0.013", "0.066", "0.087"),
        ("−0.027", "7.000", "5.135"),
        ("−0.003", "0.177", "0.173"),
    ]
    assert set(table[OURS]) == set(table[OURS_SMALL]) == {NOT_MEASURED} and set(table["schedule"]) == {"–"}


def test_ours_are_the_mean_over_pairs_at_the_papers_width():
    dips = (0.004, 0.006, 0.008)
    records = [
        trained("mlp-mnist", 16, seeds=seeds, depth_of_dip=dip) for seeds, dip in zip(SEED_PAIRS, dips, strict=True)
    ]
    rows = rows_of([*records, trained("mlp-mnist", 4, depth_of_dip=0.3)])
    accuracy, loss = (rows[title] for title in AS_THEY_ARE)
    assert text(accuracy[OURS]) == "0.600 ± 0.200 (3) at ×16"
    assert text(loss[OURS]) == "0.009 ± 0.003 (3) at ×16"
    assert {rows[title][OURS] for title in MATCHED} == {NOT_MEASURED}
    assert list(rows_of(records, alignments=["identity"])) == list(AS_THEY_ARE)


def test_without_the_papers_width_our_widest_counts_and_is_named():
    rows = rows_of(
        [trained("vgg11-cifar10", width, depth_of_dip=0.1 * width) for width in (1, 4)], "VGG-11 on CIFAR-10"
    )
    assert rows[AS_THEY_ARE[0]][OURS] == "40.000 (1) at ×4"


def test_after_matching_it_is_the_raw_loss():
    measured = trained("mlp-mnist", 16, depth_of_dip=0.01, alignment="weight_matching")
    rows = rows_of([measured])
    assert rows[MATCHED[0]][OURS] == "1.000 (1) at ×16"
    raw, calibrated = (measured.data["barriers"][f"midpoint_{name}_barrier"] for name in ("loss", "calibrated_loss"))
    assert rows[MATCHED[1]][OURS] == f"{raw:.3f} (1) at ×16" != f"{calibrated:.3f} (1) at ×16"
    assert rows[AS_THEY_ARE[0]][OURS] == NOT_MEASURED


def test_a_record_counts_once_and_a_full_schedule_before_a_short_one():
    full = trained("mlp-mnist", 16, depth_of_dip=0.01)
    short = trained("mlp-mnist", 16, seeds=(2, 3), depth_of_dip=0.5, short=True)
    alone = trained("mlp-mnist", 16, depth_of_dip=0.5, short=True)
    assert rows_of([full, full, short])[AS_THEY_ARE[0]][OURS] == "1.000 (1) at ×16"
    row = rows_of([alone])[AS_THEY_ARE[0]]
    assert row[OURS] == "50.000 (1) at ×16" and row["schedule"].endswith(", short")


def test_both_batch_sizes_stand_side_by_side_each_at_its_own_width():
    records = [
        trained("mlp-mnist", 2, depth_of_dip=0.09),
        *(trained("mlp-mnist", width, batch_size=125, depth_of_dip=0.01) for width in (4, 8)),
        trained("mlp-mnist", 16, batch_size=62, depth_of_dip=0.5),
    ]
    row = rows_of(records)[AS_THEY_ARE[0]]
    assert (row[OURS], row[OURS_SMALL]) == ("9.000 (1) at ×2", "1.000 (1) at ×8")
    assert OURS == "ours, batches of 500 (as in the authors' earlier code)"
    large, small = coverage(records, ["mlp-mnist"]).to_dict("records")
    assert (large["widths measured (pairs)"], small["widths measured (pairs)"]) == ("×2 (1)", "×4 (1), ×8 (1)")
    assert small["batches"] == "125, at the field's usual batch"


@pytest.mark.parametrize(
    "change", [{"num_layers": 3}, {"spread_penalty": 0.1}, {"weight_decay": 1e-4}, {"activation": "gelu"}]
)
def test_other_trainings_are_passed_over(change):
    record = trained("mlp-mnist", 16)
    config = replace(record.config, training=replace(record.config.training, **change))
    other = replace(record, config=config, digest=config.digest)
    assert rows_of([other])[AS_THEY_ARE[0]][OURS] == NOT_MEASURED
    assert rows_of([record, other])[AS_THEY_ARE[0]][OURS].endswith("(1) at ×16")


def test_how_they_were_trained_is_said():
    card = {**PROVENANCE, "training": [{**PROVENANCE, "gpu": "Test Card"}, {**PROVENANCE, "threads": 1}]}
    record = trained("mlp-mnist", 16, provenance=card)
    row = rows_of([record])[AS_THEY_ARE[0]]
    assert (
        coverage([record], ["mlp-mnist"]).loc[0, "trained on"] == "Test Card, Test Processor 3000 (1 thread); float32"
    )
    epochs = recipe("mlp-mnist").training.epochs
    assert row["schedule"].startswith(f"{epochs} epochs, decay product 5.0")


def test_the_decay_product_is_at_the_papers_weight_decay():
    weak, strong = (trained("mlp-mnist", 1, weight_decay=decay) for decay in (1e-4, 3e-3))
    assert schedule_of(weak) == schedule_of(strong)


def test_coverage_counts_pairs_at_each_width():
    records = [trained("mlp-mnist", 0.25, seeds=seeds) for seeds in SEED_PAIRS]
    records += [
        trained("mlp-mnist", 1),
        trained("mlp-mnist", 2, weight_decay=1e-4),
        trained("mlp-mnist", 4, alignment="random"),
    ]
    first, second = coverage(records, ["mlp-mnist", "resnet20-cifar10"]).to_dict("records")
    assert first["widths measured (pairs)"] == "×1/4 (3), ×1 (1)"
    assert first["widths asked for"].startswith("×1/4") and first["widths asked for"].endswith("×16")
    assert second["widths measured (pairs)"] == "none yet" and second["schedule"] == "–"


def test_every_row_of_the_paper_has_a_recipe_with_that_width():
    for row in PAPER_TABLE_1:
        assert row.width_multiplier == recipe(row.recipe).width_multipliers[-1]


@pytest.mark.slow
def test_every_network_on_the_papers_data_that_came_with_the_book_is_in_its_table(committed_records, monkeypatch):
    monkeypatch.setattr(paths, "committed_records", lambda: ROOT / "records")
    committed = [one for one in committed_records if one.scale == "paper" and not one.outdated]
    there, alone = against_paper(committed, alignments=["identity"]), against_paper(known(), alignments=["identity"])
    for one, other in zip(there.to_dict("records"), alone.to_dict("records"), strict=True):
        assert one == other
    measured = there[there[OURS_SMALL] != NOT_MEASURED]["network"].unique()
    assert len(measured) >= 2 and any("CIFAR-10" in name for name in measured)
