"""The measurements against width and depth: the claim, permutations, layers and calibration."""

from collections.abc import Sequence

from lmcbook.lab.config import ALIGNMENTS
from lmcbook.lab.plan.grid import SEED_PAIRS, grid
from lmcbook.lab.plan.planned import PlannedPair
from lmcbook.lab.plan.selection import Selection
from lmcbook.lab.recipes import MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY, Recipe

# What `embedded` trains of the convolutional networks: two widths, one pair.
_EMBEDDED_WIDTHS = {"resnet20-digits": (0.25, 1.0), "vgg11-digits": (0.0625, 0.25)}


def width(
    selection: Selection,
    *,
    alignments: Sequence[str] = ("identity", "random"),
    measurements: Sequence[str] = ("interpolation",),
) -> list[PlannedPair]:
    """Accuracy and loss along the line, against width: Fig. 1, Fig. 2 and Table 1 of the paper."""
    small = _EMBEDDED_WIDTHS if selection.scale == "embedded" else {}

    def widths(chosen: Recipe) -> tuple[float, ...]:
        return small.get(chosen.name, chosen.width_multipliers)

    planned = []
    for network in grid(selection, widths, decays=(MAIN_WEIGHT_DECAY, USUAL_WEIGHT_DECAY)):
        seed_pairs = SEED_PAIRS[:1] if network.recipe.name in small else SEED_PAIRS
        planned += network.pairs(seed_pairs=seed_pairs, alignments=alignments, measurements=measurements)
    return planned


def permutations(selection: Selection) -> list[PlannedPair]:
    """The merge without a permutation beside random permutations and those that two searches find, against width.

    What the searches do to the layers is measured where model b is not permuted and where its weights were matched.
    """
    selection = selection.filled(weight_decays=(MAIN_WEIGHT_DECAY,))
    return [
        *width(selection, alignments=ALIGNMENTS),
        *width(selection, alignments=("identity", "weight_matching"), measurements=("layerwise",)),
    ]


def layers(selection: Selection) -> list[PlannedPair]:
    """What each layer of the merged networks computes, and what holds inside the pairs, against width."""
    return width(selection, alignments=("identity",), measurements=("interpolation", "layerwise"))


def depth(selection: Selection) -> list[PlannedPair]:
    """Multilayer perceptrons of 2 to 6 layers: how the merged network's scale falls with depth.

    Recipes of other networks have no depth to vary and are left out.
    """
    is_small = selection.scale == "embedded"

    def widths(chosen: Recipe) -> tuple[float, ...]:
        return chosen.width_multipliers[-2:-1] if is_small else chosen.width_multipliers[::2]

    networks = grid(selection, widths, depths=(2, 3, 4, 6) if is_small else (2, 3, 4, 5, 6))
    return [planned for network in networks for planned in network.pairs()]


def calibration(selection: Selection) -> list[PlannedPair]:
    """Inverse temperatures of the unpermuted pairs of `width`, and at the main weight decay what they do and need.

    What is measured inside the networks stands beside them: the predicted temperatures rest on it.
    """
    main = selection.filled(weight_decays=(MAIN_WEIGHT_DECAY,))
    return [*layers(selection), *width(main, alignments=("identity",), measurements=("calibration",))]
