"""Networks trained together: like one by one but for rounding, and the same bits in any company."""

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from lmcbook.data import Split, Splits
from lmcbook.errors import InputError
from lmcbook.lab import store
from lmcbook.lab.config import CODE_VERSIONS as MEASURING_VERSIONS
from lmcbook.lab.config import PairConfig
from lmcbook.lab.missing import measure_missing
from lmcbook.lab.plan import PlannedPair
from lmcbook.lab.records import RecordIndex
from lmcbook.models import build_model
from lmcbook.randomness import random_stream
from lmcbook.training import (
    TimeIsUp,
    TrainingDiverged,
    TrainingsDiverged,
    initialisation_seed,
    singular_value_spread,
    train,
    train_together,
)
from lmcbook.training.checkpoint import read_checkpoint
from lmcbook.training.config import CODE_VERSIONS, TrainingConfig, company, digest_of, trains_together


@pytest.fixture
def short(pico) -> TrainingConfig:
    return replace(pico, epochs=3)


def together(configs, splits, **options):
    return dict(train_together(configs, splits, progress=False, **options))


def same(one, other):
    """Whether two trained models are equal to the bit, in weights and in history."""
    return one.history == other.history and all(torch.equal(one.state[name], other.state[name]) for name in one.state)


def some_of_all_kinds(config):
    """Sixteen trainings that differ in all in which they may."""
    return [
        replace(config, seed=seed, weight_decay=decay, **own)
        for seed, decay in ((0, 0.0), (1, 3e-3), (2, 3e-3), (3, 1e-2))
        for own in (
            {},
            {"initialisation_seed": 7},
            {"order_seed": 8},
            {"initialisation_seed": 7, "order_seed": 8, "order_seed_fraction": 0.4},
        )
    ]


def images_of(shape, examples, num_classes=10) -> Splits:
    generator = random_stream(0, "test images", *map(str, shape))
    split = Split(
        images=torch.randn(examples, *shape, generator=generator),
        labels=torch.randint(num_classes, (examples,), generator=generator),
    )
    return Splits(
        name="digits", train=split, calibration=split, test=split, num_classes=num_classes,
        class_names=tuple(map(str, range(num_classes))), mean=(0.0,) * shape[0], std=(1.0,) * shape[0], sha256="",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu"])
@pytest.mark.parametrize("changes", [{}, {"spread_penalty": 0.1}, {"momentum": 0.0, "num_layers": 2}])
def test_every_step_is_that_of_a_training_by_itself(short, digits, tmp_path, activation, changes):
    """Both do each step from the same weights and momenta. Whole trainings may part: where the input of a ReLU is all
    but zero, rounding decides its derivative, and that grows."""
    configs = [
        replace(short, activation=activation, seed=seed, weight_decay=decay, **changes)
        for seed, decay in ((0, 3e-3), (1, 0.0))
    ]
    files = {config: tmp_path / f"{config.seed}.safetensors" for config in configs}
    options: dict[str, Any] = {"deadline": -math.inf, "progress": False}  # passed already, so each call does one step
    for step in range(1, 13):
        expected = {}
        before = {config: files[config].read_bytes() for config in configs if files[config].exists()}
        for config in configs:
            with pytest.raises(TimeIsUp):
                train(config, digits, checkpoint=files[config], **options)
            expected[config] = read_checkpoint(files[config], config)
            files[config].unlink()  # a new file, for what was read may lie in the old one still
            if config in before:
                files[config].write_bytes(before[config])
        with pytest.raises(TimeIsUp, match=f"after {step} of 27 steps"):
            list(train_together(configs, digits, checkpoints=files, **options))
        for config in configs:
            state, momenta, at = read_checkpoint(files[config], config)
            wanted_state, wanted_momenta, wanted_at = expected[config]
            for found, wanted in ((state, wanted_state), (momenta, wanted_momenta)):
                assert found.keys() == wanted.keys()
                for name in wanted:
                    torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=2e-6)
            assert at.step == wanted_at.step == step
            torch.testing.assert_close(at.losses, wanted_at.losses, rtol=1e-5, atol=1e-6, equal_nan=True)
            assert abs(int(at.correct) - int(wanted_at.correct)) <= 1  # a tie may be broken by rounding
            assert at.history["loss"] == pytest.approx(wanted_at.history["loss"], rel=1e-5)


def test_what_is_learned_is_what_a_training_by_itself_learns(pico, digits, trained_pair):
    models = together([pico, replace(pico, seed=1)], digits).values()
    for model, alone in zip(models, trained_pair, strict=True):
        assert model.history["accuracy"][-1] == pytest.approx(alone.history["accuracy"][-1], abs=0.01)
        assert model.history["loss"][0] == pytest.approx(alone.history["loss"][0], rel=1e-4)
        assert len(model.history["loss"]) == 20


@pytest.mark.slow
def test_company_does_not_change_a_bit(short, digits):
    configs = some_of_all_kinds(short)
    whole = together(configs, digits)
    assert list(whole) == configs
    for group in ([0], [15], [3, 4], configs[::-1], configs[5:12], configs[1::3]):
        chosen = [configs[one] if isinstance(one, int) else one for one in group]
        for config, model in together(chosen, digits).items():
            assert same(model, whole[config]), (config, len(chosen))
    states = [model.state["hidden1.linear.weight"] for model in whole.values()]
    assert all(not torch.equal(one, other) for place, one in enumerate(states) for other in states[:place])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "width", "num_layers", "batch_size", "num_classes", "changes"),
    [
        ((1, 28, 28), 64, 4, 32, 10, {}),
        ((1, 5, 7), 13, 3, 37, 7, {}),
        ((3, 3, 3), 1, 2, 1, 2, {"activation": "gelu"}),
        ((1, 9, 9), 97, 3, 51, 11, {"activation": "leaky_relu", "spread_penalty": 0.3}),
        ((1, 8, 8), 256, 4, 128, 10, {"activation": "gelu"}),
    ],
)
def test_company_does_not_change_a_bit_whatever_the_shape(shape, width, num_layers, batch_size, num_classes, changes):
    """Odd sizes above all, where networks would lie across cache lines and vector registers if they were not filled;
    and whatever number of threads the process has."""
    splits = images_of(shape, 2 * batch_size + 1, num_classes)
    config = TrainingConfig(
        dataset="digits", architecture="mlp", hidden_width=width, num_layers=num_layers, batch_size=batch_size,
        epochs=2, learning_rate=0.05, **changes,
    )  # fmt: skip
    configs = [replace(config, seed=seed, weight_decay=1e-3 * seed) for seed in range(5)]
    whole = together(configs, splits)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for group in (configs, configs[:1], configs[4:], configs[2:4], configs[::-1]):
                for one, model in together(group, splits).items():
                    assert same(model, whole[one])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)


def test_more_networks_than_fit_at_once_are_given_out_as_they_are_done(short, digits, monkeypatch):
    configs = some_of_all_kinds(short)
    whole = together(configs, digits)
    assert {model.execution["together"] for model in whole.values()} == {16}
    monkeypatch.setattr("lmcbook.training.together._CACHE_BYTES", 60_000)
    arriving = train_together(configs, digits, progress=False)
    first = next(arriving)
    assert 1 <= first[1].execution["together"] < 16
    for config, model in (first, *arriving):
        assert same(model, whole[config])


def test_seeds_decide_initialisation_and_order_apart(short, digits):
    """Three networks from one start, two of which see the same examples: those two differ in nothing."""
    base = replace(short, epochs=1)
    parts = {"initialisation_seed": 5, "order_seed": 6}
    one, twin, other = (replace(base, seed=1, **parts), replace(base, seed=2, **parts), replace(base, seed=5))
    models = together([one, twin, other, replace(other, weight_decay=0.5)], digits)
    assert torch.equal(models[one].state["classifier.linear.weight"], models[twin].state["classifier.linear.weight"])
    assert not torch.equal(
        models[one].state["classifier.linear.weight"], models[other].state["classifier.linear.weight"]
    )
    decayed = models[replace(other, weight_decay=0.5)].state["hidden1.linear.weight"]
    assert decayed.norm() < 0.7 * models[other].state["hidden1.linear.weight"].norm()


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5])
def test_a_spawned_network_is_its_model_until_they_part(short, digits, tmp_path, fraction):
    """0.3 of 27 steps is within an epoch."""
    pair = PairConfig(training=short, shared="start", shared_fraction=fraction)
    files = {config: tmp_path / f"{config.seed}" for config in (pair.training_a, pair.training_b)}
    equal_after = []
    for _ in range(26):
        with pytest.raises(TimeIsUp):
            together(list(files), digits, checkpoints=files, deadline=-math.inf)
        a, b = (read_checkpoint(file, config)[0] for config, file in files.items())
        equal_after.append(all(torch.equal(a[name], b[name]) for name in a))
    parting = round(fraction * 27)
    assert equal_after == [True] * parting + [False] * (26 - parting)


@pytest.mark.slow
def test_interrupted_anywhere_it_ends_the_same(short, digits, tmp_path):
    """Killed with checkpoints at several steps: whoever stands at one step goes on together."""
    configs = some_of_all_kinds(short)[:6]
    whole = together(configs, digits)
    files = {config: tmp_path / f"{place}.safetensors" for place, config in enumerate(configs)}
    for group in (configs, configs[:4], configs[2:4]):
        with pytest.raises(TimeIsUp):
            together(group, digits, checkpoints=files, deadline=-math.inf)
    assert {read_checkpoint(file, config)[2].step for config, file in files.items()} == {1, 2, 3}
    resumed = together(configs, digits, checkpoints=files, checkpoint_seconds=0.0)
    assert all(same(resumed[config], whole[config]) for config in configs)
    again = together(configs, digits, checkpoints=files)  # from the checkpoints of the last step: nothing is left to do
    assert all(same(again[config], whole[config]) for config in configs)


def test_at_the_deadline_all_that_was_done_is_saved(short, digits, tmp_path):
    configs = [short, replace(short, seed=1)]
    files = {config: tmp_path / f"{config.seed}" for config in configs}
    with pytest.raises(TimeIsUp, match="after 1 of 27 steps"):
        together(configs, digits, checkpoints=files, deadline=-math.inf)
    with pytest.raises(InputError, match="of another configuration"):
        together(
            [replace(short, weight_decay=0.5)], digits, checkpoints={replace(short, weight_decay=0.5): files[short]}
        )
    for config in configs:
        assert read_checkpoint(files[config], config)[2].seconds > 0


def test_one_that_diverges_is_named_and_takes_no_other_with_it(short, digits):
    good = [replace(short, seed=seed) for seed in range(3)]
    bad = replace(short, seed=7, weight_decay=1e30)
    found = {}
    with pytest.raises(TrainingsDiverged, match=r"weight decay 1e\+30, seed 7\) is (nan|inf) at step \d+") as caught:
        for config, model in train_together([good[0], bad, *good[1:]], digits, progress=False):
            found[config] = model
    assert isinstance(caught.value, TrainingDiverged) and list(caught.value.messages) == [bad]
    expected = together(good, digits)
    assert found.keys() == expected.keys()
    assert all(same(found[config], expected[config]) for config in good)
    assert all(model.execution == {"together": 3} for model in found.values())
    with pytest.raises(TrainingDiverged, match=r"weight decay 1e\+30, seed 7\) is (nan|inf) at step \d+") as alone:
        train(bad, digits, progress=False)
    assert str(alone.value) == str(caught.value)
    with pytest.raises(TrainingsDiverged):
        together([bad], digits)


def test_the_penalty_has_the_gradient_of_its_formula(short, digits, tmp_path):
    """At a learning rate of next to nothing a step adds the gradient to the momenta and leaves the weights."""
    penalised = replace(short, spread_penalty=2.0, weight_decay=0.0, learning_rate=1e-30, warmup_epochs=0)
    plain = replace(penalised, spread_penalty=0.0)
    momenta = {}
    for config in (penalised, plain):
        file = tmp_path / f"{config.spread_penalty}"
        with pytest.raises(TimeIsUp):
            together([config], digits, checkpoints={config: file}, deadline=-math.inf)
        momenta[config] = read_checkpoint(file, config)[1]
    stream = random_stream(initialisation_seed(short), "init")
    model = build_model(short, input_shape=digits.input_shape, num_classes=10, generator=stream)
    for name, parameter in model.named_parameters():
        (gradient,) = torch.autograd.grad(2.0 * singular_value_spread(parameter), parameter)
        found = momenta[penalised][name] - momenta[plain][name]
        torch.testing.assert_close(found, gradient, rtol=1e-3, atol=1e-5)


def test_the_configuration_alone_decides(pico):
    assert trains_together(pico)
    assert trains_together(replace(pico, width_multiplier=16, batch_size=128, activation="gelu", spread_penalty=0.1))
    for changes in (
        {"width_multiplier": 16.1},
        {"batch_size": 129},
        {"bias": True},
        {"augment": True},
        {"precision": "bfloat16"},
        {"activation": "a_readers_own"},
        {"architecture": "vgg11", "hidden_width": None, "num_layers": None},
    ):
        assert not trains_together(replace(pico, **changes)), changes
    one, other = replace(pico, seed=3, weight_decay=0.5, order_seed=1, order_seed_fraction=0.5), replace(pico, seed=4)
    assert company(one) == company(other) != company(replace(pico, epochs=5))
    assert company(replace(pico, spread_penalty=0.5)) == company(replace(pico, spread_penalty=0.1)) != company(pico)


def test_only_what_trains_together_has_new_addresses(pico, pico_pair):
    """The digests that were in force before networks were trained together hold for all others."""
    wide = replace(pico, width_multiplier=32)
    assert wide.digest == digest_of({"training": wide.to_dict(), "version": CODE_VERSIONS["training"]})
    assert pico.digest != digest_of({"training": pico.to_dict(), "version": CODE_VERSIONS["training"]})
    pair = replace(pico_pair, training=wide)
    versions = {"training": CODE_VERSIONS["training"], "interpolation": MEASURING_VERSIONS["interpolation"]}
    assert pair.digest == digest_of({"pair": pair.to_dict(), "versions": versions})
    assert pico_pair.digest != digest_of({"pair": pico_pair.to_dict(), "versions": versions})


def test_the_decision_needs_no_torch():
    code = "import sys; from lmcbook.training.config import trains_together; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_what_cannot_be_trained_together_is_refused_before_anything_is_trained(pico, digits):
    with pytest.raises(InputError, match="which is not trained together with others: give it to train"):
        train_together([replace(pico, bias=True)], digits)
    with pytest.raises(InputError, match="differ in more than seeds, weight decay and spread penalty"):
        train_together([pico, replace(pico, epochs=5)], digits)
    with pytest.raises(InputError, match="batch_size is 120; digits has only 100"):
        train_together([replace(pico, batch_size=120)], images_of((1, 8, 8), 100))
    assert list(train_together([], digits)) == []


@pytest.mark.slow
def test_a_cell_trains_its_networks_before_it_measures_and_one_that_diverges_spoils_its_own_pairs_only(
    short, monkeypatch, tmp_path
):
    def planned(**changes):
        training = replace(short, epochs=1, **changes)
        pairs = [PairConfig(training=training, seeds=seeds, num_coefficients=3) for seeds in ((0, 1), (2, 3))]
        return [PlannedPair(scale="embedded", recipe="mlp-digits", pair=pair) for pair in pairs]

    def counted(group, *rest, **options):
        groups.append(len(group))
        return train_together(group, *rest, **options)

    good, bad = [*planned(), *planned(weight_decay=0.0)], planned(weight_decay=1e30)
    groups: list[int] = []
    monkeypatch.setattr(store, "train_together", counted)
    with pytest.raises(TrainingsDiverged) as caught:
        measure_missing([good[0], *bad, *good[1:]], folder=tmp_path, progress=False)
    assert groups == [12]
    assert {config.weight_decay for config in caught.value.messages} == {1e30} and len(caught.value.messages) == 4
    assert all(RecordIndex(tmp_path).find(one.pair) for one in good)
    records = measure_missing(good, folder=tmp_path, progress=False)
    assert [record.config for record in records] == [one.pair for one in good] and groups == [12]
