"""What the book says of repairs: tables, falls with width, figures and sentences, on records of known numbers."""

import math

import numpy as np
import pytest

from lmcbook.errors import InputError
from lmcbook.lab.records import pairs_table, repairs_table
from lmcbook.pages import figures, sentences
from lmcbook.pages.analysis.falls import fit_fall
from lmcbook.pages.analysis.labels import mean_and_deviation
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
from tests.helpers.control_records import changed
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_fit_with_a_single_pair_at_a_width_is_told_without_it_too():
    one = repair_sweep(widths=(16,), pairs=1)
    records = [*repair_sweep(widths=(1, 2, 4, 8)), *one]
    found = {(each.setting, each.way): each for each in excesses(records)}
    each = found["weight decay 3e-3, batches of 32", PLAIN]
    assert each.singles == (16.0,) and each.fall is not None and each.without_singles is not None
    assert (each.fall.num_widths, each.without_singles.num_widths, each.without_singles.num_pairs) == (5, 4, 12)
    assert each.without_singles == excesses(repair_sweep(widths=(1, 2, 4, 8)))[0].fall
    said = sentences.excess_finding(records)
    assert said[-1].startswith("Without widths of a single pair the answer differs in ") and len(said) == 3
    rows = numbers_of(said)
    [row] = rows[rows["merge"] == f"{PLAIN}, without ×16"].to_dict("records")[:1]
    assert row["pairs, widths"] == "12, 4" and len(rows) == 8
    whole = excesses(repair_sweep())
    assert all(each.singles == () and each.without_singles is None for each in whole)
    assert len(sentences.excess_finding(repair_sweep())) == 2


@pytest.mark.parametrize(
    ("apart", "word"),
    [((0.9, 1.0, 1.1), "holds"), ((2.9, 3.0, 3.1), "does not hold"), ((0.0, 2.0, 4.0), "is undecided")],
)
def test_batch_sizes_are_alike_after_the_repair_where_the_interval_says_so(apart, word):
    records = []
    for points, seeds in zip(apart, ((0, 1), (2, 3), (4, 5)), strict=True):
        for size, lost in ((500, 0.05 + points / 100), (125, 0.05)):
            one = make_repair_record(1.0, recipe="mlp-mnist", lost=0.2, shares={"lewc_mean": lost / 0.2}, seeds=seeds)
            records.append(changed(one, batch_size=size))
    [said] = sentences.repair_predictions(records)
    assert said.startswith(
        f"Prediction 3 {word}: at ×1 on MNIST repaired averages of batches of 500 lose {apart[1]:.1f} ("
    )
    assert sentences.repair_predictions(records[:2]) == [], "one pair decides nothing"


@pytest.mark.parametrize("slope", [-0.5, -1.0])
def test_the_fall_after_the_repair_is_judged_by_its_interval(slope):
    records = []
    for width in (1, 2, 4, 8):
        for lost, seeds in ((0.294, (0, 1)), (0.3, (2, 3)), (0.306, (4, 5))):
            # beyond the ensemble, which gains 0.01, the repaired average loses a power of the width
            shares = {"lewc_mean": width**slope - 0.01 / lost}
            records.append(make_repair_record(width, lost=lost, shares=shares, seeds=seeds))
    first, second = sentences.repair_predictions(records)
    off = slope != -0.5
    assert first.startswith(f"Prediction 4 {'does not hold' if off else 'is undecided'}: ")
    assert f"leaves −½ out in {int(off)} of 1 settings" in first and "falls more slowly" in second
    assert second.endswith(
        " in 1 of 1. That it levels off (one power rejected, flatter between the two widest) is seen in 0."
    )


def test_trials_are_compared_with_means_and_with_intervals():
    shares = {"lewc_mean": 0.037 / 0.099}
    pairs = (((0, 1), 0.099), ((2, 3), 0.1), ((4, 5), 0.098))
    near = [make_repair_record(8.0, lost=lost, shares=shares, seeds=seeds) for seeds, lost in pairs]
    far = [make_repair_record(8.0, lost=2 * lost, shares=shares, seeds=seeds) for seeds, lost in pairs]
    for records, count, within in ((near, 1, 2), (far, 0, 0)):
        [said] = sentences.trials_finding(records)
        assert f"are within 0.2 points of those of trials in {count} of 1 settings" in said
        assert f"; {within} of the trials' 2 numbers lie in" in said
        [row] = numbers_of(said).to_dict("records")
        assert (row["plain: trials"], row["repaired: trials"]) == ("9.9", "3.7")
    assert sentences.trials_finding(near[:1]) == [] == sentences.trials_finding([])


@pytest.mark.slow
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


@pytest.mark.slow
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
    table = numbers_of(batches)
    assert list(table["batches of"]) == ["32", "128"] * 2 and set(table["pairs"]) == {"3"}
    # at ×4 with a floor of 0.2: t of two degrees of freedom is 4.303, β fitted is 1 + 20 times what is lost
    lost = np.array([100 * (1 + 0.02 * math.sin(3 * index + 4)) * 0.25 for index in range(3)])
    half = 4.3027 * lost.std(ddof=1) / math.sqrt(3)
    cells = table.loc[1, ["points lost, plain (95 % interval)", "β over LEWC's, plain"]]
    assert cells.iloc[0] == f"{lost.mean():.1f} ({lost.mean() - half:.1f} to {lost.mean() + half:.1f})"
    assert cells.iloc[1] == mean_and_deviation(list((1 + 20 * lost / 100) / 8.8))
    alone = [make_repair_record(4.0), changed(make_repair_record(4.0), batch_size=128)]
    cell = numbers_of(sentences.repair_by_batch(alone))["points lost, repaired (95 % interval)"]
    assert list(cell) == ["5.0", "5.0"], "one pair has no interval"
    assert sentences.repair_by_batch(records) == []


def test_the_verdict_tells_gains_harms_and_what_matching_adds():
    verdict = sentences.repair_verdict(repair_sweep())
    table = numbers_of(verdict)
    points = [float(cell.split(" points")[0].replace("−", "-")) for cell in table["points brought"]]
    gains, harms = ([each for each in points if sign * each > 0] for sign in (1, -1))
    middle = sorted(gains)[2]
    assert f"brings {min(gains)} to {max(gains)} points ({middle} in the median) in 5 of 10 settings" in verdict
    assert f"It costs {-max(harms)} to {-min(harms)} points in 5:" in verdict
    assert "\n  - MLP on digits, weight decay 1e-4, batches of 32, at ×1, ×2, ×4, ×8 and ×16." in verdict
    assert "cannot tell" not in verdict
    tops = [cell for cell in table["matching with REPAIR on top"] if cell != "–"]
    more = [float(cell.split(" points")[0]) for cell in tops if " (−" not in cell and not cell.startswith("−")]
    assert f"brings {min(more)} to {max(more)} points on top in {len(more)} of {len(tops)}." in verdict
    harm = table[table["verdict"] == "harm"]
    assert len(table) == 10 and len(harm) == 5 and harm["network"].str.contains("weight decay 1e-4").all()
    assert harm["points brought"].str.startswith("−").all()
    assert sentences.repair_verdict([]) == "**Verdict.** Nothing is measured that could tell."
    alone = [make_repair_record(2.0)]
    assert sentences.repair_verdict(alone) == "**Verdict.** Nothing is measured that could tell.", "one pair tells none"


def test_what_the_pairs_cannot_tell_is_neither_a_gain_nor_harm():
    shares = {(0, 1): 0.2, (2, 3): 2.0}
    records = [make_repair_record(2.0, shares={"lewc_mean": share}, seeds=seeds) for seeds, share in shares.items()]
    verdict = sentences.repair_verdict(records)
    assert "It brings points in none of 1 settings and widths." in verdict and "It does harm in none." in verdict
    assert verdict.endswith("The pairs cannot tell in 1:\n  - MLP on digits, weight decay 3e-3, batches of 32, at ×2.")
    [row] = numbers_of(verdict).to_dict("records")
    assert (row["network"], row["width"]) == ("MLP on digits, weight decay 3e-3, batches of 32", "×2")
    helped = [make_repair_record(2.0, seeds=seeds, lost=lost) for seeds, lost in (((0, 1), 0.2), ((2, 3), 0.21))]
    assert "It brings 15.4 points in 1 of 1 settings" in sentences.repair_verdict(helped), "one is no range"


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
