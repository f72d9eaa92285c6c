"""A damaged checkpoint is dropped with a line, and its training ends as if it had never been there."""

import math
import random
from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from lmcbook.data import load
from lmcbook.lab import paths, scratch, store
from lmcbook.training import TimeIsUp, train_together
from lmcbook.training import config as training_config
from lmcbook.training.checkpoint import is_outdated, read_checkpoint
from lmcbook.training.config import TrainingConfig
from tests.faults.damage import DAMAGES
from tests.faults.jobs import NARROW, import_dots
from tests.helpers.small_trainings import small_training


@pytest.fixture(scope="module")
def tiny() -> TrainingConfig:
    return small_training(hidden_width=4, num_layers=2, epochs=1, warmup_epochs=0)


@pytest.fixture(scope="module")
def expected(tiny, digits):
    return dict(train_together([tiny], digits, progress=False))[tiny]


def interrupted(config, digits):
    """The checkpoint of a training that the store was interrupted in."""
    with suppress(TimeIsUp):
        store.ensure(config, splits=digits, progress=False, deadline=-math.inf)
    return paths.runs() / "unfinished" / f"{store.run_key(config)}.checkpoint.safetensors"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_never_changes_what_a_training_becomes(tiny, digits, expected, damage, capsys):
    for alone in (False, True):
        config = replace(tiny, batch_size=500) if alone else tiny
        file, other = interrupted(config, digits), interrupted(replace(config, seed=1), digits)
        capsys.readouterr()
        DAMAGES[damage](file, other, random.Random(0))
        run = store.ensure(config, splits=digits, progress=False)
        said = capsys.readouterr().err
        harmless = damage == "a link outside"
        assert (not said) if harmless else (file.name in said and len(said.splitlines()) == 1), said
        if not alone:
            assert all(torch.equal(run.state[name], tensor) for name, tensor in expected.state.items())
        store.ensure(replace(config, seed=1), splits=digits, progress=False)
        assert not file.is_file() and not other.exists()


@pytest.mark.slow
def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(tiny, digits):
    file = interrupted(tiny, digits)
    before = file.read_bytes()
    state, momenta, at = read_checkpoint(file, tiny)
    chance = random.Random(0)
    refused = 0
    for _ in range(300):
        DAMAGES["one bit flipped"](file, file, chance)
        try:
            found = read_checkpoint(file, tiny)
        except ValueError:
            refused += 1
        else:  # a flip in a name that nothing reads
            assert all(torch.equal(found[0][name], state[name]) for name in state)
            assert all(torch.equal(found[1][name], momenta[name]) for name in momenta)
            assert (found[2].step, found[2].history, found[2].seconds) == (at.step, at.history, at.seconds)
        file.write_bytes(before)
    assert refused > 290


def test_a_checkpoint_of_other_images_is_never_gone_on_from(tmp_path, monkeypatch, capsys):
    """Both have one configuration: the name of the dataset is the same, its images are not."""
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path / "data"))
    keys = []
    for seed in (0, 1):
        import_dots(seed)
        with suppress(TimeIsUp):
            store.ensure(NARROW, progress=False, deadline=-math.inf)
        keys.append(store.run_key(NARROW))
    file = scratch.checkpoint(keys[1])
    file.write_bytes(scratch.checkpoint(keys[0]).read_bytes())
    run = store.ensure(NARROW, progress=False)
    assert f"{file} was dropped" in capsys.readouterr().err
    expected = dict(train_together([NARROW], load("dots"), progress=False))[NARROW]
    assert run.key == keys[1] and all(torch.equal(run.state[name], expected.state[name]) for name in run.state)


def test_checkpoints_of_an_older_version_of_the_code_are_told_from_others(tiny, digits, monkeypatch):
    file = interrupted(tiny, digits)
    assert not is_outdated(file) and not is_outdated(file.with_name("missing"))
    monkeypatch.setitem(training_config.CODE_VERSIONS, "training", 1000)
    assert is_outdated(file)
