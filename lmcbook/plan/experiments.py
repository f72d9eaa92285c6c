"""Which notebook is made of which measurements."""

from collections.abc import Callable, Iterable

from lmcbook.errors import check_choice
from lmcbook.plan.planned import SCALES, PlannedPair
from lmcbook.plan.weight_decay import weight_decay
from lmcbook.plan.width import depth, layers, permutations, temperatures, width

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
    "08_weight_decay": weight_decay,
}
"""Notebook → the function that plans its measurements; a notebook that measures nothing is not here."""


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
