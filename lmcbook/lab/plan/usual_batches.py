"""The paper's data with the field's usual batches: permuted, with other weight decays, and narrow on CIFAR-10."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lmcbook.lab.config import ALIGNMENTS
from lmcbook.lab.plan.batch_sizes import SMALL_BATCH
from lmcbook.lab.plan.grid import Network, grid
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY, Recipe, epochs_with_batches_of

PERCEPTRONS = ("mlp-mnist", "mlp-fashion_mnist")

NARROW: dict[str, tuple[float, ...]] = {"resnet20-cifar10": (0.25, 0.5, 1.0), "vgg11-cifar10": (0.25, 0.5)}
"""Recipe → widths that a processor trains in minutes: most of them narrower than any of the paper's."""

_COARSE = {"num_coefficients": 9, "batch_norm_examples": 2_000}
"""Of narrow networks, whose batch norm is recomputed at every coefficient: what a processor measures in minutes."""

_DECAYS = (USUAL_WEIGHT_DECAY, 1e-3, MAIN_WEIGHT_DECAY)


def small_batches(selection: Selection) -> list[PlannedPair]:
    """Multilayer perceptrons after each alignment, and narrow networks on CIFAR-10; at ``paper`` alone.

    What is asked: whether the gain of a search closes with small batches, and the paper's third dataset at any width.
    """
    if selection.scale != "paper":
        return []
    selection = selection.filled(weight_decays=(MAIN_WEIGHT_DECAY,))
    planned = []
    for network in [*_perceptrons(selection, lambda chosen: chosen.width_multipliers), *_narrow(selection)]:
        options: dict[str, Any] = _COARSE if network.training.has_batch_norm else {}
        planned += network.pairs(alignments=ALIGNMENTS, measurements=("interpolation",), **options)
        planned += network.pairs(alignments=("identity", "weight_matching"), measurements=("layerwise",), **options)
        planned += network.pairs(measurements=("calibration",), **options)
    return planned


def small_batch_decays(selection: Selection) -> list[PlannedPair]:
    """Multilayer perceptrons at the recipe's own width, with three weight decays; at ``paper`` alone."""
    if selection.scale != "paper":
        return []
    networks = _perceptrons(selection.filled(weight_decays=_DECAYS), lambda chosen: (1.0,))
    return [planned for network in networks for planned in network.pairs()]


def _perceptrons(selection: Selection, widths: Callable[[Recipe], Sequence[float]]) -> Iterator[Network]:
    names = [name for name in selection.recipes or PERCEPTRONS if name in PERCEPTRONS]
    for network in grid(replace(selection, recipes=None), widths, recipes=names) if names else ():
        size = round(SMALL_BATCH * network.recipe.training.batch_size)
        yield network.changed(batch_size=size, epochs=epochs_with_batches_of(size, network.recipe))


def _narrow(selection: Selection) -> Iterator[Network]:
    names = [name for name in selection.recipes or NARROW if name in NARROW]

    def widths(chosen: Recipe) -> Sequence[float]:
        return NARROW[chosen.name]

    for network in grid(replace(selection, recipes=None), widths, recipes=names) if names else ():
        size = round(SMALL_BATCH * network.recipe.training.batch_size)
        yield network.changed(batch_size=size, epochs=epochs_with_batches_of(size, network.recipe))
