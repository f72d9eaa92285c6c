"""Options of a training that came later: each changes what it says and nothing else, and all of them resume."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from lmcbook.errors import InputError
from lmcbook.evaluation import lewc_exponent
from lmcbook.lab.recipes import full_epochs, recipe
from lmcbook.models import build_model, permutation_spec
from lmcbook.permutation import check_function_preserved
from lmcbook.randomness import random_stream
from lmcbook.training import TimeIsUp, train
from lmcbook.training.batches import loss_weights, training_batches, used_split
from lmcbook.training.config import TrainingConfig, trains_together
from lmcbook.training.optimiser import optimiser_of
from lmcbook.training.schedule import decay_product, learning_rate_at
from lmcbook.training.step import Step
from tests.helpers.small_networks import random_images, small_config, small_model

# A training of 18 steps, of which any can be interrupted.
SHORT: dict[str, Any] = {"epochs": 2, "num_layers": 4}
OPTIONS: dict[str, dict[str, Any]] = {
    "centred rows": {"centred_rows": True},
    "batch norm": {"normalisation": "batch"},
    "layer norm": {"normalisation": "layer"},
    "a skip": {"skip": True},
    "adamw": {"optimiser": "adamw", "momentum": 0.0, "learning_rate": 1e-3, "weight_decay": 0.3},
    "loss weights": {"loss_weight_variance": 3.0},
    "half of the data": {"train_fraction": 0.5},
    "tanh": {"activation": "tanh"},
    "softsign": {"activation": "softsign"},
}


def equal(state_a, state_b):
    return state_a.keys() == state_b.keys() and all(torch.equal(state_a[name], state_b[name]) for name in state_a)


def built(config: TrainingConfig, splits):
    generator = random_stream(config.seed, "init")
    return build_model(config, input_shape=splits.input_shape, num_classes=10, generator=generator)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_training_with_an_option_resumes_bit_for_bit(pico, digits, tmp_path, option):
    config = replace(pico, **SHORT, **OPTIONS[option])
    whole = train(config, digits, progress=False)
    checkpoint = tmp_path / "checkpoint.safetensors"
    for _ in range(3):  # a deadline that has passed already lets each call do exactly one step
        with pytest.raises(TimeIsUp):
            train(config, digits, checkpoint=checkpoint, deadline=-math.inf, progress=False)
    resumed = train(config, digits, checkpoint=checkpoint, progress=False)
    assert equal(resumed.state, whole.state) and resumed.history == whole.history
    plain = train(replace(pico, **SHORT), digits, progress=False)
    assert not equal(resumed.state, plain.state), "the option must make a difference"
    assert not trains_together(replace(config, batch_size=32))


@pytest.mark.parametrize("option", ["adamw", "loss weights", "half of the data"])
def test_options_of_the_optimisation_leave_the_network_as_it_is(pico, digits, option):
    plain = replace(pico, **SHORT)
    assert equal(built(replace(plain, **OPTIONS[option]), digits).state_dict(), built(plain, digits).state_dict())


# --- centred rows ----------------------------------------------------------------------------------------------------


def row_sums(state):
    return {name: state[name].sum(dim=1).abs().max().item() for name in state if name.endswith("linear.weight")}


@pytest.mark.parametrize("changes", [{}, {"optimiser": "adamw", "momentum": 0.0, "learning_rate": 1e-3}])
def test_centred_rows_are_centred_from_the_start_to_the_end(pico, digits, changes):
    config = replace(pico, epochs=3, num_layers=4, centred_rows=True, **changes)
    start, end = built(config, digits).state_dict(), train(config, digits, progress=False).state
    for state in (start, end):
        sums = row_sums(state)
        assert sums.pop("hidden1.linear.weight") > 0.1, "the first layer reads pixels and stays as it is"
        assert len(sums) == 3 and max(sums.values()) < 1e-6
    uncentred = row_sums(train(replace(config, centred_rows=False), digits, progress=False).state)
    assert uncentred["hidden2.linear.weight"] > 0.1, "without the option they are not"


def test_a_network_with_centred_rows_does_not_see_what_its_units_have_in_common():
    model, _ = small_model("mlp", num_layers=3, centred_rows=True)
    units = random_images(5).flatten(1)[:, : model.linear("hidden2").in_features]
    shifted = units + 3.7
    torch.testing.assert_close(model.linear("hidden2")(shifted), model.linear("hidden2")(units), atol=1e-5, rtol=0)


# --- weights of the losses ------------------------------------------------------------------------------------------


def test_loss_weights_are_positive_with_mean_1_and_their_variance(pico):
    config = replace(pico, batch_size=400_000, loss_weight_variance=3.0)
    weights = weights_of(config, 0)
    assert weights.min() > 0
    # of a log-normal of variance 3 the mean of 400,000 varies by 0.003, the variance by 0.1
    assert weights.mean().item() == pytest.approx(1, abs=0.012)
    assert weights.var().item() == pytest.approx(3, abs=0.4)
    assert not torch.equal(weights, weights_of(config, 1)) and torch.equal(weights, weights_of(config, 0))
    assert loss_weights(replace(config, loss_weight_variance=0.0), 0, 0, 0) is None


def weights_of(config: TrainingConfig, step: int) -> torch.Tensor:
    drawn = loss_weights(config, 0, 0, step)
    assert drawn is not None
    return drawn


def gradient(model, images, labels, weights):
    config = small_config("mlp", num_layers=3, momentum=0.0, weight_decay=0.0, batch_size=len(labels))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step = Step(model, optimiser_of(model, config), config)
    loss, _ = step(images, labels, 1.0, weights)
    found = torch.cat([(b - p.detach()).flatten() for b, p in zip(before, model.parameters(), strict=True)])
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), before, strict=True):
            parameter.copy_(value)
    return found, loss


@pytest.mark.slow
def test_the_mean_gradient_over_draws_is_the_plain_one_and_its_noise_is_that_of_the_weights(pico):
    r"""Exactly: the step's gradient is $\frac1B\sum_i w_i g_i$, so its variance is $v\,\sum_i |g_i|^2 / B^2$."""
    model = small_model("mlp", num_layers=3)[0].double()
    images, labels = random_images(6).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    plain, plain_loss = gradient(model, images, labels, None)
    single = torch.stack([gradient(model, images[i : i + 1], labels[i : i + 1], None)[0] for i in range(6)])
    torch.testing.assert_close(single.mean(dim=0), plain, atol=1e-6, rtol=1e-5)
    config = replace(pico, batch_size=6, loss_weight_variance=3.0)
    drawn = torch.stack([weights_of(config, step) for step in range(20_000)])
    weighted, loss = gradient(model, images, labels, drawn[0])
    drawn = drawn.double()  # the loss itself is float32 in every training
    torch.testing.assert_close(weighted, (drawn[0] @ single) / 6, atol=1e-6, rtol=1e-5)
    assert loss == plain_loss, "what is told is the loss without weights"
    gradients = drawn @ single / 6
    assert (gradients.mean(dim=0) - plain).norm() < 0.05 * single.norm() / 6
    noise = (gradients - plain).square().sum(dim=1).mean()
    assert noise.item() == pytest.approx(3 * single.square().sum().item() / 36, rel=0.15)


def test_parts_of_a_batch_add_up_with_their_weights():
    config = small_config("mlp", num_layers=3, batch_size=6, loss_weight_variance=1.0)
    images, labels, weights = random_images(6).double(), torch.tensor([0, 1, 2, 0, 1, 2]), torch.rand(6)
    states = []
    for micro_batch in (None, 4):
        model = small_model("mlp", num_layers=3)[0].double()
        Step(model, optimiser_of(model, config), config, micro_batch=micro_batch)(images, labels, 0.1, weights)
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, atol=1e-7, rtol=1e-5)


def test_every_process_gets_the_weights_of_its_share(pico, digits):
    config, device = replace(pico, epochs=1, loss_weight_variance=2.0), torch.device("cpu")
    whole = next(iter(training_batches(config, digits, device=device)))
    parts = [next(iter(training_batches(config, digits, device=device, share=(rank, 3)))) for rank in range(3)]
    weights = [part.weights for part in parts if part.weights is not None]
    assert whole.weights is not None and torch.equal(torch.cat(weights), whole.weights)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)


# --- a part of the data ---------------------------------------------------------------------------------------------


def test_a_fraction_of_the_data_is_the_same_for_every_seed_and_passes_as_often(pico, digits):
    config, device = replace(pico, epochs=2, batch_size=20, train_fraction=0.25), torch.device("cpu")
    part = used_split(config, digits.train)
    assert len(part) == 249 and used_split(replace(config, train_fraction=1.0), digits.train) is digits.train
    known = {image.numpy().tobytes() for image in part.images}
    whole = {image.numpy().tobytes() for image in digits.train.images}
    assert len(known) == 249 and known < whole
    for seed in (0, 1):
        batches = list(training_batches(replace(config, seed=seed), digits, device=device))
        assert len(batches) == 2 * (249 // 20)
        assert {image.numpy().tobytes() for batch in batches for image in batch.images} <= known
    assert decay_product(config, 997) == pytest.approx(decay_product(replace(config, train_fraction=1.0), 249))
    with pytest.raises(InputError, match="digits has only 50 training examples"):
        train(replace(pico, train_fraction=0.05), digits, progress=False)


# --- normalisation, skips and activations inside the multilayer perceptron -------------------------------------------


def test_normalisation_and_skip_compute_what_their_formula_says():
    images = random_images(7)
    for kind in ("batch", "layer"):
        model, state = small_model("mlp", num_layers=4, normalisation=kind, skip=True, activation="tanh")
        model.train()
        signal = images.flatten(1)
        for depth in (1, 2, 3):
            product = signal @ state[f"hidden{depth}.linear.weight"].T
            axis = 0 if kind == "batch" else 1
            mean, variance = product.mean(axis, keepdim=True), product.var(axis, correction=0, keepdim=True)
            normalised = (product - mean) / (variance + 1e-5).sqrt()
            scale, shift = (state[f"hidden{depth}.normalisation.{name}"] for name in ("weight", "bias"))
            signal = torch.tanh(normalised * scale + shift + (signal if depth > 1 else 0))
        expected = signal @ state["classifier.linear.weight"].T
        torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_odd_activations_are_odd(activation):
    """A network without bias is then odd itself, so that its units have no common sign."""
    model, _ = small_model("mlp", num_layers=4, activation=activation)
    images = random_images(5)
    torch.testing.assert_close(model(-images), -model(images))
    relu, _ = small_model("mlp", num_layers=4)
    assert not torch.allclose(relu(-images), -relu(images), atol=1e-3)


@pytest.mark.parametrize("changes", [{"normalisation": "batch"}, {"normalisation": "layer"}, {"skip": True}, {}])
def test_the_table_of_permutations_holds_with_the_options(changes):
    model, state = small_model("mlp", num_layers=5, bias=True, **changes)
    spec = permutation_spec(model)
    assert len(spec.groups(state)) == (1 if "skip" in changes else 4)
    model.double()
    check_function_preserved(model, spec, model.state_dict(), random_images(16).double(), random_stream(0, "check"))


@pytest.mark.parametrize(
    ("changes", "exponent"),
    [
        ({}, 4),
        ({"bias": True}, 4),
        ({"activation": "tanh"}, 4),
        ({"normalisation": "batch"}, 2),
        ({"normalisation": "batch", "skip": True}, 2),
        ({"normalisation": "layer"}, None),
        ({"skip": True}, None),
    ],
)
def test_the_exponent_of_lewc_is_asked_of_the_network(changes, exponent):
    assert lewc_exponent(small_model("mlp", num_layers=4, **changes)[0]) == exponent


# --- AdamW ----------------------------------------------------------------------------------------------------------


def test_adamw_follows_the_update_of_its_paper(pico, digits):
    config = replace(pico, epochs=1, optimiser="adamw", momentum=0.0, learning_rate=1e-2, weight_decay=0.3)
    model = built(config, digits)
    parameters = list(model.parameters())
    first, second = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    for step, (images, labels, _) in enumerate(training_batches(config, digits, device=torch.device("cpu"))):
        rate = learning_rate_at(step, config, 9)
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), parameters)
        with torch.no_grad():
            for parameter, m, v, each in zip(parameters, first, second, gradients, strict=True):
                m.mul_(0.9).add_(0.1 * each)
                v.mul_(0.999).add_(0.001 * each.square())
                unbiased = v / (1 - 0.999 ** (step + 1))
                parameter.mul_(1 - rate * 0.3)
                parameter.sub_(rate * m / (1 - 0.9 ** (step + 1)) / (unbiased.sqrt() + 1e-8))
    found = train(config, digits, progress=False).state
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(found[name], tensor, atol=2e-6, rtol=1e-4)


# --- schedules that are as long as a recipe's ------------------------------------------------------------------------


def test_four_times_the_rate_needs_a_quarter_of_the_steps_and_a_quarter_of_the_data_four_times_the_epochs():
    own = recipe("mlp-mnist")
    assert full_epochs(own.training, own) == own.training.epochs == 31
    assert full_epochs(replace(own.training, learning_rate=0.4), own) == 8
    assert full_epochs(replace(own.training, batch_size=125), own) == 8
    assert full_epochs(replace(own.training, batch_size=125, train_fraction=0.25), own) == 31
    assert full_epochs(replace(own.training, momentum=0.0, learning_rate=1.0), own) == 31
    assert full_epochs(replace(own.training, momentum=0.0, learning_rate=0.1), own) == 310
    assert full_epochs(replace(own.training, optimiser="adamw", momentum=0.0, learning_rate=1e-3), own) == 31
