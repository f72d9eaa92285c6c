"""Figures of layers, units and permutations: what they draw, against hand-made records and the theory."""

import math
from dataclasses import replace
from typing import Any

import numpy
import numpy as np
import pytest
import torch

from lmcbook import theory
from lmcbook.lab.records import histograms_table, layers_table, pairs_table, summaries_table, units_table
from lmcbook.pages.analysis import curves, temperatures
from lmcbook.pages.analysis import layers as layer_tables
from lmcbook.pages.analysis import permutations as permutation_tables
from lmcbook.pages.analysis import units as unit_tables
from lmcbook.pages.figures import layers, permutations, rows, style, units
from tests.helpers.synthetic_records import (
    make_layerwise_record,
    make_record,
    with_batch_norm,
)


@pytest.fixture(scope="module")
def own_depth(perceptrons):
    return [record for record in perceptrons if record.config.training.num_layers == 4]


# --- the tables they are drawn from -------------------------------------------------------------------------------


def test_layers_are_told_apart_by_depth_coefficient_and_number_of_layers():
    table = layers_table([make_layerwise_record(num_layers=3), make_layerwise_record(recipe="vgg11-digits")])
    cosines = table[(table["metric"] == "lewc_cosine") & (table["recipe"] == "mlp-digits")]
    assert sorted(cosines["coefficient"].unique()) == [0.25, 0.5, 0.75] and set(cosines["depth"]) == {1, 2, 3}
    assert table[table["metric"] == "overlap"]["coefficient"].isna().all()
    assert set(table[table["recipe"] == "mlp-digits"]["num_layers"]) == {3}
    assert table[table["recipe"] == "vgg11-digits"]["num_layers"].isna().all()
    assert table[table["depth"].isna()]["layer"].unique() == ["block1.shortcut"]


def test_units_stand_in_a_table_and_their_bins_in_another():
    record = make_layerwise_record(2)
    table = units_table([record])
    assert len(table) == 3 * 32 and set(table["num_units"]) == {32}
    entry = next(each for each in record.data["layers"] if each["layer"] == "hidden2")
    second = table[table["layer"] == "hidden2"]
    assert list(second["root_second_moment_b"]) == entry["units"]["b"]["root_second_moments"]
    bins = histograms_table([record])
    assert len(bins) == 3 * 40 and bins["low"].min() == 0 and bins["high"].max() == 1
    shares = bins.groupby("layer")[["share_a", "share_b"]].sum()
    numpy.testing.assert_allclose(shares, 1)


def test_summaries_are_means_over_the_layers_that_they_name():
    record = make_layerwise_record(4, recipe="vgg11-digits")
    ends = [each for each in record.data["layers"] if each["coefficient"] is None and each["depth"]]
    for depth, value in ((2, 0.1), (3, 0.2), (4, 0.6)):
        ends[depth - 1]["metrics"]["reciprocal_orthogonality"] = value
        ends[depth - 1]["metrics"]["stable_rank_a"] = ends[depth - 1]["metrics"]["stable_rank_b"] = 10.0 * depth
    row = summaries_table([record]).iloc[0]
    assert row["reciprocal_orthogonality"] == pytest.approx(0.3), "the shortcut, at 99, does not count"
    assert row["stable_rank"] == pytest.approx(25), "layers 2 and 3 of 4"
    assert row["active_share"] == pytest.approx(0.55) and math.isnan(row["num_layers"])
    logits = [each for each in record.data["layers"] if each["depth"] == 4 and each["coefficient"] == 0.5]
    assert row["lewc_cosine"] == logits[0]["metrics"]["lewc_cosine"]
    ends[1]["metrics"]["reciprocal_orthogonality"] = None
    assert summaries_table([record]).iloc[0]["reciprocal_orthogonality"] == pytest.approx(0.4), (
        "a dead layer is left out"
    )


def test_pairs_join_what_was_measured_of_the_same_two_trainings():
    both = [make_record(2), make_layerwise_record(2), make_record(2, num_layers=3), make_record(2, alignment="random")]
    table = pairs_table(both)
    assert len(table) == 3 and list(table["overlap"].notna()) == [True, False, False]
    assert list(table["num_layers"]) == [4, 3, 4]
    assert "overlap" in pairs_table([]) and "overlap" in summaries_table([])


# --- layer by layer -----------------------------------------------------------------------------------------------


def test_the_cosine_is_that_of_the_midpoint_of_pairs_as_they_are(own_depth):
    table = layer_tables.lewc_cosine_table(own_depth)
    assert len(table) == (3 * 2 + 3 * 2) * 4, "widths, pairs and decays, four layers each"
    expected = 1 - 0.1 * table["depth"] / table["width_multiplier"] ** 0.4
    numpy.testing.assert_allclose(table["lewc_cosine"], expected)


def test_every_pair_is_a_point_and_each_width_a_line(own_depth):
    axis = layers.lewc_cosine_by_layer(layer_tables.lewc_cosine_table(own_depth)).axes[0]
    points = [line for line in axis.lines if line.get_linestyle() == "None"]
    means = [line for line in axis.lines if line.get_linestyle() == "-"]
    assert len(points) == len(means) == 3
    assert all(len(line.get_xdata()) == 2 * 4 for line in points)  # type: ignore[arg-type]
    numpy.testing.assert_allclose(means[0].get_ydata(), [0.9, 0.8, 0.7, 0.6])  # type: ignore[arg-type]
    assert [label.get_text() for label in axis.get_xticklabels()][-1] == "classifier"


@pytest.mark.slow
def test_guides_say_what_the_laws_say_of_networks_with_and_without_batch_norm(own_depth, convolutional):
    def guides(records):
        axis = layers.decay_exponent_by_layer(layer_tables.decay_exponent_table(records)).axes[0]
        guides = [line for line in axis.lines if np.size(line.get_xdata()) == 2 and line.get_color() == style.INK]
        return {
            dashes: [float(np.asarray(line.get_ydata())[0]) for line in guides if line.get_linestyle() == dashes]
            for dashes in ("--", ":")
        }

    assert guides(own_depth) == {"--": [1, 2, 3, 4], ":": [1, 1, 1, 1]}
    assert guides(convolutional) == {"--": [1, 1, 1, 2], ":": [1, 1, 1, 1]}


def _without_batch_norm(record, exponent):
    training = replace(record.config.training, architecture="bare_vgg")
    return replace(record, config=replace(record.config, training=training), digest="", lewc_exponent=exponent)


@pytest.mark.slow
def test_what_the_laws_say_follows_the_network_not_the_absence_of_a_depth(own_depth, convolutional):
    """An MLP with batch norm, and a VGG without it, as a reader may add them."""
    normalised = [with_batch_norm(record) for record in own_depth]
    bare = [_without_batch_norm(record, 4) for record in convolutional]
    for records, dashed, has_batch_norm in ((normalised, [1, 1, 1, 2], True), (bare, [1, 2, 3, 4], False)):
        axis = layers.decay_exponent_by_layer(layer_tables.decay_exponent_table(records)).axes[0]
        guides = [line for line in axis.lines if np.size(line.get_xdata()) == 2 and line.get_linestyle() == "--"]
        assert [float(np.asarray(line.get_ydata())[0]) for line in guides if line.get_color() == style.INK] == dashed
        assert (layer_tables.BATCH_NORM in set(layer_tables.law_errors_table(records)["law"])) == has_batch_norm
    table = permutation_tables.before_and_after_table(normalised)
    axis = permutations.matching_laws(table).axes[2]
    assert 2 in [float(np.asarray(line.get_ydata())[0]) for line in axis.lines if line.get_linestyle() == "--"]


def test_layers_from_the_second_on_have_products(perceptrons):
    assert set(layer_tables.reciprocal_orthogonality_table(perceptrons)["depth"]) == {2, 3, 4}
    assert set(layer_tables.commutativity_table(perceptrons)["depth"]) == {2, 3, 4}
    assert "classifier" not in set(layer_tables.weak_additivity_table(perceptrons)["layer"])


# --- the laws and the temperature ---------------------------------------------------------------------------------


def record_of(a: torch.Tensor, b: torch.Tensor, merged: dict[float, torch.Tensor], recipe: str = "mlp-digits"):
    """A record whose classifier's numbers are those of these logits."""
    record = make_layerwise_record(2, recipe=recipe)
    for entry in record.data["layers"]:
        if entry["depth"] == 4 and (share := entry["coefficient"]) in merged:
            laws = {"lewc": share**4 * a + (1 - share) ** 4 * b, "llfc": share * a + (1 - share) * b}
            for law, said in laws.items():
                entry["metrics"][f"{law}_error"] = ((merged[share] - said).norm() / said.norm()).item()
            squares = (a.norm() ** 2 + b.norm() ** 2) / 2
            entry["metrics"]["output_norm"] = (merged[share].norm() / squares**0.5).item()
            if share == 0.5:
                entry["metrics"]["decay_exponent"] = -math.log2(merged[share].norm() / (a + b).norm())
    return record


def logits_errors(record) -> dict[Any, float]:
    table = layer_tables.law_errors_table([record])
    return table[table["depth"] == 4].set_index(["law", "coefficient"])["error"].to_dict()


def test_both_laws_are_measured_with_one_denominator():
    generator = torch.Generator().manual_seed(0)
    a, b, noise = torch.randn(3, 50, 10, generator=generator, dtype=torch.float64)
    b = b * a.norm() / b.norm()
    merged = {0.25: 0.02 * a + 0.3 * b + 0.1 * noise, 0.5: 0.15 * (a + b) + 0.1 * noise}
    found = logits_errors(record_of(a, b, merged))
    for share, layer in merged.items():
        lewc = (layer - share**4 * a - (1 - share) ** 4 * b).norm() / layer.norm()
        llfc = (layer - share * a - (1 - share) * b).norm() / layer.norm()
        assert found["LEWC", share] == pytest.approx(lewc.item(), rel=1e-9)
        assert found["LLFC", share] == pytest.approx(llfc.item(), rel=1e-9)
    # networks whose layers differ in length by a tenth: exact at the middle, nearly so elsewhere
    found = logits_errors(record_of(a, 1.1 * b, merged))
    for share, tolerance in ((0.5, 1e-9), (0.25, 0.1)):
        layer = merged[share]
        llfc = (layer - share * a - (1 - share) * 1.1 * b).norm() / layer.norm()
        assert found["LLFC", share] == pytest.approx(llfc.item(), rel=tolerance)


def test_a_layer_that_shrinks_as_much_as_it_grows_is_not_nearer_to_llfc():
    """Four layers and the right direction: relative to each law's own prediction LLFC won up to the exponent 3.17."""
    a, b = torch.randn(2, 50, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for exponent, nearer in ((1.2, "LLFC"), (3.0, "LEWC")):
        found = logits_errors(record_of(a, b, {0.5: 2.0**-exponent * (a + b)}))
        assert min(("LEWC", "LLFC"), key=lambda law: found[law, 0.5]) == nearer
        assert found["LEWC", 0.5] == pytest.approx(abs(1 - 2 ** (exponent - 4)), abs=1e-9)
        assert found["LLFC", 0.5] == pytest.approx(abs(1 - 2 ** (exponent - 1)), abs=1e-9)


def test_the_error_of_the_law_of_batch_norm_follows_from_that_of_llfc():
    generator = torch.Generator().manual_seed(0)
    a, b, noise = torch.randn(3, 50, 10, generator=generator, dtype=torch.float64)
    merged = 0.23 * (a + b) + 0.1 * noise
    found = logits_errors(record_of(a, b, {0.5: merged}, recipe="vgg11-digits"))
    expected = ((merged - (a + b) / 4).norm() / merged.norm()).item()
    assert found[layer_tables.BATCH_NORM, 0.5] == pytest.approx(expected, rel=1e-9)
    assert layer_tables.BATCH_NORM not in set(layer_tables.law_errors_table([make_layerwise_record(2)])["law"])


def test_laws_are_compared_at_the_widest_and_the_papers_decay(own_depth):
    table = layer_tables.law_errors_table(own_depth)
    assert set(table["width_multiplier"]) == {16} and set(table["weight_decay"]) == {3e-3}
    assert set(table["coefficient"]) == {0.25, 0.5, 0.75}


def test_predicted_temperatures_are_those_of_the_laws(perceptrons, convolutional):
    table = temperatures.temperature_width_table([*perceptrons, *convolutional]).drop_duplicates(
        ["recipe", "num_layers"]
    )
    # 1.1 is the β of the averaged logits in these records; 2 takes the place of L under batch norm
    assert list(table["predicted_inverse_temperature"]) == pytest.approx([1.1 * 8, 1.1 * 4, 1.1 * 2])
    depth = curves.temperature_depth_table([*perceptrons, *convolutional])
    assert set(depth["num_layers"]) == {3, 4} and set(depth["recipe"]) == {"mlp-digits"}
    middle = depth[depth["coefficient"] == 0.5].drop_duplicates("num_layers").set_index("num_layers")
    assert middle["predicted_inverse_temperature"].to_dict() == pytest.approx({4: 1.1 * 8, 3: 1.1 * 4})
    quarter = depth[(depth["coefficient"] == 0.25) & (depth["num_layers"] == 4)].iloc[0]
    assert quarter["predicted_inverse_temperature"] == pytest.approx(1.1 / (0.25**4 + 0.75**4))


def test_batch_norm_is_what_the_network_has_and_not_what_lacks_a_number_of_layers():
    """A perceptron with batch norm, and a convolutional network without."""
    records, inside = (
        [with_batch_norm(make()), _without_batch_norm(make(recipe="vgg11-digits"), 11)]
        for make in (make_record, make_layerwise_record)
    )
    predicted = temperatures.temperature_width_table(records)["predicted_inverse_temperature"]
    assert list(predicted) == pytest.approx([1.1 * 2, 1.1 * 2**10])
    assert set(temperatures.temperature_error_table([*records, *inside])["recipe"]) == {"vgg11-digits"}
    halfway = curves.inverse_temperature_table(records).set_index("coefficient").loc[0.5]
    assert list(halfway["predicted_inverse_temperature"]) == pytest.approx(list(predicted))


def test_errors_of_the_temperature_are_of_pairs_without_batch_norm(own_depth, convolutional):
    table = temperatures.temperature_error_table([*own_depth, *convolutional])
    assert len(table) == 12 and set(table["recipe"]) == {"mlp-digits"}
    barriers = pairs_table(own_depth).iloc[0]
    ratio = barriers["inverse_temperature_midpoint"] / barriers["predicted_inverse_temperature_midpoint"]
    assert table["error"].iloc[0] == pytest.approx(abs(math.log2(ratio)))


# --- units and ranks ----------------------------------------------------------------------------------------------


def test_a_layer_in_which_nothing_is_active_has_no_cosine_of_gaussians():
    record = make_layerwise_record(2)
    for model in "ab":
        record.data["layers"][1]["units"][model]["root_second_moments"] = [0.0] * 32
    table = unit_tables.gaussian_table([record])
    assert list(table["gaussian"].isna()) == [False, True, False]


def test_measured_cosines_stand_beside_those_of_their_own_layer(own_depth):
    table = unit_tables.gaussian_table(own_depth)
    assert len(table) == 12 * 3 and table["gaussian"].between(theory.INDEPENDENT_COSINE, 1).all()
    record = next(each for each in own_depth if each.measurement == "layerwise")
    moments = record.data["layers"][1]["units"]
    expected = theory.gaussian_cosine(moments["a"]["root_second_moments"], moments["b"]["root_second_moments"])
    chosen = table[(table["depth"] == 2) & (table["seed_a"] == record.config.seeds[0])]
    chosen = chosen[chosen["weight_decay"] == record.config.training.weight_decay]
    chosen = chosen[chosen["width_multiplier"] == record.config.training.width_multiplier]
    assert chosen["gaussian"].item() == pytest.approx(expected)


def test_histograms_are_shares_of_all_units(own_depth):
    table = unit_tables.histogram_table(own_depth)
    assert set(table["weight_decay"]) == {3e-3} and len(table) == 3 * 3 * 10
    sums = table.groupby(["width_multiplier", "layer"])["share"].sum()
    numpy.testing.assert_allclose(sums, 1)
    record = next(each for each in own_depth if each.measurement == "layerwise")
    width = record.config.training.width_multiplier
    counts = [record.data["layers"][0]["units"][model]["histogram"]["counts"] for model in "ab"]
    expected = numpy.mean([sum(each[:4]) / sum(each) for each in counts])
    lowest = table[(table["width_multiplier"] == width) & (table["layer"] == "hidden1") & (table["low"] == 0)]
    assert lowest["share"].item() == pytest.approx(expected)


def test_the_units_of_one_pair_are_shown_at_both_ends_of_the_widths(own_depth):
    table = unit_tables.both_models_table(own_depth)
    assert (
        set(table["width_multiplier"]) == {1, 16} and set(table["layer"]) == {"hidden2"} and set(table["seed_a"]) == {0}
    )
    assert len(table) == 16 + 256
    largest = table.groupby("width_multiplier")[["root_second_moment_a", "root_second_moment_b"]].max().max(axis=1)
    assert list(largest) == [1, 1]


def test_ranks_are_drawn_absolute_and_relative(own_depth):
    table = unit_tables.rank_table(own_depth)
    numpy.testing.assert_allclose(
        table["effective_rank"], table["relative_effective_rank"] * 16 * table["width_multiplier"]
    )
    assert len(units.ranks_against_width(table).axes) == 2


# --- permutations -------------------------------------------------------------------------------------------------


def test_the_gain_is_random_minus_matched_of_the_same_pair(own_depth):
    table = permutation_tables.gain_table(own_depth)
    assert set(table["alignment"]) == {"weight_matching", "activation_matching"} and len(table) == 2 * 3 * 2
    row = table[(table["alignment"] == "weight_matching") & (table["width_multiplier"] == 4)].iloc[0]
    random = make_record(4, alignment="random").data["barriers"]["midpoint_accuracy_barrier"]
    assert row["midpoint_accuracy_barrier"] == pytest.approx(random - 0.02 / 4)


def test_before_and_after_are_of_the_same_pairs():
    lonely = make_layerwise_record(8)
    both = [make_layerwise_record(2), make_layerwise_record(2, alignment="weight_matching")]
    table = permutation_tables.before_and_after_table([lonely, *both])
    assert set(table["width_multiplier"]) == {2} and list(table["alignment"]) == ["identity", "weight_matching"]
    assert list(table["commutativity"]) == pytest.approx([0.95, 0.2])


def test_alignments_have_a_table_and_four_looks(own_depth):
    table = permutation_tables.alignment_table(own_depth)
    assert set(table["alignment"]) == set(permutations.LOOKS) and set(table["weight_decay"]) == {3e-3}
    assert len(set(permutations.LOOKS.values())) == 4
    axis = permutations.barrier_by_alignment(table).axes[0]
    points = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert len(points) == 4 and all(len(line.get_xdata()) == 6 for line in points)  # type: ignore[arg-type]


def test_both_mechanisms_have_their_place(own_depth):
    figure = permutations.two_mechanisms(permutation_tables.mechanism_table(own_depth))
    said = {text.get_text(): text.xy for text in figure.axes[0].texts}  # type: ignore[attr-defined]
    assert said == {"LLFC": (0, 1), "LEWC": (1, 0)}


# --- rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("narrow", "columns"), [(False, 4), (True, 2)])
def test_panels_without_room_stand_below(narrow, columns):
    figure, made = rows.rows([1.5, 1.0], [7, 3], narrow=narrow, columns=4, phone_columns=2, legend_lines=1)
    assert [len(axes) for _, axes in made] == [7, 3] and len(figure.axes) == 10
    for (_, axes), count in zip(made, (7, 3), strict=True):
        places = [axis.get_subplotspec().get_geometry() for axis in axes]  # type: ignore[union-attr]
        across = min(columns, count)
        assert {place[:2] for place in places} == {(-(-count // across), across)}
    width, height = figure.get_size_inches()
    assert width == (style.NARROW if narrow else style.WIDE)
    assert height == pytest.approx(1.5 * 4 + 2 * 1 + 2 * 0.19 if narrow else 1.5 * 2 + 1)


def test_of_many_layers_the_last_keeps_its_name(convolutional):
    table = layer_tables.lewc_cosine_table(convolutional)
    many = table.iloc[[0] * 20].assign(depth=range(1, 21), layer=[f"layer{depth}" for depth in range(1, 21)])
    _, [(_, [axis])] = rows.rows([2.0], 1, narrow=False)
    layers.name_layers(axis, many, panels=3)
    assert {"layer20", "layer18"} <= {label.get_text() for label in axis.get_xticklabels()}
    assert "layer19" not in {label.get_text() for label in axis.get_xticklabels()}
    assert layers.label_room(many, panels=3) > layers.label_room(table, panels=2)
