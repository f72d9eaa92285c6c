"""Which configurations make up which notebook, at which scale: the one description of all experiments."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmcbook.config import ALIGNMENTS, PairConfig, TrainingConfig, digest_of
from lmcbook.errors import check_choice
from lmcbook.recipes import (
    DECAY_PRODUCT,
    MAIN_WEIGHT_DECAY,
    RECIPES,
    USUAL_WEIGHT_DECAY,
    Recipe,
    epochs_for,
    recipe,
    warmup,
)

__all__ = [
    "DECAY_PRODUCT",
    "EXPERIMENTS",
    "MAIN_WEIGHT_DECAY",
    "RECIPES",
    "SCALES",
    "SEED_PAIRS",
    "USUAL_WEIGHT_DECAY",
    "PlannedPair",
    "Recipe",
    "cells",
    "depth",
    "epochs_for",
    "layers",
    "pairs",
    "permutations",
    "recipe",
    "temperatures",
    "weight_decay",
    "width",
]

SCALES: tuple[str, ...] = ("embedded", "desk", "paper")

SEED_PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (2, 3), (4, 5))
"""Three disjoint pairs, so that pairs are independent of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPair:
    """One measurement of the plan."""

    scale: str
    recipe: str
    pair: PairConfig
    short: bool = False
    """Whether its schedule is shorter than its recipe's."""

    @property
    def cell(self) -> str:
        """Readable name of what one process works off: all measurements of networks that are trained alike."""
        training = self.pair.training
        depth = "" if training.num_layers is None else f"_L{training.num_layers}"
        return f"{self.recipe}{depth}_x{training.width_multiplier:g}_wd{training.weight_decay:g}"


# What `embedded` trains of the convolutional networks: two widths, one pair.
_EMBEDDED_WIDTHS = {"resnet20-digits": (0.25, 1.0), "vgg11-digits": (0.0625, 0.25)}

_SCALE_RECIPES = {
    "embedded": ("mlp-digits", "resnet20-digits", "vgg11-digits"),
    "desk": ("mlp-digits", "resnet20-digits", "vgg11-digits"),
    "paper": ("mlp-mnist", "mlp-fashion_mnist", "resnet20-cifar10", "vgg11-cifar10", "resnet20-cifar100"),
}


def width(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
    alignments: Sequence[str] = ("identity", "random"),
    measurements: Sequence[str] = ("interpolation",),
) -> list[PlannedPair]:
    """Accuracy and loss along the line, against width: Fig. 1, Fig. 2 and Table 1 of the paper.

    Every argument that is not given is the scale's own.

    Raises:
        InputError: an argument is not what it may be.
    """
    check_choice("scale", scale, SCALES)
    planned = []
    for name in recipes or _SCALE_RECIPES[scale]:
        chosen = recipe(name)
        is_small = scale == "embedded" and name in _EMBEDDED_WIDTHS
        pairs = seed_pairs or (SEED_PAIRS[:1] if is_small else SEED_PAIRS)
        for multiplier in width_multipliers or (_EMBEDDED_WIDTHS[name] if is_small else chosen.width_multipliers):
            for decay in weight_decays or (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY):
                training = replace(chosen.training, width_multiplier=multiplier, weight_decay=decay)
                planned += _planned(scale, chosen, training, epochs, pairs, alignments, measurements)
    return planned


def permutations(
    scale: str = "embedded", *, weight_decays: Sequence[float] | None = None, **selection: Any
) -> list[PlannedPair]:
    """The merge without a permutation beside random ones and beside those that two searches find, against width.

    What the searches do to the layers is measured where model b stays as it is and where its weights were matched.

    Raises:
        InputError: an argument is not what it may be.
    """
    decays = weight_decays or (MAIN_WEIGHT_DECAY,)
    return [
        *width(scale, weight_decays=decays, alignments=ALIGNMENTS, **selection),
        *width(
            scale,
            weight_decays=decays,
            alignments=("identity", "weight_matching"),
            measurements=("layerwise",),
            **selection,
        ),
    ]


def layers(
    scale: str = "embedded", *, weight_decays: Sequence[float] | None = None, **selection: Any
) -> list[PlannedPair]:
    """What each layer of the merged networks computes, and what holds inside of the pairs, against width.

    Raises:
        InputError: an argument is not what it may be.
    """
    decays = weight_decays or (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY)
    measurements = ("interpolation", "layerwise")
    return width(scale, weight_decays=decays, alignments=("identity",), measurements=measurements, **selection)


def depth(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """Multilayer perceptrons of 2 to 6 layers: how the merged network's scale falls with depth.

    Recipes of other networks have no depth to vary and are left out.

    Raises:
        InputError: an argument is not what it may be.
    """
    check_choice("scale", scale, SCALES)
    planned = []
    for name in recipes or _SCALE_RECIPES[scale]:
        chosen = recipe(name)
        if chosen.training.num_layers is None:
            continue
        is_small = scale == "embedded"
        widest = chosen.width_multipliers[-2:-1] if is_small else chosen.width_multipliers[::2]
        for num_layers in (2, 3, 4, 6) if is_small else (2, 3, 4, 5, 6):
            for multiplier in width_multipliers or widest:
                for decay in weight_decays or (MAIN_WEIGHT_DECAY,):
                    training = replace(
                        chosen.training, num_layers=num_layers, width_multiplier=multiplier, weight_decay=decay
                    )
                    pairs = seed_pairs or SEED_PAIRS
                    measurements = ("interpolation", "layerwise")
                    planned += _planned(scale, chosen, training, epochs, pairs, ("identity",), measurements)
    return planned


def temperatures(
    scale: str = "embedded", *, weight_decays: Sequence[float] | None = None, **selection: Any
) -> list[PlannedPair]:
    """Inverse temperatures of the pairs of `width` as they are, and at the main weight decay what they do and need.

    What is measured inside of the networks stands beside them, for it is what the predicted temperatures rest on.

    Raises:
        InputError: an argument is not what it may be.
    """
    measurements = ("interpolation", "layerwise")
    return [
        *width(scale, weight_decays=weight_decays, alignments=("identity",), measurements=measurements, **selection),
        *width(
            scale,
            weight_decays=weight_decays or (MAIN_WEIGHT_DECAY,),
            alignments=("identity",),
            measurements=("calibration",),
            **selection,
        ),
    ]


WEIGHT_DECAYS: tuple[float, ...] = (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)
"""From none at all to more than three times the paper's."""

_SHORTENED_FROM = 1e-3  # smaller decays do next to nothing even in the full schedule


def weight_decay(
    scale: str = "embedded",
    *,
    recipes: Sequence[str] | None = None,
    width_multipliers: Sequence[float] | None = None,
    seed_pairs: Sequence[tuple[int, int]] | None = None,
    weight_decays: Sequence[float] | None = None,
    epochs: int | None = None,
) -> list[PlannedPair]:
    """Barriers and conditions against weight decay at one width, the last but one of a recipe: Fig. 9 of the paper.

    Two contrasts go with it. Networks with batch norm are trained once more with the normalisation's scales and shifts
    left alone by the decay (not at ``embedded``). Multilayer perceptrons are trained once more for a third of the
    epochs, so that it can be seen whether the decay counts or the product of decay, learning rate and steps (not at
    ``paper``, nor with ``epochs`` given).

    Raises:
        InputError: an argument is not what it may be.
    """
    check_choice("scale", scale, SCALES)
    planned = []
    for name in recipes or (("mlp-digits",) if scale == "embedded" else _SCALE_RECIPES[scale]):
        chosen = recipe(name)
        has_depth = chosen.training.num_layers is not None
        for multiplier in width_multipliers or chosen.width_multipliers[-2:-1]:
            for decay in weight_decays or WEIGHT_DECAYS:
                training = replace(chosen.training, width_multiplier=multiplier, weight_decay=decay)
                variants = [(training, epochs)]
                if not has_depth and scale != "embedded":
                    variants.append((replace(training, decay_normalisation=False), epochs))
                if has_depth and scale != "paper" and epochs is None and decay >= _SHORTENED_FROM:
                    variants.append((training, training.epochs // 3))
                for variant, length in variants:
                    pairs, measurements = seed_pairs or SEED_PAIRS, ("interpolation", "layerwise")
                    planned += _planned(scale, chosen, variant, length, pairs, ("identity",), measurements)
    return planned


def _planned(
    scale: str,
    chosen: Recipe,
    training: TrainingConfig,
    epochs: int | None,
    pairs: Sequence[tuple[int, int]],
    alignments: Sequence[str],
    measurements: Sequence[str],
) -> list[PlannedPair]:
    """All measurements of one network: every pair of seeds, alignment and measurement."""
    if epochs is not None:
        training = replace(training, warmup_epochs=0.0)  # whatever the order, never longer than the training
        training = replace(training, epochs=epochs, warmup_epochs=warmup(epochs))
    return [
        PlannedPair(
            scale=scale,
            recipe=chosen.name,
            pair=PairConfig(training=training, seeds=seeds, alignment=alignment, measurement=measurement),
            short=training.epochs < chosen.training.epochs,
        )
        for seeds in pairs
        for alignment in alignments
        for measurement in measurements
    ]


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


def cells(planned: Iterable[PlannedPair]) -> dict[str, list[PlannedPair]]:
    """The measurements by what one process works off, under a name that changes with their configurations.

    Measurements of one cell share their trained networks, so that each network is loaded once.
    """
    grouped: dict[tuple[str, str], list[PlannedPair]] = {}
    for one in planned:
        grouped.setdefault((one.cell, one.pair.training.digest), []).append(one)
    return {f"{name}_{digest_of([one.pair.digest for one in group])}": group for (name, _), group in grouped.items()}
