"""Fixtures shared by all tests: real data and one small pair of networks, trained once for the whole session."""

import gc
import importlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import beartype.door  # noqa: F401
import pandas  # noqa: F401
import pytest
import torch

# before anything of the package is imported
from tests.helpers.type_checks import begin_a_test

# isort: split
from lmcbook.data import Splits, load
from lmcbook.lab.config import PairConfig
from lmcbook.lab.records import Record, read_records
from lmcbook.models import LayeredModel, permutation_spec
from lmcbook.permutation import PermutationSpec
from lmcbook.states import StateDict
from lmcbook.training import TrainedModel, train
from lmcbook.training.config import TrainingConfig
from tests.helpers.small_networks import ALL, add_a_network, small_model
from tests.helpers.small_trainings import small_training
from tests.helpers.synthetic_records import layers_sweep, width_sweep

# Several test processes share the cores, and bit-identity is promised for equal thread counts: one thread here, and one
# in the processes that tests start.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure(config):
    """Import large libraries before our modules do.

    jaxtyping's loader compiles whatever one of our modules is the first to import, in every test process: some 1,200
    files of these libraries. Where single files are tested, only what these need is imported.
    """
    if not any(".py" in argument for argument in config.args):
        for library in ("seaborn", "ipywidgets", "torch.distributed.tensor"):
            importlib.import_module(library)


LONGEST = ("test_book", "test_chapters", "test_reproducing", "test_notebooks", "test_explorers", "test_distributed")
"""Begun first, so that no test process is left alone with them at the end."""


def pytest_collection_modifyitems(items):
    """Begin with the longest files; what is done to each architecture is slow for the largest of them."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)
    for item in items:
        if "resnet50" in item.name.partition("[")[2]:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """Keep what is loaded by now out of every collection of garbage to come: it stays to the end, and is a lot.

    The rest is collected less often than by default, where that takes 4 % of all time.
    """
    gc.freeze()
    gc.set_threshold(10_000)


def pytest_runtest_setup():
    begin_a_test()


@pytest.fixture(scope="session")
def private_numbers(tmp_path_factory) -> Iterator[Path]:
    """Names of folders that no other test has.

    `mktemp` looks through all that is beside a new folder to number it: with thousands of tests, longer than most take.
    """
    folder = tmp_path_factory.mktemp("private")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def private_folders(private_numbers, monkeypatch):
    """No test reads or writes the user's runs or records."""
    folder = next(private_numbers)
    for name in ("runs", "records"):
        (folder / name).mkdir(parents=True)
        monkeypatch.setenv(f"LMCBOOK_{name.upper()}", str(folder / name))


@pytest.fixture(scope="session")
def committed_records() -> list[Record]:
    """All records that came with the checkout, outdated ones too, read once."""
    found = read_records(Path(__file__).parents[1] / "records", outdated=True)
    if not found:
        pytest.skip("no records came with this checkout")
    return found


@pytest.fixture(scope="session")
def digits() -> Splits:
    return load("digits")


@pytest.fixture(scope="session")
def pico() -> TrainingConfig:
    """An MLP that trains in about a second and is right on most digits."""
    return small_training()


@pytest.fixture(scope="session")
def pico_pair(pico) -> PairConfig:
    return PairConfig(training=pico, seeds=(0, 1), num_coefficients=5)


@pytest.fixture(scope="session")
def trained_pair(pico_pair, digits) -> tuple[TrainedModel, TrainedModel]:
    a, b = (train(config, digits, progress=False) for config in (pico_pair.training_a, pico_pair.training_b))
    return a, b


@pytest.fixture(scope="session")
def mlp_pair():
    from tests.helpers.evaluation_pairs import random_pair  # not above: most tests do without it

    return random_pair("mlp")


@pytest.fixture(scope="session")
def resnet_pair():
    from tests.helpers.evaluation_pairs import random_pair

    return random_pair("resnet20")


@pytest.fixture(scope="session")
def perceptrons() -> list[Record]:
    """Made-up records of a network without batch norm: interpolations and layers at several widths."""
    return width_sweep(widths=(1, 4, 16), pairs=2) + layers_sweep()


@pytest.fixture(scope="session")
def convolutional() -> list[Record]:
    """The same of a network with batch norm."""
    return width_sweep("vgg11-digits", (2, 8), pairs=1) + layers_sweep("vgg11-digits", (2, 8), pairs=1)


@pytest.fixture(params=ALL)
def network(request, monkeypatch) -> tuple[LayeredModel, StateDict, PermutationSpec]:
    """A small network of each architecture, and one of an architecture that is added as a user adds one."""
    add_a_network(monkeypatch)
    model, state = small_model(request.param)
    return model, state, permutation_spec(model)
