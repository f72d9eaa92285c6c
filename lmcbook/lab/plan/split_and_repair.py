"""The measurements of the common mode: in each layer, repaired by one bias, and told by one network."""

from dataclasses import replace

from lmcbook.lab.plan.batch_sizes import SMALL_BATCH, batch_size
from lmcbook.lab.plan.grid import CONTROL_RECIPES, SCALE_RECIPES
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.plan.usual_batches import small_batch_decays, small_batches
from lmcbook.lab.plan.widths import depth, width
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, recipe
from lmcbook.training.config import TrainingConfig

COEFFICIENTS = {"embedded": 13, "desk": 13, "paper": 5}
"""Scale → interpolation coefficients of a repair, which costs as much as four merges at each of them."""


def common_mode(selection: Selection) -> list[PlannedPair]:
    """Repairs of the merged networks that the chapters on width and on batch size train, against both.

    Multilayer perceptrons alone, unless recipes are selected: where batch norm follows each hidden layer there is
    nothing to repair. At the main weight decay also after the weights were matched, where the repair of mean and
    variance is REPAIR as it was published.
    """
    if selection.recipes is None:
        perceptrons = [name for name in SCALE_RECIPES[selection.scale] if recipe(name).training.num_layers is not None]
        selection = selection.filled(recipes=perceptrons)
    trained = [*width(selection, alignments=("identity",)), *batch_size(selection), *small_batch_decays(selection)]
    planned = {}
    for one in trained:
        if one.pair.measurement != "interpolation":
            continue
        of_recipe = one.pair.training.batch_size / (selection.batch_size or recipe(one.recipe).training.batch_size)
        searched = (1, SMALL_BATCH) if one.scale == "paper" else (1,)
        matched = of_recipe in searched and one.pair.training.weight_decay == MAIN_WEIGHT_DECAY
        for alignment in ("identity", *(("weight_matching",) if matched else ())):
            pair = replace(
                one.pair, measurement="repair", alignment=alignment, num_coefficients=COEFFICIENTS[one.scale]
            )
            planned[pair.digest] = replace(one, pair=pair)
    return list(planned.values())


def cross_talk(selection: Selection) -> list[PlannedPair]:
    """The split of reciprocal orthogonality in all pairs of the chapters on width, depth and batch size.

    No network is trained for it. At ``embedded`` multilayer perceptrons alone, unless recipes are selected. Of networks
    with batch norm it is measured before the norm, and of what differs between images, which is what the norm leaves.
    """
    return _measured(selection, ("common_mode",))


def one_network(selection: Selection) -> list[PlannedPair]:
    """The same pairs, and each network of them averaged with shuffled copies of itself."""
    return _measured(selection, ("common_mode", "self_merge"))


def _measured(selection: Selection, measurements: tuple[str, ...]) -> list[PlannedPair]:
    selection = selection.filled(recipes=CONTROL_RECIPES[selection.scale])
    perceptrons = [name for name in selection.recipes or () if recipe(name).training.num_layers is not None]
    planned = width(selection, alignments=("identity",))
    if perceptrons:
        planned += [*batch_size(replace(selection, recipes=perceptrons)), *depth(selection)]
    planned += [*small_batches(selection), *small_batch_decays(selection)]
    pairs: dict[tuple[TrainingConfig, tuple[int, int]], PlannedPair] = {}
    for one in planned:
        pairs.setdefault((one.pair.training, one.pair.seeds), one)
    return [
        replace(one, pair=replace(one.pair, measurement=measurement))
        for one in pairs.values()
        for measurement in measurements
    ]
