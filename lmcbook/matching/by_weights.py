"""Weight matching: the permutation of b's hidden units that brings its weights closest to those of a."""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.errors.arguments import checked
from lmcbook.matching.descent import Descent
from lmcbook.matching.similarity import Similarities, check_finite_states, objective_and_distance, plain_objective
from lmcbook.permutation import Permutation, PermutationSpec, check_function_preserved
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict

STARTS: dict[str, str] = {
    "forward": "from the identity, groups in their order",
    "warm": "one pass by outputs alone, then groups in their order",
    "annealed": "one pass by outputs alone, then by outputs and inputs with the outputs 8, 4, 2, 1 times as heavy",
    "random": "one pass by outputs alone, then groups in random order",
}
"""Where a descent may start and how it goes on."""

EFFORTS: dict[str, tuple[tuple[str, ...], int]] = {
    "fast": (("warm",), 1),
    "best": (("forward", "annealed", "random"), 8),
}
"""Effort → its starts, and how often the best of their results is shaken."""

# Below this number of units in every group a shake takes as long as all the rest, so "fast" goes without.
WORTH_SHAKING = 128
ANNEALING = (8.0, 4.0, 2.0)
SWEEPS_PER_WEIGHT = 2
SHAKEN_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """A permutation that aligns b to a, and what it cost."""

    permutation: Permutation
    """``apply(spec, permutation, state_b)`` is b aligned to a."""
    objective: float
    """Σ ⟨A, πB⟩ over the learnable tensors, in float64."""
    identity_objective: float
    """The same without a permutation."""
    l2_distance: float
    """‖A − πB‖ over the learnable tensors."""
    sweeps: int
    """Passes over the groups, those of all starts and shakes together."""
    seconds: float
    """Wall-clock time, without the check of the function."""
    start: str
    """The start that led to the best result, one of `STARTS`."""
    trajectory: tuple[float, ...]
    """The objective where the descent from that start began, after each of its steps, and after each useful shake."""
    correlation: float | None = None
    """Mean correlation of the matched units' activations; activation matching only."""


@checked
@torch.no_grad()
def weight_matching(
    spec: PermutationSpec,
    state_a: StateDict,
    state_b: StateDict,
    *,
    model: nn.Module | None,
    images: Tensor | None = None,
    starts: str | Sequence[str] = "best",
    shakes: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Matching:
    r"""The permutation π that maximises $\sum_t \langle A_t, \pi B_t \rangle$, so that ‖A − πB‖ is least.

    Block coordinate descent over linear assignments, as in Git Re-Basin (Ainsworth, Hayase & Srinivasa 2023, Algorithm
    1): with all other groups fixed, one group's best permutation is exact. The maximum over all groups together is
    NP-hard, so the descent ends at a fixed point that depends on where it started. Hence several starts; and the best
    result is *shaken*: a tenth of the units of every group is shuffled, the descent goes on from there, and the result
    is kept if it is better. Batch norm's running statistics are permuted, but do not count.

    Args:
        spec: groups of both networks.
        state_a: the network that stays.
        state_b: the network that is permuted.
        model: any module of these states, on which `check_function_preserved` tries ``spec`` first; None leaves the
            check out, for a spec that has been checked before.
        images: a few inputs of ``model`` for the check.
        starts: "fast" (one start; a shake, if a group has 128 units or more), "best" (three starts, eight shakes), or
            names of `STARTS`.
        shakes: how many, if not as many as ``starts`` says (0 for names of starts).
        seed: of random orders and shakes.
        progress: show a bar of assignments with the objective.

    Raises:
        InputError: the spec does not fit the states or the model, or a value is not what it may be.
    """
    names, default_shakes = _effort(starts)
    if shakes is not None:
        check_number("shakes", shakes, minimum=0, integer=True)
    check_finite_states({"state_a": state_a, "state_b": state_b})
    check_before_matching(spec, state_b, model=model, images=images, seed=seed)
    began = time.perf_counter()
    similarities = Similarities(spec, state_a, state_b)
    identity_objective = plain_objective(state_a, state_b)
    still = similarities.identity()
    if shakes is None:
        small = max(similarities.sizes.values()) < WORTH_SHAKING
        shakes = 0 if starts == "fast" and small else default_shakes
    descents: list[Descent] = []
    with tqdm(desc="weight matching", unit=" assignments", disable=not progress, leave=False) as bar:
        best: _Result | None = None
        while names:
            start, *names = names
            result = _descend(similarities, still, start, seed, bar.update)
            descents.append(result.descent)
            if best is None or result.objective > best.objective:
                best = result
            bar.set_postfix_str(f"objective {best.objective:.6g} ({best.start})")
            # no result may be worse than doing nothing, from which the forward start never falls
            if not names and best.objective < identity_objective and start != "forward":
                names = ["forward"]
        assert best is not None
        for number in range(shakes):
            _shake(best, random_stream(seed, "weight matching", "shake", number))
            bar.set_postfix_str(f"objective {best.objective:.6g} ({best.start})")
    sweeps = sum(descent.sweeps for descent in descents)
    permutation, best_start, trajectory = best.permutation, best.start, tuple(best.trajectory)
    del similarities, descents, result, best  # several times what the networks take
    objective, l2_distance = objective_and_distance(spec, state_a, state_b, permutation)
    return Matching(
        permutation=permutation,
        objective=objective,
        identity_objective=identity_objective,
        l2_distance=l2_distance,
        sweeps=sweeps,
        seconds=time.perf_counter() - began,
        start=best_start,
        trajectory=trajectory,
    )


def check_before_matching(
    spec: PermutationSpec, state: StateDict, *, model: nn.Module | None, images: Tensor | None, seed: int
) -> None:
    """Refuse a spec that changes what ``model`` computes; ``model`` None leaves it to the caller's word."""
    if model is None:
        return
    if images is None:
        raise InputError(
            "images is None; the check that permuting along spec preserves the function of model needs a few inputs "
            "(or give model=None to go without it)"
        )
    check_function_preserved(model, spec, state, images[:8], random_stream(seed, "check"))


@dataclass
class _Result:
    start: str
    permutation: Permutation
    objective: float
    trajectory: list[float]
    descent: Descent


def _effort(starts: str | Sequence[str]) -> tuple[list[str], int]:
    if isinstance(starts, str):
        check_choice("starts", starts, EFFORTS)
        names, shakes = EFFORTS[starts]
        return list(names), shakes
    if not starts:
        raise InputError(f"starts is empty; it may hold: {', '.join(STARTS)}")
    for name in starts:
        check_choice("starts", name, STARTS)
    return list(starts), 0


def _descend(
    similarities: Similarities, still: Permutation, start: str, seed: int, tick: Callable[[], object]
) -> _Result:
    """One start to its fixed point."""
    descent = Descent(similarities, still, tick)
    order = similarities.order
    if start != "forward":
        descent.sweep(order, in_weight=0.0)
    if start == "annealed":
        for weight in ANNEALING:
            for _ in range(SWEEPS_PER_WEIGHT):
                descent.sweep(order, out_weight=weight)
    if start == "random":
        generator = random_stream(seed, "weight matching", "order")
        descent.polish(lambda: [order[i] for i in torch.randperm(len(order), generator=generator).tolist()])
    else:
        descent.polish(lambda: order)
    objective = similarities.quick_objective(descent.permutation)
    trajectory = [objective, *(objective - rest for rest in itertools.accumulate(reversed(descent.gains)))][::-1]
    return _Result(start, dict(descent.permutation), objective, trajectory, descent)


def _shake(best: _Result, generator: torch.Generator) -> None:
    """Shuffle some units of every group, descend again, and keep what is found in ``best`` if it is better."""
    descent = best.descent
    shaken = {}
    for group, indices in best.permutation.items():
        some = torch.randperm(len(indices), generator=generator)[: max(2, round(SHAKEN_SHARE * len(indices)))]
        shaken[group] = indices.clone()
        shaken[group][some] = indices[some.roll(1)]
    descent.restart(shaken)
    descent.polish(lambda: descent.similarities.order)
    objective = descent.similarities.quick_objective(descent.permutation)
    if objective > best.objective * (1 + math.copysign(1e-7, best.objective)):
        best.permutation, best.objective = dict(descent.permutation), objective
        best.trajectory.append(objective)
