"""Pairs of networks for the tests of matching: drawn anew, or planted copies, of our networks and of foreign make."""

from collections.abc import Callable

import torch
from torch import nn

from lmcbook.matching import Matching, weight_matching
from lmcbook.permutation import Permutation, PermutationSpec, apply, derive_spec, invert, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from tests.helpers.traced_networks import Attention, Branches, Residual, Transformer

Network = tuple[nn.Module, StateDict, PermutationSpec]


def foreign(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> Network:
    """A network that is not ours, with the table that a trace gives; blocks, concatenations, square matrices."""
    torch.manual_seed(0)
    model = build().double().eval()
    example = torch.randn(shape, generator=random_stream(0, "example"), dtype=torch.float64)
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return model, state, derive_spec(model, example)


FOREIGN = {
    "attention": lambda: foreign(lambda: Transformer(Attention("stacked", 12, 3), nn.GELU()), (4, 5, 8)),
    "concatenation": lambda: foreign(Branches, (4, 3, 6, 6)),
    "square": lambda: foreign(
        lambda: nn.Sequential(nn.Linear(5, 16), Residual(nn.Linear(16, 16), nn.ReLU()), nn.Linear(16, 3)), (4, 5)
    ),
}


def other(state: StateDict, purpose: str = "other") -> StateDict:
    """Weights of the same spread, drawn anew."""
    generator = random_stream(0, purpose)
    drawn = {}
    for name, tensor in state.items():
        spread = tensor.std() if tensor.is_floating_point() and tensor.numel() > 1 else 1.0
        drawn[name] = torch.randn(tensor.shape, generator=generator).to(tensor) * spread if tensor.ndim else tensor
        if name.endswith("running_var"):
            drawn[name] = drawn[name].abs() + 0.1
    return drawn


def noisy(state: StateDict, amount: float) -> StateDict:
    """Each tensor with noise of so large a share of its spread."""
    generator = random_stream(0, "noise")
    return {
        name: tensor + amount * tensor.std() * torch.randn(tensor.shape, generator=generator).to(tensor)
        if tensor.is_floating_point() and tensor.numel() > 1
        else tensor
        for name, tensor in state.items()
    }


def planted(spec: PermutationSpec, state: StateDict) -> tuple[StateDict, Permutation]:
    """A permuted, slightly noisy copy, and the permutation that brings it back."""
    drawn = random_permutation(spec, state, random_stream(3, "permutation"))
    return noisy(apply(spec, drawn, state), 0.01), invert(drawn)


def same(first: Permutation, second: Permutation) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[group], second[group]) for group in first)


def quiet(spec: PermutationSpec, a: StateDict, b: StateDict, **options) -> Matching:
    return weight_matching(spec, a, b, **{"model": None, "progress": False, **options})
