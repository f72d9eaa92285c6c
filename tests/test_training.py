"""Training: the schedule and the update in closed form, repeats and resumption to the bit, shared starts, failure."""

import copy
import math
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from lmcbook.data import equal_batches
from lmcbook.errors import InputError
from lmcbook.lab.config import PairConfig
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.training import (
    TimeIsUp,
    TrainingDiverged,
    initialisation_seed,
    order_seed_at,
    train,
)
from lmcbook.training.batches import training_batches
from lmcbook.training.checkpoint import read_checkpoint
from lmcbook.training.saving import GO_ON, SAVE, STOP, Saving
from lmcbook.training.schedule import decay_product, learning_rate_at


def equal(state_a, state_b):
    return state_a.keys() == state_b.keys() and all(torch.equal(state_a[name], state_b[name]) for name in state_a)


def reference_training(config, splits):
    """The slow, obvious way: the update rule written out, in the notation of a textbook."""
    model = build_model(
        config,
        input_shape=splits.input_shape,
        num_classes=splits.num_classes,
        generator=random_stream(config.seed, "init"),
    )
    velocities = [torch.zeros_like(parameter) for parameter in model.parameters()]
    steps_per_epoch = len(splits.train) // config.batch_size
    step = 0
    for epoch in range(config.epochs):
        for indices in equal_batches(
            len(splits.train), config.batch_size, random_stream(config.seed, "shuffle", epoch)
        ):
            loss = nn.functional.cross_entropy(model(splits.train.images[indices]), splits.train.labels[indices])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            rate = learning_rate_at(step, config, steps_per_epoch)
            with torch.no_grad():
                for parameter, velocity, gradient in zip(model.parameters(), velocities, gradients, strict=True):
                    velocity.mul_(config.momentum).add_(gradient + config.weight_decay * parameter)
                    parameter.sub_(rate * velocity)
            step += 1
    return model.state_dict()


def test_training_follows_the_textbook_update(pico, digits):
    config = replace(pico, epochs=2)
    reference = reference_training(config, digits)
    trained = train(config, digits, progress=False).state
    for name, tensor in reference.items():
        torch.testing.assert_close(trained[name], tensor, rtol=1e-4, atol=1e-6)


def test_two_trainings_are_equal_to_the_bit(pico, digits, trained_pair):
    again = train(replace(pico, seed=0), digits, progress=False)
    assert equal(again.state, trained_pair[0].state)
    assert again.history == trained_pair[0].history
    assert not equal(again.state, trained_pair[1].state)


def test_a_trained_network_knows_the_digits(digits, trained_pair):
    assert trained_pair[0].history["accuracy"][-1] > 0.95
    assert len(trained_pair[0].history["loss"]) == 20


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mlp", "resnet20"])
def test_a_training_resumed_in_the_middle_of_an_epoch_is_equal_to_the_bit(pico, digits, tmp_path, architecture):
    config = replace(pico, epochs=2, augment=True)
    if architecture == "resnet20":
        config = replace(
            config, architecture="resnet20", hidden_width=None, num_layers=None, width_multiplier=0.0625, batch_size=300
        )
    whole = train(config, digits, progress=False)
    checkpoint = tmp_path / "checkpoint.safetensors"
    interruptions = 0
    while True:  # a deadline that has passed already lets each call do exactly one step
        try:
            resumed = train(config, digits, checkpoint=checkpoint, deadline=-math.inf, progress=False)
            break
        except TimeIsUp as stopped:
            interruptions += 1
            assert f"after {interruptions} of" in str(stopped), "it did not go on from its checkpoint"
            if interruptions == 5:
                resumed = train(config, digits, checkpoint=checkpoint, progress=False)
                break
    assert interruptions == 5
    assert equal(resumed.state, whole.state)
    assert resumed.history == whole.history


def test_a_training_is_saved_less_often_where_that_takes_long(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def wanted_after(seconds: float, rule: Saving) -> int:
        now[0] += seconds
        return rule.wanted()

    rule, always, never = Saving(30.0, None), Saving(0.0, None), Saving(None, 400.0)
    assert wanted_after(30.0, rule) == GO_ON and wanted_after(1.0, rule) == SAVE
    for each in (rule, always):
        with each.timed():
            now[0] += 10.0
    assert wanted_after(100.0, rule) == GO_ON and rule.wanted() == never.wanted() == GO_ON
    assert wanted_after(101.0, rule) == SAVE, "20 times the 10 seconds after them"
    assert always.wanted() == SAVE, "at every step, whatever it takes"
    assert wanted_after(200.0, never) == STOP


def test_a_checkpoint_of_another_configuration_is_refused(pico, digits, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(TimeIsUp, match="after 1 of"):
        train(pico, digits, checkpoint=checkpoint, deadline=-math.inf, progress=False)
    with pytest.raises(InputError, match="of another configuration"):
        train(replace(pico, weight_decay=0), digits, checkpoint=checkpoint, progress=False)


def test_a_loss_that_is_not_finite_says_where_and_what_to_try(pico, digits):
    with pytest.raises(TrainingDiverged, match=r"at step \d+, at learning rate .*: try a lower learning_rate"):
        train(replace(pico, learning_rate=1e30, warmup_epochs=0), digits, progress=False)


def test_more_examples_to_a_batch_than_there_are_is_refused(pico, digits):
    with pytest.raises(InputError, match="batch_size is 5000; digits has only 997"):
        train(replace(pico, batch_size=5000), digits, progress=False)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero(pico, schedule):
    config = replace(pico, schedule=schedule, epochs=10, warmup_epochs=2)
    rates = [learning_rate_at(step, config, 50) for step in range(500)]
    assert max(rates) == rates[100] == pytest.approx(0.1)
    assert rates[49] == pytest.approx(0.05)
    assert rates == sorted(rates[:100]) + sorted(rates[100:], reverse=True)
    assert 0 < rates[-1] < 1e-3
    middle = learning_rate_at(300, config, 50)  # half of the way down is half of the peak for both
    assert middle == pytest.approx(0.05)


@pytest.mark.slow
def test_decay_shrinks_the_initialisation_as_the_decay_product_says(pico, digits):
    """With images of zeros only the decay moves the first weights: they shrink by exp(−decay product)."""
    blank = replace(digits, train=replace(digits.train, images=torch.zeros_like(digits.train.images)))
    config = replace(pico, epochs=60, weight_decay=0.005, learning_rate=0.1)
    product = decay_product(config, len(digits.train))
    first = build_model(
        config,
        input_shape=digits.input_shape,
        num_classes=digits.num_classes,
        generator=random_stream(config.seed, "init"),
    ).state_dict()
    last = train(config, blank, progress=False).state
    name = next(iter(first))
    ratio = (last[name].norm() / first[name].norm()).item()
    assert product > 1
    assert -math.log(ratio) == pytest.approx(product, rel=0.05)


def test_the_normalisation_decays_only_if_told(pico, digits):
    base = replace(
        pico, architecture="resnet20", hidden_width=None, num_layers=None, width_multiplier=0.0625, batch_size=300,
        epochs=1, weight_decay=5.0, learning_rate=0.05,
    )  # fmt: skip
    decayed, spared = (
        train(replace(base, decay_normalisation=decides), digits, progress=False).state for decides in (True, False)
    )
    model = build_model(base, input_shape=digits.input_shape, num_classes=digits.num_classes)
    scales = [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    assert scales
    mean_decayed, mean_spared = (
        torch.stack([state[name].mean() for name in scales]).mean() for state in (decayed, spared)
    )
    assert mean_decayed < 0.8 < mean_spared


def test_the_data_are_not_changed_by_training(pico, digits):
    before = copy.deepcopy(digits.train.images)
    train(replace(pico, epochs=1, augment=True), digits, progress=False)
    assert torch.equal(digits.train.images, before)


def start_of(config, digits):
    """The initial weights: a training of one epoch in which nothing moves."""
    still = replace(config, epochs=1, learning_rate=1e-30, warmup_epochs=0)
    return train(still, digits, progress=False).state


def test_a_common_initialisation_seed_is_a_common_start(pico, digits):
    first, second = (start_of(replace(pico, seed=seed, initialisation_seed=5), digits) for seed in (1, 2))
    assert equal(first, second) and equal(first, start_of(replace(pico, seed=5), digits))
    assert not equal(first, start_of(replace(pico, seed=1), digits))


def test_a_pair_that_shares_its_order_sees_the_same_batches_from_another_start(pico, digits):
    pair = PairConfig(training=replace(pico, epochs=2), seeds=(3, 4), shared="order")
    batches_a, batches_b, own = (
        list(training_batches(config, digits, device=torch.device("cpu")))
        for config in (pair.training_a, pair.training_b, replace(pair.training, seed=4))
    )
    assert len(batches_a) == len(batches_b) == 18
    for (images_a, labels_a, _), (images_b, labels_b, _) in zip(batches_a, batches_b, strict=True):
        assert torch.equal(images_a, images_b) and torch.equal(labels_a, labels_b)
    assert not any(torch.equal(a.images, b.images) for a, b in zip(batches_a, own, strict=True))
    assert equal(start_of(pair.training_b, digits), start_of(replace(pair.training, seed=4), digits))
    assert not equal(start_of(pair.training_a, digits), start_of(pair.training_b, digits))


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 1.0])
def test_the_order_seed_holds_for_its_fraction_of_the_steps(pico, digits, fraction):
    """A quarter of 18 steps ends within an epoch: its other batches are those of the other order, from there on."""
    config = replace(pico, epochs=2, seed=3, order_seed=4, order_seed_fraction=fraction, augment=True)
    parting = round(18 * fraction)
    assert [order_seed_at(step, 18, config) for step in range(18)] == [4] * parting + [3] * (18 - parting)
    plain = {"order_seed": None, "order_seed_fraction": 1.0}
    own, others, mixed = (
        list(training_batches(one, digits, device=torch.device("cpu")))
        for one in (replace(config, **plain), replace(config, seed=4, **plain), config)
    )
    for batch, expected in zip(mixed, [*others[:parting], *own[parting:]], strict=True):
        assert torch.equal(batch.images, expected.images)


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5])
def test_a_spawned_model_is_its_parent_until_they_part(pico, digits, tmp_path, fraction):
    pair = PairConfig(training=replace(pico, epochs=2), seeds=(3, 4), shared="start", shared_fraction=fraction)
    equal_after = []
    for _ in range(17):
        states = []
        for config in (pair.training_a, pair.training_b):
            checkpoint = tmp_path / f"{config.seed}"
            with pytest.raises(TimeIsUp):
                train(config, digits, checkpoint=checkpoint, deadline=-math.inf, progress=False)
            states.append(read_checkpoint(checkpoint, config)[0])
        equal_after.append(equal(*states))
    parting = round(18 * fraction)
    assert equal_after == [True] * parting + [False] * (17 - parting)
    assert initialisation_seed(pair.training_b) == initialisation_seed(pair.training_a) == 3
