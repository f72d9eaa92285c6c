"""Matching of more than two networks: each in turn to the mean of the others, until none moves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.matching.by_weights import check_before_matching, weight_matching
from lmcbook.matching.similarity import check_finite_states
from lmcbook.permutation import Permutation, PermutationSpec, apply, compose, identity, invert
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, weight_names


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyMatching:
    """One permutation for each of several networks, the first of which stays."""

    permutations: tuple[Permutation, ...]
    """``apply(spec, permutations[i], states[i])`` are aligned to ``states[0]`` and to each other."""
    objective: float
    r"""$\sum_{i<j} \langle P^i \theta^i, P^j \theta^j \rangle$ over the weight_names tensors."""
    rounds: int
    """How often every network was matched to the others."""
    seconds: float
    """Wall-clock time, without the check of the function."""
    trajectory: tuple[float, ...]
    """The objective at the beginning and after every round; it never falls."""


@checked
@torch.no_grad()
def merge_many_matching(
    spec: PermutationSpec,
    states: Sequence[StateDict],
    *,
    model: nn.Module | None,
    images: Tensor | None = None,
    starts: str | Sequence[str] = "fast",
    max_rounds: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> ManyMatching:
    r"""Permutations that maximise $\sum_{i<j} \langle P^i \theta^i, P^j \theta^j \rangle$, one network at a time.

    MergeMany of Git Re-Basin (Ainsworth, Hayase & Srinivasa 2023, Algorithm 3): every network in turn, in random
    order, is matched to the mean of the others; the end is when no network moves any more.

    Args:
        spec: groups of all networks.
        states: two or more; the first is not permuted.
        model: on which `check_function_preserved` tries ``spec`` first; None leaves the check out.
        images: a few inputs of ``model`` for the check.
        starts: of `weight_matching` in the first round; later each goes on from where it is.
        max_rounds: the most rounds.
        seed: of the order of the networks, and of `weight_matching`.
        progress: show a bar of networks matched.

    Raises:
        InputError: fewer than two states; and as `weight_matching`.
    """
    if len(states) < 2:
        raise InputError(f"states holds {len(states)}; matching needs two or more")
    check_number("max_rounds", max_rounds, minimum=1, integer=True)
    check_finite_states({f"states[{place}]": state for place, state in enumerate(states)})
    check_before_matching(spec, states[0], model=model, images=images, seed=seed)
    began = time.perf_counter()
    permutations = [identity(spec, state) for state in states]
    aligned = [dict(state) for state in states]
    trajectory = [_objective(aligned)]
    generator = random_stream(seed, "merge many")
    with tqdm(desc="matching many", unit=" networks", disable=not progress, leave=False) as bar:
        while len(trajectory) <= max_rounds:
            moved = False
            for number in torch.randperm(len(states), generator=generator).tolist():
                others = _mean([state for other, state in enumerate(aligned) if other != number])
                first = len(trajectory) == 1
                # a descent from where the network stands cannot lose anything
                found = weight_matching(
                    spec,
                    others,
                    aligned[number],
                    model=None,
                    starts=starts if first else ("forward",),
                    seed=seed,
                    progress=False,
                ).permutation
                if any(not torch.equal(indices, torch.arange(len(indices))) for indices in found.values()):
                    moved = True
                    permutations[number] = compose(permutations[number], found)
                    aligned[number] = apply(spec, permutations[number], states[number])
                bar.update()
            trajectory.append(_objective(aligned))
            bar.set_postfix_str(f"objective {trajectory[-1]:.6g}")
            if not moved:
                break
    back = invert(permutations[0])
    return ManyMatching(
        permutations=tuple(compose(permutation, back) for permutation in permutations),
        objective=trajectory[-1],
        rounds=len(trajectory) - 1,
        seconds=time.perf_counter() - began,
        trajectory=tuple(trajectory),
    )


def _mean(states: list[StateDict]) -> StateDict:
    names = weight_names(states[0])
    means = {name: sum((state[name] for state in states[1:]), start=states[0][name]) / len(states) for name in names}
    return {**states[0], **means}


def _objective(states: list[StateDict]) -> float:
    """Half of ‖Σθ‖² − Σ‖θ‖², in float64."""
    total = 0.0
    for name in weight_names(states[0]):
        tensors = [state[name].double() for state in states]
        added = sum(tensors[1:], start=tensors[0])
        total += float(added.square().sum() - sum(tensor.square().sum() for tensor in tensors)) / 2
    return total
