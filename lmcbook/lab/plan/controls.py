"""The controls: a penalty against low rank, other lines of the same length, and pairs that share their start."""

from typing import Any

from lmcbook.lab.plan.grid import CONTROL_RECIPES, grid, in_the_middle
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.recipes import Recipe

SPREAD_PENALTIES: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0, 10.0)
"""From no penalty to one that leaves hardly anything of the low rank."""

_EMBEDDED_PENALTIES = (0.0, 0.1, 10.0)

SHARED_FRACTIONS: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Parts of the training that a spawned pair has in common; 0 is the initialisation alone."""

# The walks cost 648 measurements of a multilayer perceptron; a network with batch norm, which has to be recomputed at
# every step of every walk, is stopped at every quarter of the way only.
_DISTANCES = {False: 9, True: 5}


def against_low_rank(selection: Selection) -> list[PlannedPair]:
    """Pairs of one width, trained without and with penalties of several sizes on the spread of the weights' spectra."""
    return [
        planned
        for network in grid(selection, in_the_middle, recipes=CONTROL_RECIPES[selection.scale])
        for penalty in (_EMBEDDED_PENALTIES if selection.scale == "embedded" else SPREAD_PENALTIES)
        for planned in network.changed(spread_penalty=penalty).pairs()
    ]


def same_start(selection: Selection) -> list[PlannedPair]:
    """Pairs of one width that share nothing, the order of the examples, or their start (Frankle et al. 2020)."""
    kinds: list[dict[str, Any]] = [{}, {"shared": "order"}]
    kinds += [{"shared": "start", "shared_fraction": fraction} for fraction in SHARED_FRACTIONS]
    return [
        planned
        for network in grid(selection, in_the_middle, recipes=CONTROL_RECIPES[selection.scale])
        for kind in kinds
        for planned in network.pairs(**kind)
    ]


def flatness(selection: Selection) -> list[PlannedPair]:
    """The line of each pair beside random directions of the same length and lines to untrained networks.

    At ``embedded`` of multilayer perceptrons at every other width; the widest convolutional networks are left out at
    every scale, for what they would cost.
    """

    def widths(chosen: Recipe) -> tuple[float, ...]:
        affordable = (
            chosen.width_multipliers if chosen.training.num_layers is not None else chosen.width_multipliers[:-1]
        )
        return affordable[::2] if selection.scale == "embedded" else affordable

    planned = []
    for network in grid(selection, widths, recipes=CONTROL_RECIPES[selection.scale]):
        planned += network.pairs(measurements=("interpolation",))
        distances = _DISTANCES[network.training.has_batch_norm]
        planned += network.pairs(measurements=("flatness",), num_coefficients=distances)
    return planned
