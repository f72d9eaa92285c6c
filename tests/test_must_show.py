"""What the committed records must show, mostly of the embedded scale: statements of the book on measured networks."""

import pytest

from lmcbook.lab import plan
from lmcbook.lab.records import layers_table, pairs_table, summaries_table
from lmcbook.pages import claims
from lmcbook.pages.analysis import permutations
from lmcbook.pages.analysis.intervals import mean_interval
from lmcbook.pages.analysis.layers import law_errors_table
from lmcbook.pages.analysis.repairs import PLAIN, REPAIRED, TRIALS, ways_table


@pytest.fixture(scope="module")
def committed(committed_records):
    current = [record for record in committed_records if record.scale == "embedded" and not record.outdated]
    found = {record.digest: record for record in current}
    if not found:
        pytest.skip("no records of the embedded scale came with this checkout")
    return found


@pytest.fixture(scope="module")
def records(committed):
    """The committed records of a chapter, all of them."""

    def of(*planned):
        digests = [one.pair.digest for each in planned for one in each(plan.Selection("embedded"))]
        assert set(digests) <= set(committed), "committed records are not those of the plan: measure and commit them"
        return [committed[digest] for digest in dict.fromkeys(digests)]

    return of


def perceptrons(table, *, weight_decay=3e-3, alignment="identity"):
    chosen = (table["weight_decay"] == weight_decay) & (table["alignment"] == alignment)
    return table[(table["recipe"] == "mlp-digits") & chosen]


def test_the_cosine_of_the_logits_rises_with_width(records):
    table = perceptrons(summaries_table(records(plan.layers)))
    means = table.groupby("width_multiplier")["lewc_cosine"].mean()
    assert list(means) == sorted(means) and means.iloc[-1] > means.iloc[0] + 0.3
    ends = (table[table["width_multiplier"] == width]["lewc_cosine"] for width in (means.index[0], means.index[-1]))
    narrow, wide = ends
    assert narrow.max() < wide.min(), "every pair, not the mean alone"


def test_commutativity_stays_far_from_holding(records):
    table = summaries_table(records(plan.layers))
    assert (table[table["alignment"] == "identity"]["commutativity"] > 0.7).all()


def test_both_conditions_of_lewc_improve_with_width(records):
    means = perceptrons(summaries_table(records(plan.layers))).groupby("width_multiplier").mean(numeric_only=True)
    orthogonality = list(means["reciprocal_orthogonality"])
    assert orthogonality == sorted(orthogonality, reverse=True) and orthogonality[-1] < orthogonality[0] / 2
    assert (means["weak_additivity"] > 0.98).all()


def test_the_temperature_is_predicted_better_the_more_orthogonal_the_pairs(records):
    table = pairs_table(records(plan.layers, plan.depth))
    table = table[table["recipe"] == "mlp-digits"]
    [main] = claims.STATISTICS["temperature_rank_correlation"](table, weight_decay=3e-3).values
    assert main > 0.7
    # with little weight decay the other condition fails, and orthogonality no longer decides
    [weak] = claims.STATISTICS["temperature_rank_correlation"](table, weight_decay=1e-4).values
    assert weak < 0.5
    additivity = table[table["weight_decay"] == 1e-4]["weak_additivity"]
    assert additivity.max() < perceptrons(table)["weak_additivity"].min()


def test_three_layers_have_the_predicted_temperature_within_a_factor_of_one_and_a_half(records):
    table = pairs_table(records(plan.depth))
    three = table[table["num_layers"] == 3]
    assert len(three) >= 3
    ratio = three["inverse_temperature_midpoint"] / three["predicted_inverse_temperature_midpoint"]
    assert ratio.between(1 / 1.5, 1.5).all()


def test_depth_turns_the_logits_down_exponentially(records):
    means = pairs_table(records(plan.depth)).groupby("num_layers")[["inverse_temperature_midpoint"]].mean()
    fitted = means["inverse_temperature_midpoint"]
    for layers in (2, 3, 4, 6):
        assert 0.7 < fitted[layers] / (fitted[2] * 2 ** (layers - 2)) < 1.3


@pytest.mark.slow
def test_at_the_widest_the_logits_are_nearer_to_lewc_than_to_llfc_at_every_coefficient(records):
    table = law_errors_table(records(plan.layers))
    logits = table[(table["recipe"] == "mlp-digits") & (table["layer"] == "classifier")]
    errors = logits.pivot_table(index="coefficient", columns="law", values="error")
    assert (errors["LEWC"] < errors["LLFC"]).all()


def test_batch_norm_leaves_one_in_hidden_layers_and_two_at_the_logits(records):
    table = layers_table(records(plan.layers))
    table = table[(table["metric"] == "decay_exponent") & table["num_layers"].isna()]
    table = table[(table["weight_decay"] == 3e-3) & table["depth"].notna()]
    assert set(table["recipe"]) == {"resnet20-digits", "vgg11-digits"}
    assert table[table["layer"] == "classifier"]["value"].between(1.8, 2.2).all()
    hidden = table[table["layer"] != "classifier"].groupby(["recipe", "width_multiplier"])["value"].mean()
    assert hidden.between(0.7, 1.1).all()


def test_weight_matching_takes_every_pair_from_one_mechanism_to_the_other(records):
    table = permutations.before_and_after_table(records(plan.permutations))
    keys = ["recipe", "width_multiplier", "seed_a"]
    before, after = (table[table["alignment"] == each].set_index(keys) for each in ("identity", "weight_matching"))
    assert len(before) == len(after) >= 20
    assert (after["commutativity"] < 0.8 * before["commutativity"]).all()
    assert (after["reciprocal_orthogonality"] > before["reciprocal_orthogonality"]).all()
    assert (after["overlap"] > before["overlap"]).all()
    assert (after["alike_error"] < before["alike_error"]).all()


def test_the_gain_of_a_search_falls_with_width_and_is_not_gone_at_the_widest(records):
    table = permutations.gain_table(records(plan.permutations))
    table = table[(table["recipe"] == "mlp-digits") & (table["alignment"] == "weight_matching")]
    means = table.groupby("width_multiplier")["midpoint_accuracy_barrier"].mean()
    assert means.iloc[-1] < means.iloc[0] / 5
    # what the paper's claim leaves open at these widths: a search still gains some points
    assert means.iloc[-1] > 0.01


def test_the_relative_rank_falls_with_width_under_the_papers_decay_alone(records):
    table = summaries_table(records(plan.layers))
    strong, weak = (
        perceptrons(table, weight_decay=decay).groupby("width_multiplier")["relative_effective_rank"].mean()
        for decay in (3e-3, 1e-4)
    )
    assert list(strong) == sorted(strong, reverse=True) and strong.iloc[-1] < 0.1 * strong.iloc[0]
    assert weak.min() > 0.5


def test_active_units_overlap_as_independent_ones_do(records):
    table = perceptrons(summaries_table(records(plan.layers)))
    wide = table[table["width_multiplier"] >= 8]
    assert (wide["overlap"] - wide["expected_overlap"]).abs().max() < 0.05


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"x{trial.width_multiplier:g}-{trial.batch_size}")
def test_trials_of_the_repair_lie_in_the_intervals_of_the_records(committed_records, trial):
    repairs = [record for record in committed_records if record.measurement == "repair" and not record.outdated]
    table = ways_table([record for record in repairs if record.recipe == "mlp-digits"])
    table = table[(table["weight_decay"] == 3e-3) & (table["width_multiplier"] == trial.width_multiplier)]
    chosen = table[table["batch_size"] == trial.batch_size].drop_duplicates(["seed_a", "seed_b", "way"])
    for way, seen in ((PLAIN, trial.as_it_is), (REPAIRED, trial.repaired)):
        lost = [*(100 * chosen[chosen["way"] == way]["midpoint_accuracy_barrier"])]
        low, high = mean_interval(lost)
        assert len(lost) == 3 and low <= seen <= high, way


@pytest.mark.parametrize("batch_size", [125, 500])
@pytest.mark.parametrize("recipe", ["mlp-mnist", "mlp-fashion_mnist"])
def test_on_the_papers_data_a_bias_per_layer_repairs_three_pairs_of_every_width(committed_records, recipe, batch_size):
    repairs = [record for record in committed_records if record.measurement == "repair" and not record.outdated]
    table = ways_table([record for record in repairs if record.recipe == recipe and record.scale == "paper"])
    table = table[(table["weight_decay"] == 3e-3) & (table["batch_size"] == batch_size)]
    lost = table.pivot_table("midpoint_accuracy_barrier", ["width_multiplier", "seed_a"], "way", observed=True)
    by_width = lost.groupby("width_multiplier")
    assert (by_width.size().reindex([0.25, 0.5, 1, 2, 4]) >= 3).all()
    assert (by_width[REPAIRED].mean() < by_width[PLAIN].mean()).all()
    if batch_size == 500:
        assert (lost[REPAIRED] < lost[PLAIN]).all(), "every pair, not the mean alone"


@pytest.mark.slow
def test_a_claim_has_one_verdict_in_all_chapters(records):
    """Fig. 9 is judged where width and layers are measured, and again beside the sweep of weight decays."""
    sets = (plan.width, plan.layers), (plan.layers,), (plan.weight_decay, plan.against_low_rank, plan.layers)
    judged = [claims.judge(records(*planned), claims.about("Fig. 9")) for planned in sets]
    for verdicts in zip(*judged, strict=True):
        found = [
            verdict.values for verdict in verdicts if verdict.values and verdict.claim.chapter != "08_weight_decay"
        ]
        assert len(set(found)) <= 1, verdicts[0].claim.id
