"""Recipes for images of one's own: schedules that follow from how many there are, and parameters that change them."""

import numpy as np
import pytest
import torch

from lmcbook import predict_logits
from lmcbook.data import load
from lmcbook.data.catalogue import digest_of_arrays
from lmcbook.data.files import Arrays, path_of, write_arrays
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy
from lmcbook.lab import plan
from lmcbook.lab.plan.changed_trainings import training_options
from lmcbook.lab.recipes import FULL_RATE_BATCH, MOST_STEPS, epochs_for
from lmcbook.models import build_model
from lmcbook.training import TrainingConfig, train, train_together
from lmcbook.training.config import trains_together
from lmcbook.training.divergence import divergence

SIZES = (5, 10, 30, 100, 1000)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_DATA", str(tmp_path))


def write(number, size=12, classes=3):
    """Images of single colours under noise, ``number`` of each class, a fifth of them not to train on."""
    random = np.random.default_rng(number)

    def part(number):
        labels = np.repeat(np.arange(classes), number)
        images = random.integers(0, 90, size=(len(labels), 3, size, size))
        images += 100 * (np.arange(3) == labels[:, None])[:, :, None, None]
        return images.astype(np.uint8), labels

    train, test = part(number - number // 5), part(max(number // 5, 10))
    arrays = Arrays(train_images=train[0], train_labels=train[1], test_images=test[0], test_labels=test[1])
    write_arrays(path_of(f"own{number}"), arrays, ("a", "b", "c"), digest_of_arrays(arrays))
    return f"own{number}"


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize("network", ["mlp", "resnet20", "vgg11"])
def test_the_rate_falls_with_the_batch_and_trainings_end(network, number):
    name = write(number, size=4)
    own, known = plan.recipe(f"{network}-{name}").training, plan.recipe(f"{network}-cifar10").training
    num_train = (3 * (number - number // 5)) - 3 * (number - number // 5) // 10
    assert 2 <= own.batch_size <= num_train // 2
    steps = own.epochs * (num_train // own.batch_size)
    if own.batch_size >= FULL_RATE_BATCH:
        assert own.learning_rate == known.learning_rate
        assert own.epochs == epochs_for(num_train, own.batch_size, known.learning_rate, least=own.epochs)
    else:
        assert own.learning_rate == known.learning_rate * own.batch_size / FULL_RATE_BATCH
        assert MOST_STEPS <= steps < MOST_STEPS + num_train // own.batch_size
    assert own.warmup_epochs <= own.epochs


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, 30])
@pytest.mark.parametrize(("network", "width"), [("mlp", 0.0625), ("resnet20", 0.25), ("vgg11", 0.03125)])
def test_small_sets_are_learned_with_their_own_recipes(network, width, number):
    """What can be told apart is told apart by networks trained for at most a tenth of the recipe's steps."""
    name = write(number)
    epochs = max(1, plan.recipe(f"{network}-{name}").training.epochs // 10)
    selection = plan.Selection(recipes=[f"{network}-{name}"], width_multipliers=[width], epochs=epochs)
    config = plan.width(selection)[0].pair.training_a
    splits = load(name)
    if trains_together(config):
        [(_, run)] = train_together([config], splits, progress=False)
    else:
        run = train(config, splits, progress=False)
    assert np.isfinite(run.history["loss"]).all()
    model = build_model(config, input_shape=splits.input_shape, num_classes=3)
    logits = predict_logits(model, run.state, splits.test.images)
    assert accuracy(logits, splits.test.labels) > 0.9


def test_a_batch_is_never_larger_than_the_set_nor_one_example_under_batch_norm():
    name = write(10, size=4)
    for network, least in (("mlp", 1), ("vgg11", 2)):
        planned = plan.batch_size(plan.Selection("desk", recipes=[f"{network}-{name}"]))
        assert all(least <= one.pair.training.batch_size <= 22 for one in planned)
    assert training_options(plan.Selection("embedded", recipes=[f"mlp-{name}"]))[0].pair.training.batch_size == 22


def test_rate_and_batch_can_be_chosen():
    selection = plan.Selection(recipes=["mlp-digits"], learning_rate=0.05, batch_size=64, width_multipliers=[1])
    chosen, own = plan.width(selection)[0].pair.training, plan.recipe("mlp-digits").training
    assert (chosen.learning_rate, chosen.batch_size) == (0.05, 64)
    assert chosen.epochs * (997 // 64) >= own.epochs * (997 // own.batch_size) > (chosen.epochs - 1) * (997 // 64)
    fixed = plan.Selection(recipes=["mlp-digits"], batch_size=64, epochs=3, width_multipliers=[1])
    assert plan.width(fixed)[0].pair.training.epochs == 3
    sizes = {one.pair.training.batch_size for one in plan.batch_size(fixed)}
    assert sizes == {32, 64, 256}
    assert plan.width(plan.Selection(recipes=["mlp-digits"])) == plan.width(plan.Selection(recipes=["mlp-digits"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 998}, r"batch_size is 998; for mlp-digits it must be from 1 to 997"),
        (
            {"batch_size": 1, "recipes": ["vgg11-digits"]},
            r"batch_size is 1; .* from 2 to 997, for batch norm needs two",
        ),
        ({"batch_size": 2.5}, r"batch_size is 2\.5; it must be a whole number at least 1"),
        ({"learning_rate": 0}, r"learning_rate is 0; it must be a number above 0"),
        ({"learning_rate": [0.1]}, r"learning_rate is \[0\.1\]; it must be a number above 0"),
    ],
)
def test_bad_rates_and_batches_are_refused_before_any_training(changes, message):
    with pytest.raises(InputError, match=message):
        plan.width(plan.Selection(**({"recipes": ["mlp-digits"]} | changes)))


def test_a_training_that_diverges_names_the_culprit():
    config = TrainingConfig(dataset="digits", architecture="vgg11", epochs=1, batch_size=50, learning_rate=0.1)
    assert divergence(config, torch.nan, 0, 10).endswith("try a lower learning_rate than 0.1, or a larger batch_size")
    decayed = TrainingConfig(**{**config.to_dict(), "weight_decay": 100.0})
    assert "try a weight_decay far below 38" in divergence(decayed, torch.nan, 0, 10)
