"""Merging: exact ends, refusals that name tensors, and batch-norm statistics against brute force."""

import math

import pytest
import torch
from torch import nn

from lmcbook.data import equal_batches
from lmcbook.errors import InputError
from lmcbook.merging import batch_norm, interpolate, merge, merge_many, recompute_batch_norm, recompute_batch_norm_
from lmcbook.models import ARCHITECTURES, build_model
from lmcbook.randomness import random_stream
from lmcbook.states import check_same_tensors, has_batch_norm
from lmcbook.training.config import TrainingConfig


def bits_equal(state_a, state_b) -> bool:
    """Equal names and equal bytes: −0 is not 0, and a NaN equals itself."""
    return state_a.keys() == state_b.keys() and all(
        state_a[name]
        .contiguous()
        .view(-1)
        .view(torch.uint8)
        .equal(state_b[name].contiguous().view(-1).view(torch.uint8))
        for name in state_a
    )


def copy_of(state):
    return {name: tensor.clone() for name, tensor in state.items()}


def random_state(seed: int, *, width: int = 4):
    generator = random_stream(seed, "state")
    return {
        "weight": torch.randn(width, 3, generator=generator),
        "bias": torch.randn(width, generator=generator),
        "counter": torch.tensor(seed),
    }


class ConvolutionalNetwork(nn.Module):
    """Two batch norms of different kinds, dropout between: everything that may go wrong in recomputing statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 3, 3, bias=False)
        self.first = nn.BatchNorm2d(3)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(3 * 4, 5)
        self.second = nn.BatchNorm1d(5)
        self.classifier = nn.Linear(5, 4)

    def forward(self, images):
        hidden = torch.relu(self.first(self.convolution(images)))
        hidden = self.linear(self.dropout(hidden).flatten(1))
        return self.classifier(torch.relu(self.second(hidden)))


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ConvolutionalNetwork().double()
        for norm in (network.first, network.second):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.get_buffer("running_mean"))
            nn.init.uniform_(norm.get_buffer("running_var"), 0.5, 2)
    return network


@pytest.fixture
def images():
    """One fifth of the images are far brighter than the others, and come first."""
    images = torch.randn(50, 2, 4, 4, generator=random_stream(0, "images"), dtype=torch.float64)
    images[:10] += 3
    return images


def all_state(network):
    modules = [
        (module.training, getattr(module, "momentum", None), len(module._forward_hooks)) for module in network.modules()
    ]
    return modules, copy_of(network.state_dict())


# --- interpolate and merge_many


def test_the_ends_are_bit_equal_and_never_touch_the_other_network():
    state_a, state_b = random_state(1), random_state(2)
    state_a["weight"][0, 0] = -0.0
    state_b["weight"][0] = math.inf
    state_a["bias"][1] = math.nan
    assert bits_equal(interpolate(state_a, state_b, 1), state_a)
    assert bits_equal(interpolate(state_a, state_b, 1.0), state_a)
    assert bits_equal(interpolate(state_a, state_b, 0), state_b)


@pytest.mark.parametrize("coefficient", [0, 0.25, 1])
def test_the_result_shares_no_memory_and_leaves_the_inputs_alone(coefficient):
    state_a, state_b = random_state(1), random_state(2)
    before = copy_of(state_a), copy_of(state_b)
    merged = interpolate(state_a, state_b, coefficient)
    for tensor in merged.values():
        tensor.zero_()
    assert bits_equal(state_a, before[0]) and bits_equal(state_b, before[1])


def test_the_coefficient_multiplies_model_a():
    state_a, state_b = random_state(1), random_state(2)
    merged = interpolate(state_a, state_b, 0.25)
    for name in ("weight", "bias"):
        torch.testing.assert_close(merged[name], 0.25 * state_a[name] + 0.75 * state_b[name])
    assert merged["counter"] == 1, "counters come from model a"
    assert interpolate(state_a, state_b, 0.0)["counter"] == 2


def test_parameters_with_gradients_merge_without_a_graph():
    linear = nn.Linear(3, 2)
    merged = interpolate(dict(linear.named_parameters()), dict(nn.Linear(3, 2).named_parameters()), 0.5)
    assert not any(tensor.requires_grad for tensor in merged.values())


def test_half_precision_is_summed_in_float32():
    a, b = (random_state(seed)["weight"].bfloat16() for seed in (1, 2))
    expected = (0.3 * a.float() + 0.7 * b.float()).bfloat16()
    assert interpolate({"weight": a}, {"weight": b}, 0.3)["weight"].equal(expected)


@pytest.mark.parametrize("coefficient", [0, 1 / 24, 0.5, 1])
def test_out_is_overwritten_bit_for_bit_as_a_fresh_result(coefficient):
    state_a, state_b, out = random_state(1), random_state(2), random_state(3)
    addresses = [tensor.data_ptr() for tensor in out.values()]
    merged = interpolate(state_a, state_b, coefficient, out=out)
    assert merged is out and [tensor.data_ptr() for tensor in out.values()] == addresses
    assert bits_equal(out, interpolate(state_a, state_b, coefficient))


def test_out_may_not_be_an_input():
    state_a, state_b = random_state(1), random_state(2)
    with pytest.raises(InputError, match=r"out shares the memory of weight, bias, counter .* tensors of its own"):
        interpolate(state_a, state_b, 0.5, out=state_b)


@pytest.mark.parametrize("coefficient", [-0.1, 1.0001, math.nan, math.inf])
def test_a_coefficient_outside_of_the_line_is_refused(coefficient):
    with pytest.raises(InputError, match="coefficient is .*; it must be a number at least 0 and at most 1"):
        interpolate(random_state(1), random_state(2), coefficient)


def test_states_that_do_not_fit_each_other_are_refused_by_name():
    state = random_state(1)
    with pytest.raises(InputError, match="must hold the same tensors; only one has bias. .*width_multiplier"):
        interpolate(state, {name: state[name] for name in ("weight", "counter")}, 0.5)
    with pytest.raises(
        InputError, match=r"shape of weight, bias: weight is \(4, 3\) in state_a .* \(8, 3\).*width_multi"
    ):
        interpolate(state, random_state(2, width=8), 0.5)
    with pytest.raises(InputError, match=r"type of weight: .*float32 in state_a .*float64 in state_b.*\.to\(dtype\)"):
        interpolate(state, state | {"weight": state["weight"].double()}, 0.5)
    with pytest.raises(InputError, match=r"device of bias: bias is cpu in state_a and meta in state_b.*\.to\(device\)"):
        check_same_tensors("state_a", state, "state_b", state | {"bias": state["bias"].to("meta")})


def test_a_long_list_of_names_is_cut():
    state = {f"layer{index}": torch.zeros(1) for index in range(9)}
    with pytest.raises(InputError, match="only one has layer0, layer1, layer2, layer3 and 5 more"):
        interpolate(state, {}, 0.5)


def test_merge_many_is_interpolate_for_two_and_the_weighted_mean_for_three():
    states = [random_state(seed) for seed in (1, 2, 3)]
    assert bits_equal(merge_many(states[:2], [0.25, 0.75]), interpolate(states[0], states[1], 0.25))
    merged = merge_many(states, [0.5, 0.3, 0.2])
    expected = 0.5 * states[0]["weight"] + 0.3 * states[1]["weight"] + 0.2 * states[2]["weight"]
    torch.testing.assert_close(merged["weight"], expected)
    assert bits_equal(merge_many(states, [0, 1, 0]), states[1])
    thirds = merge_many(states, [1 / 3] * 3)
    torch.testing.assert_close(thirds["bias"], torch.stack([state["bias"] for state in states]).mean(0))


def test_merge_many_refuses_weights_that_are_no_mean():
    states = [random_state(seed) for seed in (1, 2)]
    with pytest.raises(InputError, match=r"coefficients sum to 1\.1; they must sum to 1"):
        merge_many(states, [0.5, 0.6])
    with pytest.raises(InputError, match=r"coefficients holds 1 number\(s\) for 2 states"):
        merge_many(states, [1.0])
    with pytest.raises(InputError, match="coefficients is 1.5"):
        merge_many(states, [1.5, -0.5])
    with pytest.raises(InputError, match=r"states\[0\] and states\[1\] differ in the shape"):
        merge_many([states[0], random_state(1, width=8)], [0.5, 0.5])
    with pytest.raises(InputError, match="at least one state"):
        merge_many([], [])


# --- recompute_batch_norm


@torch.no_grad()
def test_one_batch_gives_the_exact_statistics_layer_by_layer(network, images):
    state = recompute_batch_norm(network, network.state_dict(), images)
    first_input = network.convolution(images)
    torch.testing.assert_close(state["first.running_mean"], first_input.mean((0, 2, 3)))
    torch.testing.assert_close(state["first.running_var"], first_input.var((0, 2, 3)))
    # behind the first layer's own batch statistics, which normalise with the biased variance
    normalised = nn.functional.batch_norm(
        first_input,
        first_input.mean((0, 2, 3)),
        first_input.var((0, 2, 3), unbiased=False),
        network.first.weight,
        network.first.bias,
    )
    second_input = network.linear(torch.relu(normalised).flatten(1))
    torch.testing.assert_close(state["second.running_mean"], second_input.mean(0))
    torch.testing.assert_close(state["second.running_var"], second_input.var(0))
    assert state["first.num_batches_tracked"] == 1


def test_several_batches_pool_to_the_statistics_of_all_their_images(network, images):
    state = recompute_batch_norm(network, network.state_dict(), images, batch_size=10)
    first_input = network.convolution(images)
    torch.testing.assert_close(state["first.running_mean"], first_input.mean((0, 2, 3)))
    torch.testing.assert_close(state["first.running_var"], first_input.var((0, 2, 3)))
    assert state["second.num_batches_tracked"] == 5


def cumulative_average(network, batches):
    """What the field's code does: the mean over batches of each batch's statistics (momentum None)."""
    norm = nn.BatchNorm2d(3, momentum=None).double()
    for batch in batches:
        norm(network.convolution(batch))
    return norm.running_mean, norm.running_var


def test_a_ragged_last_batch_does_not_bias_the_mean(network, images):
    """First trap: 41 images in batches of 20 leave one, which the field's code gives a third of the weight."""
    images = images[:41]
    every = network.convolution(images)
    naive_mean, _ = cumulative_average(network, images.split(20))
    assert (naive_mean - every.mean((0, 2, 3))).abs().max() > 0.1, "the trap is not set"
    batches = equal_batches(41, 13, random_stream(3, "test"))
    assert batches.shape == (3, 13), "four batches of 10 would leave out one image; three of at most 20 are 13 each"
    used = network.convolution(images[batches.flatten()])
    state = recompute_batch_norm(
        network, network.state_dict(), images, batch_size=20, generator=random_stream(3, "test")
    )
    torch.testing.assert_close(state["first.running_mean"], used.mean((0, 2, 3)))
    torch.testing.assert_close(state["first.running_var"], used.var((0, 2, 3)))


def test_the_variance_between_batches_counts(network, images, monkeypatch):
    """Second trap: in batches of one class each the variance between the batches is most of all."""
    monkeypatch.setattr(batch_norm, "equal_batches", lambda count, size, generator: torch.arange(count).view(-1, size))
    every = network.convolution(images)
    _, naive_variance = cumulative_average(network, images.split(10))
    assert ((naive_variance / every.var((0, 2, 3))) < 0.95).any(), "the trap is not set"
    state = recompute_batch_norm(network, network.state_dict(), images, batch_size=10)
    torch.testing.assert_close(state["first.running_mean"], every.mean((0, 2, 3)))
    torch.testing.assert_close(state["first.running_var"], every.var((0, 2, 3)))


@pytest.mark.parametrize(
    ("examples", "batch_size", "batches"),
    [(997, 500, (2, 498)), (2, 500, (1, 2)), (3, 2, (1, 2)), (1000, 500, (2, 500))],
)
def test_batches_are_equal_and_leave_out_fewer_images_than_there_are_batches(
    monkeypatch, examples, batch_size, batches
):
    seen = []

    def record(count, size, generator):
        seen.append(equal_batches(count, size, generator))
        return seen[-1]

    monkeypatch.setattr(batch_norm, "equal_batches", record)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(2))
    state = recompute_batch_norm(
        model, model.state_dict(), torch.randn(examples, 2, generator=random_stream(0)), batch_size=batch_size
    )
    assert seen[0].shape == batches
    assert state["1.num_batches_tracked"] == batches[0]


class SubclassedNorm(nn.BatchNorm2d):
    """A user's own batch norm."""


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d, (40, 3)),
        (nn.BatchNorm1d, (40, 3, 5)),
        (nn.BatchNorm2d, (40, 3, 2, 4)),
        (nn.BatchNorm3d, (40, 3, 2, 2, 2)),
        (SubclassedNorm, (40, 3, 2, 2)),
    ],
)
def test_every_kind_of_batch_norm_is_recomputed(norm, shape):
    model = nn.Sequential(norm(3))
    inputs = 2 + torch.randn(shape, generator=random_stream(0, "inputs"))
    assert has_batch_norm(model)
    state = recompute_batch_norm(model, model.state_dict(), inputs, batch_size=8)
    channels = inputs.transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(state["0.running_mean"].double(), channels.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state["0.running_var"].double(), channels.var(1), rtol=1e-5, atol=1e-6)


def test_pooling_in_float64_keeps_a_variance_that_is_small_beside_the_mean():
    model = nn.Sequential(nn.BatchNorm1d(1))
    inputs = 1000 + torch.randn(20_000, 1, generator=random_stream(0, "inputs"))
    state = recompute_batch_norm(model, model.state_dict(), inputs, batch_size=100)
    assert float(state["0.running_var"]) == pytest.approx(float(inputs.double().var()), rel=1e-4)


def test_a_layer_at_two_places_pools_both_calls_under_both_names():
    norm = nn.BatchNorm1d(2)
    model = nn.Sequential(norm, nn.Linear(2, 2), norm)
    inputs = torch.randn(30, 2, generator=random_stream(0, "inputs"))
    state = recompute_batch_norm(model, model.state_dict(), inputs)
    with torch.no_grad():
        # a copy in training mode gives what the second call sees
        second = model[1](nn.BatchNorm1d(2)(inputs))
    both = torch.cat([inputs, second])
    for name in ("0", "2"):
        torch.testing.assert_close(state[f"{name}.running_mean"], both.mean(0), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(state[f"{name}.running_var"], both.var(0), rtol=1e-5, atol=1e-5)
        assert state[f"{name}.num_batches_tracked"] == 2
    assert isinstance(model[0].weight, nn.Parameter), "torch left tensors of the state behind in the model"


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_what_it_was_and_dropout_stays_off(network, images, training):
    network.train(training)
    network.first.eval()
    network.second.momentum = None
    state = network.state_dict()
    before = all_state(network)
    torch.manual_seed(0)
    recomputed = recompute_batch_norm(network, state, images, batch_size=10)
    torch.manual_seed(1)
    again = recompute_batch_norm(network, state, images, batch_size=10)
    assert bits_equal(recomputed, again), "dropout was on"
    assert bits_equal(recompute_batch_norm(network, recomputed, images, batch_size=10), recomputed), "not idempotent"
    after = all_state(network)
    assert after[0] == before[0] and bits_equal(after[1], before[1])
    assert not bits_equal(recomputed, state)
    untouched = [name for name in state if "running" not in name and "num_batches" not in name]
    assert bits_equal({name: state[name] for name in untouched}, {name: recomputed[name] for name in untouched})


def test_the_model_is_what_it_was_after_an_exception_in_the_middle(network, images):
    before = all_state(network)
    calls = []

    def fail(module, inputs):
        calls.append(module.training)
        if len(calls) == 3:
            raise RuntimeError("out of memory")

    handle = network.classifier.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        recompute_batch_norm(network, network.state_dict(), images, batch_size=10)
    handle.remove()
    after = all_state(network)
    assert calls == [False] * 3
    assert after[0] == before[0] and bits_equal(after[1], before[1])


def test_the_shuffle_is_always_the_same_unless_a_generator_is_given(network, images):
    state = network.state_dict()
    default = recompute_batch_norm(network, state, images, batch_size=10)
    assert bits_equal(default, recompute_batch_norm(network, state, images, batch_size=10))
    other = recompute_batch_norm(network, state, images, batch_size=10, generator=random_stream(9))
    assert not bits_equal(default, other)


def test_statistics_that_a_merge_made_infinite_do_no_harm(network, images):
    state = copy_of(network.state_dict())
    state["first.running_var"].fill_(math.inf)
    state["first.running_mean"].fill_(math.nan)
    expected = recompute_batch_norm(network, network.state_dict(), images)
    assert bits_equal(recompute_batch_norm(network, state, images), expected)


def test_a_layer_without_running_statistics_is_left_alone():
    model = nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False))
    assert not has_batch_norm(model)
    assert bits_equal(recompute_batch_norm(model, model.state_dict(), torch.zeros(4, 2)), model.state_dict())


def test_a_network_without_batch_norm_is_unchanged():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    state = model.state_dict()
    recomputed = recompute_batch_norm(model, state, torch.zeros(2, 4))
    assert bits_equal(recomputed, state)
    recomputed["1.weight"].zero_()
    assert not bits_equal(recomputed, state), "the result shares memory with the state"


def test_in_place_equals_the_copy(network, images):
    state = copy_of(network.state_dict())
    expected = recompute_batch_norm(network, state, images)
    assert recompute_batch_norm_(network, state, images) is state
    assert bits_equal(state, expected)


def test_too_few_images_and_states_that_do_not_fit_are_refused(network, images):
    state = network.state_dict()
    with pytest.raises(InputError, match=r"images holds 1 example\(s\); batch-norm statistics need at least 2"):
        recompute_batch_norm(network, state, images[:1])
    with pytest.raises(InputError, match="batch_size is 1; it must be a whole number at least 2"):
        recompute_batch_norm(network, state, images, batch_size=1)
    with pytest.raises(InputError, match=r"state does not fit model: it lacks first\.bias"):
        recompute_batch_norm(network, {name: state[name] for name in state if name != "first.bias"}, images)
    with pytest.raises(InputError, match=r"images is None, but the network has batch norm"):
        merge(network, state, state, 0.5)


# --- every architecture


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_merge_recomputes_what_the_merged_network_itself_computes(architecture):
    is_mlp = architecture == "mlp"
    config = TrainingConfig(
        dataset="digits",
        architecture=architecture,
        width_multiplier=0.125,
        epochs=1,
        batch_size=10,
        learning_rate=0.1,
        hidden_width=64 if is_mlp else None,
        num_layers=3 if is_mlp else None,
    )
    model = build_model(config, input_shape=(1, 8, 8), num_classes=10, generator=random_stream(0, "init"))
    state_a = model.state_dict()
    state_b = build_model(
        config, input_shape=(1, 8, 8), num_classes=10, generator=random_stream(1, "init")
    ).state_dict()
    images = torch.randn(40, 1, 8, 8, generator=random_stream(0, "images"))
    merged = merge(model, state_a, state_b, 0.5, images)
    assert has_batch_norm(model) == config.has_batch_norm
    expected = copy_of(interpolate(state_a, state_b, 0.5))
    if has_batch_norm(model):
        # torch's own cumulative statistics of one batch
        model.load_state_dict(expected)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        model.train()(images)
        expected = model.state_dict()
    for name, tensor in merged.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)
