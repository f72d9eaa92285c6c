"""Configurations: checked at birth, the same digest for the same numbers, read back as written."""

import json
from dataclasses import replace

import pytest

from lmcbook.errors import InputError
from lmcbook.lab.config import PairConfig
from lmcbook.training.config import digest_of


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("width_multiplier", 0, "width_multiplier is 0; it must be a number above 0"),
        ("width_multiplier", float("nan"), "width_multiplier is nan"),
        ("epochs", "many", "epochs is 'many'; it must be a whole number at least 1"),
        ("epochs", 2.5, "epochs is 2.5; it must be a whole number"),
        ("epochs", True, "epochs is True; it must be a whole number"),
        ("batch_size", 0, "batch_size is 0"),
        ("learning_rate", -1, "learning_rate is -1; it must be a number above 0"),
        ("momentum", 1, "momentum is 1; it must be a number at least 0 and below 1"),
        ("weight_decay", -1e-3, "weight_decay is -0.001"),
        ("warmup_epochs", 21, "warmup_epochs is 21; it must be a number at least 0 and at most 20"),
        ("schedule", "step", "schedule is 'step'; it may be one of: linear, cosine"),
        ("precision", "float16", "precision is 'float16'; it may be one of: float32, bfloat16"),
        ("bias", 1, "bias is 1; it must be true or false"),
        ("seed", -1, "seed is -1"),
        ("num_layers", 1, "num_layers is 1; it must be a whole number at least 2"),
        ("spread_penalty", -1, "spread_penalty is -1; it must be a number at least 0"),
        ("optimiser", "muon", "optimiser is 'muon'; it may be one of: sgd, adamw"),
        ("optimiser", "adamw", "momentum is 0.9, but adamw has no such momentum; it must be 0 then"),
        ("normalisation", "group", "normalisation is 'group'; it may be one of: none, batch, layer"),
        ("centred_rows", 1, "centred_rows is 1; it must be true or false"),
        ("skip", None, "skip is None; it must be true or false"),
        ("loss_weight_variance", -1, "loss_weight_variance is -1; it must be a number at least 0"),
        ("train_fraction", 0, "train_fraction is 0; it must be a number above 0 and at most 1"),
        ("order_seed", -1, "order_seed is -1; it must be a whole number at least 0"),
        ("order_seed_fraction", 0.5, "order_seed_fraction is 0.5, but no order_seed is given"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(pico, field, value, message):
    with pytest.raises(InputError) as caught:
        replace(pico, **{field: value})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seeds", (1, 1), "must differ"),
        ("seeds", (1,), "must be two seeds"),
        ("seeds", (0, -1), "seeds is -1"),
        ("num_coefficients", 24, "must be odd"),
        ("alignment", "clever", "it may be one of: identity, random"),
        ("measurement", "vibes", "it may be one of: interpolation"),
        ("shared", "everything", "it may be one of: nothing, order, start"),
        ("shared_fraction", 0.1, "shared_fraction is 0.1 with shared 'nothing'; only a pair that shares its start"),
        ("num_directions", 0, "num_directions is 0"),
    ],
)
def test_a_bad_pair_is_refused(pico_pair, field, value, message):
    with pytest.raises(InputError, match=message):
        replace(pico_pair, **{field: value})


def test_every_field_moves_the_digest(pico, pico_pair):
    changes = dict(
        dataset="mnist", architecture="vgg11", width_multiplier=2, hidden_width=8, num_layers=4, bias=True,
        activation="gelu", seed=7, epochs=21, batch_size=50, learning_rate=0.2, warmup_epochs=2, schedule="cosine",
        momentum=0.8, weight_decay=0, decay_normalisation=False, augment=True, precision="bfloat16",
        spread_penalty=0.1, initialisation_seed=3, order_seed=3, centred_rows=True, normalisation="layer", skip=True,
        loss_weight_variance=3, train_fraction=0.25,
    )  # fmt: skip
    assert {*changes, "order_seed_fraction", "optimiser"} == {name for name in pico.__dataclass_fields__}
    ordered = replace(pico, order_seed=3)
    assert replace(ordered, order_seed_fraction=0.5).digest != ordered.digest
    unhurried = replace(pico, momentum=0)
    assert replace(unhurried, optimiser="adamw").digest != unhurried.digest
    digests = [pico.digest] + [replace(pico, **{name: value}).digest for name, value in changes.items()]
    assert len(set(digests)) == len(digests)
    pairs = [pico_pair, replace(pico_pair, seeds=(1, 0)), replace(pico_pair, alignment="random")]
    pairs += [replace(pico_pair, measurement="layerwise"), replace(pico_pair, num_coefficients=7)]
    pairs += [replace(pico_pair, batch_norm_examples=10), replace(pico_pair, training=replace(pico, epochs=3))]
    pairs += [replace(pico_pair, shared="order"), replace(pico_pair, shared="start")]
    pairs += [replace(pico_pair, shared="start", shared_fraction=0.1), replace(pico_pair, num_directions=3)]
    assert len({pair.digest for pair in pairs}) == len(pairs)


def test_fields_that_came_later_leave_older_digests_alone(pico, pico_pair):
    """Records of the first release are addressed by digests of what these fields did not have a say in."""
    later = {"spread_penalty", "initialisation_seed", "order_seed", "order_seed_fraction"}
    later |= {"centred_rows", "normalisation", "skip", "optimiser", "loss_weight_variance", "train_fraction"}
    assert not later & set(pico.to_dict())
    assert not {"shared", "shared_fraction", "num_directions"} & set(pico_pair.to_dict())
    spawned = replace(pico_pair, shared="start", shared_fraction=0.1)
    assert {"shared", "shared_fraction"} <= set(spawned.to_dict())
    assert PairConfig.from_dict(spawned.to_dict()) == spawned


def test_the_same_configuration_has_the_same_digest(pico, pico_pair):
    assert replace(pico, width_multiplier=1).digest == replace(pico, width_multiplier=1.0).digest
    assert replace(pico_pair, training=replace(pico, seed=5)).digest == pico_pair.digest
    assert replace(pico_pair, seeds=[0, 1]).digest == pico_pair.digest
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})


def test_a_pair_is_read_back_as_written(pico_pair):
    content = json.loads(json.dumps(pico_pair.to_dict()))
    assert PairConfig.from_dict(content) == pico_pair
    with pytest.raises(InputError, match=r"unknown fields \['colour'\]"):
        PairConfig.from_dict({**content, "colour": "red"})
    with pytest.raises(InputError, match=r"TrainingConfig has unknown fields \['colour'\]"):
        PairConfig.from_dict({**content, "training": {**content["training"], "colour": "red"}})
    del content["training"]["dataset"]
    with pytest.raises(InputError, match="dataset"):
        PairConfig.from_dict(content)


def test_the_two_trainings_differ_in_their_seed_alone(pico_pair):
    assert replace(pico_pair.training_a, seed=1) == pico_pair.training_b
    assert (pico_pair.training_a.seed, pico_pair.training_b.seed) == (0, 1)


def test_a_spawned_pair_differs_only_in_what_it_does_not_share(pico_pair):
    a = pico_pair.training_a
    spawned = replace(pico_pair, shared="start", shared_fraction=0.2)
    assert spawned.training_a == a, "model a is the plain training that other pairs use too"
    assert spawned.training_b == replace(a, seed=1, initialisation_seed=0, order_seed=0, order_seed_fraction=0.2)
    assert replace(pico_pair, shared="start").training_b == replace(a, seed=1, initialisation_seed=0)
    assert replace(pico_pair, shared="order").training_b == replace(a, seed=1, order_seed=0)
