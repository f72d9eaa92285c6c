"""The controls of the common mode: one thing of a training changed, noise or passes, many networks, placed networks."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

from lmcbook.data import describe
from lmcbook.errors import InputError
from lmcbook.lab.plan.grid import Network, grid
from lmcbook.lab.plan.planned import PlannedPair, with_epochs
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.plan.widths import layers
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, epochs_with_batches_of, full_epochs, recipe
from lmcbook.training.config import TrainingConfig

RECIPE = "as the recipe"
"""The control that changes nothing: what all others are compared with."""

_ADAMW_RATE = 3e-3


def _adamw(own: TrainingConfig) -> dict[str, Any]:
    """AdamW whose decay shrinks weights in a step as much as the recipe's does, in the end."""
    decay = round(own.learning_rate * own.weight_decay / (1 - own.momentum) / _ADAMW_RATE, 6)
    return {"optimiser": "adamw", "momentum": 0.0, "learning_rate": _ADAMW_RATE, "weight_decay": decay}


CONTROLS: dict[str, Callable[[TrainingConfig], dict[str, Any]]] = {
    RECIPE: lambda own: {},
    "centred rows": lambda own: {"centred_rows": True},
    "tanh": lambda own: {"activation": "tanh"},
    "softsign": lambda own: {"activation": "softsign"},
    "leaky ReLU": lambda own: {"activation": "leaky_relu"},
    "bias": lambda own: {"bias": True},
    "layer norm": lambda own: {"normalisation": "layer"},
    "batch norm": lambda own: {"normalisation": "batch"},
    "skip": lambda own: {"skip": True},
    "AdamW": _adamw,
    # ten times the rate would be the same without momentum, but diverges; five times the rate needs twice the steps
    "no momentum": lambda own: {"momentum": 0.0, "learning_rate": 5 * own.learning_rate},
}
"""Control → what it changes of a recipe's training."""

NOISE: dict[str, Callable[[TrainingConfig], dict[str, Any]]] = {
    "batches of 500": lambda own: {},
    "batches of 125": lambda own: {"batch_size": own.batch_size // 4},
    "weights of losses": lambda own: {"loss_weight_variance": 3.0},
    "a quarter of the data": lambda own: {"batch_size": own.batch_size // 4, "train_fraction": 0.25},
    "four times the rate": lambda own: {"learning_rate": 4 * own.learning_rate},
}
"""Noise or passes: a quarter of the batch makes four times the noise; so do weights of losses of variance 3."""

SIX_PAIRS: tuple[tuple[int, int], ...] = tuple((first, first + 1) for first in range(0, 12, 2))
"""Of digits: the book's three pairs, which left most predictions undecided, and three more."""

EIGHT_PAIRS = (*SIX_PAIRS, (12, 13), (14, 15))
"""Of networks at random places, which take seconds."""

FOUR_PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (2, 3), (4, 5), (6, 7))

_DIVERGED = (("four times the rate", (2, 3)),)
"""Pairs with a loss that is not finite, at the recipe's width: there is no such network."""

_EMBEDDED = ("centred rows", "tanh")
_LARGE_BATCH = 4


def changed(network: Network, change: Callable[[TrainingConfig], dict[str, Any]], batch_size: int) -> Network:
    """A network of the plan with one control, trained for as long as the recipe (see `full_epochs`).

    That is as many steps, or under SGD the same sum of learning rate / (1 − momentum).
    """
    own = replace(network.training, batch_size=min(batch_size, describe(network.training.dataset).num_train))
    training = replace(own, **change(own))
    if network.selection.epochs is not None:
        return replace(network, training=training)
    if training.learning_rate == own.learning_rate and training.train_fraction == 1:
        epochs = epochs_with_batches_of(training.batch_size, network.recipe)
    else:
        epochs = full_epochs(training, network.recipe)
    same = epochs == network.recipe.training.epochs
    return replace(network, training=training if same else with_epochs(training, epochs))


def control_of(planned: str, training: TrainingConfig, *, scale: str) -> str | None:
    """Which of `CONTROLS`, or at ``paper`` of `NOISE`, a training of the recipe ``planned`` is, at any width.

    None if it is another.
    """
    for name, expected in _known(recipe(planned).training, scale == "paper", training.batch_size).items():
        if all(getattr(training, field) == getattr(expected, field) for field in _FIXED):
            return name
    return None


_FIXED = [
    field.name
    for field in fields(TrainingConfig)
    if field.name not in ("seed", "epochs", "warmup_epochs", "width_multiplier", "precision")
]
"""What trainings with one control have in common."""


@cache  # pages ask for each record, and a configuration checks itself whenever one is made
def _known(own: TrainingConfig, noise: bool, batch_size: int) -> dict[str, TrainingConfig]:
    start = own if noise else replace(own, batch_size=batch_size)
    return {name: replace(start, **change(start)) for name, change in (NOISE if noise else CONTROLS).items()}


def common_mode_controls(selection: Selection) -> list[PlannedPair]:
    """All measurements of the chapter on controls.

    Digits at ×8, with large batches and (but at ``embedded``, where two controls of one pair are trained) with the
    recipe's; at ``paper`` noise or passes, on MNIST at ×1. Only multilayer perceptrons.

    Raises:
        InputError: a recipe is selected whose network has none of these options.
    """
    for name in selection.recipes or ():
        if recipe(name).training.num_layers is None:
            raise InputError(
                f"recipe is {name!r}; these controls are of multilayer perceptrons: mlp-digits, for example"
            )
    if selection.scale == "paper":
        return noise_or_passes(selection)
    return [*training_options(selection), *many_networks(selection), *placements(selection)]


def training_options(selection: Selection) -> list[PlannedPair]:
    """Each of `CONTROLS` of multilayer perceptrons at ×8: averages at λ = ½, and both parts of the cross-talk."""
    embedded = selection.scale == "embedded"
    names = [RECIPE, *_EMBEDDED] if embedded else list(CONTROLS)
    asked = selection.filled(seed_pairs=SIX_PAIRS[:1] if embedded else SIX_PAIRS)
    return [
        planned
        for network in grid(asked, lambda chosen: (8.0,), recipes=["mlp-digits"])
        for factor in (_LARGE_BATCH, *(() if embedded else (1,)))
        for name in names
        for planned in changed(network, CONTROLS[name], factor * network.recipe.training.batch_size).pairs(
            measurements=("controls", "common_mode")
        )
    ]


def noise_or_passes(selection: Selection) -> list[PlannedPair]:
    """Each of `NOISE` on MNIST at ×1, four pairs but those of `_DIVERGED`."""
    return [
        planned
        for network in grid(selection, lambda chosen: (1.0,), recipes=["mlp-mnist"])
        for name, change in NOISE.items()
        for planned in changed(network, change, network.recipe.training.batch_size).pairs(
            seed_pairs=FOUR_PAIRS, measurements=("controls",)
        )
        if (name, planned.pair.seeds) not in _DIVERGED
    ]


def many_networks(selection: Selection) -> list[PlannedPair]:
    """Averages of up to eight networks of a group, six groups; at ``embedded`` of six that are there already."""
    groups = [(0, 6)] if selection.scale == "embedded" else [(first, first + 8) for first in range(0, 48, 8)]
    return [
        planned
        for network in grid(selection, lambda chosen: (8.0,), recipes=["mlp-digits"])
        for first, end in groups
        for planned in replace(network, selection=replace(selection, seed_pairs=None)).pairs(
            seed_pairs=[(first, first + 1)], measurements=("many",), more_seeds=tuple(range(first + 2, end))
        )
    ]


def placements(selection: Selection) -> list[PlannedPair]:
    """Networks of ×2 at random places of wider networks; one pair at ``embedded``."""
    asked = selection.filled(seed_pairs=EIGHT_PAIRS[:1] if selection.scale == "embedded" else EIGHT_PAIRS)
    return [
        planned
        for network in grid(asked, lambda chosen: (2.0,), recipes=["mlp-digits"])
        for planned in network.pairs(measurements=("placement",))
    ]


def trained_beside_placed(selection: Selection) -> list[PlannedPair]:
    """What networks that were trained as wide as `placements` makes them lose, and how many units they use."""
    main = selection.filled(weight_decays=(MAIN_WEIGHT_DECAY,), recipes=("mlp-digits",))
    return layers(main)
