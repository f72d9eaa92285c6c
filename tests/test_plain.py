"""Which pairs are plain, and which trainings are their recipe's own."""

from dataclasses import replace
from typing import Any

import pytest
from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.lab.config import PairConfig
from lmcbook.lab.plain import OPTIONS_OF_CONTROLS, is_plain, is_the_recipes_own
from lmcbook.lab.plan import CONTROLS
from lmcbook.lab.recipes import recipe
from lmcbook.pages.analysis.vocabulary import plain

OWN = recipe("mlp-digits").training


def test_independent_pairs_without_a_penalty_are_plain():
    pairs = [
        PairConfig(training=OWN),
        PairConfig(training=replace(OWN, weight_decay=0.0, epochs=OWN.epochs + 1), alignment="random"),
        PairConfig(training=replace(OWN, spread_penalty=0.1)),
        PairConfig(training=OWN, shared="order"),
        PairConfig(training=replace(OWN, spread_penalty=0.1), shared="order"),
    ]
    assert [is_plain(pair) for pair in pairs] == [True, True, False, False, False]
    table = DataFrame([{"spread_penalty": pair.training.spread_penalty, "shared": pair.shared} for pair in pairs])
    assert list(plain(table).index) == [index for index, pair in enumerate(pairs) if is_plain(pair)]
    assert list(plain(table, penalised=True).index) == [0, 1, 2]
    assert list(plain(table, sharing=True).index) == [0, 1, 3]
    assert len(plain(table, penalised=True, sharing=True)) == len(pairs)


def test_what_sweeps_change_leaves_a_training_its_recipes_own():
    swept: dict[str, Any] = {
        "seed": 7,
        "width_multiplier": 4.0,
        "num_layers": 3,
        "weight_decay": 1e-4,
        "batch_size": 8,
        "epochs": 999,
    }
    for name, value in (swept | {"spread_penalty": 0.1}).items():
        assert is_the_recipes_own("mlp-digits", replace(OWN, **{name: value}))
        assert not is_the_recipes_own("mlp-digits", replace(OWN, **{name: value}), name), "asked for as well"


@pytest.mark.parametrize("control", [name for name, change in CONTROLS.items() if change(OWN)])
def test_what_controls_change_does_not(control):
    changes = CONTROLS[control](OWN)
    assert set(changes) <= {*OPTIONS_OF_CONTROLS, "weight_decay"}
    assert not is_the_recipes_own("mlp-digits", replace(OWN, **changes))


def test_another_network_or_a_spared_batch_norm_does_not():
    assert not is_the_recipes_own("mlp-digits", recipe("vgg11-digits").training)
    spared = replace(recipe("vgg11-digits").training, decay_normalisation=False)
    assert not is_the_recipes_own("vgg11-digits", spared)
    with pytest.raises(InputError, match="recipe is 'mlp-nothing'"):
        is_the_recipes_own("mlp-nothing", OWN)
