"""Configurations: checked at birth, the same digest for the same numbers, read back as written."""

import json
from dataclasses import replace

import pytest

from lmcbook.config import PairConfig, digest_of
from lmcbook.errors import InputError


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
    )  # fmt: skip
    assert set(changes) == {name for name in pico.__dataclass_fields__}
    digests = [pico.digest] + [replace(pico, **{name: value}).digest for name, value in changes.items()]
    assert len(set(digests)) == len(digests)
    pairs = [pico_pair, replace(pico_pair, seeds=(1, 0)), replace(pico_pair, alignment="random")]
    pairs += [replace(pico_pair, measurement="layerwise"), replace(pico_pair, num_coefficients=7)]
    pairs += [replace(pico_pair, batch_norm_examples=10), replace(pico_pair, training=replace(pico, epochs=3))]
    assert len({pair.digest for pair in pairs}) == len(pairs)


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
