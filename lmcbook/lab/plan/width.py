"""The measurements against width and depth: the claim, permutations, layers and temperatures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lmcbook.errors import check_choice
from lmcbook.lab.config import ALIGNMENTS
from lmcbook.lab.plan.planned import SCALE_RECIPES, SCALES, SEED_PAIRS, PlannedPair, planned_pairs
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY, recipe

# What `embedded` trains of the convolutional networks: two widths, one pair.
_EMBEDDED_WIDTHS = {"resnet20-digits": (0.25, 1.0), "vgg11-digits": (0.0625, 0.25)}


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
    for name in recipes or SCALE_RECIPES[scale]:
        chosen = recipe(name)
        is_small = scale == "embedded" and name in _EMBEDDED_WIDTHS
        pairs = seed_pairs or (SEED_PAIRS[:1] if is_small else SEED_PAIRS)
        for multiplier in width_multipliers or (_EMBEDDED_WIDTHS[name] if is_small else chosen.width_multipliers):
            for decay in weight_decays or (MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY):
                training = replace(chosen.training, width_multiplier=multiplier, weight_decay=decay)
                planned += planned_pairs(scale, chosen, training, epochs, pairs, alignments, measurements)
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
    for name in recipes or SCALE_RECIPES[scale]:
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
                    planned += planned_pairs(scale, chosen, training, epochs, pairs, ("identity",), measurements)
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
