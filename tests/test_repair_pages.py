"""What the book says of repairs: tables, falls with width, figures and sentences, on records of known numbers."""

import math
import re

import numpy as np
import pytest

from lmcbook.errors import InputError
from lmcbook.lab.records import pairs_table, repairs_table
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis.falls import fit_fall
from lmcbook.pages.analysis.repairs import (
    PLAIN,
    REPAIRED,
    WAYS,
    against_width_table,
    curves_of_ways,
    excesses,
    ways_table,
)
from lmcbook.pages.analysis.told import numbers_of
from lmcbook.pages.claims.statistics import STATISTICS
from lmcbook.randomness import random_stream
from tests.helpers.drawn import text
from tests.helpers.repair_records import make_repair_record, repair_sweep

# --- falls -----------------------------------------------------------------------------------------------------------


def test_a_power_of_the_width_is_found_and_nothing_is_lacking():
    widths = [1, 1, 2, 2, 4, 4, 8, 8]
    wiggle = [1.1, 1 / 1.1] * 4
    fall = fit_fall(widths, [3 * w**-0.5 * each for w, each in zip(widths, wiggle, strict=True)])
    assert fall is not None and fall.slope == pytest.approx(-0.5) and fall.at_one == pytest.approx(3)
    assert fall.last_slope == pytest.approx(-0.5) and fall.lack_of_fit == pytest.approx(1) and fall.is_power is True
    assert fall.interval.low < -0.5 < fall.interval.high
    # the interval by hand: residuals of ± log 1.1
    x = np.log(widths)
    error = math.sqrt(8 * math.log(1.1) ** 2 / 6 / ((x - x.mean()) ** 2).sum())
    assert fall.interval.high - fall.slope == pytest.approx(2.4469 * error, rel=1e-4)


def test_a_floor_is_no_power_and_three_widths_prove_none():
    widths = [w for w in (1, 2, 4, 8, 16) for _ in range(3)]
    wiggle = [0.98, 1.0, 1.02] * 5
    values = [(0.2 / w + 0.05) * each for w, each in zip(widths, wiggle, strict=True)]
    floor = fit_fall(widths, values)
    assert floor is not None and floor.is_power is False and floor.lack_of_fit < 1e-3
    assert floor.last_slope > floor.slope, "it levels off"
    few = fit_fall(widths[:9], [w**-0.5 * each for w, each in zip(widths[:9], wiggle, strict=False)])
    assert few is not None and few.is_power is None


def test_the_test_of_what_is_lacking_rejects_a_true_power_one_time_in_twenty():
    generator = np.random.default_rng(int(random_stream(0, "falls").initial_seed() % 2**32))
    widths = [w for w in (1, 2, 4, 8, 16) for _ in range(3)]
    found = [fit_fall(widths, list(np.exp(generator.normal(size=15)) * np.sqrt(widths))) for _ in range(400)]
    rejected = sum(fall is not None and fall.is_power is False for fall in found)
    assert 5 <= rejected <= 40


def test_where_nothing_can_be_said_nothing_is():
    assert fit_fall([1, 1, 2, 2], [1, 1, 1, 1]) is None and fit_fall([1, 2, 4, 8], [1, 1, 1, 1]) is None
    assert fit_fall([1, 1, 2, 4], [1, 1, 1, 0]) is None
    with pytest.raises(InputError, match="values has 1 entries and widths 2"):
        fit_fall([1, 2], [1])


# --- tables, figures, sentences --------------------------------------------------------------------------------------


def test_every_way_of_merging_is_a_row():
    records = repair_sweep()
    table = ways_table(records)
    assert set(table["way"]) == set(WAYS.values()) and len(repairs_table(records)) == 5 * 3 * 3 * 5
    assert table[(table["way"] == PLAIN) & (table["weight_decay"] == 3e-3)]["midpoint_accuracy_barrier"].max() < 0.26
    assert table["predicted_inverse_temperature"].round(6).eq(8.8).all()
    assert ways_table([]).empty
    one = make_repair_record(2.0)
    assert len(against_width_table([one])) == 5, "of one width where there is no other"


def test_barriers_of_repairs_stand_beside_those_of_the_pair():
    table = pairs_table(repair_sweep())
    assert table["none_accuracy_barrier"].to_numpy() == pytest.approx(table["midpoint_accuracy_barrier"].to_numpy())
    table["midpoint_accuracy_barrier"] *= 3  # of other networks: a repair is compared with none of the same two
    share = table["lewc_mean_accuracy_barrier"] / table["none_accuracy_barrier"]
    weak = table["weight_decay"] == 1e-4
    assert share[weak].round(6).eq(2).all() and (share[~weak] < 0.5).all()
    assert (STATISTICS["repair_change"](table, weight_decay=1e-4).rows["width_multiplier"] == 16).all()
    assert STATISTICS["repair_change"](table, kind="mean", weight_decay=1e-4).values == pytest.approx(
        list(-0.5 * table[weak & (table["width_multiplier"] == 16)]["none_accuracy_barrier"])
    )
    seen = STATISTICS["repair_share"](table)
    wide = table[~weak & (table["width_multiplier"] == 16)]
    assert seen.values == pytest.approx(list(wide["lewc_mean_accuracy_barrier"] / wide["none_accuracy_barrier"].mean()))


def test_beyond_the_ensemble_the_repaired_falls_as_a_root_and_the_plain_levels_off():
    found = {(each.setting, each.way): each for each in excesses(repair_sweep())}
    strong = "weight decay 3e-3, batches of 32"
    repaired, plain = found[strong, REPAIRED].fall, found[strong, PLAIN].fall
    assert repaired is not None and repaired.is_power and repaired.slope == pytest.approx(-0.5, abs=0.02)
    assert plain is not None and plain.is_power is False
    said = text(sentences.excess_finding(repair_sweep()))
    assert "Bias: LEWC's means: one power of the width is rejected in " in said
    assert "Plain: one power of the width is rejected in " in said
    rows = numbers_of(sentences.excess_finding(repair_sweep())).to_dict("records")
    [row] = [row for row in rows if (row["network"], row["merge"]) == (f"MLP on digits, {strong}", REPAIRED)]
    assert row["exponent (95 % interval)"].startswith("−0.50 (") and row["pairs, widths"] == "15, 5"
    assert row["one power"] == "not rejected, holds −½"
    [other] = [row for row in rows if (row["network"], row["merge"]) == (f"MLP on digits, {strong}", PLAIN)]
    assert other["one power"] == "rejected"
    few = numbers_of(sentences.excess_finding(repair_sweep(widths=(1, 2))))
    assert set(few["one power"]) == {"undecided: too few widths or pairs"}
    nothing = numbers_of(sentences.excess_finding(repair_sweep(floor=-0.03)))
    assert "undecided: 3 of 15 pairs lose nothing" in set(nothing["one power"])


def test_figures_draw_and_tell_every_setting():
    records = [*repair_sweep(), *repair_sweep(batch_size=16)]
    for draw in (figures.lost_by_repair, figures.beyond_ensemble):
        for page in (figures.to_html(draw, records, ["said"]),):
            assert "weight decay 1e-4, batches of 16" in page and "×16" in page and "nan" not in page.split("<svg")[0]
            assert len(page) < 400_000
    table = against_width_table(records)
    narrow = figures.lost_by_repair(table, narrow=True)
    wide = figures.lost_by_repair(table)
    assert sum(axis.get_visible() for axis in wide.get_axes()) == 4 == len(narrow.get_axes())


def test_curves_are_of_one_width_and_tell_the_highest_point():
    table = curves_of_ways(repair_sweep())
    assert set(table["width_multiplier"]) == {4} and set(table["weight_decay"]) == {3e-3}
    assert len(table) == 3 * 5 * len(WAYS) and curves_of_ways([]).empty
    [said] = sentences.repair_curve_finding(repair_sweep())
    plain = table[(table["way"] == PLAIN) & (table["coefficient"] == 0.5)]["calibrated_loss"].mean() - 0.15
    row = numbers_of(said).set_index("").loc["plain"]
    assert f"plain {plain:.3f}" in said and list(row)[1:] == [f"{plain:.3f}", "0.50"]
    assert "matched, then REPAIR" in numbers_of(said)[""].tolist()
    page = figures.to_html(figures.repaired_curves, repair_sweep(), ["said"])
    assert "MLP on digits at ×4: plain 0." in page


def test_sentences_count_pairs_and_name_their_intervals():
    records = repair_sweep()
    found = sentences.repair_finding(records)
    said = "LEWC's means lose less than the plain average at 5 of 5 widths."
    assert f"MLP on digits, weight decay 3e-3, batches of 32: {said}" in text(found)
    table = numbers_of(found)
    assert len(table) == 2 * len(found) and set(WAYS.values()) <= set(table.columns)
    assert list(table.loc[0, ["width", "pairs", PLAIN]]) == ["×1", "3", "25.1"]
    batches, *_ = sentences.repair_by_batch([*records, *repair_sweep(widths=(4,), batch_size=128, floor=0.2)])
    assert batches == (
        "One bias for each hidden layer lowers the loss of accuracy in 2 of 4 settings, not for MLP on digits at ×4 "
        "with batches of 32 and MLP on digits at ×4 with batches of 128 (3 pairs each)."
    )
    assert list(numbers_of(batches)["batches of"]) == ["32", "128"] * 2
    assert sentences.repair_by_batch(records) == []


def test_the_verdict_tells_gains_harms_and_what_matching_adds():
    verdict = text(sentences.repair_verdict(repair_sweep()))
    assert "It brings points in 5 of 10 settings and widths, does harm in 5, and the pairs cannot tell in 0" in verdict
    assert re.search(r"Weight matching with REPAIR behind it brings more on top in [1-9]\d*\.", verdict)
    table = numbers_of(sentences.repair_verdict(repair_sweep()))
    harm = table[table["verdict"] == "harm"]
    assert len(table) == 10 and len(harm) == 5 and harm["network"].str.contains("weight decay 1e-4").all()
    assert harm["points brought"].str.startswith("−").all()
    assert sentences.repair_verdict([]) == "**Verdict.** Nothing is measured that could tell."
    alone = [make_repair_record(2.0)]
    assert sentences.repair_verdict(alone) == "**Verdict.** Nothing is measured that could tell.", "one pair tells none"


def test_what_the_pairs_cannot_tell_is_neither_a_gain_nor_harm():
    shares = {(0, 1): 0.2, (2, 3): 2.0}
    records = [make_repair_record(2.0, shares={"lewc_mean": share}, seeds=seeds) for seeds, share in shares.items()]
    verdict = text(sentences.repair_verdict(records))
    assert "It brings points in 0 of 1 settings and widths, does harm in 0, and the pairs cannot tell in 1" in verdict
    [row] = numbers_of(sentences.repair_verdict(records)).to_dict("records")
    assert (row["network"], row["width"]) == ("MLP on digits, weight decay 3e-3, batches of 32", "×2")


def test_both_decays_side_by_side_before_and_after_the_repair():
    records = [
        make_repair_record(width, lost=lost, shares={"lewc_mean": left}, seeds=seeds, weight_decay=decay)
        for width in (1.0, 4.0)
        for seeds in ((0, 1), (2, 3))
        for decay, lost, left in ((3e-3, 0.2, 0.25), (1e-4, 0.1, 2.0))
    ]
    [one] = sentences.decay_after_repair(records)
    assert text(one) == (
        "MLP on digits at ×4, batches of 32: of 2 pairs, less is lost with 3e-3 than with 1e-4 in 0 (plain), "
        "2 (bias: LEWC's means), 0 (means and variances)."
    )
    assert [text(list(row)) for row in numbers_of(one).drop(columns="network").to_numpy()] == [
        "plain 20.0 ± 0.0 10.0 ± 0.0",
        "bias: LEWC's means 5.0 ± 0.0 20.0 ± 0.0",
        "means and variances 4.0 ± 0.0 2.0 ± 0.0",
    ]
    assert sentences.decay_after_repair(records[::2]) == [], "one decay alone"
