"""Weighted means of networks: two along a line, or many."""

from collections.abc import Sequence

import torch

from lmcbook.errors import InputError, check_number
from lmcbook.errors.arguments import checked
from lmcbook.states import StateDict, check_same_tensors, some

# Sums in these types lose digits that the same sum keeps in float32.
HALF_PRECISION = (torch.float16, torch.bfloat16)


@checked
def interpolate(
    state_a: StateDict, state_b: StateDict, coefficient: float | int, *, out: StateDict | None = None
) -> StateDict:
    r"""The network on the line between two: $\lambda\theta^a + (1-\lambda)\theta^b$, as in Definition 2.1 of the paper.

    The coefficient λ multiplies ``state_a``: 1 gives a copy of ``state_a`` and 0 one of ``state_b``, bit for bit. In
    between, tensors of integers (counters) are copied from ``state_a``.

    Args:
        out: a state of the same tensors that is overwritten and returned, so that a walk along λ allocates once.

    Raises:
        InputError: λ lies outside [0, 1], the states do not hold the same tensors, or ``out`` shares memory with
            one of them.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    return _weighted_mean({"state_a": state_a, "state_b": state_b}, (coefficient, 1 - coefficient), out)


@checked
def merge_many(states: Sequence[StateDict], coefficients: Sequence[float | int]) -> StateDict:
    r"""The weighted mean of k networks: $\sum_i \lambda_i\theta^i$ with $\lambda_i \geq 0$ and $\sum_i \lambda_i = 1$.

    Tensors of integers are copied from the first network, unless one coefficient is 1: then all are that network's.

    Raises:
        InputError: a coefficient lies outside [0, 1], they do not sum to 1, there is not one for each network, or
            the networks do not hold the same tensors.
    """
    if len(states) == 0 or len(states) != len(coefficients):
        raise InputError(
            f"coefficients holds {len(coefficients)} number(s) for {len(states)} states; "
            "it must hold one for each state, and there must be at least one state"
        )
    for coefficient in coefficients:
        check_number("coefficients", coefficient, minimum=0, maximum=1)
    if abs(sum(coefficients) - 1) > 1e-6:
        raise InputError(f"coefficients sum to {sum(coefficients):g}; they must sum to 1: divide each by their sum")
    return _weighted_mean({f"states[{index}]": state for index, state in enumerate(states)}, coefficients, None)


def _weighted_mean(states: dict[str, StateDict], weights: Sequence[float], out: StateDict | None) -> StateDict:
    first_name, first = next(iter(states.items()))
    for name, state in states.items():
        check_same_tensors(first_name, first, name, state)
    if out is not None:
        check_same_tensors(first_name, first, "out", out)
        inputs = {tensor.data_ptr() for state in states.values() for tensor in state.values() if tensor.numel()}
        shared = [name for name, tensor in out.items() if tensor.data_ptr() in inputs]
        if shared:
            raise InputError(
                f"out shares the memory of {some(shared)} with a network to merge; give it tensors of its own"
            )
    # At an end of the line the other network must not be touched: 0 × infinity is not a number, and −0 + 0 is not −0.
    terms = [(state, weight) for state, weight in zip(states.values(), weights, strict=True) if weight != 0]
    whole = terms[0][0] if len(terms) == 1 else None
    merged = {name: torch.empty_like(tensor) for name, tensor in first.items()} if out is None else out
    with torch.no_grad():
        for name, target in merged.items():
            if whole is not None:
                target.copy_(whole[name])
            elif not (target.is_floating_point() or target.is_complex()):
                target.copy_(first[name])
            elif target.dtype in HALF_PRECISION:
                total = torch.zeros_like(target, dtype=torch.float32)
                for state, weight in terms:
                    total.add_(state[name].float(), alpha=weight)
                target.copy_(total)
            else:
                torch.mul(terms[0][0][name], terms[0][1], out=target)
                for state, weight in terms[1:]:
                    target.add_(state[name], alpha=weight)
    return merged
