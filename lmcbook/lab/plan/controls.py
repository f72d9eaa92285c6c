"""The controls: a penalty against low rank, other lines of the same length, and pairs that share their start."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lmcbook.errors import check_choice
from lmcbook.lab.plan.planned import SCALE_RECIPES, SCALES, SEED_PAIRS, PlannedPair, planned_pairs
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, Recipe, recipe
from lmcbook.training.config import TrainingConfig

SPREAD_PENALTIES: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0, 10.0)
"""From no penalty to one that leaves hardly anything of the low rank."""

_EMBEDDED_PENALTIES = (0.0, 0.1, 10.0)

SHARED_FRACTIONS: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Parts of the training that a spawned pair has in common; 0 is the initialisation alone."""

# The walks cost 648 measurements of a multilayer perceptron; a network with batch norm, which has to be recomputed at
# every step of every walk, is stopped at every quarter of the way only.
_DISTANCES = {True: 9, False: 5}


def against_low_rank(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """Pairs of one width, trained with penalties of several sizes on the spread of the weights' spectra, and without.

    Raises:
        InputError: an argument is not what it may be.
    """
    penalties = _EMBEDDED_PENALTIES if scale == "embedded" else SPREAD_PENALTIES
    planned = []
    for chosen, training in _at_one_width(scale, recipes, width_multipliers, weight_decays):
        for penalty in penalties:
            penalised = replace(training, spread_penalty=penalty)
            planned += _both(scale, chosen, penalised, epochs, seed_pairs)
    return planned


def same_start(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """Pairs of one width that share nothing, the order of the examples, or their start (Frankle et al. 2020).

    Raises:
        InputError: an argument is not what it may be.
    """
    kinds: list[dict[str, Any]] = [{}, {"shared": "order"}]
    kinds += [{"shared": "start", "shared_fraction": fraction} for fraction in SHARED_FRACTIONS]
    planned = []
    for chosen, training in _at_one_width(scale, recipes, width_multipliers, weight_decays):
        for kind in kinds:
            planned += _both(scale, chosen, training, epochs, seed_pairs, **kind)
    return planned


def flatness(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """The line of each pair beside random directions of the same length and lines to untrained networks.

    At ``embedded`` of multilayer perceptrons at every other width; the widest convolutional networks are left out at
    every scale, for what they would cost.

    Raises:
        InputError: an argument is not what it may be.
    """
    planned = []
    for chosen in _chosen(scale, recipes):
        has_depth = chosen.training.num_layers is not None
        widths = chosen.width_multipliers if has_depth else chosen.width_multipliers[:-1]
        for multiplier in width_multipliers or (widths[::2] if scale == "embedded" else widths):
            for decay in weight_decays or (MAIN_WEIGHT_DECAY,):
                training = replace(chosen.training, width_multiplier=multiplier, weight_decay=decay)
                what = (scale, chosen, training, epochs, seed_pairs or SEED_PAIRS, ("identity",))
                planned += planned_pairs(*what, ("interpolation",))
                planned += planned_pairs(*what, ("flatness",), num_coefficients=_DISTANCES[has_depth])
    return planned


def _both(
    scale: str,
    chosen: Recipe,
    training: TrainingConfig,
    epochs: int | None,
    seed_pairs: Sequence[tuple[int, int]] | None,
    **options: Any,
) -> list[PlannedPair]:
    measurements = ("interpolation", "layerwise")
    pairs = seed_pairs or SEED_PAIRS
    return planned_pairs(scale, chosen, training, epochs, pairs, ("identity",), measurements, **options)


def _chosen(scale: str, recipes: Sequence[str] | None) -> list[Recipe]:
    check_choice("scale", scale, SCALES)
    names = recipes or (("mlp-digits",) if scale == "embedded" else SCALE_RECIPES[scale])
    return [recipe(name) for name in names]


def _at_one_width(
    scale: str,
    recipes: Sequence[str] | None,
    width_multipliers: Sequence[float] | None,
    weight_decays: Sequence[float] | None,
) -> Iterator[tuple[Recipe, TrainingConfig]]:
    """The networks at the width in the middle of their recipe, where a barrier is left that can rise or fall."""
    for chosen in _chosen(scale, recipes):
        widths = chosen.width_multipliers
        for multiplier in width_multipliers or (widths[len(widths) // 2],):
            for decay in weight_decays or (MAIN_WEIGHT_DECAY,):
                yield chosen, replace(chosen.training, width_multiplier=multiplier, weight_decay=decay)
