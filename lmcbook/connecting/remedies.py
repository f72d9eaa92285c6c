"""What can be done to a merge without training: a permutation of b's units, a repair of hidden layers."""

from collections.abc import Sequence
from typing import Any

from lmcbook.connecting.inputs import Inputs
from lmcbook.errors import InputError, check_choice
from lmcbook.matching import activation_matching, observe_layers, observe_modules, weight_matching
from lmcbook.merging import REPAIRS
from lmcbook.models import LayeredModel, permutation_spec
from lmcbook.permutation import PermutationSpec, apply, derive_spec
from lmcbook.states import StateDict

MATCHINGS = ("none", "weights", "activations", "all")
REPAIR_IMAGES = 512
"""Images that a repair and activation matching look at; all pass at once."""

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


def align(inputs: Inputs, spec: PermutationSpec, kind: str, *, starts: str = "fast", seed: int = 0) -> StateDict:
    """b with its units in the order that fits a's, by weights or by activations.

    Raises:
        InputError: as `weight_matching` and `activation_matching`.
    """
    model = inputs.model
    few = inputs.images[:REPAIR_IMAGES]
    if kind == "weights":
        found = weight_matching(
            spec, inputs.a, inputs.b, model=model, images=few[:_TRACED], starts=starts, seed=seed, progress=False
        )
    else:
        observe = observe_layers(model) if isinstance(model, LayeredModel) else observe_modules(model, spec)
        found = activation_matching(
            spec, inputs.a, inputs.b, observe=observe, images=few, model=model, seed=seed, progress=False
        )
    return apply(spec, found.permutation, inputs.b)
