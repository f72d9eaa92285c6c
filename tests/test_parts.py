"""The two parts of reciprocal orthogonality: which layers and pairs count, and what is said of them."""

import math

import pytest

from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis.parts import against_batches, made_of_table, parts_table
from lmcbook.pages.analysis.told import numbers_of, tables_of
from tests.helpers.control_records import changed
from tests.helpers.parts_records import parts_sweep, split_record


def test_parts_are_root_mean_squares_over_the_layers_between_hidden_units():
    table = parts_table(
        [*parts_sweep(), split_record(4.0, (0, 1), num_layers=5), split_record(4.0, (0, 1), weight_decay=1e-4)]
    )
    assert len(table) == 6 and parts_table([]).empty, "other depths and decays do not count"
    for width in (1.0, 4.0):
        part = table[table["width_multiplier"] == width]
        assert part["isotropic"].round(9).eq(round(math.sqrt((4 + 9) / 2 / width), 9)).all()
        assert part["common"].round(9).eq(0.4).all()
    assert list(table["own_batches"]) == [size == 32 for size in table["batch_size"]]


@pytest.mark.slow
def test_the_width_with_the_most_batch_sizes_is_shown_and_sizes_are_told_in_order():
    table = parts_table(parts_sweep())
    assert set(against_batches(table)["width_multiplier"]) == {4.0}
    widths, sizes = (each.replace("\u00a0", " ") for each in sentences.parts_finding(parts_sweep()))
    assert widths == "MLP on digits, ×1 → ×4: the isotropic part falls, the common part stays (2 pairs each)."
    assert sizes.startswith("MLP on digits ×4, batches of 7 → 32: the isotropic part ") and "(2 pairs each)" in sizes
    rows = numbers_of(sentences.parts_finding(parts_sweep())).to_numpy().tolist()
    assert [" | ".join(row).replace("\u00a0", " ") for row in rows] == [
        "MLP on digits | ×1 | 2.55 ± 0.00 | 0.40 ± 0.00",
        "MLP on digits | ×4 | 1.27 ± 0.00 | 0.40 ± 0.00",
        "MLP on digits ×4 | batches of 7 | 1.27 ± 0.00 | 0.40 ± 0.00",
        "MLP on digits ×4 | batches of 32 | 1.27 ± 0.00 | 0.40 ± 0.00",
    ]
    page = figures.to_html(figures.parts_of_orthogonality, parts_sweep(), [widths])
    assert "MLP on digits ×4: isotropic 1.27, common 0.40" in page


@pytest.mark.slow
def test_shares_are_means_over_networks_and_layers_between_hidden_units():
    table = made_of_table(parts_sweep())
    assert list(table["own_batches"]) == [size == 32 for size in table["batch_size"]] and made_of_table([]).empty
    wide = table[table["width_multiplier"] == 4]
    assert wide["constant_share"].round(9).eq(round(1 - (1 / 8 + 1 / 12) / 2, 9)).all()
    assert wide["weight_share"].round(9).eq(0.025).all() and wide["always_on"].round(9).eq(0.2).all()
    said = sentences.made_of(parts_sweep())
    assert said == [
        "From narrow to wide, the share of cross-talk alike for all images rises in 1 of 1 networks, that of units "
        "always on in 0.",
        "From the smallest batches to the largest, the share of cross-talk alike for all images rises in 0 of 1 "
        "networks, that of units always on in 0.",
    ]
    [batches] = sentences.made_of_by_batch(parts_sweep())
    assert batches == (
        "MLP on digits ×4, from batches of 7 to batches of 32: the share of cross-talk alike for all images goes "
        "from 0.90 to 0.90, that of units always on from 0.20 to 0.20 (2 pairs each)."
    )
    rows = numbers_of(said)
    assert list(rows[""]) == ["×1", "×4", "batches of 7", "batches of 32"]
    assert set(rows["own gain"]) == {"–"}, "what was not measured is not told"
    assert sentences.by_batch(parts_sweep())[-1] == batches and sentences.split_finding(parts_sweep())[-2:] == said
    both = tables_of(sentences.split_finding(parts_sweep()))[0]
    assert len(both) == 4
    cells = both[["isotropic part", "share of units always on"]].to_numpy().tolist()
    assert all("–" not in row for row in cells), "a row for each place"
    assert sentences.split_finding([]) == [] == sentences.made_of([split_record(4.0, (0, 1))])


def test_both_parts_exponents_and_batches_are_judged_by_intervals():
    records = [split_record(width, seeds) for width in (1.0, 4.0, 16.0) for seeds in ((0, 1), (2, 3))]
    [said] = sentences.parts_predictions(records)
    assert said == (
        "Prediction 2 of the theorems, a fall of one part alone: the isotropic part's exponent has −½ in its "
        "interval in 1 of 1 networks, the common part's has 0 in 1."
    )
    [row] = numbers_of(said).to_dict("records")
    assert row["exponent of the isotropic part (95 % interval)"].startswith("−0.500 (")
    assert sentences.parts_predictions([]) == []


@pytest.mark.parametrize(("common", "raised"), [(0.39, 1), (0.41, 0), (0.4, 0)])
def test_larger_batches_raise_the_common_part_where_the_interval_says_so(common, raised):
    records = [split_record(4.0, seeds) for seeds in ((0, 1), (2, 3))]
    small = [changed(split_record(4.0, seeds), batch_size=7) for seeds in ((0, 1), (2, 3))]
    for record in small:
        for layer in record.data["layers"]:
            layer["metrics"]["common"] = common
    said = sentences.parts_predictions([*records, *small])
    assert said[-1].startswith("Prediction 3 of the theorems: the largest batches raise the common part over")
    assert f"smallest in {raised} of 1 networks" in said[-1]
