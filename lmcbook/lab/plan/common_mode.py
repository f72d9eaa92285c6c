"""The measurements of the common mode: what it is in each layer, and what one bias per layer repairs."""

from dataclasses import replace

from lmcbook.lab.plan.batch_size import batch_size
from lmcbook.lab.plan.grid import SCALE_RECIPES
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.plan.width import width
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, recipe

COEFFICIENTS = 13
"""Interpolation coefficients of a repair, which costs as much as four merges at each."""


def common_mode(selection: Selection) -> list[PlannedPair]:
    """Repairs of the merged networks that the chapters on width and on batch size train, against both.

    Multilayer perceptrons alone, unless recipes are selected: where batch norm follows each hidden layer there is
    nothing to repair. At the main weight decay also after the weights were matched, where the repair of mean and
    variance is REPAIR as it was published.
    """
    if selection.recipes is None:
        perceptrons = [name for name in SCALE_RECIPES[selection.scale] if recipe(name).training.num_layers is not None]
        selection = selection.filled(recipes=perceptrons)
    trained = [*width(selection, alignments=("identity",)), *batch_size(selection)]
    planned = {}
    for one in trained:
        if one.pair.measurement != "interpolation":
            continue
        of_recipe = one.pair.training.batch_size == recipe(one.recipe).training.batch_size
        matched = of_recipe and one.pair.training.weight_decay == MAIN_WEIGHT_DECAY
        for alignment in ("identity", *(("weight_matching",) if matched else ())):
            pair = replace(one.pair, measurement="repair", alignment=alignment, num_coefficients=COEFFICIENTS)
            planned[pair.digest] = replace(one, pair=pair)
    return list(planned.values())
