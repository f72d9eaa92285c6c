"""Which notebook is made of which measurements."""

from collections.abc import Callable, Iterable
from typing import Any

from lmcbook.errors import check_choice
from lmcbook.lab.plan.batch_size import batch_size
from lmcbook.lab.plan.controls import against_low_rank, flatness, same_start
from lmcbook.lab.plan.planned import SCALES, SEED_PAIRS, PlannedPair
from lmcbook.lab.plan.weight_decay import weight_decay
from lmcbook.lab.plan.width import depth, layers, permutations, temperatures, width
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY

EXPERIMENTS: dict[str, Callable[..., list[PlannedPair]]] = {
    "01_width": width,
    "02_temperature": lambda scale, **selection: [
        *temperatures(scale, **selection),
        *depth(scale, **selection),
    ],
    "03_permutations": permutations,
    "04_lewc": lambda scale, **selection: [*layers(scale, **selection), *depth(scale, **selection)],
    "05_weak_additivity": layers,
    "06_active_units": layers,
    "07_reciprocal_orthogonality": lambda scale, **selection: [
        *layers(scale, **selection),
        *permutations(scale, **selection),
    ],
    "08_weight_decay": lambda scale, **selection: [
        *weight_decay(scale, **selection),
        *against_low_rank(scale, **selection),
    ],
    "09_flatness": flatness,
    "10_same_start": same_start,
    "13_batch_size": batch_size,
}
"""Notebook → the function that plans its measurements; a notebook that measures nothing is not here."""


BEYOND: dict[str, tuple[str, ...]] = {"paper": ("resnet50-imagenet",)}
"""Scale → recipes that no notebook asks for, since their data cannot be downloaded: they are for whoever has them."""


def beyond(scale: str) -> list[PlannedPair]:
    """What a scale would measure of the recipes of `BEYOND`: one pair of every width, as it is and matched.

    Raises:
        InputError: unknown scale.
    """
    check_choice("scale", scale, SCALES)
    if scale not in BEYOND:
        return []
    selection: dict[str, Any] = {
        "recipes": BEYOND[scale],
        "weight_decays": (MAIN_WEIGHT_DECAY,),
        "seed_pairs": SEED_PAIRS[:1],
    }
    return [
        *width(scale, alignments=("identity", "weight_matching"), **selection),
        *width(scale, alignments=("identity",), measurements=("layerwise",), **selection),
    ]


def pairs(scale: str, notebooks: Iterable[str] | None = None) -> list[PlannedPair]:
    """All measurements of a scale (of some notebooks), each once, in the order of the plan.

    Raises:
        InputError: unknown scale or notebook.
    """
    check_choice("scale", scale, SCALES)
    chosen = list(EXPERIMENTS if notebooks is None else notebooks)
    for notebook in chosen:
        check_choice("notebook", notebook, EXPERIMENTS)
    found = {planned.pair.digest: planned for notebook in chosen for planned in EXPERIMENTS[notebook](scale)}
    return list(found.values())
