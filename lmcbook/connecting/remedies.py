"""What can be done to a merge without training: a permutation of b's units, a repair of hidden layers."""

from collections.abc import Sequence
from typing import Any

from lmcbook.connecting.inputs import Inputs
from lmcbook.errors import InputError, check_choice
from lmcbook.matching import activation_matching, observe_layers, observe_modules, weight_matching
from lmcbook.merging import REPAIRS, Repairer, merge, recompute_batch_norm_
from lmcbook.models import LayeredModel, permutation_spec
from lmcbook.permutation import PermutationSpec, apply, derive_spec
from lmcbook.states import StateDict, has_batch_norm

MATCHINGS = ("none", "weights", "activations", "all")
DEFAULT_REPAIRS = ("lewc_mean", "mean_and_variance")
"""Averaged means alone helped in no decided setting of the book's records."""

REPAIR_IMAGES = 512
"""Images that a repair and activation matching look at; all pass at once. Batch norm sees all there are."""

_TRACED = 8  # images for a trace: with fewer, batch norm in deep networks leaves rounding alone


def check_remedies(match: str, repair: str | Sequence[str]) -> tuple[str, ...]:
    """The kinds of repair that were asked for, without ``none``.

    Raises:
        InputError: one of them, or ``match``, is unknown.
    """
    check_choice("match", match, MATCHINGS)
    kinds = (repair,) if isinstance(repair, str) else tuple(repair)
    for kind in kinds:
        check_choice("repair", kind, REPAIRS)
    return tuple(dict.fromkeys(kind for kind in kinds if kind != "none"))


def symmetry(inputs: Inputs) -> PermutationSpec:
    """The table of the groups of units: the network's own, or derived from its computation.

    Raises:
        InputError: it cannot be traced, or nothing in it may be permuted.
    """
    model: Any = inputs.model
    if isinstance(model, LayeredModel) and model.architecture is not None:
        return permutation_spec(model)
    spec = derive_spec(model, inputs.images[:_TRACED])
    if not spec.group_names:
        reasons = list(dict.fromkeys(spec.unproved.values()))
        raise InputError(
            f"no units of this network may be permuted, as far as a trace tells ({'; '.join(reasons[:3])})"
        )
    return spec


def repairer(inputs: Inputs, state_b: StateDict) -> Repairer:
    """What repairs merges of a with this b, by the first `REPAIR_IMAGES` images.

    Raises:
        InputError: as `Repairer`.
    """
    return Repairer(inputs.model, (inputs.a, state_b), inputs.images[:REPAIR_IMAGES])


def averaged(inputs: Inputs, state_b: StateDict, coefficient: float | int) -> StateDict:
    """λ of a and 1 − λ of b, with batch norm recomputed from all images, some at a time."""
    images = inputs.images if has_batch_norm(inputs.model) else None
    return merge(inputs.model, inputs.a, state_b, coefficient, images)


def repaired(inputs: Inputs, repairing: Repairer, merged: StateDict, coefficient: float | int, kind: str) -> StateDict:
    """An `averaged` merge repaired by a few images, then with batch norm recomputed from all: of ``repairing.module``.

    Raises:
        InputError: as `Repairer.repair`.
    """
    state = repairing.repair(merged, (coefficient, 1 - coefficient), kind)
    return recompute_batch_norm_(repairing.module, state, inputs.images)


def align(inputs: Inputs, spec: PermutationSpec, kind: str, *, starts: str = "fast", seed: int = 0) -> StateDict:
    """b with its units in the order that fits a's, by weights or by activations.

    Raises:
        InputError: as `weight_matching` and `activation_matching`.
    """
    model = inputs.model
    few = inputs.images[:REPAIR_IMAGES]
    # a derived table was tried where it was derived
    untried = model if isinstance(model, LayeredModel) else None
    if kind == "weights":
        found = weight_matching(
            spec, inputs.a, inputs.b, model=untried, images=few[:_TRACED], starts=starts, seed=seed, progress=False
        )
    else:
        observe = observe_layers(model) if isinstance(model, LayeredModel) else observe_modules(model, spec)
        found = activation_matching(
            spec, inputs.a, inputs.b, observe=observe, images=few, model=untried, seed=seed, progress=False
        )
    return apply(spec, found.permutation, inputs.b)
