"""Flatness: lengths of directions to the digit, walks against closed forms and against the interpolation curve."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from lmcbook.data import Split
from lmcbook.errors import InputError
from lmcbook.evaluation import Line, loss, predict_logits
from lmcbook.evaluation.flatness import (
    KINDS,
    RESCALINGS,
    difference,
    displaced,
    flatness_study,
    gaussian_direction,
    length_of,
    rescaled,
)
from lmcbook.lab.measurements import measure_flatness
from lmcbook.lab.records import LINES, lines_table, write_record
from lmcbook.merging import recompute_batch_norm
from lmcbook.randomness import random_stream
from tests.helpers.evaluation_pairs import random_pair
from tests.helpers.sessions import session_of
from tests.helpers.synthetic_records import make_record

DISTANCES = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(params=["mlp", "resnet20"])
def pair(request):
    return random_pair(request.param)


def parameters_of(pair):
    return {name for name, _ in pair.model.named_parameters()}


def study_of(pair, *, directions: int = 2, untrained: int = 1, **changes):
    arguments = {
        "distances": DISTANCES,
        "generators": [random_stream(0, "direction", index) for index in range(directions)],
    }
    line = changes.pop("line", None) or pair.line()
    return flatness_study(line, [pair.state_b] * untrained, **{**arguments, **changes})


# --- directions ------------------------------------------------------------------------------------------------------


def test_the_difference_is_of_parameters_alone(pair):
    found = difference(pair.state_a, pair.state_b, parameters_of(pair))
    assert found.keys() == parameters_of(pair)
    for name, tensor in found.items():
        assert torch.equal(tensor, pair.state_b[name] - pair.state_a[name])
    by_hand = math.sqrt(sum(float((tensor.double() ** 2).sum()) for tensor in found.values()))
    assert length_of(found) == pytest.approx(by_hand, rel=1e-12)


def test_a_name_that_is_no_parameter_is_refused(pair):
    with pytest.raises(InputError, match="names holds no_such; they must be parameters of the two networks"):
        difference(pair.state_a, pair.state_b, {"no_such"})
    with pytest.raises(InputError, match="names holds nothing; they must be parameters"):
        difference(pair.state_a, pair.state_b, set())


def lengths_by_unit(tensor):
    return tensor.double().flatten(1).norm(dim=1) if tensor.ndim > 1 else tensor.double().abs()


@pytest.mark.parametrize("rescaling", RESCALINGS)
def test_a_direction_is_as_long_as_the_difference_where_it_should_be(pair, rescaling):
    to = difference(pair.state_a, pair.state_b, parameters_of(pair))
    direction = rescaled(gaussian_direction(to, random_stream(0, "direction")), to, rescaling)
    assert length_of(direction) == pytest.approx(length_of(to), rel=1e-5)
    by_tensor = [(direction[name].double().norm(), to[name].double().norm()) for name in to]
    by_unit = [(lengths_by_unit(direction[name]), lengths_by_unit(to[name])) for name in to]
    agree_by_tensor = all(torch.allclose(*both, rtol=1e-5) for both in by_tensor)
    agree_by_unit = all(torch.allclose(*both, rtol=1e-5) for both in by_unit)
    assert agree_by_tensor == (rescaling != "global") and agree_by_unit == (rescaling == "filter")


def test_all_rescalings_keep_the_gaussian_numbers_but_their_size(pair):
    to = difference(pair.state_a, pair.state_b, parameters_of(pair))
    gaussian = gaussian_direction(to, random_stream(0, "direction"))
    for rescaling in RESCALINGS:
        for name, tensor in rescaled(gaussian, to, rescaling).items():
            ratios = tensor[gaussian[name] != 0] / gaussian[name][gaussian[name] != 0]
            assert (ratios >= 0).all() or to[name].abs().max() == 0
            if rescaling != "filter":
                assert torch.allclose(ratios, ratios[:1].expand_as(ratios), rtol=1e-4)


def test_what_does_not_differ_is_not_moved():
    to = {"weight": torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "bias": torch.tensor([0.0, -2.0])}
    direction = rescaled(gaussian_direction(to, random_stream(0, "direction")), to, "filter")
    assert direction["weight"][0].norm() == pytest.approx(5) and direction["weight"][1].abs().max() == 0
    assert direction["bias"][0] == 0 and abs(direction["bias"][1]) == pytest.approx(2)


def test_bad_rescalings_are_refused():
    to = {"weight": torch.ones(2, 2)}
    with pytest.raises(InputError, match="rescaling is 'unit'; it may be one of: global, layer, filter"):
        rescaled(to, to, "unit")
    with pytest.raises(InputError, match="direction and to must hold the same tensors"):
        rescaled({"other": torch.ones(2, 2)}, to, "layer")


def test_directions_are_the_same_twice_and_independent_of_each_other(pair):
    to = difference(pair.state_a, pair.state_b, parameters_of(pair))
    first, again, other = (gaussian_direction(to, random_stream(0, "direction", index)) for index in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in to)
    flat = [torch.cat([tensor.flatten() for tensor in each.values()]) for each in (first, other)]
    cosine = torch.cosine_similarity(flat[0], flat[1], dim=0)
    assert abs(cosine) < 5 / len(flat[0]) ** 0.5
    assert flat[0].mean().abs() < 5 / len(flat[0]) ** 0.5 and flat[0].std() == pytest.approx(1, abs=0.1)


def test_no_distance_is_a_copy_to_the_bit(pair):
    to = difference(pair.state_a, pair.state_b, parameters_of(pair))
    here = displaced(pair.state_a, to, 0.0)
    assert here.keys() == pair.state_a.keys()
    for name, tensor in here.items():
        assert torch.equal(tensor, pair.state_a[name]) and tensor.data_ptr() != pair.state_a[name].data_ptr()
    there = displaced(pair.state_a, to, 0.5, out=here)
    assert there is here
    for name, tensor in there.items():
        moved = pair.state_a[name] + 0.5 * to[name] if name in to else pair.state_a[name]
        assert torch.allclose(tensor, moved)


# --- walks -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_line_of_the_pair_is_the_interpolation_curve_backwards(pair):
    study, curve = study_of(pair), pair.curve(coefficients=DISTANCES)
    [line] = [each for each in study["curves"] if each["kind"] == "pair"]
    for name in ("loss", "accuracy", "inverse_temperature", "calibrated_loss"):
        # the two compute the first layer in different ways
        assert line[name] == pytest.approx(getattr(curve, name)[::-1], rel=1e-4)
    [untrained] = [each for each in study["curves"] if each["kind"] == "untrained"]
    assert untrained["loss"] == line["loss"] and untrained["length"] == line["length"]


@pytest.mark.slow
def test_every_walk_starts_at_network_a_to_the_bit(pair):
    study = study_of(pair)
    state = recompute_batch_norm(pair.model, pair.state_a, pair.train_images)
    expected = loss(predict_logits(pair.model, state, pair.test.images), pair.test.labels)
    assert {curve["loss"][0] for curve in study["curves"]} == {float(f"{expected:.6g}")}
    norm = length_of({name: pair.state_a[name] for name in parameters_of(pair)})
    assert study["norm"] == pytest.approx(norm, rel=1e-5)


class TwoLogits(nn.Module):
    """Logits (wx, 0): with x = 1 and label 0 the loss is log(1 + exp(−w)), a function of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))

    def forward(self, images):
        return torch.cat([images.flatten(1) @ self.weight.T, images.new_zeros(len(images), 1)], dim=1)


@pytest.mark.slow
def test_the_loss_along_a_direction_is_the_closed_form():
    # one weight: every rescaling is ± the difference, and the loss at w + t·d is log(1 + exp(−(w + t·d)))
    state_a, state_b = {"weight": torch.tensor([[1.0]])}, {"weight": torch.tensor([[4.0]])}
    ones = Split(images=torch.ones(3, 1, 1, 1), labels=torch.tensor([0, 0, 1]))
    generators = [random_stream(seed, "direction") for seed in range(12)]
    drawn = [gaussian_direction(state_a, random_stream(seed, "direction"))["weight"].item() for seed in range(12)]
    study = flatness_study(
        Line(TwoLogits(), state_a, state_b, calibration=ones, test=ones),
        [{"weight": torch.tensor([[0.0]])}],
        distances=DISTANCES,
        generators=generators,
    )

    def expected(weight: float) -> float:
        return (2 * math.log1p(math.exp(-weight)) + math.log1p(math.exp(weight))) / 3

    random = [math.copysign(3, number) for number in drawn for _ in RESCALINGS]
    assert set(random) == {3, -3}, "the directions go both ways"
    for curve, step in zip(study["curves"], [3, *random, -1], strict=True):
        assert curve["length"] == pytest.approx(abs(step))
        assert curve["loss"] == pytest.approx([expected(1 + step * distance) for distance in DISTANCES], rel=1e-5)
        # the best temperature makes β·w = log 2 wherever w is above 0: two of three are of class 0
        best = -(2 * math.log(2 / 3) + math.log(1 / 3)) / 3
        positive = [
            (loss, beta * (1 + step * distance))
            for loss, beta, distance in zip(
                curve["calibrated_loss"], curve["inverse_temperature"], DISTANCES, strict=True
            )
            if 1 + step * distance > 0
        ]
        assert all(loss == pytest.approx(best, rel=1e-4) for loss, _ in positive)
        assert all(product == pytest.approx(math.log(2), rel=1e-3) for _, product in positive)


@pytest.mark.slow
def test_there_is_a_curve_for_every_line_and_more_directions_leave_the_first_alone():
    pair = random_pair("mlp")
    few, more = study_of(pair, directions=2, untrained=2), study_of(pair, directions=3, untrained=2)
    kinds = [curve["kind"] for curve in few["curves"]]
    assert kinds == ["pair", *RESCALINGS, *RESCALINGS, "untrained", "untrained"] and set(kinds) == set(KINDS)
    assert KINDS == LINES, "the names in records are those of the study"
    assert few["curves"][:7] == more["curves"][:7]


def test_distances_and_batch_norm_are_checked_before_any_work(pair):
    with pytest.raises(InputError, match=r"distances is \(0, 1.5\); they must be shares of the way, from 0 to 1"):
        study_of(pair, distances=(0, 1.5))
    if pair is random_pair("resnet20"):
        with pytest.raises(InputError, match="batch_norm_images is None, but the network has batch norm"):
            study_of(pair, line=pair.line(batch_norm_images=None))
    else:
        assert study_of(pair, line=pair.line(batch_norm_images=None)) == study_of(pair)


@pytest.mark.slow
def test_the_study_leaves_the_states_alone(pair):
    before = {name: tensor.clone() for name, tensor in pair.state_a.items()}
    study_of(pair)
    assert all(torch.equal(tensor, before[name]) for name, tensor in pair.state_a.items())


# --- in the lab ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_flatness_record_is_small_and_the_same_twice(pico_pair, trained_pair, digits, tmp_path):
    config = replace(pico_pair, measurement="flatness", num_coefficients=3)
    state_a, state_b = (trained.state for trained in trained_pair)
    data, again = (measure_flatness(config, session_of(config, state_a, state_b, digits)) for _ in range(2))
    assert data == again
    record = replace(make_record(), config=config, measurement="flatness", digest="", data=data)
    assert write_record(record, tmp_path).stat().st_size < 30_000 and record.not_finite == ()
    table = lines_table([record])
    assert len(table) == 3 * (1 + 3 * 20 + 20) and table.groupby("kind")["line"].nunique()["filter"] == 20
    trained = table[(table["kind"] == "pair") & (table["distance"].isin([0, 1]))]
    assert (trained["accuracy"] > 0.9).all()
    untrained = table[(table["kind"] == "untrained") & (table["distance"] == 1)]
    assert (untrained["accuracy"] < 0.35).all() and untrained["loss"].min() > 2
    lengths = table[table["kind"].isin(["pair", *RESCALINGS])]["length"]
    assert lengths.max() == pytest.approx(lengths.min(), rel=1e-4)
