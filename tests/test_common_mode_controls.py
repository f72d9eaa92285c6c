"""Controls of the common mode: the plan, subtracted cross-talk, placed networks, averages of many; no pages."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lmcbook.data import Splits, describe
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, line, predict_logits
from lmcbook.evaluation.averages import averages
from lmcbook.lab import plan
from lmcbook.lab.config import PairConfig
from lmcbook.lab.control_measurements import measure_controls, measure_many, measure_placement
from lmcbook.lab.plan.changed_trainings import FOUR_PAIRS, SIX_PAIRS
from lmcbook.lab.session import PairSession, same_networks
from lmcbook.merging import Repairer, add_biases, merge_many
from lmcbook.merging.cross_talk import without_mean_cross_talk
from lmcbook.merging.repairing import repair
from lmcbook.models import LayeredModel, build_model, layer_outputs
from lmcbook.models.placing import placed, random_places
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, with_state
from lmcbook.training.config import TrainingConfig, trains_together
from lmcbook.training.schedule import decay_product
from tests.helpers.calls import counted_calls
from tests.helpers.sessions import session_of
from tests.helpers.small_networks import INPUT_SHAPE, NUM_CLASSES, random_images, small_config, small_model


def planned(scale: str, measurement: str) -> list[plan.PlannedPair]:
    of_scale = plan.common_mode_controls(plan.Selection(scale))
    return [one for one in of_scale if one.pair.measurement == measurement]


def named(one: plan.PlannedPair) -> str | None:
    return plan.control_of(one.recipe, one.pair.training, scale=one.scale)


def opened(pair: PairConfig, states: list[StateDict], splits: Splits) -> PairSession:
    return session_of(pair, states[0], states[1], splits)


def biased(model: LayeredModel) -> LayeredModel:
    copied = add_biases(model)
    assert isinstance(copied, LayeredModel)
    return copied


# --- the plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", plan.SCALES)
def test_controls_change_what_they_say_and_decay_the_initialisation_as_the_recipe_does(scale):
    # of each training once, whatever its seeds
    for one in {one.pair.training: one for one in planned(scale, "controls")}.values():
        training, own = one.pair.training, plan.recipe(one.recipe).training
        assert plan.control_of(one.recipe, training, scale=scale) in (plan.NOISE if scale == "paper" else plan.CONTROLS)
        assert not one.short
        product = decay_product(training, describe(training.dataset).num_train)
        assert plan.DECAY_PRODUCT <= product * 1.0001 < 1.02 * decay_product(own, describe(own.dataset).num_train) + 0.1


def test_every_control_has_its_pairs_and_another_training_has_no_name():
    desk = [(named(one), one.pair.training.batch_size, one.pair.seeds) for one in planned("desk", "controls")]
    assert sorted(desk) == sorted(
        (name, size, seeds) for name in plan.CONTROLS for size in (32, 128) for seeds in SIX_PAIRS
    )
    split = [(named(one), one.pair.training.batch_size, one.pair.seeds) for one in planned("desk", "common_mode")]
    assert split == desk, "and both parts of its cross-talk"
    paper = [(named(one), one.pair.seeds) for one in planned("paper", "controls")]
    expected = {(name, seeds) for name in plan.NOISE for seeds in FOUR_PAIRS} - {("four times the rate", (2, 3))}
    assert len(paper) == 19 and set(paper) == expected
    own = plan.recipe("mlp-digits").training
    assert plan.control_of("mlp-digits", replace(own, width_multiplier=8.0), scale="desk") == plan.RECIPE
    assert plan.control_of("mlp-digits", replace(own, activation="tanh", bias=True), scale="desk") is None


def test_recipes_without_these_options_are_refused():
    with pytest.raises(InputError, match="recipe is 'resnet20-digits'; these controls are of multilayer perceptrons"):
        plan.common_mode_controls(plan.Selection("desk", recipes=["resnet20-digits"]))
    of_mnist = plan.common_mode_controls(plan.Selection("embedded", recipes=["mlp-mnist"]))
    assert {named(one) for one in of_mnist if one.pair.measurement == "controls"} == {
        plan.RECIPE,
        "centred rows",
        "tanh",
    }


def test_the_embedded_scale_trains_two_controls_of_one_pair():
    of_scale = plan.common_mode_controls(plan.Selection("embedded"))
    trained = {training for one in of_scale for training in same_networks(one.pair) if not trains_together(training)}
    assert len(trained) == 4
    there = {t for one in plan.width(plan.Selection("embedded")) for t in same_networks(one.pair)}
    there |= {t for one in plan.batch_size(plan.Selection("embedded")) for t in same_networks(one.pair)}
    assert {training for one in of_scale for training in same_networks(one.pair)} - trained <= there


def test_more_seeds_are_further_networks_of_the_same_training(pico_pair):
    pair = replace(pico_pair, measurement="many", more_seeds=(5, 7))
    assert [config.seed for config in same_networks(pair)] == [0, 1, 5, 7]
    assert same_networks(pair)[:2] == same_networks(pico_pair)
    assert PairConfig.from_dict(pair.to_dict()) == pair
    assert pair.digest != replace(pair, more_seeds=(7, 5)).digest
    assert "more_seeds" not in pico_pair.to_dict()
    with pytest.raises(InputError, match="no seed may come twice"):
        replace(pair, more_seeds=(1, 5))
    with pytest.raises(InputError, match="only 'many' takes more"):
        replace(pair, measurement="controls")


# --- networks at places of wider ones --------------------------------------------------------------------------------


def narrow_pair(num_layers: int = 4):
    config = small_config("mlp", num_layers=num_layers, hidden_width=6)
    models = [
        build_model(replace(config, seed=seed), input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES) for seed in (0, 1)
    ]
    return config, models[0].double(), [model.double().state_dict() for model in models]


def wide_model(config: TrainingConfig, units: int):
    wide = replace(config, hidden_width=units, width_multiplier=1.0)
    return build_model(wide, input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).double()


@pytest.mark.parametrize(("units", "copies"), [(6, 1), (11, 1), (12, 2), (40, 3)])
def test_a_placed_network_computes_what_the_narrow_one_does(units, copies):
    config, model, (state, _) = narrow_pair()
    places = random_places(model, units, copies=copies, generator=random_stream(0, "places"))
    wide = placed(model, state, units, places)
    images = random_images(9)
    found = with_state(wide_model(config, units), wide)(images)
    torch.testing.assert_close(found, with_state(model, state)(images), atol=1e-13, rtol=1e-12)
    used = layer_outputs(wide_model(config, units), wide, images)
    for name, chosen in places.items():
        assert len(set(chosen.tolist())) == 6 * copies and chosen.max() < units
        silent = [unit for unit in range(units) if unit not in chosen]
        assert not used[name][:, silent].any()


@pytest.mark.parametrize("coefficient", [0.3, 0.5])
@pytest.mark.parametrize("copies", [1, 2])
def test_at_disjoint_places_merging_is_exactly_what_lewc_says(coefficient, copies):
    config, model, states = narrow_pair()
    units = 24
    stream = random_stream(0, "order")
    order = {name: torch.randperm(units, generator=stream) for name in model.layer_names[:-1]}
    parts = [{name: each[first * 12 : first * 12 + 6 * copies] for name, each in order.items()} for first in (0, 1)]
    wide = [placed(model, state, units, part) for state, part in zip(states, parts, strict=True)]
    merged = merge_many(wide, [coefficient, 1 - coefficient])
    images = random_images(9)
    outputs = [layer_outputs(wide_model(config, units), state, images) for state in (merged, *wide)]
    for depth, name in enumerate(model.layer_names, start=1):
        expected = coefficient**depth * outputs[1][name] + (1 - coefficient) ** depth * outputs[2][name]
        torch.testing.assert_close(outputs[0][name], expected, atol=1e-12, rtol=1e-12)
    overlapping = placed(model, states[1], units, parts[0])
    crossed = layer_outputs(wide_model(config, units), merge_many([wide[0], overlapping], [0.5, 0.5]), images)
    both = [with_state(wide_model(config, units), state)(images) for state in (wide[0], overlapping)]
    assert not torch.allclose(crossed["classifier"], (both[0] + both[1]) / 16, rtol=0.01), (
        "where places are shared it is not"
    )


def test_what_cannot_be_placed_is_refused():
    _, model, (state, _) = narrow_pair()
    with pytest.raises(InputError, match="units is 11; 2 copies of each unit of hidden1 need at least 12 places"):
        random_places(model, 11, copies=2, generator=random_stream(0))
    with pytest.raises(InputError, match="holds 4 places; give a multiple of its 6 units"):
        placed(model, state, 20, {name: torch.arange(4) for name in model.layer_names[:-1]})
    biased, _ = small_model("mlp", bias=True)
    with pytest.raises(InputError, match="hidden1 has a bias"):
        placed(biased, biased.state_dict(), 20, {})


# --- subtracted cross-talk -------------------------------------------------------------------------------------------


def test_where_cross_talk_is_the_same_for_every_image_lewc_is_what_is_left():
    """First layers at disjoint places, second ones that answer the other's units; of one image all is mean."""
    _, model, states = narrow_pair()
    for state, silent in zip(states, (slice(0, 3), slice(3, 6)), strict=True):
        state["hidden1.linear.weight"][silent] = 0
    images, sizes = random_images(1), (0.3, 0.7)
    merged = merge_many(states, sizes)
    corrected = without_mean_cross_talk(model, states, merged, sizes, images)
    own = [layer_outputs(model, state, images)["hidden1"] for state in states]
    products = [z @ state["hidden2.linear.weight"].T for z, state in zip(own, states, strict=True)]
    expected = torch.relu(0.3**2 * products[0] + 0.7**2 * products[1])
    torch.testing.assert_close(layer_outputs(biased(model), corrected, images)["hidden2"], expected)
    assert not torch.allclose(layer_outputs(model, merged, images)["hidden2"], expected, rtol=0.01)


def test_a_repair_from_the_networks_alone_is_the_same_for_a_strangers_module_and_for_convolutions():
    _, model, states = narrow_pair()
    images = random_images(7)
    merged = merge_many(states, [0.3, 0.7])
    ours = repair(model, states[0], states[1], merged, 0.3, images, "cross_talk")
    assert all(
        torch.equal(tensor, ours[name])
        for name, tensor in without_mean_cross_talk(model, states, merged, (0.3, 0.7), images).items()
    )
    names = [name for name in states[0] if name.endswith("weight")]
    shapes = [states[0][name].shape for name in names]

    def stranger(kind: str) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Flatten()] if kind == "linear" else [nn.Flatten(), nn.Unflatten(1, (-1, 1, 1))]
        for units, read in shapes:
            made = nn.Linear(read, units, bias=False) if kind == "linear" else nn.Conv2d(read, units, 1, bias=False)
            layers += [made, nn.ReLU()]
        return nn.Sequential(*layers[:-1]).double()

    for kind in ("linear", "convolution"):
        own = stranger(kind)
        keys = list(own.state_dict())
        theirs: list[StateDict] = []
        for state in (*states, merged):
            values = [state[name] if kind == "linear" else state[name][..., None, None] for name in names]
            theirs.append(dict(zip(keys, values, strict=True)))
        found = repair(own, theirs[0], theirs[1], theirs[2], 0.3, images, "cross_talk")
        for key, name in zip(keys, names, strict=True):
            bias = found[key.replace("weight", "bias")]
            torch.testing.assert_close(bias, ours[name.replace("weight", "bias")], msg=f"{kind} {name}")


def test_a_repair_from_the_networks_alone_refuses_what_it_cannot_correct():
    linear = nn.Linear(4, 4)
    for model, message in (
        (nn.Sequential(linear, nn.ReLU(), linear, nn.ReLU(), nn.Linear(4, 2)), "is called more than once"),
        (nn.Sequential(linear, nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), "the network has batch norm"),
    ):
        state = model.state_dict()
        with pytest.raises(InputError, match=message):
            repair(model, state, state, state, 0.5, torch.randn(8, 4), "cross_talk")


def test_the_common_part_is_what_the_sums_of_rows_make_of_the_mean_over_units():
    _, model, states = narrow_pair()
    images = random_images(7)
    merged = merge_many(states, [0.5, 0.5])
    whole, common = (
        without_mean_cross_talk(model, states, merged, [0.3, 0.7], images, common_only=only) for only in (False, True)
    )
    means = [layer_outputs(model, state, images)["hidden2"].mean(dim=0) for state in states]
    weights = [state["hidden3.linear.weight"] for state in states]
    sizes = (0.3 * 0.7**2, 0.7 * 0.3**2)
    expected = -sum(size * weight @ mean for size, weight, mean in zip(sizes, weights, reversed(means), strict=True))
    torch.testing.assert_close(whole["hidden3.linear.bias"], expected)
    expected = -sum(
        size * mean.mean() * weight.sum(dim=1)
        for size, weight, mean in zip(sizes, weights, reversed(means), strict=True)
    )
    torch.testing.assert_close(common["hidden3.linear.bias"], expected)
    for state in (whole, common):
        assert not state["hidden1.linear.bias"].any() and not state["classifier.linear.bias"].any()
        assert all(torch.equal(state[name], tensor) for name, tensor in merged.items())


def test_without_row_sums_there_is_no_common_cross_talk():
    config = small_config("mlp", num_layers=4, centred_rows=True)
    models = [
        build_model(replace(config, seed=seed), input_shape=INPUT_SHAPE, num_classes=NUM_CLASSES).double()
        for seed in (0, 1)
    ]
    states = [model.state_dict() for model in models]
    merged = merge_many(states, [0.5, 0.5])
    corrected = without_mean_cross_talk(models[0], states, merged, [0.5, 0.5], random_images(7), common_only=True)
    assert all(tensor.abs().max() < 1e-7 for name, tensor in corrected.items() if name.endswith("bias"))


def test_cross_talk_of_what_is_no_chain_is_refused():
    model, state = small_model("mlp", normalisation="layer")
    with pytest.raises(InputError, match="model has normalisations, skips or convolutions"):
        without_mean_cross_talk(model, [state, state], state, [0.5, 0.5], random_images(2))


# --- averages --------------------------------------------------------------------------------------------------------


def test_averages_are_those_of_merge_and_repair(pico_pair, digits, trained_pair):
    states = [trained.state for trained in trained_pair]
    model = build_model(pico_pair.training, input_shape=digits.input_shape, num_classes=10)
    images = digits.train.images[:200]
    entries = averages(model, states, images, calibration=digits.calibration, test=digits.test, cross_talk=True)
    found = {entry["kind"]: entry for entry in entries}
    assert [*found] == [
        *("networks", "ensemble", "plain", "mean", "lewc_mean", "without_common_cross_talk", "without_mean_cross_talk")
    ]
    merged = merge_many(states, [0.5, 0.5])
    own = [accuracy(predict_logits(model, state, digits.test.images), digits.test.labels) for state in states]
    assert found["networks"]["accuracy"] == pytest.approx(sum(own) / 2)
    assert found["plain"]["accuracy"] == accuracy(predict_logits(model, merged, digits.test.images), digits.test.labels)
    repaired = repair(model, states[0], states[1], merged, 0.5, images, "lewc_mean")
    logits = predict_logits(add_biases(model), repaired, digits.test.images)
    assert found["lewc_mean"]["accuracy"] == accuracy(logits, digits.test.labels)
    assert found["plain"]["accuracy"] < found["lewc_mean"]["accuracy"] < found["ensemble"]["accuracy"]
    pair = replace(pico_pair, measurement="controls")
    measured = measure_controls(pair, opened(pair, states, digits))["merges"]
    assert [entry["kind"] for entry in measured] == [*found]


def test_many_networks_are_averaged_with_equal_weights(pico, pico_pair, digits, trained_pair, monkeypatch):
    pair = replace(pico_pair, measurement="many", more_seeds=(2,))
    two = opened(replace(pair, more_seeds=()), [trained.state for trained in trained_pair], digits)
    third = two.runs[0]
    session = PairSession(pair, digits, *two.runs, third, progress=False)
    model, images = session.model, digits.train.images[:500]
    apart = [
        {"networks": count, **entry}
        for count in (2, 3)
        for entry in averages(model, session.states[:count], images, calibration=digits.calibration, test=digits.test)
    ]
    predicted = counted_calls(monkeypatch, line, "predict_logits")
    merges = measure_many(pair, session)["merges"]
    assert merges == apart, "to the bit"
    # on two sets of examples: three networks once, and of two and of three networks one average and two repaired ones
    assert len(predicted) == 2 * (3 + 2 * 3)
    assert [entry["networks"] for entry in merges] == [2] * 5 + [3] * 5
    weights = [1 / 3] * 3
    merged = merge_many(session.states, weights)
    repaired = Repairer(model, session.states, images).repair(merged, weights, "lewc_mean")
    logits = predict_logits(add_biases(model), repaired, digits.test.images)
    assert merges[9]["kind"] == "lewc_mean" and merges[9]["accuracy"] == accuracy(logits, digits.test.labels)


@pytest.mark.slow
def test_placements_of_a_trained_pair(pico_pair, digits, trained_pair, monkeypatch):
    monkeypatch.setattr("lmcbook.lab.control_measurements.PLACEMENTS", ((1, 1), (8, 1), (2, 2)))
    pair = replace(pico_pair, measurement="placement")
    merges = measure_placement(pair, opened(pair, [trained.state for trained in trained_pair], digits))["merges"]
    plain = [entry for entry in merges if entry["kind"] == "plain"]
    assert [(each["units"], each["copies"], each["share"]) for each in plain[::3]] == [
        (16, 1, 1),
        (128, 1, 0.125),
        (32, 2, 1),
    ]
    of_networks = {round(entry["accuracy"], 9) for entry in merges if entry["kind"] == "networks"}
    assert len(of_networks) == 1, "placing changes no network"
    lost = {each["share"]: 0.0 for each in plain}
    for each in plain:
        lost[each["share"]] += (of_networks.copy().pop() - each["accuracy"]) / 3
    assert lost[0.125] < lost[1.0], "the fewer places are used, the less is lost"
    assert merges == measure_placement(pair, opened(pair, [t.state for t in trained_pair], digits))["merges"]
