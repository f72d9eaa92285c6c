"""Which notebook is made of which measurements."""

from collections.abc import Callable, Iterable, Sequence

from lmcbook.errors import check_choice
from lmcbook.lab.plan.batch_sizes import batch_size
from lmcbook.lab.plan.changed_trainings import common_mode_controls, trained_beside_placed
from lmcbook.lab.plan.controls import against_low_rank, flatness, same_start
from lmcbook.lab.plan.grid import SEED_PAIRS
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.plan.split_and_repair import common_mode, one_network
from lmcbook.lab.plan.usual_batches import small_batch_decays, small_batches
from lmcbook.lab.plan.weight_decays import weight_decay
from lmcbook.lab.plan.widths import calibration, depth, layers, permutations, width
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY

EXPERIMENTS: dict[str, tuple[Callable[[Selection], list[PlannedPair]], ...]] = {
    "01_width": (width,),
    "02_temperature": (calibration, depth),
    "03_permutations": (permutations,),
    "04_lewc": (layers, depth),
    "05_weak_additivity": (layers,),
    "06_active_units": (layers,),
    "07_reciprocal_orthogonality": (layers, permutations),
    "08_weight_decay": (weight_decay, against_low_rank, small_batch_decays),
    "09_flatness": (flatness,),
    "10_same_start": (same_start,),
    "13_batch_size": (batch_size, small_batches),
    "14_common_mode": (common_mode,),
    "16_one_network": (width, one_network),
    "17_controls": (common_mode_controls, trained_beside_placed),
}
"""Notebook → the functions that plan its measurements; a notebook that measures nothing is not here."""


BEYOND: dict[str, tuple[str, ...]] = {"paper": ("resnet50-imagenet",)}
"""Scale → recipes that no notebook asks for, since their data cannot be downloaded: they are for whoever has them."""


def beyond(scale: str, *, precision: str | None = None) -> list[PlannedPair]:
    """What a scale would measure of the recipes of `BEYOND`: one pair of every width, unpermuted and matched.

    Raises:
        InputError: unknown scale or precision.
    """
    selection = Selection(
        scale,
        recipes=BEYOND.get(scale),
        weight_decays=(MAIN_WEIGHT_DECAY,),
        seed_pairs=SEED_PAIRS[:1],
        precision=precision,
    )
    if scale not in BEYOND:
        return []
    return [
        *width(selection, alignments=("identity", "weight_matching")),
        *width(selection, alignments=("identity",), measurements=("layerwise",)),
    ]


def of_recipes(planned: Sequence[PlannedPair], recipes: Iterable[str] | None) -> list[PlannedPair]:
    """Those of ``planned`` that are of these recipes; all of them for ``None``.

    Raises:
        InputError: a recipe is not among them.
    """
    chosen = None if recipes is None else list(recipes)
    for name in chosen or ():
        check_choice("recipe", name, sorted({one.recipe for one in planned}))
    return [one for one in planned if chosen is None or one.recipe in chosen]


def pairs(scale: str, notebooks: Iterable[str] | None = None, *, precision: str | None = None) -> list[PlannedPair]:
    """All measurements of a scale (of some notebooks), each once, in the order of the plan.

    Args:
        precision: of all trainings, in place of the plan's own.

    Raises:
        InputError: unknown scale, notebook or precision.
    """
    selection = Selection(scale, precision=precision)
    chosen = list(EXPERIMENTS if notebooks is None else notebooks)
    for notebook in chosen:
        check_choice("notebook", notebook, EXPERIMENTS)
    planning = [plan for notebook in chosen for plan in EXPERIMENTS[notebook]]
    found = {planned.pair.digest: planned for plan in dict.fromkeys(planning) for planned in plan(selection)}
    return list(found.values())
